package steps

import (
	"context"
	"time"

	"github.com/watchword-auth/watchword/internal/fault"
	"github.com/watchword-auth/watchword/internal/form"
	"github.com/watchword-auth/watchword/internal/journey"
)

func init() {
	journey.Register(journey.Step[createMessage]{
		Kind: "ticket.create", Title: "Create cross-session message", Category: "Messages",
		Doc: "Makes a message that another journey can read, change and consume.",
		Config: form.New(
			form.Text("kind", "For what", form.Default("message")),
			form.Object("data", "Data"),
			form.Duration("life", "Valid for", form.Default(300), form.Between(10, 3600)),
			form.Text("output", "Keep the message as", form.Default("ticket")),
		),
		Outcomes: []journey.Outcome{journey.Success},
		Run: func(ctx context.Context, x *journey.Exec, c createMessage) (journey.Next, error) {
			m, err := journey.CreateMessage(ctx, x.Tx, x.Tenant(), x.App(), c.Kind, c.Data, time.Duration(c.Life)*time.Second)
			x.Set(c.Output, map[string]any{"id": m.ID, "value": m.Value})
			return journey.Go(journey.Success), err
		},
	})
	journey.Register(journey.Step[updateMessage]{
		Kind: "ticket.update", Title: "Update cross-session message", Category: "Messages",
		Doc:      "Replaces the data of a message and wakes who waits for it.",
		Config:   form.New(form.Text("ticket", "Message", form.Required), form.Object("data", "Data")),
		Outcomes: []journey.Outcome{journey.Success, journey.Failure},
		Run: func(ctx context.Context, x *journey.Exec, c updateMessage) (journey.Next, error) {
			return journey.Judge(x, journey.UpdateMessage(ctx, x.Tx, x.App(), c.Ticket, c.Data))
		},
	})
	journey.Register(journey.Step[consumeMessage]{
		Kind: "ticket.consume", Title: "Consume cross-session message", Category: "Messages",
		Doc:      "Takes a message, once and never again, and keeps its data.",
		Config:   form.New(form.Text("ticket", "Message", form.Required), form.Text("kind", "For what", form.Default("message")), form.Text("output", "Keep the data as", form.Default("message"))),
		Outcomes: []journey.Outcome{journey.Success, journey.Failure},
		Run:      runConsumeMessage,
	})
	journey.Register(journey.Step[waitMessage]{
		Kind: "ticket.wait", Title: "Wait for cross-session message", Category: "Messages",
		Asks:  []string{"ticket.wait"},
		Words: []string{"cross session", "another device", "poll"},
		Doc:   "Waits until another journey has changed or consumed a message.",
		Config: form.New(
			form.Text("ticket", "Message", form.Required),
			form.Duration("poll", "Seconds a poll is held", form.Default(3), form.Between(1, 25)),
			form.Duration("timeout", "Give up after", form.Default(300), form.Between(5, 600)),
			form.Object("app_data", "Data for the client"),
			form.Text("output", "Keep the data as", form.Default("message")),
		),
		Outcomes: []journey.Outcome{journey.Success, journey.Cancel, "timeout"},
		Run:      runWaitMessage,
		Ready: func(ctx context.Context, x *journey.Exec, c waitMessage) (bool, error) {
			next, err := waited(ctx, x, c)
			return next != "", err
		},
	})
}

type createMessage struct {
	Kind   string         `json:"kind"`
	Data   map[string]any `json:"data"`
	Life   int            `json:"life"`
	Output string         `json:"output"`
}

type updateMessage struct {
	Ticket string         `json:"ticket"`
	Data   map[string]any `json:"data"`
}

type consumeMessage struct {
	Ticket string `json:"ticket"`
	Kind   string `json:"kind"`
	Output string `json:"output"`
}

func runConsumeMessage(ctx context.Context, x *journey.Exec, c consumeMessage) (journey.Next, error) {
	m, err := journey.ReadMessage(ctx, x.Tx, x.App(), c.Ticket)
	if err == nil && m.Kind != c.Kind {
		err = fault.New(fault.NotFound, "no such message")
	}
	if err == nil {
		m, err = journey.ConsumeMessage(ctx, x.Tx, x.App(), c.Ticket)
	}
	if err == nil {
		x.Set(c.Output, m.Data)
	}
	return journey.Judge(x, err)
}

type waitMessage struct {
	Ticket  string         `json:"ticket"`
	Poll    int            `json:"poll"`
	Timeout int            `json:"timeout"`
	AppData map[string]any `json:"app_data"`
	Output  string         `json:"output"`
}

type waitMemo struct {
	Until time.Time `json:"until"`
}

func runWaitMessage(ctx context.Context, x *journey.Exec, c waitMessage) (journey.Next, error) {
	if x.Answer != nil && x.Answer.Option == "cancel" {
		return journey.Go(journey.Cancel), nil
	}
	var m waitMemo
	if asked, err := x.Memo(&m); err != nil {
		return journey.Next{}, err
	} else if !asked {
		m.Until = x.Now().Add(time.Duration(c.Timeout) * time.Second)
		return c.ask(ctx, x, m)
	}
	outcome, err := waited(ctx, x, c)
	if err != nil {
		return journey.Next{}, err
	}
	if outcome == "" {
		return c.ask(ctx, x, m)
	}
	if msg, err := journey.ReadMessage(ctx, x.Tx, x.App(), c.Ticket); err == nil {
		x.Set(c.Output, msg.Data)
	}
	return journey.Go(outcome), nil
}

// waited is where a wait goes now, or "" to go on waiting. A message that is
// gone was consumed or has run out: the other side is done with it.
func waited(ctx context.Context, x *journey.Exec, c waitMessage) (journey.Outcome, error) {
	var m waitMemo
	if _, err := x.Memo(&m); err != nil {
		return "", err
	}
	msg, err := journey.ReadMessage(ctx, x.Q, x.App(), c.Ticket)
	switch {
	case !x.Now().Before(m.Until):
		return "timeout", nil
	case fault.Is(err, fault.NotFound):
		return journey.Success, nil
	case err != nil:
		return "", err
	case msg.State != "open":
		return journey.Success, nil
	}
	return "", nil
}

func (c waitMessage) ask(ctx context.Context, x *journey.Exec, m waitMemo) (journey.Next, error) {
	msg, err := journey.ReadMessage(ctx, x.Tx, x.App(), c.Ticket)
	if fault.Is(err, fault.NotFound) {
		return journey.Go("timeout"), nil
	} else if err != nil {
		return journey.Next{}, err
	}
	return journey.Ask(journey.Prompt{
		Kind: "ticket.wait", Poll: true, Until: m.Until, Watch: []string{journey.MessageTopic(msg.ID)},
		Options: []journey.Option{{ID: "cancel", Label: "Cancel"}},
		Ticket:  &journey.Ticket{ID: msg.ID, Value: msg.Value, Format: "numeric"},
		Data:    map[string]any{"app_data": c.AppData, "polling_timeout": c.Poll},
	}, m), nil
}
