package raftkv

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"go.etcd.io/raft/v3/raftpb"

	"hindcast.dev/machine"
	"hindcast.dev/machine/state"
)

// A command is an entry of the log in words: who asked, what, and its texts, each
// with its length before it, such as
//
//	n1/42 put 3:key 5:value 0: 0: 0
type command struct {
	node           string // that was asked
	number         uint64 // its number there
	op             string // put, delete, cas, create or append
	key, value     string
	old            string // of a cas
	session        string
	sequenceNumber uint64
}

func (c *command) encode() []byte {
	b := make([]byte, 0, len(c.node)+len(c.key)+len(c.value)+len(c.old)+len(c.session)+64)
	b = append(b, c.node...)
	b = strconv.AppendUint(append(b, '/'), c.number, 10)
	b = append(append(append(b, ' '), c.op...), ' ')
	for _, s := range []string{c.key, c.value, c.old, c.session} {
		b = strconv.AppendInt(b, int64(len(s)), 10)
		b = append(append(append(b, ':'), s...), ' ')
	}
	return strconv.AppendUint(b, c.sequenceNumber, 10)
}

// decode is encode backwards; ok is false for what isn't a command.
func decode(data []byte) (c command, ok bool) {
	s, ok := string(data), true
	cut := func(sep string) (before string) {
		if ok {
			before, s, ok = strings.Cut(s, sep)
		}
		return before
	}
	number := func(text string) uint64 {
		n, err := strconv.ParseUint(text, 10, 64)
		ok = ok && err == nil && strconv.FormatUint(n, 10) == text
		return n
	}
	c.node = cut("/")
	c.number = number(cut(" "))
	c.op = cut(" ")
	for _, p := range []*string{&c.key, &c.value, &c.old, &c.session} {
		n := number(cut(":"))
		if ok = ok && n < uint64(len(s)) && s[n] == ' '; !ok {
			return command{}, false
		}
		*p, s = s[:n], s[n+1:]
	}
	c.sequenceNumber = number(s)
	return c, ok
}

// commit applies a committed entry.
func (r *Raft) commit(ctx *machine.Context, e pbEntry) {
	conf, data := entryOf(e)
	r.Applied = indexOf(e)
	switch {
	case conf:
		r.commitChange(ctx, data)
	case len(data) > 0:
		c, ok := decode(data)
		if !ok {
			panic(fmt.Sprintf("raftkv: entry %d is no command: %q", r.Applied, data))
		}
		a, code := r.once(&c)
		if c.node == r.Self {
			r.answer(ctx, c.number, a, code)
		}
	}
}

// answer answers a write, if its client waits still.
func (r *Raft) answer(ctx *machine.Context, number uint64, a Answer, code Code) {
	w, ok := r.Writes.Get(number)
	if !ok {
		return
	}
	r.Writes.Delete(number)
	if code != "" {
		ctx.Reply(w.Request, Failure{Code: code, Reason: reasons[code]})
		return
	}
	ctx.Reply(w.Request, a)
}

var reasons = map[Code]string{
	Full:    "the store holds as much as a snapshot may",
	Invalid: "the value would be too long, or the last voter would go",
	Expired: "a later write of this session was done, or the session was idle for so long that it was forgotten",
}

// once applies a command, unless its session says that it was applied before.
func (r *Raft) once(c *command) (Answer, Code) {
	if c.session == "" {
		return r.apply(c)
	}
	last, known := r.Sessions.Get(c.session)
	switch {
	case known && c.sequenceNumber == last.Seq:
		return last.Answer, last.Code
	case known && c.sequenceNumber < last.Seq, !known && c.sequenceNumber > 1:
		return Answer{}, Expired
	}
	a, code := r.apply(c)
	r.Sessions.Put(c.session, Done{c.sequenceNumber, r.Applied, a, code})
	if r.Sessions.Len() > MaxSessions {
		r.forgetSession()
	}
	return a, code
}

// forgetSession forgets the session that was idle for longest.
func (r *Raft) forgetSession() {
	oldest, at := "", uint64(0)
	for name, s := range r.Sessions.All() {
		if oldest == "" || s.Index < at {
			oldest, at = name, s.Index
		}
	}
	r.Sessions.Delete(oldest)
}

