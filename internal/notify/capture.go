package notify

import (
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

const maxCaptured = 500

// Captured is a message that was caught instead of sent.
type Captured struct {
	ID      string            `json:"id"`
	Channel string            `json:"channel"` // push, mail or sms
	To      string            `json:"to"`      // device id, address or number
	Subject string            `json:"subject"`
	Text    string            `json:"text"`
	HTML    string            `json:"html,omitempty"` // of mail
	Data    map[string]string `json:"data,omitempty"`
	At      time.Time         `json:"at"`
}

// Capture is the world outside for development: it keeps the last 500 messages
// in memory, and with them everything they say, so it is never for production.
// The zero value is ready and safe for concurrent use.
type Capture struct {
	mu   sync.Mutex
	last int
	kept []Captured
}

// Add keeps m under a new id, which it returns.
func (c *Capture) Add(m Captured) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.last++
	m.ID = "cap_" + strconv.Itoa(c.last)
	if len(c.kept) == maxCaptured {
		c.kept = slices.Delete(c.kept, 0, 1)
	}
	c.kept = append(c.kept, m)
	return m.ID
}

// List returns what is kept, oldest first: of one channel and to one recipient
// unless these are empty, and what came after the message with the id after.
func (c *Capture) List(channel, to, after string) []Captured {
	since, _ := strconv.Atoi(strings.TrimPrefix(after, "cap_"))
	c.mu.Lock()
	defer c.mu.Unlock()
	first := c.last - len(c.kept) + 1 // the number of kept[0]
	out := []Captured{}
	for i, m := range c.kept {
		if first+i > since && (channel == "" || m.Channel == channel) && (to == "" || strings.EqualFold(m.To, to)) {
			out = append(out, m)
		}
	}
	return out
}

// push keeps what a provider would have been given. The address is not part of
// it: a push token is a secret even here.
func (c *Capture) push(m Message, now time.Time) {
	data := m.data()
	c.Add(Captured{Channel: "push", To: m.Device, Subject: clip(m.Title, maxTitle), Text: clip(m.Body, maxBody), Data: data, At: now})
}
