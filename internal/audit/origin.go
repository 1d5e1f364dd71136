package audit

import "context"

// Origin is where a call comes from, as far as a door can tell: the client that
// speaks, the run that it moves, the address and the program at the other end.
type Origin struct{ Client, Run, IP, UserAgent string }

type originKey struct{}

// From returns a context of calls that come from o, and of what o leaves open, from
// where ctx says. What is recorded under it is said to come from there, where the
// event itself does not say another client, run or address.
func From(ctx context.Context, o Origin) context.Context {
	e := Event{Client: o.Client, Run: o.Run, IP: o.IP, UserAgent: o.UserAgent}.located(ctx)
	return context.WithValue(ctx, originKey{}, Origin{Client: e.Client, Run: e.Run, IP: e.IP, UserAgent: e.UserAgent})
}

// located is e with what the context knows of where it comes from. An address and
// a program are one thing: what has one of them takes neither.
func (e Event) located(ctx context.Context) Event {
	o, _ := ctx.Value(originKey{}).(Origin)
	if e.IP == "" && e.UserAgent == "" {
		e.IP, e.UserAgent = o.IP, o.UserAgent
	}
	if e.Client == "" {
		e.Client = o.Client
	}
	if e.Run == "" {
		e.Run = o.Run
	}
	return e
}
