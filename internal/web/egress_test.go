package web

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

// canary counts the connections that reach one port of this machine.
func canary(t *testing.T) (port string, hits *atomic.Int64) {
	t.Helper()
	hits = new(atomic.Int64)
	first, err := net.Listen("tcp", "0.0.0.0:0")
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ = net.SplitHostPort(first.Addr().String())
	listeners := []net.Listener{first}
	if six, err := net.Listen("tcp6", "[::1]:"+port); err == nil {
		listeners = append(listeners, six)
	}
	for _, l := range listeners {
		t.Cleanup(func() { l.Close() })
		go func() {
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				hits.Add(1)
				c.Close()
			}
		}()
	}
	return port, hits
}

// names is a DNS server on loopback; it answers a name's addresses in turn, one
// list for each question, and the last list for ever.
type names struct {
	mu      sync.Mutex
	answers map[string][][]netip.Addr
	cnames  map[string]string
	asked   map[string]int
}

func (n *names) serve(t *testing.T) *net.Resolver {
	t.Helper()
	pc, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { pc.Close() })
	go func() {
		buf := make([]byte, 1500)
		for {
			size, from, err := pc.ReadFrom(buf)
			if err != nil {
				return
			}
			if reply, err := n.reply(buf[:size]); err == nil {
				pc.WriteTo(reply, from)
			}
		}
	}()
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "udp", pc.LocalAddr().String())
	}}
}

func (n *names) reply(query []byte) ([]byte, error) {
	var m dnsmessage.Message
	if err := m.Unpack(query); err != nil {
		return nil, err
	}
	m.Header.Response, m.Header.RecursionAvailable = true, true
	m.Additionals = nil
	q := m.Questions[0]
	name := strings.ToLower(strings.TrimSuffix(q.Name.String(), "."))
	n.mu.Lock()
	defer n.mu.Unlock()
	head := dnsmessage.ResourceHeader{Name: q.Name, Class: dnsmessage.ClassINET}
	if to, ok := n.cnames[name]; ok {
		target := dnsmessage.MustNewName(to + ".")
		m.Answers = append(m.Answers, dnsmessage.Resource{Header: head, Body: &dnsmessage.CNAMEResource{CNAME: target}})
		head.Name, name = target, to
	}
	turns, ok := n.answers[name]
	if !ok {
		m.Header.RCode = dnsmessage.RCodeNameError
		return m.Pack()
	}
	key := name + "/" + q.Type.String()
	addrs := turns[min(n.asked[key], len(turns)-1)]
	n.asked[key]++
	for _, a := range addrs {
		switch {
		case a.Is4() && q.Type == dnsmessage.TypeA:
			m.Answers = append(m.Answers, dnsmessage.Resource{Header: head, Body: &dnsmessage.AResource{A: a.As4()}})
		case a.Is6() && q.Type == dnsmessage.TypeAAAA:
			m.Answers = append(m.Answers, dnsmessage.Resource{Header: head, Body: &dnsmessage.AAAAResource{AAAA: a.As16()}})
		}
	}
	return m.Pack()
}

func addrs(texts ...string) []netip.Addr {
	var out []netip.Addr
	for _, s := range texts {
		out = append(out, netip.MustParseAddr(s))
	}
	return out
}

