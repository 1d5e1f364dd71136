package passkey

import (
	"encoding/base64"
	"encoding/hex"
	"net/url"
	"slices"
	"strings"
)

const (
	iosOrigin     = "ios:bundle-id:"
	androidOrigin = "android:apk-key-hash:"
)

// accepts reports whether a ceremony may come from an origin (WebAuthn Level 3
// 13.4.9): a page of the list or, without one, of the relying party's domain, or
// an app of the list. A native app of Apple's reports the domain itself.
func (r relying) accepts(origin string) bool {
	if hash, ok := strings.CutPrefix(origin, androidOrigin); ok {
		return slices.Contains(r.apkHashes(), keyHash(hash)) && keyHash(hash) != ""
	}
	if strings.HasPrefix(origin, iosOrigin) {
		return slices.Contains(r.MobileOrigins, origin)
	}
	host, ok := webHost(origin)
	if !ok {
		return false
	}
	if origin == "https://"+r.RPID && slices.ContainsFunc(r.MobileOrigins, func(o string) bool { return strings.HasPrefix(o, iosOrigin) }) {
		return true
	}
	if len(r.WebOrigins) > 0 {
		return slices.ContainsFunc(r.WebOrigins, func(o string) bool { return strings.TrimSuffix(strings.ToLower(o), "/") == origin })
	}
	below := host == r.RPID || strings.HasSuffix(host, "."+r.RPID)
	return r.RPID != "" && below && (strings.HasPrefix(origin, "https://") || r.RPID == "localhost")
}

// webHost returns the host of an origin that is written as browsers write it;
// http counts for localhost only.
func webHost(origin string) (string, bool) {
	u, err := url.Parse(origin)
	if err != nil || u.Host == "" || origin != u.Scheme+"://"+u.Host || origin != strings.ToLower(origin) || strings.HasSuffix(u.Host, ":") {
		return "", false
	}
	host := u.Hostname()
	local := host == "localhost" || strings.HasSuffix(host, ".localhost")
	return host, u.Scheme == "https" || u.Scheme == "http" && local
}

// keyHash is the hash of an Android signing certificate as Android reports it,
// base64url without padding; "" if it is none.
func keyHash(s string) string {
	b, err := lenient(s)
	if err != nil || len(b) != 32 {
		return ""
	}
	return base64.RawURLEncoding.EncodeToString(b)
}

func (r relying) apkHashes() []string {
	var out []string
	for _, o := range r.MobileOrigins {
		if hash, ok := strings.CutPrefix(o, androidOrigin); ok {
			out = append(out, keyHash(hash))
		}
	}
	return out
}

// related are the listed origins outside the relying party's domain, for
// /.well-known/webauthn (WebAuthn Level 3 5.11).
func (r relying) related() []string {
	out := []string{}
	for _, o := range r.WebOrigins {
		if host, ok := webHost(o); ok && host != r.RPID && !strings.HasSuffix(host, "."+r.RPID) {
			out = append(out, o)
		}
	}
	return out
}

// assetLinks are the statements that let Android apps use the passkeys of this
// domain.
func (r relying) assetLinks() []any {
	var prints []string
	for _, h := range r.apkHashes() {
		if b, err := lenient(h); err == nil && len(b) == 32 {
			pairs := make([]string, len(b))
			for i := range b {
				pairs[i] = strings.ToUpper(hex.EncodeToString(b[i : i+1]))
			}
			prints = append(prints, strings.Join(pairs, ":"))
		}
	}
	out := []any{}
	for _, name := range r.AndroidPackages {
		if len(prints) == 0 {
			break
		}
		out = append(out, map[string]any{
			"relation": []string{"delegate_permission/common.get_login_creds", "delegate_permission/common.handle_all_urls"},
			"target":   map[string]any{"namespace": "android_app", "package_name": name, "sha256_cert_fingerprints": prints},
		})
	}
	return out
}
