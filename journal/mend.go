package journal

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"path"

	"hindcast.dev/journal/record"
	"hindcast.dev/journal/segment"
	"hindcast.dev/vfs"
)

// A mend is what is to be made good in one segment's file: bytes to put in their
// place, and its size.
type mend struct {
	h     head
	how   []string
	parts []part
}

type part struct {
	off  int
	data []byte
}

// mending says what is made good, and by which bytes.
func (r *repairer) mending(h head, e *FileError, how string, parts ...part) {
	r.damage(h.Number, e)
	for i := range r.mends {
		if m := &r.mends[i]; m.h.Number == h.Number {
			m.h, m.how, m.parts = h, append(m.how, how), append(m.parts, parts...)
			return
		}
	}
	r.mends = append(r.mends, mend{h: h, how: []string{how}, parts: parts})
}

// mendAll mends the files of what history is left.
func (r *repairer) mendAll() error {
	for i := range r.mends {
		if m := &r.mends[i]; !r.cutting || m.h.Number <= r.keep() {
			if err := r.mend(m); err != nil {
				return err
			}
		}
	}
	return nil
}

// mend rewrites a file, as it was set aside, with what is made good.
func (r *repairer) mend(m *mend) error {
	b, err := r.copyAside(m.h.file)
	if err != nil {
		return err
	}
	b = append(b, make([]byte, max(0, int(m.h.Size)-len(b)))...)[:m.h.Size]
	for _, p := range m.parts {
		copy(b[p.off:], p.data)
	}
	for _, how := range m.how {
		r.rep.Mended = append(r.rep.Mended, fmt.Sprintf("%s: %s", path.Base(m.h.file), how))
	}
	return r.rewrite(m.h, b)
}

// mendSize gives a file the size that its header says. What was there too much,
// or lacks, is not of history: that is in the frames, which were all read.
func (r *repairer) mendSize(h *head) {
	e := h.misfit(math.MaxInt64)
	if e == nil {
		return
	}
	how := fmt.Sprintf("its %d bytes were made %d; the frames are all there", h.there, h.Size)
	r.mending(*h, e, how)
	h.there = int64(h.Size)
}

// mendOpening writes the opening of a segment that history goes on in after the
// stamp before.
func (r *repairer) mendOpening(h *head, before record.Stamp) {
	h.opening, h.opened = segment.OpeningAfter(before), true
	e := &FileError{Problem: ErrCorrupt, File: h.file, Offset: segment.OpeningOffset, Detail: "its opening is not valid"}
	r.mending(*h, e, fmt.Sprintf("its opening was made anew: it follows event %d", before.Seq), part{segment.OpeningOffset, h.opening.Encode(&h.Header)})
}

// mendStamps takes stamps off that stand behind the end of history, in the i-th
// segment and those after it: one before them is gone, and only Open knows whether
// that is a power loss, after which it does the same, or damage, with which it
// stops. Their frames are handled anew.
func (r *repairer) mendStamps(i int) error {
	off := int64(r.end - r.heads[i].Base)
	for _, h := range r.heads[i:] {
		full, err := r.mendStampsFrom(h, max(off, segment.DataOffset))
		if err != nil || !full {
			return err
		}
		off = 0
	}
	return nil
}

// mendStampsFrom does so in one segment; full is true if frames fill it.
func (r *repairer) mendStampsFrom(h head, off int64) (full bool, err error) {
	src, err := r.fsys.Open(h.file)
	if err != nil {
		return false, err
	}
	sc := newScanner(src, h)
	sc.off = off
	var parts []part
	var first, last uint64 // events
	var at int64           // where the first is
	for {
		var it item
		if it, err = sc.next(math.MaxUint64); err != nil {
			break
		}
		if it.stamped {
			if last = it.stamp.Seq; first == 0 {
				first, at = last, it.off
			}
			r.evidence = max(r.evidence, it.stamp.Seq)
			parts = append(parts, part{int(it.off) + it.n - record.StampSize, make([]byte, record.StampSize)})
		}
	}
	if len(parts) > 0 {
		r.mending(h, sc.damaged(at, fmt.Sprintf("event %d does not follow event %d", first, r.last.Seq)),
			fmt.Sprintf("the stamps of events %d to %d were taken off: their frames will be handled anew", first, last), parts...)
	}
	full = err == errSegmentEnd
	var gap *gapError
	if full || errors.As(err, &gap) || errors.Is(err, ErrUnexpectedEnd) {
		err = nil
	}
	return full, errors.Join(err, src.Close())
}

// remake makes the head of the i-th segment anew, or has history end before it.
func (r *repairer) remake(found []foundHead, i int) error {
	f := r.l.segments[i]
	file := path.Join(r.dir, f.name)
	src, err := r.fsys.Open(file)
	if err != nil {
		return err
	}
	size, err := src.Size()
	if err == nil {
		var h head
		var how string
		h, how, err = r.confirmed(src, found, i, size)
		var no *unconfirmedError
		switch {
		case err == nil:
			r.mending(h, found[i].damage, "its header was made anew: "+how, part{0, h.Header.Encode()})
			found[i] = foundHead{head: h}
			r.entered(&h)
		case errors.As(err, &no):
			r.damage(f.number, found[i].damage)
			r.cutting = true
			r.rep.Notes = append(r.rep.Notes, fmt.Sprintf("%s: its header can't be made anew: %s", f.name, no.reason))
			err = nil
		}
	}
	return errors.Join(err, src.Close())
}

// An unconfirmedError says why a header can't be made anew.
type unconfirmedError struct{ reason string }

