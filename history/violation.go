package history

import (
	"cmp"
	"container/heap"

	"hindcast.dev/hlc"
)

// findViolations goes through the references of all runs together, sorted by
// hash, and counts the receives that are not after their send. Ids of the same
// 64-bit hash are taken for the same here; Message looks closer.
func (d *Disk) findViolations(m *manifest) error {
	var h refHeap
	for i, r := range d.runs {
		for _, seq := range r.dir.refs {
			c := &refCursor{disk: d, run: i, pages: seq}
			if ok, err := c.load(); err != nil {
				return err
			} else if ok {
				h = append(h, c)
			}
		}
	}
	heap.Init(&h)
	m.Violations = 0
	var w warnings
	var group []runRef
	for len(h) > 0 {
		c := h[0]
		r := runRef{c.refs[0], c.run}
		if len(group) > 0 && group[0].hash != r.hash {
			if err := d.checkGroup(group, m, &w); err != nil {
				return err
			}
			group = group[:0]
		}
		group = append(group, r)
		if err := h.advance(); err != nil {
			return err
		}
	}
	if err := d.checkGroup(group, m, &w); err != nil {
		return err
	}
	m.Warnings = append(m.Warnings, w.list()...)
	return nil
}

type runRef struct {
	ref
	run int
}

// checkGroup looks at all references to one message.
func (d *Disk) checkGroup(group []runRef, m *manifest, w *warnings) error {
	send, sent := runRef{}, false
	sentAt := hlc.Max
	for _, r := range group {
		if r.role&roleSent != 0 && r.time < sentAt {
			send, sent, sentAt = r, true, r.time
		}
	}
	if !sent {
		return nil
	}
	for _, r := range group {
		if r.role&roleReceived == 0 || r.time > sentAt {
			continue
		}
		m.Violations++
		if w.violations >= warningsMax {
			w.violations++ // only counted
			continue
		}
		from, err := d.entry(d.runs[send.run], send.entry)
		if err != nil {
			return err
		}
		to, err := d.entry(d.runs[r.run], r.entry)
		if err != nil {
			return err
		}
		for id := range to.messages() {
			if hashID(id) == r.hash {
				w.violation(d.meta.Nodes, to.Position, Message{ID: id, Send: from.Position})
				break
			}
		}
	}
	return nil
}

// A refCursor goes through one sequence of references, a page at a time.
type refCursor struct {
	disk  *Disk
	run   int
	pages refSequence
	refs  []ref
}

// load makes sure that refs isn't empty; false at the end.
func (c *refCursor) load() (ok bool, err error) {
	for len(c.refs) == 0 {
		if len(c.pages) == 0 {
			return false, nil
		}
		if c.refs, err = c.disk.runs[c.run].page(c.pages[0]); err != nil {
			return false, err
		}
		c.pages = c.pages[1:]
	}
	return true, nil
}

// A refHeap is a heap of cursors by their next reference.
type refHeap []*refCursor

func (h refHeap) Len() int { return len(h) }

func (h refHeap) Less(i, j int) bool {
	a, b := h[i], h[j]
	return cmp.Or(cmp.Compare(a.refs[0].hash, b.refs[0].hash), cmp.Compare(a.run, b.run), cmp.Compare(a.refs[0].entry, b.refs[0].entry)) < 0
}

func (h refHeap) Swap(i, j int) { h[i], h[j] = h[j], h[i] }

// Push implements heap.Interface; nothing is pushed.
func (h *refHeap) Push(x any) { *h = append(*h, x.(*refCursor)) }

// Pop implements heap.Interface.
func (h *refHeap) Pop() any {
	last := (*h)[len(*h)-1]
	*h = (*h)[:len(*h)-1]
	return last
}

// advance moves the first cursor on.
func (h *refHeap) advance() error {
	c := (*h)[0]
	c.refs = c.refs[1:]
	ok, err := c.load()
	if err != nil {
		return err
	}
	if ok {
		heap.Fix(h, 0)
	} else {
		heap.Pop(h)
	}
	return nil
}