// corpus is every way we know to say "this machine", "your network" or "your
// cloud's metadata" (security W7). P is the canary's port.
var corpus = []string{
	"https://127.0.0.1:P/", "http://127.0.0.1:P/", "https://127.0.0.2:P/", "https://127.255.255.254:P/", "https://127.1:P/",
	"https://127.0.1:P/", "https://2130706433:P/", "http://2130706433:P/", "https://0x7f000001:P/", "https://0x7f.0.0.1:P/",
	"https://0X7F.0x0.0x0.0x1:P/", "https://017700000001:P/", "https://0177.0.0.1:P/", "https://0177.0.0.01:P/", "https://127.0.0.01:P/",
	"https://127.000.000.001:P/", "https://0:P/", "http://0/", "https://0.0.0.0:P/", "https://0.0.0.1:P/",
	"https://localhost:P/", "http://localhost:P/", "https://LOCALHOST:P/", "https://localhost.:P/", "https://127.0.0.1.:P/",
	"https://[::1]:P/", "http://[::1]:P/", "https://[0:0:0:0:0:0:0:1]:P/", "https://[::]:P/", "https://[::ffff:127.0.0.1]:P/",
	"https://[::ffff:7f00:1]:P/", "https://[0:0:0:0:0:ffff:127.0.0.1]:P/", "https://[::127.0.0.1]:P/", "https://[::ffff:0:127.0.0.1]:P/", "https://[64:ff9b::127.0.0.1]:P/",
	"https://[64:ff9b::7f00:1]:P/", "https://[64:ff9b:1::7f00:1]:P/", "https://[2002:7f00:1::]:P/", "https://[2001:0:7f00:1::]:P/", "https://[::1%25lo]:P/",
	"https://[fe80::1]:P/", "https://[fe80::1%25eth0]:P/", "https://[fc00::1]:P/", "https://[fd00:ec2::254]:P/", "https://[fec0::1]:P/",
	"https://[ff02::1]:P/", "https://[2001:db8::1]:P/", "https://[100::1]:P/", "https://[3fff::1]:P/", "https://[5f00::1]:P/",
	"https://169.254.169.254/latest/meta-data/", "http://169.254.169.254/latest/meta-data/", "https://169.254.170.2/", "https://[::ffff:169.254.169.254]/", "https://[::ffff:a9fe:a9fe]/",
	"https://2852039166/", "https://0xa9fea9fe/", "https://0251.0376.0251.0376/", "https://169.254.43518/", "https://100.100.100.200/",
	"https://168.63.129.16/", "https://192.0.0.192/", "https://10.0.0.1:P/", "https://10.255.255.255:P/", "https://172.16.0.1:P/",
	"https://172.31.255.254:P/", "https://192.168.0.1:P/", "https://192.168.1.1:P/", "https://100.64.0.1:P/", "https://198.18.0.1:P/",
	"https://192.0.2.1:P/", "https://198.51.100.1:P/", "https://203.0.113.1:P/", "https://224.0.0.1:P/", "https://239.255.255.250:P/",
	"https://240.0.0.1:P/", "https://255.255.255.255:P/", "https://[::ffff:10.0.0.1]:P/", "https://[::ffff:192.168.1.1]:P/", "https://[::10.0.0.1]:P/",
	"https://user@127.0.0.1:P/", "https://example.com@127.0.0.1:P/", "https://127.0.0.1:P@example.com/", "https://example.com:pass@127.0.0.1:P/", "https://１２７.０.０.１:P/",
	"https://①②⑦.⓪.⓪.①:P/", "https://ⓛⓞⓒⓐⓛⓗⓞⓢⓣ:P/", "https://127。0。0。1:P/", "https://%31%32%37.0.0.1:P/", "https://loop.test:P/",
	"https://loop6.test:P/", "https://mapped.test:P/", "https://cname.test:P/", "https://mixed.test:P/", "https://metadata.test/",
	"https://rebind.test:P/", "https://LOOP.TEST.:P/", "https://nat64.test:P/", "http://public.test:P/", "https://private.test:P/",
	"file:///etc/passwd", "file://127.0.0.1:P/etc/passwd", "gopher://127.0.0.1:P/_GET", "ftp://127.0.0.1:P/", "dict://127.0.0.1:P/",
	"ldap://127.0.0.1:P/", "jar:https://127.0.0.1:P/!/", "unix:///var/run/docker.sock", "data:text/plain,x", "javascript:alert(1)",
	"//127.0.0.1:P/", "https:127.0.0.1:P", "https:///127.0.0.1:P/", "https://:P/", "ws://127.0.0.1:P/",
}

func testNames() *names {
	return &names{asked: map[string]int{}, cnames: map[string]string{"cname.test": "loop.test"}, answers: map[string][][]netip.Addr{
		"loop.test":     {addrs("127.0.0.1")},
		"loop6.test":    {addrs("::1")},
		"mapped.test":   {addrs("::ffff:127.0.0.1")},
		"nat64.test":    {addrs("64:ff9b::7f00:1")},
		"mixed.test":    {addrs("1.1.1.1", "127.0.0.1")},
		"metadata.test": {addrs("169.254.169.254")},
		"private.test":  {addrs("10.1.2.3")},
		"public.test":   {addrs("1.1.1.1")},
		"rebind.test":   {addrs("1.1.1.1"), addrs("127.0.0.1")},
	}}
}

