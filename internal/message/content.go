package message

import (
	"strings"

	"github.com/watchword-auth/watchword/internal/fault"
)

// Content is how one message is worded, by a caller who may choose it; its JSON
// is the vendor's (authenticators.md 2). Who sends it is not to be chosen.
type Content struct {
	Subject string `json:"subject,omitempty"`
	Colour  string `json:"primaryColor,omitempty"`
	Header  string `json:"headerText,omitempty"`
	Body    string `json:"bodyText,omitempty"`
	Link    string `json:"linkText,omitempty"` // on the button
	Info    string `json:"infoText,omitempty"`
	Footer  string `json:"footerText,omitempty"`
}

// Check returns fault.Invalid if any part is too long, or a subject would show a
// code on a locked screen.
func (c Content) Check() error {
	for _, s := range []string{c.Subject, c.Colour, c.Header, c.Body, c.Link, c.Info, c.Footer} {
		if len(s) > 1000 {
			return fault.New(fault.Invalid, "A part of a message has at most 1000 characters.")
		}
	}
	if len(c.Subject) > 200 || strings.ContainsAny(c.Subject, "{}") {
		return fault.New(fault.Invalid, "A subject has at most 200 characters, and nothing is filled in.")
	}
	return nil
}

// onto words a message. What it is sent for stands in it, said or not.
func (c Content) onto(name, subject, text string) (string, string) {
	if c.Subject != "" {
		subject = oneLine(c.Subject)
	}
	if c.Header == "" && c.Body == "" && c.Info == "" && c.Footer == "" {
		return subject, text
	}
	parts := []string{c.Header, c.Body}
	if n := needs(name); !strings.Contains(c.Header+c.Body+c.Info+c.Footer, n) {
		parts = append(parts, n)
	}
	return subject, strings.Join(strings.Fields(strings.Join(append(parts, c.Info, c.Footer), " ")), " ")
}
