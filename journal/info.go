package journal

import (
	"errors"
	"io/fs"
	"path"

	"hindcast.dev/hlc"
	"hindcast.dev/vfs"
)

// An InfoReport is what a journal says of itself.
type InfoReport struct {
	Dir        string        `json:"dir"`
	Node       string        `json:"node"`
	Boot       uint64        `json:"boot"` // the last, 0 in an archive
	Clean      bool          `json:"clean"`
	Durability string        `json:"durability,omitempty"`
	Ceiling    hlc.Timestamp `json:"ceiling"`
	FirstSeq   uint64        `json:"firstSeq"`
	FirstTime  hlc.Timestamp `json:"firstTime"`
	LastSeq    uint64        `json:"lastSeq"` // stamped; below FirstSeq if there is no event
	LastTime   hlc.Timestamp `json:"lastTime"`
	DurableSeq uint64        `json:"durableSeq"` // on record as durable, at least
	Bytes      int64         `json:"bytes"`      // of all segments
	Segments   []SegmentInfo `json:"segments"`
	Panic      *PanicMark    `json:"panic,omitempty"`
	Amendments []Amendment   `json:"amendments,omitempty"`
}

// A SegmentInfo is what a segment's head says.
type SegmentInfo struct {
	Number   uint64 `json:"number"`
	File     string `json:"file"`
	Base     uint64 `json:"base"` // position of its first byte
	Size     uint64 `json:"size"` // bytes
	Boot     uint64 `json:"boot"` // that made it
	FirstSeq uint64 `json:"firstSeq,omitempty"`
	Indexed  bool   `json:"indexed,omitempty"`
	Archived bool   `json:"archived,omitempty"`
}

// Info reads the heads of a journal, also one that is being written, or of an
// archive, and the end of its history.
func Info(fsys vfs.FS, dir string) (InfoReport, error) {
	rep := InfoReport{Dir: dir}
	l, err := list(fsys, dir)
	if err != nil {
		return rep, err
	}
	m, _, _, err := readMeta(fsys, dir)
	if err != nil && !(errors.Is(err, fs.ErrNotExist) && isArchive(l)) {
		return rep, err
	}
	if err == nil {
		rep.Node, rep.Boot, rep.Clean, rep.Ceiling, rep.DurableSeq = m.Node, m.Boot, m.Clean, m.Ceiling, m.DurableSeq
		rep.Durability = Durability(m.Durability).String()
	}
	heads, err := readHeads(fsys, dir, l.segments)
	if err != nil {
		return rep, err
	}
	for i, h := range heads {
		s := SegmentInfo{Number: h.Number, File: l.segments[i].name, Base: h.Base, Size: h.Size, Boot: h.Boot,
			Indexed: l.indexes[h.Number], Archived: l.segments[i].archived}
		if h.opened {
			s.FirstSeq = h.opening.Seq
		}
		rep.Segments = append(rep.Segments, s)
		rep.Bytes += int64(h.Size)
		rep.Node = h.Node
	}
	if err := rep.marks(fsys); err != nil || len(heads) == 0 {
		return rep, err
	}
	rep.FirstSeq = heads[0].opening.Seq
	return rep, rep.ends(fsys, heads)
}

func isArchive(l *listing) bool { return len(l.segments) > 0 && l.segments[0].archived }

func (rep *InfoReport) marks(fsys vfs.FS) error {
	if err := readMarks(fsys, path.Join(rep.Dir, panicName), &rep.Panic); err != nil {
		return err
	}
	var err error
	rep.Amendments, err = Amendments(fsys, rep.Dir)
	return err
}

// ends finds the first and the last event.
func (rep *InfoReport) ends(fsys vfs.FS, heads []head) error {
	from := uint64(1)
	for _, h := range heads {
		if h.opened {
			from = h.opening.Seq
			rep.LastSeq, rep.LastTime = h.opening.Seq-1, h.opening.Time
		}
	}
	if err := each(fsys, rep.Dir, 0, func(e Entry) bool {
		rep.FirstTime = e.Stamp.Time
		return false
	}); err != nil {
		return err
	}
	return each(fsys, rep.Dir, max(from, 1), func(e Entry) bool {
		rep.LastSeq, rep.LastTime = e.Stamp.Seq, e.Stamp.Time
		return true
	})
}
