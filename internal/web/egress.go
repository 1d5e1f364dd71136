package web

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode"
)

const (
	egressTimeout = 5 * time.Second // a whole exchange, body included
	egressBody    = 1 << 20         // bytes of a response body after decompression
	egressHeader  = 64 << 10        // bytes of a response header
	egressDial    = 2 * time.Second // one address of a name
)

// ErrRefused is what a request fails with that the guard did not let out:
// nothing was sent, and trying again will not help. Ask with errors.Is.
var ErrRefused = errors.New("the address is not one this server may call")

// ErrTooLarge is what reading a body fails with past its limit.
var ErrTooLarge = errors.New("the response is larger than this server reads")

// EgressOptions adjust the guard. The zero value is the strictest.
type EgressOptions struct {
	// Allow lists the exact host:port pairs that may be called although they are
	// private, or over plain http. For an operator's own machines, development
	// and tests; never filled from what a client sent.
	Allow []string
	// Roots replace the system's certificate authorities.
	Roots *x509.CertPool
	// Timeout shortens the 5 s that an exchange may take; it never lengthens them.
	Timeout time.Duration
	// MaxBody lowers the 1 MiB that a response may have; it never raises it.
	MaxBody int64
	// Resolver replaces the system's.
	Resolver *net.Resolver
}

// Egress returns the client for everything the server calls out to (security
// J14). Its guard
//
//   - resolves a name once and connects to the very addresses it checked, so a
//     name that changes its mind changes nothing;
//   - refuses a name if any of its addresses is not public unicast: loopback,
//     private, shared, link-local and metadata, multicast, documentation and
//     reserved ranges, and every IPv6 form that carries an IPv4 address;
//   - speaks https with verified certificates, HTTP/2 where offered, and plain
//     http only to what Allow lists;
//   - follows no redirect (the 3xx is the response), uses no proxy, keeps no
//     cookies, sends no credentials taken from a URL;
//   - ends after 5 s, body included, and reads at most 1 MiB.
//
// A *url.Error of the client quotes the whole URL; whoever calls a URL that is
// itself a secret must unwrap it before it is logged.
func Egress(o EgressOptions) *http.Client {
	g := &guard{allow: map[string]bool{}, resolver: o.Resolver, limit: egressBody}
	for _, hostport := range o.Allow {
		g.allow[strings.ToLower(hostport)] = true
	}
	if g.resolver == nil {
		g.resolver = net.DefaultResolver
	}
	if o.MaxBody > 0 {
		g.limit = min(o.MaxBody, egressBody)
	}
	timeout := egressTimeout
	if o.Timeout > 0 {
		timeout = min(o.Timeout, egressTimeout)
	}
	g.next = &http.Transport{
		DialContext:            g.dial,
		TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: o.Roots},
		ForceAttemptHTTP2:      true,
		TLSHandshakeTimeout:    timeout,
		ResponseHeaderTimeout:  timeout,
		MaxResponseHeaderBytes: egressHeader,
		MaxIdleConns:           64,
		MaxIdleConnsPerHost:    8,
		IdleConnTimeout:        90 * time.Second,
		// A connection that went dead in silence is noticed and left.
		HTTP2: &http.HTTP2Config{SendPingTimeout: 15 * time.Second, PingTimeout: 3 * time.Second},
	}
	return &http.Client{
		Transport:     g,
		Timeout:       timeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// Pool keeps one guarded client for each address that an operator configured,
// which may be private: an engine in their own network. Its zero value is ready
// and safe for concurrent use.
type Pool struct{ clients sync.Map }

// For returns the client that may call the host of u, whatever its address.
func (p *Pool) For(u *url.URL) *http.Client {
	host := net.JoinHostPort(u.Hostname(), portOf(u))
	if c, ok := p.clients.Load(host); ok {
		return c.(*http.Client)
	}
	c, _ := p.clients.LoadOrStore(host, Egress(EgressOptions{Allow: []string{host}}))
	return c.(*http.Client)
}

// guard is the transport of the egress client.
type guard struct {
	allow    map[string]bool
	resolver *net.Resolver
	limit    int64
	next     *http.Transport
}

// RoundTrip sends r if the guard lets it out.
func (g *guard) RoundTrip(r *http.Request) (*http.Response, error) {
	if err := g.check(r.URL); err != nil {
		if r.Body != nil {
			r.Body.Close()
		}
		return nil, err
	}
	resp, err := g.next.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	if resp.ContentLength > g.limit {
		resp.Body.Close()
		return nil, ErrTooLarge
	}
	resp.Body = &bounded{r: resp.Body, left: g.limit}
	return resp, nil
}

// CloseIdleConnections lets http.Client close what is pooled.
func (g *guard) CloseIdleConnections() { g.next.CloseIdleConnections() }

// check judges what a URL says by itself; dial judges where it leads.
func (g *guard) check(u *url.URL) error {
	host := strings.ToLower(u.Hostname())
	switch {
	case host == "" || u.Opaque != "":
		return refuse("it names no host")
	case u.User != nil:
		return refuse("it carries credentials")
	case u.Scheme != "https" && u.Scheme != "http":
		return refuse("its scheme is not https")
	case u.Scheme == "http" && !g.allow[net.JoinHostPort(host, portOf(u))]:
		return refuse("plain http is for listed addresses only")
	case strings.Contains(host, "%"):
		return refuse("it has an IPv6 zone")
	case endsInNumber(host):
		return refuse("its host is a number but no canonical IP address")
	}
	return nil
}

func (g *guard) dial(ctx context.Context, network, hostport string) (net.Conn, error) {
	host, port, err := net.SplitHostPort(hostport)
	if err != nil {
		return nil, refuse("it names no host and port")
	}
	addrs, err := g.resolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return nil, fmt.Errorf("resolving a name: %w", err)
	}
	if !g.allow[strings.ToLower(hostport)] && (len(addrs) == 0 || slices.ContainsFunc(addrs, func(a netip.Addr) bool { return !public(a) })) {
		return nil, refuse("it leads to an address that is not public")
	}
	dialer := net.Dialer{Timeout: egressDial}
	var errs []error
	for _, a := range addrs {
		conn, err := dialer.DialContext(ctx, network, net.JoinHostPort(a.Unmap().String(), port))
		if err == nil {
			return conn, nil
		}
		errs = append(errs, err)
	}
	return nil, errors.Join(errs...)
}

