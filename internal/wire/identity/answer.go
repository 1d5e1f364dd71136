package identity

import (
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/watchword-auth/watchword/internal/authn"
	"github.com/watchword-auth/watchword/internal/backend"
	"github.com/watchword-auth/watchword/internal/fault"
	"github.com/watchword-auth/watchword/internal/web"
)

// answer writes what a call returned.
func answer(w http.ResponseWriter, out backend.Out) {
	status := out.Status
	if status == 0 {
		status = http.StatusOK
	}
	switch {
	case out.Body == nil && status == http.StatusNoContent:
		w.WriteHeader(status)
	case out.Body == nil:
		web.Write(w, status, map[string]any{}, 0)
	default:
		web.Write(w, status, out.Body, 0)
	}
}

// refuse answers with what all three error shapes of the vendor's API have in
// common, and with what the shape of this route adds (authenticators.md 0.1):
// authentication calls have a word as error_code, management calls a number, and
// a malformed request has a list of messages.
func refuse(w http.ResponseWriter, r *http.Request, err error) {
	body := map[string]any{"request_id": w.Header().Get("X-Request-Id")}
	if said := unknown(err); said != "" {
		w.Header().Set("WWW-Authenticate", `Bearer error="invalid_token"`)
		body["message"], body["error_code"], body["ts_error_code"] = said, http.StatusUnauthorized, "unauthorized"
		web.Write(w, http.StatusUnauthorized, body, 0)
		return
	}
	f := web.Report(r, err)
	status, word := statusOf(f.Code), wordOf(f.Code)
	if errors.Is(f, authn.Disabled) {
		word = "auth_login_preferences_missing"
	}
	if c, ok := errors.AsType[*backend.Coded](err); ok {
		word = c.Word
	}
	body["message"], body["error_code"], body["ts_error_code"] = any(f.Message), any(status), word
	switch {
	case strings.Contains(r.URL.Path, "/v1/auth/"), strings.HasSuffix(r.URL.Path, "/v1/token"):
		body["error_code"] = word
	case f.Code == fault.Invalid:
		body["message"] = []string{f.Message}
	}
	if f.RetryAfter > 0 {
		body["retry_after"] = int(f.RetryAfter.Seconds() + 0.999)
	}
	web.Write(w, status, body, f.RetryAfter)
}

// unknown is what is said to a caller who did not show who they are; "" to others.
func unknown(err error) string {
	switch {
	case errors.Is(err, errNoToken):
		return "The access token is missing or not valid."
	case errors.Is(err, errNoClient):
		return "The client is unknown, or did not show that it is who it says."
	}
	return ""
}

func statusOf(c fault.Code) int {
	switch c {
	case fault.Locked:
		return http.StatusForbidden
	case fault.Wrong, fault.Expired:
		return http.StatusBadRequest
	}
	return web.Status(c)
}

func wordOf(c fault.Code) string {
	switch c {
	case fault.Invalid:
		return "system_invalid_input"
	case fault.Wrong:
		return "auth_invalid_credentials"
	case fault.Locked:
		return "auth_locked"
	case fault.Expired:
		return "auth_challenge_expired"
	case fault.Denied:
		return "forbidden"
	case fault.Limited:
		return "rate_limited"
	case fault.NotFound:
		return "not_found"
	case fault.Conflict:
		return "conflict"
	case fault.Unavailable:
		return "unavailable"
	}
	return "internal"
}

// shared lets any page read the answer of a public call. No cookie travels with
// it, so it gives a page nothing that its own server could not ask for.
func shared(w http.ResponseWriter, origin string) {
	if origin != "" {
		w.Header().Set("Access-Control-Allow-Origin", "*")
		w.Header().Set("Access-Control-Expose-Headers", "Retry-After")
	}
}

// preflight answers the preflight of a path, once however many methods it has.
func preflight(mux *http.ServeMux, path string) {
	pattern := "OPTIONS " + path
	r, _ := http.NewRequest(http.MethodOptions, "http://x"+strings.NewReplacer("{", "", "}", "").Replace(path), nil)
	if _, have := mux.Handler(r); have == pattern {
		return
	}
	mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
		shared(w, r.Header.Get("Origin"))
		w.Header().Set("Access-Control-Allow-Methods", "GET, POST")
		w.Header().Set("Access-Control-Allow-Headers", "content-type")
		w.Header().Set("Access-Control-Max-Age", "600")
		w.WriteHeader(http.StatusNoContent)
	})
}

// readRaw takes a body as it is, at most a megabyte.
func readRaw(w http.ResponseWriter, r *http.Request, raw *backend.Raw) error {
	b, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 1<<20))
	if err != nil {
		return fault.New(fault.Invalid, "The request is larger than a megabyte.").Because(err)
	}
	raw.Type, _, _ = strings.Cut(r.Header.Get("Content-Type"), ";")
	raw.Body = b
	if raw.Type == "application/x-www-form-urlencoded" {
		if raw.Form, err = url.ParseQuery(string(b)); err != nil {
			return fault.New(fault.Invalid, "The form cannot be read.").Because(err)
		}
	}
	return nil
}