func TestEgressRefusesCorpus(t *testing.T) {
	port, hits := canary(t)
	dns := testNames()
	client := Egress(EgressOptions{Resolver: dns.serve(t), Timeout: 300 * time.Millisecond})
	if len(corpus) < 100 {
		t.Fatalf("the corpus shrank to %d", len(corpus))
	}
	for _, u := range corpus {
		u = strings.ReplaceAll(u, ":P", ":"+port)
		resp, err := client.Get(u)
		if err == nil {
			resp.Body.Close()
			t.Errorf("%s was called: %s", u, resp.Status)
		}
	}
	if n := hits.Load(); n != 0 {
		t.Errorf("%d connections reached the canary", n)
	}
	// The canary does sing: what is listed is called.
	open := Egress(EgressOptions{Allow: []string{"127.0.0.1:" + port}})
	if _, err := open.Get("http://127.0.0.1:" + port + "/"); err == nil || errors.Is(err, ErrRefused) || hits.Load() == 0 {
		t.Errorf("a listed address was not called (%v, %d hits): the test proves nothing", err, hits.Load())
	}
}

func TestEgressSaysRefused(t *testing.T) {
	client := Egress(EgressOptions{Resolver: testNames().serve(t)})
	for _, u := range []string{"https://127.0.0.1/", "https://127.1/", "https://mixed.test/", "https://cname.test/", "http://public.test/", "https://a:b@public.test/", "ftp://public.test/"} {
		if _, err := client.Get(u); !errors.Is(err, ErrRefused) {
			t.Errorf("%s: %v, want ErrRefused", u, err)
		}
	}
	// An unknown name is not refused: it may exist tomorrow.
	if _, err := client.Get("https://unknown.test/"); err == nil || errors.Is(err, ErrRefused) {
		t.Errorf("an unknown name: %v, want another error than ErrRefused", err)
	}
}

func TestEgressResolvesOnce(t *testing.T) {
	dns := testNames()
	resolver := dns.serve(t)
	asked := func() int {
		dns.mu.Lock()
		defer dns.mu.Unlock()
		return dns.asked["rebind.test/TypeA"]
	}
	for wait := 200 * time.Millisecond; asked() == 0 && wait < time.Minute; wait *= 2 { // on a busy machine the time is over before anybody is asked
		if _, err := Egress(EgressOptions{Resolver: resolver, Timeout: wait}).Get("https://rebind.test/"); err == nil {
			t.Skip("1.1.1.1 answers for rebind.test here")
		}
	}
	if n := asked(); n != 1 {
		t.Errorf("the name was asked for %d times, want once", n)
	}
}

func TestPublicAddresses(t *testing.T) {
	for _, s := range []string{"1.1.1.1", "8.8.8.8", "17.57.144.10", "172.15.255.255", "172.32.0.0", "100.63.255.255", "100.128.0.0", "223.255.255.255", "2606:4700::1111", "2a00:1450::1", "::ffff:8.8.8.8"} {
		if !public(netip.MustParseAddr(s)) {
			t.Errorf("%s is refused", s)
		}
	}
	if public(netip.Addr{}) || public(netip.MustParseAddr("2606:4700::1111%eth0")) {
		t.Error("no address, or one with a zone, is let out")
	}
}

func TestEndsInNumber(t *testing.T) {
	for host, want := range map[string]bool{
		"127.1": true, "2130706433": true, "0x7f.1": true, "0x": true, "a.0x1f": true, "1.2.3.4.": true, "a.b.7": true, "127.0.0.01": true,
		"127.0.0.1": false, "::1": false, "example.com": false, "3com.com": false, "a.0xg": false, "x7": false, "": false,
	} {
		if got := endsInNumber(host); got != want {
			t.Errorf("endsInNumber(%q) = %v, want %v", host, got, want)
		}
	}
}

// server starts a TLS server and returns the options that let a client in.
func server(t *testing.T, h http.HandlerFunc) (*httptest.Server, EgressOptions) {
	t.Helper()
	srv := httptest.NewUnstartedServer(h)
	srv.EnableHTTP2 = true
	srv.StartTLS()
	t.Cleanup(srv.Close)
	roots := x509.NewCertPool()
	roots.AddCert(srv.Certificate())
	return srv, EgressOptions{Allow: []string{srv.Listener.Addr().String()}, Roots: roots}
}

