package journal

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"runtime"
	"sync"
	"testing"

	"hindcast.dev/event"
	"hindcast.dev/journal/record"
	"hindcast.dev/machine"
	"hindcast.dev/vfs"
)

// stress is many producers, a consumer, a disk goroutine and readers on one small
// journal that rotates and recycles all the time.
type stress struct {
	t         *testing.T
	j         *Journal
	o         Options
	producers int
	each      int           // frames per producer
	published chan struct{} // the consumer has work
	work      chan struct{} // the disk's side has work
	done      chan struct{} // closed when all is stamped
}

func kick(ch chan struct{}) {
	select {
	case ch <- struct{}{}:
	default:
	}
}

// produce publishes frames numbered 1…each of producer p, in order, in all the
// ways there are, with aborted claims between them.
func (s *stress) produce(p int) error {
	r := machine.NewRand(uint64(p))
	for i := 1; i <= s.each; {
		f := s.frame(p, i, r)
		var err error
		published := 1
		switch r.IntN(4) {
		case 0:
			var c Claim
			if c, err = s.j.Claim(f.Size() + 16*r.IntN(10)); err == nil {
				c.Put(f)
			}
		case 1:
			var c Claim
			if c, err = s.j.Claim(1 + r.IntN(2000)); err == nil {
				c.Abort()
				published = 0
			}
		default:
			err = s.j.Append(f)
		}
		switch {
		case err == nil:
			i += published
		case errors.Is(err, ErrBacklog), errors.Is(err, ErrFull):
			kick(s.work)
			runtime.Gosched()
		default:
			return err
		}
	}
	return nil
}

func (s *stress) frame(p, i int, r *machine.Rand) *record.Frame {
	payload := make([]byte, 16+r.IntN(600))
	binary.LittleEndian.PutUint64(payload, uint64(p))
	binary.LittleEndian.PutUint64(payload[8:], uint64(i))
	for k := 16; k < len(payload); k++ {
		payload[k] = byte(p + i + k)
	}
	return &record.Frame{Kind: event.Message, Machine: "m", Name: "Put", Payload: payload}
}

// check returns which frame a payload is.
func (s *stress) check(payload []byte) (p, i int, err error) {
	p, i = int(binary.LittleEndian.Uint64(payload)), int(binary.LittleEndian.Uint64(payload[8:]))
	for k := 16; k < len(payload); k++ {
		if payload[k] != byte(p+i+k) {
			return 0, 0, fmt.Errorf("frame %d of producer %d is damaged at byte %d", i, p, k)
		}
	}
	return p, i, nil
}

// consume stamps everything and checks that each producer's frames come in order,
// all of them, once.
func (s *stress) consume() error {
	last := make([]int, s.producers)
	for n := 0; n < s.producers*s.each; {
		f, ok, err := s.j.Next()
		if err != nil {
			return err
		}
		if !ok {
			<-s.published
			continue
		}
		p, i, err := s.check(f.Payload)
		if err != nil {
			return err
		}
		if i != last[p]+1 {
			return fmt.Errorf("frame %d of producer %d after %d", i, p, last[p])
		}
		last[p] = i
		if err := s.j.Stamp(stampAfter(s.j.LastStamp())); err != nil {
			return err
		}
		n++
		if n%50 == 0 {
			s.j.SetRetainFrom(uint64(n))
			kick(s.work)
		}
	}
	close(s.done)
	return nil
}

// maintain is the disk's goroutine.
func (s *stress) maintain() error {
	for {
		select {
		case <-s.done:
			return nil
		case <-s.work:
		}
		if err := s.j.Maintain(); err != nil {
			return err
		}
		if _, err := s.j.Sync(); err != nil {
			return err
		}
	}
}

// read follows the journal; overtaken by retention it goes on from what is kept.
func (s *stress) read() error {
	r, err := s.j.NewReader(0)
	if err != nil {
		return err
	}
	defer func() { r.Close() }()
	total := uint64(s.producers * s.each)
	for seq := uint64(0); seq < total; {
		e, err := r.Next()
		var gone *RetainedError
		switch {
		case err == io.EOF:
			if err := s.j.Wait(context.Background(), seq); err != nil {
				return err
			}
			continue
		case errors.As(err, &gone):
			if gone.First <= seq {
				return fmt.Errorf("overtaken at %d by %d", seq, gone.First)
			}
			if err := r.SeekSeq(0); err != nil {
				return err
			}
			seq = 0
			continue
		case err != nil:
			return err
		case seq != 0 && e.Stamp.Seq != seq+1:
			return fmt.Errorf("event %d after %d", e.Stamp.Seq, seq)
		}
		seq = e.Stamp.Seq
		if _, _, err := s.check(e.Payload); err != nil {
			return err
		}
	}
	return nil
}

func (s *stress) run(readers int) {
	s.published, s.work, s.done = make(chan struct{}, 1), make(chan struct{}, 1), make(chan struct{})
	s.o.Notify = func() { kick(s.published) }
	s.o.WantMaintain = func() { kick(s.work) }
	s.j = mustOpen(s.t, s.o)
	var wg sync.WaitGroup
	var once sync.Once
	start := func(name string, f func() error) {
		wg.Go(func() {
			if err := f(); err != nil {
				once.Do(func() { s.t.Errorf("%s: %v", name, err) })
				s.j.fail("stress", err) // so that the others end too
				kick(s.published)
				kick(s.work)
			}
		})
	}
	start("consumer", s.consume)
	start("disk", s.maintain)
	for range readers {
		start("reader", s.read)
	}
	for p := range s.producers {
		start("producer", func() error { return s.produce(p) })
	}
	wg.Wait()
	if s.t.Failed() {
		return
	}
	mustClose(s.t, s.j)
	rep, err := Verify(s.o.FS, s.o.Dir, nil)
	if err != nil || len(rep.Problems) != 0 || rep.LastSeq != uint64(s.producers*s.each) {
		s.t.Errorf("verify: %+v, %v", rep, err)
	}
}

func TestManyProducersAttackOneJournal(t *testing.T) {
	for _, producers := range []int{1, 4, 64} {
		t.Run(fmt.Sprint(producers), func(t *testing.T) {
			o := options(vfs.NewMem())
			o.SegmentBytes, o.RetainBytes = 8<<10, 32<<10
			s := &stress{t: t, o: o, producers: producers, each: 6400 / producers}
			s.run(2)
		})
	}
}

func TestManyProducersAttackOneJournalOnARealDisk(t *testing.T) {
	o := options(vfs.OS())
	o.Dir = filepath.ToSlash(t.TempDir()) + "/journal"
	o.SegmentBytes, o.RetainBytes = 64<<10, 512<<10
	s := &stress{t: t, o: o, producers: 16, each: 500}
	s.run(2)
}
