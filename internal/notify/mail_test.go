package notify_test

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/watchword-auth/watchword/internal/db"
	"github.com/watchword-auth/watchword/internal/jobs"
	"github.com/watchword-auth/watchword/internal/kit/kittest"
	"github.com/watchword-auth/watchword/internal/notify"
)

// smtpServer speaks as much of RFC 5321 as a client needs, demands STARTTLS and
// a password, and keeps what it was given.
type smtpServer struct {
	port  int
	roots *x509.CertPool
	mu    sync.Mutex
	mails []string
	plain bool // a command that is for TLS only came before it
}

func newSMTP(t *testing.T, host string) *smtpServer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	cert := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: host}, DNSNames: []string{host}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true}
	if ip := net.ParseIP(host); ip != nil {
		cert.DNSNames, cert.IPAddresses = nil, []net.IP{ip}
	}
	der, err := x509.CreateCertificate(rand.Reader, cert, cert, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	s := &smtpServer{port: l.Addr().(*net.TCPAddr).Port, roots: x509.NewCertPool()}
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	s.roots.AddCert(parsed)
	config := &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go s.talk(c, config)
		}
	}()
	return s
}

func (s *smtpServer) talk(c net.Conn, config *tls.Config) {
	defer func() { c.Close() }()
	secure := false
	r := bufio.NewReader(c)
	say := func(text string) { fmt.Fprintf(c, "%s\r\n", text) }
	say("220 test ESMTP")
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return
		}
		verb := strings.ToUpper(strings.Fields(line + " x")[0])
		if !secure && (verb == "AUTH" || verb == "MAIL") {
			s.mu.Lock()
			s.plain = true
			s.mu.Unlock()
		}
		switch verb {
		case "EHLO":
			if secure {
				say("250-test\r\n250 AUTH PLAIN")
			} else {
				say("250-test\r\n250 STARTTLS")
			}
		case "STARTTLS":
			say("220 go on")
			t := tls.Server(c, config)
			if t.Handshake() != nil {
				return
			}
			c, r, secure = t, bufio.NewReader(t), true
		case "AUTH":
			say("235 welcome")
		case "DATA":
			say("354 go on")
			var b strings.Builder
			for {
				l, err := r.ReadString('\n')
				if err != nil {
					return
				}
				if l == ".\r\n" {
					break
				}
				b.WriteString(l)
			}
			s.mu.Lock()
			s.mails = append(s.mails, b.String())
			s.mu.Unlock()
			say("250 kept")
		case "QUIT":
			say("221 bye")
			return
		default:
			say("250 ok")
		}
	}
}

// TestMail: a mail goes out over verified TLS, with a password, as text and HTML;
// to a server whose certificate is another's it does not go.
func TestMail(t *testing.T) {
	for _, trusted := range []bool{true, false} {
		w := kittest.New(t)
		s := newSMTP(t, map[bool]string{true: "127.0.0.1", false: "mail.example.org"}[trusted])
		worker := jobs.NewWorker(w.DB, w.Kit.Log)
		notify.New(w.DB, notify.Options{Roots: s.roots}).Serve(worker)
		w.Do(t, func(tx *db.Tx) error {
			err := notify.SaveProvider(t.Context(), tx, "t1", "", notify.SMTP, "mail", map[string]any{"host": "127.0.0.1", "port": s.port, "username": "u", "password": "p", "from": "no-reply@example.org"})
			if err != nil {
				return err
			}
			return notify.SendMail(t.Context(), tx, notify.Mail{Tenant: "t1", App: "shop", To: "ana@example.org", From: "Corner Shop\r\nBcc: evil@example.org", Subject: "Your code\r\nX-Evil: 1",
				Text: "123456 is your code.", HTML: "<p>123456</p>", Expires: tx.Now().Add(time.Minute)})
		})
		if _, err := worker.RunOne(t.Context()); err != nil {
			t.Fatal(err)
		}
		s.mu.Lock()
		if got := len(s.mails); trusted && got != 1 || !trusted && got != 0 || s.plain {
			t.Errorf("trusted %v: %d mails, in the clear %v", trusted, got, s.plain)
		}
		for _, m := range s.mails {
			head, _, _ := strings.Cut(m, "\r\n\r\n")
			if !strings.Contains(m, "123456") || !strings.Contains(m, "text/html") || !strings.Contains(head, "Auto-Submitted: auto-generated") || strings.Contains(head, "\r\nBcc:") || strings.Contains(head, "\r\nX-Evil:") {
				t.Errorf("mail:\n%s", m)
			}
		}
		s.mu.Unlock()
	}
}

// TestSMS: an operator's gateway gets a signed call, Twilio's API its form; what
// fails for a while is tried again under the same id.
func TestSMS(t *testing.T) {
	const secret = "0123456789abcdef0123456789abcdef"
	for i, kind := range []string{notify.SMSWebhook, notify.Twilio, notify.SMSWebhook, notify.Twilio} {
		from, sender := any(nil), "+15550100"
		if i > 1 {
			from, sender = "Shop", "Shop"
		}
		w := kittest.New(t)
		var ids []string
		calls := 0
		peer := httptest.NewTLSServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			calls++
			body, _ := io.ReadAll(r.Body)
			if kind == notify.Twilio {
				r.Body = io.NopCloser(strings.NewReader(string(body)))
				user, token, _ := r.BasicAuth()
				if err := r.ParseForm(); err != nil || user != "AC1" || token != "tok" || r.URL.Path != "/2010-04-01/Accounts/AC1/Messages.json" || r.PostForm.Get("To") != "+4915112345678" || r.PostForm.Get("From") != sender || !strings.Contains(r.PostForm.Get("Body"), "123456") {
					t.Errorf("%s %v", r.URL, r.PostForm)
				}
			} else {
				if got, want := r.Header.Get("Watchword-Signature"), notify.Signature(secret, w.Now(), body); got != want {
					t.Errorf("signature %s, want %s", got, want)
				}
				var m map[string]any
				if err := json.Unmarshal(body, &m); err != nil || m["to"] != "+4915112345678" || m["from"] != from {
					t.Errorf("%s", body)
				}
				ids = append(ids, m["id"].(string))
			}
			if calls == 1 {
				rw.WriteHeader(http.StatusServiceUnavailable)
			}
		}))
		defer peer.Close()
		doc := map[string]any{"url": peer.URL, "secret": secret}
		if kind == notify.Twilio {
			doc = map[string]any{"url": peer.URL, "account_sid": "AC1", "auth_token": "tok", "from": "+15550100"}
		}
		worker := jobs.NewWorker(w.DB, w.Kit.Log)
		notify.New(w.DB, notify.Options{Client: peer.Client()}).Serve(worker)
		w.Do(t, func(tx *db.Tx) error {
			if err := notify.SaveProvider(t.Context(), tx, "t1", "", kind, "sms", doc); err != nil {
				return err
			}
			named, _ := from.(string)
			return notify.SendSMS(t.Context(), tx, notify.SMS{Tenant: "t1", App: "shop", To: "+4915112345678", From: named, Text: "123456", Expires: tx.Now().Add(time.Hour)})
		})
		for range 10 {
			if _, err := worker.RunOne(t.Context()); err != nil {
				t.Fatal(err)
			}
			w.Pass(time.Minute)
		}
		if calls != 2 {
			t.Errorf("%s: %d calls, want a second after the first failed and no third", kind, calls)
		}
		if kind == notify.SMSWebhook && (len(ids) != 2 || ids[0] != ids[1] || ids[0] == "") {
			t.Errorf("ids %v", ids)
		}
	}
}
