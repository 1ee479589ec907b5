package rql_test

import (
	"slices"

	"hindcast.dev/history"
)

// A post tells which send a receive is of, by its definition (docs/rql.md, "Messages
// under way"): it goes through all messages that there ever were. It
// shares no code with causal.Links.
type post struct {
	nodes []string
	all   []*letter
	sends int
}

// A letter is a message, by its kind, id, sender and receiver.
type letter struct {
	kind, id, from, to string // from is "" of one received before anybody sent it
	sent               int    // when it was sent last; 0: not yet
	awaited, received  bool   // since it was sent last; ever
	tag                int    // the caller's
	data               *history.Effect
}

func (p *post) node(name string) bool { return slices.Contains(p.nodes, name) }

func (p *post) send(kind, id, from, to string) *letter {
	p.sends++
	for _, known := range []string{from, ""} { // one received before may not have named its sender
		for _, l := range p.all {
			if l.kind == kind && l.id == id && l.to == to && l.from == known && (known != "" || l.sent == 0) {
				l.from, l.sent, l.awaited = from, p.sends, true
				return l
			}
		}
	}
	l := &letter{kind: kind, id: id, from: from, to: to, sent: p.sends, awaited: true}
	p.all = append(p.all, l)
	return l
}

// receive returns the message, nil if it wasn't sent.
func (p *post) receive(kind, id, at, from string) *letter {
	if !p.node(from) {
		from = ""
	}
	of := p.under(kind, id, at, func(l *letter) bool { return l.from == from })
	if from == "" || len(of) == 0 {
		of = p.under(kind, id, at, func(*letter) bool { return true })
	}
	if len(of) == 0 {
		p.all = append(p.all, &letter{kind: kind, id: id, from: from, to: at, received: true})
		return nil
	}
	for _, better := range []func(*letter) bool{func(l *letter) bool { return l.awaited }, func(l *letter) bool { return l.to == at }} {
		if its := slices.DeleteFunc(slices.Clone(of), func(l *letter) bool { return !better(l) }); len(its) > 0 {
			of = its
		}
	}
	l := slices.MaxFunc(of, func(a, b *letter) int { return a.sent - b.sent })
	l.received, l.awaited = true, false
	if l.sent == 0 {
		return nil
	}
	return l
}

// under are the messages by an id that a node may receive.
func (p *post) under(kind, id, at string, by func(*letter) bool) (out []*letter) {
	for _, l := range p.all {
		if l.kind == kind && l.id == id && by(l) && (l.to == at || !p.node(l.to)) {
			out = append(out, l)
		}
	}
	return out
}

// lose returns the messages that a node noted to be lost, whose other end is peer.
func (p *post) lose(id, at, peer string) []*letter {
	var mine, its, others []*letter
	for _, l := range p.all {
		fits := peer == "" || l.to == peer
		switch {
		case l.kind != "recv" || l.id != id || l.sent == 0:
		case l.from == at && fits:
			mine = append(mine, l)
		case l.to == at && (!p.node(peer) || l.from == peer):
			its = append(its, l)
		case fits:
			others = append(others, l)
		}
	}
	for _, lost := range [][]*letter{mine, its, others} {
		for _, l := range lost {
			l.awaited = false
		}
		if len(lost) > 0 {
			return lost
		}
	}
	if !p.node(peer) {
		peer = ""
	}
	p.all = append(p.all, &letter{kind: "recv", id: id, from: peer, to: at, received: true})
	return nil
}
