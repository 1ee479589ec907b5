package debug

import (
	"context"
	"slices"
	"strings"

	"hindcast.dev/event"
	"hindcast.dev/history"
	"hindcast.dev/termtext"
)

// watchedMax bounds the paths that are watched at once.
const watchedMax = 50

func runWatch(ctx context.Context, s *Session, args string) error {
	if args == "" {
		if len(s.watched) == 0 {
			return commandErrorf("watch", `want a variable or a part of one, like: watch kv.items["x"]`)
		}
		return s.showWatched(ctx)
	}
	if _, _, err := event.ParsePath(args); err != nil {
		return commandErrorf("watch", "%s: %v", args, err)
	}
	v, ok := s.variable(args)
	switch {
	case !ok:
		return commandErrorf("watch", "%q is no variable%s", args, s.hint(args))
	case len(s.watched) >= watchedMax:
		return commandErrorf("watch", "%d paths are watched, as many as can be: unwatch some", watchedMax)
	}
	if err := s.fill(ctx, "watch", []history.VarID{v}); err != nil {
		return err
	}
	if !slices.Contains(s.watched, args) {
		s.watched = append(slices.Clip(s.watched), args)
		s.version++
	}
	return s.showWatched(ctx)
}

func runUnwatch(_ context.Context, s *Session, args string) error {
	i := slices.Index(s.watched, args)
	switch {
	case strings.EqualFold(args, "all"):
		s.watched = nil
	case i < 0:
		return commandErrorf("unwatch", "%q isn't watched; watched: %s", args, strings.Join(s.watched, ", "))
	default:
		s.watched = slices.Delete(slices.Clone(s.watched), i, i+1)
	}
	s.version++
	return nil
}

// showWatched tells what is watched as it is here, by path and node.
func (s *Session) showWatched(ctx context.Context) error {
	if len(s.watched) == 0 {
		return nil
	}
	states, err := s.states(ctx, s.at.After(), nil)
	if err != nil {
		return err
	}
	for _, path := range s.watched {
		shown := false
		for n, st := range states {
			if st == nil {
				continue
			}
			v, err := s.lookupPath(st, path)
			if err != nil {
				return err
			}
			if !v.IsAbsent() {
				s.say(&Variable{Node: s.meta.Nodes[n].Name, Path: path, Value: v})
				shown = true
			}
		}
		if !shown {
			s.remark("%s is set on no node here", termtext.Printable(path))
		}
	}
	return nil
}
