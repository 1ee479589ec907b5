package transport

import (
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"hindcast.dev/journal/record"
)

const (
	streamBufferBytes = 32 << 10
	wireHeadBytes     = 8 // enough for record.WireLength
	// streamKeepBytes is what a connection keeps between frames; a buffer that
	// grew past it for a long frame is given back.
	streamKeepBytes = 256 << 10
)

// A source is what a stream reads from: a net.Conn, but for tests.
type source interface {
	io.Reader
	SetReadDeadline(time.Time) error
}

// A stream cuts the bytes of one connection into frames. It is used by one
// goroutine.
//
//	buf:  [ … used … | start … held bytes … end | … room … ]
//	                   ^ the next frame begins here
type stream struct {
	src      source
	frameMax int
	idle     time.Duration // the longest time between two frames
	stall    time.Duration // the longest time within a frame

	decoder    record.Decoder // remembers names, so that frames cost no allocation
	buf        []byte
	start, end int
	offset     uint64 // of buf[start] in the connection, after the handshake
}

func newStream(src source, frameMax int, idle, stall time.Duration) *stream {
	return &stream{src: src, frameMax: frameMax, idle: idle, stall: stall, buf: make([]byte, streamBufferBytes)}
}

// held is how many bytes are there that no frame has taken.
func (s *stream) held() int { return s.end - s.start }

// next returns the next frame, checked, and its bytes. Both are valid until the
// call after. It returns io.EOF when the connection ended between two frames,
// else a *streamError.
func (s *stream) next() (record.Frame, []byte, error) {
	if s.held() == 0 {
		s.rewind()
		if err := s.read(time.Now().Add(s.idle)); err != nil {
			return record.Frame{}, nil, s.ended(err, CauseIdle)
		}
	}
	size, err := s.frameSize()
	if err != nil {
		return record.Frame{}, nil, err
	}
	wire := s.buf[s.start : s.start+size]
	f, n, err := s.decoder.DecodeWire(wire)
	switch {
	case err == nil && n != size:
		err = fmt.Errorf("its commit word says %d bytes, it has %d", size, n)
	case err == nil && !isZero(wire[size-record.StampSize:]):
		err = errors.New("its stamp is not zero")
	}
	if err != nil {
		return record.Frame{}, nil, &streamError{CauseGarbage, s.offset, err}
	}
	s.start += size
	s.offset += uint64(size)
	return f, wire, nil
}

// isZero is for the stamp area, which no checksum covers: a stamp is the
// receiver's to give.
func isZero(b []byte) bool {
	for _, v := range b {
		if v != 0 {
			return false
		}
	}
	return true
}

// frameSize returns the size of the frame at start once it is held whole.
func (s *stream) frameSize() (int, error) {
	var deadline time.Time // of this frame; set when the first wait begins
	for want := wireHeadBytes; ; {
		if s.held() >= want {
			size, err := record.WireLength(s.buf[s.start:s.end])
			switch {
			case err != nil:
				return 0, &streamError{CauseGarbage, s.offset, err}
			case size > s.frameMax:
				return 0, &streamError{CauseTooLarge, s.offset, fmt.Errorf("a frame of %d bytes, the most is %d", size, s.frameMax)}
			case s.held() >= size:
				return size, nil
			}
			want = size
		}
		if deadline.IsZero() {
			deadline = time.Now().Add(s.stall)
		}
		s.makeRoom(want)
		if err := s.read(deadline); err != nil {
			return 0, s.ended(err, CauseStalled)
		}
	}
}

// rewind starts the empty buffer afresh.
func (s *stream) rewind() {
	s.start, s.end = 0, 0
	if len(s.buf) > streamKeepBytes {
		s.buf = make([]byte, streamBufferBytes)
	}
}

// makeRoom makes room for at least one more byte of a frame of want bytes that
// begins at start. The buffer at most doubles: memory follows the bytes that
// have come, not the length that the frame claims.
func (s *stream) makeRoom(want int) {
	if s.start+want <= len(s.buf) || s.end < len(s.buf) && s.start == 0 {
		return
	}
	dst := s.buf
	if want > len(s.buf) && s.held() > len(s.buf)/2 {
		dst = make([]byte, min(2*len(s.buf), want))
	}
	s.end = copy(dst, s.buf[s.start:s.end])
	s.start, s.buf = 0, dst
}

// read reads what is there, at least one byte, by the deadline.
func (s *stream) read(deadline time.Time) error {
	if err := s.src.SetReadDeadline(deadline); err != nil {
		return err
	}
	for range 100 {
		n, err := s.src.Read(s.buf[s.end:])
		s.end += n
		if n > 0 {
			return nil
		}
		if err != nil {
			return err
		}
	}
	return io.ErrNoProgress
}

// ended turns what Read returned into what next returns.
func (s *stream) ended(err error, late Cause) error {
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return &streamError{late, s.offset, err}
	case errors.Is(err, io.EOF) && s.held() == 0:
		return io.EOF
	case errors.Is(err, io.EOF):
		return &streamError{CauseHalfSent, s.offset, fmt.Errorf("%d bytes of a frame, then the end: %w", s.held(), io.ErrUnexpectedEOF)}
	}
	return &streamError{CauseLost, s.offset, err}
}