// special are the ranges inside global unicast space that are not the public
// internet (IANA special-purpose registries, RFC 6890 and successors), or that
// carry an IPv4 address inside.
var special = prefixes(
	"0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24", "192.0.2.0/24",
	"192.31.196.0/24", "192.52.193.0/24", "192.88.99.0/24", "192.168.0.0/16", "192.175.48.0/24", "198.18.0.0/15", "198.51.100.0/24",
	"203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4",
	"168.63.129.16/32",                                             // the metadata and DNS server of one cloud, although the range is public
	"2001::/23",                                                    // protocol assignments, Teredo
	"2001:db8::/32", "2002::/16", "2620:4f:8000::/48", "3fff::/20", // documentation, 6to4, AS112
)

// publicIPv6 is all that IANA has allotted for global unicast. What lies outside
// (::1, ::ffff:0:0/96, 64:ff9b::/96, fc00::/7, fe80::/10, ff00::/8, …) is refused.
var publicIPv6 = netip.MustParsePrefix("2000::/3")

func public(a netip.Addr) bool {
	if a.Zone() != "" {
		return false
	}
	a = a.Unmap()
	if a.Is6() && !publicIPv6.Contains(a) {
		return false
	}
	return a.IsValid() && !slices.ContainsFunc(special, func(p netip.Prefix) bool { return p.Contains(a) })
}

