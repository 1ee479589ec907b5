package transport

import (
	"errors"
	"fmt"
	"io"
	"net"
	"time"
)

const (
	// batchBytes is what is gathered into one write; a longer frame is written
	// from where it lies.
	batchBytes = 64 << 10
	// controlBytesMax is more than any control frame has, in later versions too.
	controlBytesMax = 1024
)

// A sender is a link while it has a connection. Its goroutine, that of the link,
// writes; another reads the acknowledgements.
type sender struct {
	l       *link
	conn    net.Conn
	theyMax int // longest frame that the other side takes
	back    *backOff

	batch []byte // being gathered for the next write
	sent  uint64 // frames written on this connection; guarded by l.mu, as the rest
	acked uint64
	heard time.Time // of the last ack, or of the welcome

	room chan struct{} // one signal: an ack has come
	done chan struct{} // closed when reading has ended, for the reason err
	err  error
}

func newSender(l *link, conn net.Conn, welcome greeting, back *backOff) *sender {
	return &sender{l: l, conn: conn, theyMax: int(min(welcome.frame, frameBytesMax)), back: back,
		heard: time.Now(), room: make(chan struct{}, 1), done: make(chan struct{})}
}

// run sends until the connection ends, or the Transport drains and all is
// acknowledged. It returns why it ended.
func (s *sender) run() error {
	go s.readAcks()
	err := s.send()
	s.conn.Close()
	<-s.done
	if errors.Is(err, net.ErrClosed) && s.l.t.ctx.Err() != nil {
		return errors.New(DropClosing)
	}
	return err
}

func (s *sender) send() error {
	t := s.l.t.o.Timing
	beat := time.NewTicker(t.Heartbeat)
	defer beat.Stop()
	due := time.NewTimer(0)
	defer due.Stop()
	drain := s.l.t.drain.Done()
	for {
		wait, err := s.pump()
		if err != nil {
			return err
		}
		if wait > 0 {
			due.Reset(wait)
		}
		if drain == nil && s.finished() {
			return errors.New(DropClosing)
		}
		select {
		case <-s.l.wake:
		case <-s.room:
		case <-due.C:
		case <-s.l.poke: // nothing to hurry up
		case <-drain:
			drain = nil
		case <-beat.C:
			if err := s.beat(); err != nil {
				return err
			}
		case <-s.done:
			return s.err
		}
	}
}

// finished tells whether nothing waits to be sent or acknowledged.
func (s *sender) finished() bool {
	s.l.mu.Lock()
	defer s.l.mu.Unlock()
	return s.l.queue.len() == 0 && s.l.unacked.len() == 0
}

// beat ends a connection on which nothing is heard, and asks for an answer.
func (s *sender) beat() error {
	silence := s.l.t.o.Timing.silence()
	s.l.mu.Lock()
	heard, cut := s.heard, s.l.fault.CutOut
	s.l.mu.Unlock()
	if time.Since(heard) >= silence {
		return fmt.Errorf("no answer for %v", silence)
	}
	if cut {
		return nil
	}
	return s.write(appendControl(nil, controlPing, 0))
}

// pump writes what is queued and due and may be sent. It returns how long to
// wait for what is queued and not due, 0 if there is no such thing.
func (s *sender) pump() (time.Duration, error) {
	for {
		s.batch = s.batch[:0]
		frames, refused, wait := s.take()
		s.l.drop(refused, DropTooLarge)
		if len(frames) == 0 && len(refused) == 0 {
			return wait, nil
		}
		for _, f := range frames {
			if len(s.batch)+len(f) > batchBytes {
				if err := s.flush(); err != nil {
					return 0, err
				}
			}
			if len(f) > batchBytes {
				if err := s.write(f); err != nil {
					return 0, err
				}
				continue
			}
			s.batch = append(s.batch, f...)
		}
		if err := s.flush(); err != nil {
			return 0, err
		}
	}
}

// take moves letters from the queue to unacked, about a batch of them, and
// returns their frames; and those that the other side would not take.
func (s *sender) take() (frames [][]byte, refused []letter, wait time.Duration) {
	now, l := time.Now(), s.l
	l.mu.Lock()
	defer l.mu.Unlock()
	for bytes := 0; bytes < batchBytes && l.unacked.len() < l.t.o.Limits.Unacked; {
		head := l.queue.first()
		if head == nil {
			break
		}
		if wait = head.due.Sub(now); wait > 0 {
			break
		}
		n := l.queue.pop()
		if len(n.frame) > s.theyMax {
			refused = append(refused, n)
			continue
		}
		bytes += len(n.frame)
		frames = append(frames, n.frame)
		l.stats.Sent++
		l.stats.SentBytes += uint64(len(n.frame))
		s.sent++
		n.frame = nil
		l.unacked.push(n, l.t.o.Limits.Unacked, 0)
	}
	return frames, refused, max(wait, 0)
}

func (s *sender) flush() error {
	if len(s.batch) == 0 {
		return nil
	}
	err := s.write(s.batch)
	s.batch = s.batch[:0]
	return err
}

// write writes b, within the time in which the other side must show life.
func (s *sender) write(b []byte) error {
	if err := s.conn.SetWriteDeadline(time.Now().Add(s.l.t.o.Timing.silence())); err != nil {
		return err
	}
	if _, err := s.conn.Write(b); err != nil {
		return fmt.Errorf("%s: %w", CauseLost, err)
	}
	return nil
}

// readAcks reads what comes back until the connection ends.
func (s *sender) readAcks() {
	defer close(s.done)
	t := s.l.t.o.Timing
	// The heartbeat decides about silence; the deadline here only has to be later.
	in := newStream(s.conn, controlBytesMax, 2*t.silence(), t.Stall)
	for {
		f, _, err := in.next()
		var bad *streamError
		switch {
		case err == io.EOF:
			err = errors.New("closed by the other side")
		case errors.As(err, &bad):
			err = fmt.Errorf("%s: %w", bad.cause, bad.err) // the offset in acks means nothing to anybody
		}
		if err == nil && f.Kind != kindControl {
			err = fmt.Errorf("a frame of kind %s came back, only acks may", f.Kind)
		}
		if err == nil && f.Name == controlAck {
			err = s.ack(f.ID.Seq)
		}
		if err != nil {
			s.err = err
			return
		}
	}
}

// ack takes n, the count of frames taken by the other side so far.
func (s *sender) ack(n uint64) error {
	l := s.l
	l.mu.Lock()
	defer l.mu.Unlock()
	if n < s.acked || n > s.sent {
		return fmt.Errorf("ack of %d frames, %d were sent and %d acknowledged", n, s.sent, s.acked)
	}
	for range n - s.acked {
		l.unacked.pop()
	}
	l.stats.Acked += n - s.acked
	s.acked, s.heard = n, time.Now()
	s.back.reset()
	signal(s.room)
	return nil
}
