package notify

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"

	"github.com/wneessen/go-mail"

	"github.com/watchword-auth/watchword/internal/db"
	"github.com/watchword-auth/watchword/internal/form"
	"github.com/watchword-auth/watchword/internal/jobs"
)

// SMTP is the kind of provider that carries mail.
const SMTP = "smtp"

const (
	jobMail  = "notify.mail"
	mailTime = 20 * time.Second // all that one attempt may take
)

func init() {
	forms[SMTP] = kindForm{form.New(
		form.Text("host", "Host", form.Required),
		form.Number("port", "Port", form.Default(587), form.Between(1, 65535)),
		form.Choice("tls", "Encryption", []string{"starttls", "tls"}, form.Default("starttls"), form.Named, form.Read("starttls", "After the greeting", "tls", "From the beginning"), form.Help("The certificate is verified in either case.")),
		form.Text("username", "Username"),
		form.Secret("password", "Password"),
		form.Text("from", "Sender's address", form.Required, form.Help("The name beside it is the application's.")),
	), func(map[string]any) error { return nil }}
}

// Mail is one message to one address. It may carry a code or a link: it is
// sealed while it is queued and kept nowhere else.
type Mail struct {
	Tenant  string            `json:"tenant"`
	App     string            `json:"app"`
	To      string            `json:"to"`
	From    string            `json:"from"` // name of the sender
	Subject string            `json:"subject"`
	Text    string            `json:"text"`
	HTML    string            `json:"html"`
	Data    map[string]string `json:"data,omitempty"` // what a capture shows beside it
	Expires time.Time         `json:"expires"`
	Nobody  bool              `json:"nobody,omitempty"` // it goes nowhere: queueing it takes as long as for somebody
}

// SendMail queues m; it is sent if and only if tx commits, until m.Expires.
func SendMail(ctx context.Context, tx *db.Tx, m Mail) error {
	return jobs.Enqueue(ctx, tx, jobMail, m, m.Expires)
}

type smtpConfig struct {
	Host     string `json:"host"`
	Port     int    `json:"port"`
	TLS      string `json:"tls"`
	Username string `json:"username"`
	Password string `json:"password"`
	From     string `json:"from"`
}

func (n *Notifier) deliverMail(ctx context.Context, m Mail) error {
	if m.Nobody || !m.Expires.After(n.db.Now()) {
		return nil
	}
	if n.opts.Capture != nil {
		n.opts.Capture.Add(Captured{Channel: "mail", To: m.To, Subject: m.Subject, Text: m.Text, HTML: m.HTML, Data: m.Data, At: n.db.Now()})
		n.told(SMTP, "captured")
		return nil
	}
	ps, err := Providers(ctx, n.db, m.Tenant, m.App, SMTP)
	if err != nil {
		return err
	}
	if len(ps) == 0 {
		n.told(SMTP, Unconfigured)
		return jobs.Drop(errors.New("mail: no SMTP server is configured"))
	}
	ctx, cancel := context.WithTimeout(ctx, mailTime)
	defer cancel()
	if err := n.mail(ctx, ps[0], m); err != nil {
		n.told(SMTP, Unavailable)
		return fmt.Errorf("mail by %s: %w", ps[0].Name, err)
	}
	n.told(SMTP, "delivered")
	return nil
}

func (n *Notifier) mail(ctx context.Context, p Provider, m Mail) error {
	var c smtpConfig
	if err := p.Into(&c); err != nil {
		return err
	}
	msg := mail.NewMsg()
	if err := errors.Join(msg.FromFormat(header(m.From), c.From), msg.To(m.To)); err != nil {
		return jobs.Drop(err)
	}
	msg.Subject(header(m.Subject))
	msg.SetMessageID()
	msg.SetDateWithValue(n.db.Now())
	msg.SetGenHeader("Auto-Submitted", "auto-generated") // RFC 3834: no holiday notes in answer
	msg.SetBodyString(mail.TypeTextPlain, m.Text)
	if m.HTML != "" {
		msg.AddAlternativeString(mail.TypeTextHTML, m.HTML)
	}
	opts := []mail.Option{mail.WithPort(c.Port), mail.WithTimeout(mailTime), mail.WithTLSPolicy(mail.TLSMandatory),
		mail.WithTLSConfig(&tls.Config{ServerName: c.Host, MinVersion: tls.VersionTLS12, RootCAs: n.opts.Roots})}
	if c.TLS == "tls" {
		opts = append(opts, mail.WithSSL())
	}
	if c.Username != "" {
		opts = append(opts, mail.WithSMTPAuth(mail.SMTPAuthAutoDiscover), mail.WithUsername(c.Username), mail.WithPassword(c.Password))
	}
	client, err := mail.NewClient(c.Host, opts...)
	if err != nil {
		return err
	}
	return client.DialAndSendWithContext(ctx, msg)
}

// header is a text that ends no header line.
func header(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, s)
}
