package kit

// Crew runs functions on goroutines of its own, so that a goroutine that is
// about to wait for long keeps a small stack: a database read or a JSON decode
// grows the stack it runs on, and a stack shrinks only when the garbage
// collector comes by. With thousands of waiting requests that is most of the
// memory. A nil Crew runs everything in place.
type Crew struct{ work chan task }

type task struct {
	fn   func()
	done chan any // what fn panicked with, or nil
}

// NewCrew returns a crew of size goroutines. Close it.
func NewCrew(size int) *Crew {
	c := &Crew{make(chan task)}
	for range size {
		go func() {
			for t := range c.work {
				t.run()
			}
		}()
	}
	return c
}

// Do runs fn and returns when it has. A panic of fn is the caller's. When the
// whole crew is busy, fn gets a goroutine for itself; so fn may call Do.
func (c *Crew) Do(fn func()) {
	if c == nil {
		fn()
		return
	}
	t := task{fn, make(chan any, 1)}
	select {
	case c.work <- t:
	default:
		go t.run()
	}
	if p := <-t.done; p != nil {
		panic(p)
	}
}

func (t task) run() {
	defer func() { t.done <- recover() }()
	t.fn()
}

// Close ends the crew's goroutines. Nobody may call Do after it.
func (c *Crew) Close() {
	if c != nil {
		close(c.work)
	}
}