func TestEgressFollowsNoRedirect(t *testing.T) {
	port, hits := canary(t)
	for _, status := range []int{301, 302, 303, 307, 308} {
		srv, o := server(t, func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://127.0.0.1:"+port+"/", status)
		})
		o.Allow = append(o.Allow, "127.0.0.1:"+port) // even to where it may go
		resp, err := Egress(o).Get(srv.URL)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != status || resp.ProtoMajor != 2 {
			t.Errorf("got %s over %s, want %d over HTTP/2", resp.Status, resp.Proto, status)
		}
	}
	if hits.Load() != 0 {
		t.Error("a redirect was followed")
	}
}

func TestEgressVerifiesCertificates(t *testing.T) {
	srv, o := server(t, func(http.ResponseWriter, *http.Request) { t.Error("an unverified server was spoken to") })
	srv.Config.ErrorLog = log.New(io.Discard, "", 0)
	o.Roots = x509.NewCertPool()
	if _, err := Egress(o).Get(srv.URL); err == nil {
		t.Error("an unknown authority was believed")
	}
}

func TestEgressIgnoresProxy(t *testing.T) {
	port, hits := canary(t)
	t.Setenv("HTTPS_PROXY", "http://127.0.0.1:"+port)
	t.Setenv("HTTP_PROXY", "http://127.0.0.1:"+port)
	t.Setenv("ALL_PROXY", "http://127.0.0.1:"+port)
	client := Egress(EgressOptions{Resolver: testNames().serve(t), Timeout: 200 * time.Millisecond})
	client.Get("https://public.test/")
	if hits.Load() != 0 {
		t.Error("a proxy was used")
	}
}

func TestEgressBoundsBody(t *testing.T) {
	packed := new(bytes.Buffer)
	z := gzip.NewWriter(packed)
	z.Write(make([]byte, 8<<20))
	z.Close()
	srv, o := server(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/fits":
			w.Write(make([]byte, egressBody))
		case "/streamed":
			for range 64 {
				if _, err := w.Write(make([]byte, 64<<10)); err != nil {
					return
				}
				w.(http.Flusher).Flush()
			}
		case "/announced":
			w.Header().Set("Content-Length", fmt.Sprint(egressBody+1))
			w.Write(make([]byte, 10))
		case "/bomb":
			w.Header().Set("Content-Encoding", "gzip")
			w.Write(packed.Bytes())
		}
	})
	client := Egress(o)
	read := func(path string) (int, error) {
		resp, err := client.Get(srv.URL + path)
		if err != nil {
			return 0, err
		}
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		return len(b), err
	}
	if n, err := read("/fits"); n != egressBody || err != nil {
		t.Errorf("a body of exactly the limit: %d bytes, %v", n, err)
	}
	for _, path := range []string{"/streamed", "/announced", "/bomb"} {
		if n, err := read(path); !errors.Is(err, ErrTooLarge) || n > egressBody {
			t.Errorf("%s: %d bytes, %v; want ErrTooLarge", path, n, err)
		}
	}
}

func TestEgressCutsSlowBody(t *testing.T) {
	release := make(chan struct{})
	srv, o := server(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Write([]byte("x"))
		w.(http.Flusher).Flush()
		<-release
	})
	defer close(release)
	var resp *http.Response
	err := errors.New("not yet")
	for o.Timeout = 150 * time.Millisecond; err != nil && o.Timeout < egressTimeout; o.Timeout *= 2 { // on a busy machine the head alone may take longer
		resp, err = Egress(o).Get(srv.URL)
	}
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if _, err := io.ReadAll(resp.Body); err == nil {
		t.Error("a body that never ends was waited for")
	}
}

func TestEgressLimitsOnlyTighten(t *testing.T) {
	client := Egress(EgressOptions{Timeout: time.Hour, MaxBody: 1 << 40})
	if client.Timeout != egressTimeout || client.Transport.(*guard).limit != egressBody {
		t.Errorf("the limits were raised to %s and %d", client.Timeout, client.Transport.(*guard).limit)
	}
}