// endsInNumber reports whether host is what a browser or a C library would read
// as an IPv4 address and Go would not (127.1, 2130706433, 0x7f.0.0.1, 0177.0.0.1):
// WHATWG URL 3.5. Such a host is never a name.
func endsInNumber(host string) bool {
	if _, err := netip.ParseAddr(host); err == nil {
		return false
	}
	last := strings.TrimSuffix(host, ".")
	last = last[strings.LastIndexByte(last, '.')+1:]
	if hex, ok := strings.CutPrefix(last, "0x"); ok {
		return strings.Trim(hex, "0123456789abcdef") == ""
	}
	return last != "" && strings.Trim(last, "0123456789") == ""
}

func portOf(u *url.URL) string {
	if p := u.Port(); p != "" {
		return p
	}
	if u.Scheme == "http" {
		return "80"
	}
	return "443"
}

func prefixes(texts ...string) []netip.Prefix {
	out := make([]netip.Prefix, len(texts))
	for i, s := range texts {
		out[i] = netip.MustParsePrefix(s)
	}
	return out
}

func refuse(why string) error { return fmt.Errorf("%w: %s", ErrRefused, why) }

// bounded is a body that fails, rather than ends, at its limit: half a document
// must not look like a whole one.
type bounded struct {
	r    io.ReadCloser
	left int64
}

func (b *bounded) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	if int64(len(p)) > b.left+1 {
		p = p[:b.left+1]
	}
	n, err := b.r.Read(p)
	if int64(n) > b.left {
		n = int(b.left)
		b.left = 0
		return n, ErrTooLarge
	}
	b.left -= int64(n)
	return n, err
}

func (b *bounded) Close() error { return b.r.Close() }

// Post sends a document of JSON to somebody the server calls out to and reads the
// answer into out, unless that is nil. Anything but a 2xx is an error that quotes up to 500 bytes of
// what was answered.
func Post(ctx context.Context, c *http.Client, address string, header map[string]string, in, out any) error {
	r, err := posting(ctx, address, header, in)
	if err != nil {
		return err
	}
	return send(c, r, out)
}

// posting is a request that sends a document of JSON.
func posting(ctx context.Context, address string, header map[string]string, in any) (*http.Request, error) {
	body, err := json.Marshal(in)
	if err != nil {
		return nil, err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, address, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	r.Header.Set("Content-Type", "application/json")
	for name, value := range header {
		r.Header.Set(name, value)
	}
	return r, nil
}

// Told is what somebody answered who was sent a document: its status, and the
// beginning of what stood beside it, as text that can be kept and shown.
type Told struct {
	Status int
	Text   string
}

// Tell is Post for who wants to know what was answered, whatever it was: an error
// means that nothing was.
func Tell(ctx context.Context, c *http.Client, address string, header map[string]string, in any) (Told, error) {
	r, err := posting(ctx, address, header, in)
	if err != nil {
		return Told{}, err
	}
	resp, err := c.Do(r)
	if err != nil {
		return Told{}, err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, 500))
	return Told{resp.StatusCode, plain(answer)}, err
}

// plain is what somebody answered as one line of text: nothing in it is a control
// character, which databases and terminals read as more than text.
func plain(answer []byte) string {
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(string(answer), "")))
}

// PostForm is Post of a form, whose answer is not read.
func PostForm(ctx context.Context, c *http.Client, address string, in url.Values) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, address, strings.NewReader(in.Encode()))
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return send(c, r, nil)
}

func send(c *http.Client, r *http.Request, out any) error {
	resp, err := c.Do(r)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, egressBody))
	if err != nil {
		return err
	}
	if resp.StatusCode/100 != 2 {
		return fmt.Errorf("%s answered %s: %.500s", r.URL.Host, resp.Status, answer)
	}
	if out == nil {
		return nil
	}
	return json.Unmarshal(answer, out)
}

// Get reads a small text, at most a megabyte, from somebody the server calls out
// to. Anything but 200 is an error.
func Get(ctx context.Context, c *http.Client, address string, header map[string]string) ([]byte, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, err
	}
	for name, value := range header {
		r.Header.Set(name, value)
	}
	resp, err := c.Do(r)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s answered %s", r.URL.Host, resp.Status)
	}
	return io.ReadAll(io.LimitReader(resp.Body, 1<<20))
}
