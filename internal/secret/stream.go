package secret

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// A sealed stream is a line of text that names it, and chunks: one byte, 'c' or,
// for the last, 'e'; the length of what follows, big-endian in four bytes; and
// up to 64 KiB, sealed for "stream/LINE/NUMBER/BYTE". So a chunk that is changed,
// left out, moved, or put in from another stream does not open, and neither does
// a stream that was cut off.
const (
	chunk    = 64 << 10
	overhead = 24 + 16 // the nonce and the tag
)

// SealWriter seals what is written to it on its way to w. Close ends the stream,
// without which it does not open; it does not close w. kind says what the stream
// is, in one line ("watchword backup 1").
func (v *Vault) SealWriter(w io.Writer, kind string) (io.WriteCloser, error) {
	s := &sealing{vault: v, w: w, line: kind + " " + rand.Text()}
	_, err := io.WriteString(w, s.line+"\n")
	return s, err
}

type sealing struct {
	vault *Vault
	w     io.Writer
	line  string
	n     int
	buf   []byte
}

func (s *sealing) Write(b []byte) (int, error) {
	for at := 0; at < len(b); {
		if len(s.buf) == chunk {
			if err := s.flush('c'); err != nil {
				return at, err
			}
		}
		n := min(chunk-len(s.buf), len(b)-at)
		s.buf = append(s.buf, b[at:at+n]...)
		at += n
	}
	return len(b), nil
}

func (s *sealing) Close() error { return s.flush('e') }

func (s *sealing) flush(kind byte) error {
	sealed := s.vault.Seal(chunkPlace(s.line, s.n, kind), s.buf)
	head := binary.BigEndian.AppendUint32([]byte{kind}, uint32(len(sealed)))
	s.n, s.buf = s.n+1, s.buf[:0]
	if _, err := s.w.Write(head); err != nil {
		return err
	}
	_, err := s.w.Write(sealed)
	return err
}

func chunkPlace(line string, n int, kind byte) string {
	return fmt.Sprintf("stream/%s/%d/%c", line, n, kind)
}

// OpenReader reads what a SealWriter of the same kind and master key wrote. It
// gives nothing out that has not been authenticated, and ends with io.EOF only
// after the whole stream; anything else is another error.
func (v *Vault) OpenReader(r io.Reader, kind string) (io.Reader, error) {
	line, err := readLine(r, len(kind)+64)
	if err != nil {
		return nil, err
	}
	if !bytes.HasPrefix(line, []byte(kind+" ")) {
		return nil, fmt.Errorf("this is not a %s", kind)
	}
	return &opening{vault: v, r: r, line: string(line)}, nil
}

// readLine reads a line of at most limit bytes, and nothing behind it.
func readLine(r io.Reader, limit int) ([]byte, error) {
	var line []byte
	for b := make([]byte, 1); len(line) < limit; {
		if _, err := io.ReadFull(r, b); err != nil {
			return nil, fmt.Errorf("reading the first line: %w", err)
		}
		if b[0] == '\n' {
			return line, nil
		}
		line = append(line, b[0])
	}
	return line, nil
}

type opening struct {
	vault *Vault
	r     io.Reader
	line  string
	n     int
	rest  []byte // opened and not yet given out
	end   bool
}

func (o *opening) Read(b []byte) (int, error) {
	for len(o.rest) == 0 {
		if o.end {
			return 0, io.EOF
		}
		if err := o.next(); err != nil {
			return 0, err
		}
	}
	n := copy(b, o.rest)
	o.rest = o.rest[n:]
	return n, nil
}

var errCutOff = errors.New("it was cut off: the end is missing")

func (o *opening) next() error {
	var head [5]byte
	if _, err := io.ReadFull(o.r, head[:]); err != nil {
		return ended(err)
	}
	size := binary.BigEndian.Uint32(head[1:])
	if head[0] != 'c' && head[0] != 'e' || size > chunk+overhead {
		return errors.New("it is damaged")
	}
	sealed := make([]byte, size)
	if _, err := io.ReadFull(o.r, sealed); err != nil {
		return ended(err)
	}
	var err error
	if o.rest, err = o.vault.Open(chunkPlace(o.line, o.n, head[0]), sealed); err != nil {
		if o.n == 0 {
			return errors.New("it does not open: it was made with another master key, or it is damaged")
		}
		return errors.New("it is damaged")
	}
	o.n++
	if o.end = head[0] == 'e'; !o.end {
		return nil
	}
	if n, err := io.ReadFull(o.r, head[:1]); n != 0 || !errors.Is(err, io.EOF) {
		return errors.Join(errors.New("there is something behind its end"), err)
	}
	return nil
}

func ended(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return errCutOff
	}
	return err
}