// apply does what a command says.
func (r *Raft) apply(c *command) (Answer, Code) {
	old, there := r.Data.Get(c.key)
	a := Answer{Found: true, Index: r.Applied}
	value := c.value
	switch c.op {
	case "delete":
		if a.Found = there; there {
			r.Data.Delete(c.key)
			r.Bytes -= len(c.key) + len(old.Value)
		}
		return a, ""
	case "cas":
		a.Found = there && old.Value == c.old
	case "create":
		a.Found = !there
	case "append":
		value = old.Value + c.value
		a.Value = value
	}
	size := r.Bytes - len(old.Value) + len(value)
	if !there {
		size += len(c.key)
	}
	switch {
	case !a.Found:
		return a, ""
	case len(value) > MaxValue:
		return Answer{}, Invalid
	case size > r.Options.MaxBytes && size > r.Bytes:
		return Answer{}, Full
	}
	r.Data.Put(c.key, Item{value, r.Applied})
	r.Bytes = size
	return a, ""
}

// commitChange applies a change of members. All nodes reject the same ones.
func (r *Raft) commitChange(ctx *machine.Context, data []byte) {
	kind, id, context, err := decodeChange(data)
	if err != nil {
		panic(fmt.Sprintf("raftkv: entry %d: %v", r.Applied, err))
	}
	who, origin, _ := strings.Cut(string(context), " ")
	code := Invalid
	last := len(r.Conf.Voters) == 1 && r.Conf.Voters[0] == who
	if !last || kind == raftpb.ConfChangeAddNode {
		voters, learners := r.applyChange(kind, id, context)
		r.Conf = Conf{r.lib.namesOf(voters), r.lib.namesOf(learners)}
		code = ""
	}
	node, number, _ := strings.Cut(origin, "/")
	if n, err := strconv.ParseUint(number, 10, 64); err == nil && node == r.Self {
		r.answer(ctx, n, Answer{Found: true, Index: r.Applied}, code)
	}
}

// An image is the store and its sessions in a snapshot.
type image struct {
	Keys     []string
	Items    []Item
	Names    []string
	Sessions []Done
}

func (r *Raft) image() []byte {
	var im image
	for k, v := range r.Data.All() {
		im.Keys, im.Items = append(im.Keys, k), append(im.Items, v)
	}
	for k, v := range r.Sessions.All() {
		im.Names, im.Sessions = append(im.Names, k), append(im.Sessions, v)
	}
	b, err := state.Marshal(im)
	if err != nil {
		panic(fmt.Sprintf("raftkv: snapshot: %v", err))
	}
	return b
}

// load replaces the store by an image.
func (r *Raft) load(data []byte) {
	var im image
	if err := state.UnmarshalLarge(data, &im); err != nil || len(im.Keys) != len(im.Items) || len(im.Names) != len(im.Sessions) {
		panic(fmt.Sprintf("raftkv: snapshot at %d: %v", r.Applied, err))
	}
	r.Data.Clear()
	r.Sessions.Clear()
	r.Bytes = 0
	for i, k := range im.Keys {
		r.Data.Put(k, im.Items[i])
		r.Bytes += len(k) + len(im.Items[i].Value)
	}
	for i, k := range im.Names {
		r.Sessions.Put(k, im.Sessions[i])
	}
}

// Query answers while nothing can be journaled: how the node sees the cluster, and
// what it has itself.
func (r *Raft) Query(_ *machine.Context, body any) any {
	switch m := body.(type) {
	case Ask:
		return r.status()
	case Get:
		if m.Stale {
			return r.read(m.Key)
		}
	}
	return Failure{Code: Invalid, Reason: "only Ask and a stale Get are answered without a journal"}
}

func (r *Raft) status() Status {
	return Status{Node: r.Self, State: r.State, Leader: r.Lead, Term: r.Term, Commit: r.Commit, Applied: r.Applied,
		Voters: slices.Clone(r.Conf.Voters), Learners: slices.Clone(r.Conf.Learners)}
}

func (r *Raft) read(key string) Answer {
	item, ok := r.Data.Get(key)
	return Answer{Found: ok, Value: item.Value, Index: r.Applied}
}