func (e *unconfirmedError) Error() string { return e.reason }

func unconfirmed(format string, args ...any) error {
	return &unconfirmedError{fmt.Sprintf(format, args...)}
}

// confirmed is the head that the rest of the file, its name, meta and the segments
// around it leave no doubt of:
//
//	nonce      that of the first frame's commit word  ┐ the CRC of the first stamp is
//	base       from the segment before or after       ┘ made of both
//	number     from the name
//	size       that of the file, which the segment after must agree with
//	node       from meta, the other segments, or itself if its CRC agrees
//	boot       see boots
func (r *repairer) confirmed(src vfs.File, found []foundHead, i int, size int64) (head, string, error) {
	if size < 2*segment.DataOffset || size%segment.DataOffset != 0 || size > SegmentBytesMax {
		return head{}, "", unconfirmed("the file's %d bytes are no segment's size", size)
	}
	b := make([]byte, segment.DataOffset+record.PaddingMin)
	if _, err := readFull(src, b, 0); err != nil {
		return head{}, "", fmt.Errorf("read %s: %w", src.Name(), err)
	}
	h := head{file: src.Name(), there: size, Header: segment.Header{Number: r.l.segments[i].number, Size: uint64(size), Node: r.meta.Node,
		Nonce: binary.LittleEndian.Uint32(b[segment.DataOffset+4:])}}
	var err error
	if h.Base, err = r.base(found, i, b, uint64(size)); err != nil {
		return head{}, "", err
	}
	if h.Nonce == 0 {
		return head{}, "", unconfirmed("nothing tells its nonce: it has no frame at byte %d", segment.DataOffset)
	}
	if h.Node == "" { // what stands there will do if the header's CRC agrees
		h.Node = string(b[56:][:min(int(b[48]), segment.NodeMax)])
	}
	first := firstStamp(src, h)
	if first.Seq == 0 {
		return head{}, "", unconfirmed("no stamp at its beginning confirms its nonce and its base")
	}
	h.opening, h.opened = segment.DecodeOpening(b[segment.OpeningOffset:], &h.Header)
	if !h.opened && h.Number == 1 {
		h.opening = segment.Opening{Seq: 1}
	}
	if h.opening.Seq > 0 && h.opening.Seq != first.Seq {
		return head{}, "", unconfirmed("it should begin with event %d, its first event is %d", h.opening.Seq, first.Seq)
	}
	low := uint64(1)
	if i > 0 {
		low = max(low, found[i-1].Boot)
	}
	exact := boots(&h.Header, b[:segment.HeaderSize], low, first.Boot)
	if sum := segment.HeaderSize - 4; r.meta.Node == "" && string(h.Encode()[sum:]) != string(b[sum:segment.HeaderSize]) {
		return head{}, "", unconfirmed("nothing tells the node: meta and all headers are lost")
	}
	r.meta.Node = h.Node
	how := "its frames, its name and its neighbours confirm all of it"
	if !exact {
		how += fmt.Sprintf(" but the boot that made it, for which %d stands now", h.Boot)
	}
	return h, how, nil
}

// base is where the segment begins, if that is not more than one place.
func (r *repairer) base(found []foundHead, i int, b []byte, size uint64) (uint64, error) {
	number := r.l.segments[i].number
	// What it says itself is as good, if the stamps agree.
	base, known := binary.LittleEndian.Uint64(b[24:]), false
	if number == 1 {
		base, known = 0, true
	} else if i > 0 && found[i-1].damage == nil && found[i-1].Number == number-1 {
		base, known = found[i-1].End(), true
	}
	if i+1 < len(found) && found[i+1].damage == nil && found[i+1].Number == number+1 {
		after := found[i+1].Base
		if size > after || known && base+size != after {
			return 0, unconfirmed("the file has %d bytes, which the segment after it doesn't agree with", size)
		}
		base = after - size
	}
	return base, nil
}

// firstStamp is the stamp of the first frame, zero if it is none of a segment like h.
func firstStamp(src vfs.File, h head) record.Stamp {
	if h.Base%segment.DataOffset != 0 || h.Base > 1<<62 {
		return record.Stamp{}
	}
	sc := newScanner(src, h)
	for {
		it, err := sc.next(math.MaxUint64)
		if err != nil || !it.padding && !it.stamped {
			return record.Stamp{}
		}
		if !it.padding {
			return it.stamp
		}
	}
}

// bootsTried bounds how many boots are tried for a header.
const bootsTried = 1 << 12

// boots finds the boot that made the segment, between that of the segment before
// and that of its first event: the one with which the header has the CRC that
// stands there. If that is damaged, the boot that stands there will do; else low,
// and the result is false.
func boots(h *segment.Header, b []byte, low, high uint64) bool {
	stands := binary.LittleEndian.Uint64(b[40:])
	sum := binary.LittleEndian.Uint32(b[segment.HeaderSize-4:])
	try := func(boot uint64) (sumAgrees, restAgrees bool) {
		h.Boot = boot
		e := h.Encode()
		n := segment.HeaderSize - 4
		return binary.LittleEndian.Uint32(e[n:]) == sum, string(e[:n]) == string(b[:n])
	}
	if sumAgrees, _ := try(stands); sumAgrees {
		return true
	}
	for boot := low; boot <= high && boot-low < bootsTried; boot++ {
		if sumAgrees, _ := try(boot); sumAgrees {
			return true
		}
	}
	if _, restAgrees := try(stands); restAgrees && low <= stands && stands <= high {
		return true
	}
	h.Boot = low
	return false
}
