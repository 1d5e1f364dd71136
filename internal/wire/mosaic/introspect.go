package mosaic

import (
	"net/http"
	"strings"

	"github.com/watchword-auth/watchword/internal/apps"
	"github.com/watchword-auth/watchword/internal/fault"
	"github.com/watchword-auth/watchword/internal/session"
	"github.com/watchword-auth/watchword/internal/web"
)

// introspect tells a back end of the same application whether a journey token is
// good. It answers in the shape of the journey protocol, error_code 0 for a valid
// token, with the members of RFC 7662 beside it. The token comes as JSON or as a
// form, the client's name and secret by HTTP Basic.
func (d Door) introspect(w http.ResponseWriter, r *http.Request) {
	id, secret, ok := r.BasicAuth()
	_, app, err := apps.Authenticate(r.Context(), d.Kit.DB, apps.ClientID(id), secret)
	if !ok || fault.Is(err, fault.Denied) {
		w.Header().Set("WWW-Authenticate", `Basic realm="watchword"`)
		web.Write(w, http.StatusUnauthorized, map[string]any{"error_code": 4010, "error_message": "The client is unknown or its secret is wrong.", "error": "invalid_client"}, 0)
		return
	}
	var jwt string
	if err == nil {
		jwt, err = introspected(w, r)
	}
	var claims map[string]any
	var active bool
	if err == nil {
		claims, active, err = session.Introspect(r.Context(), d.Kit.DB, d.Keys, d.Kit.URL, app, jwt)
	}
	if err != nil {
		f := web.Report(r, err)
		web.Write(w, web.Status(f.Code), map[string]any{"error_code": 4000, "error_message": f.Message, "error": "invalid_request"}, f.RetryAfter)
		return
	}
	writeIntrospection(w, claims, active)
}

// introspected is the token that is asked about.
func introspected(w http.ResponseWriter, r *http.Request) (string, error) {
	if strings.HasPrefix(r.Header.Get("Content-Type"), "application/x-www-form-urlencoded") {
		r.Body = http.MaxBytesReader(w, r.Body, web.MaxBody)
		if err := r.ParseForm(); err != nil {
			return "", fault.New(fault.Invalid, "The form cannot be read.").Because(err)
		}
		return r.PostForm.Get("token"), nil
	}
	var in struct {
		Token string `json:"token"`
	}
	err := web.Decode(w, r, &in)
	return in.Token, err
}

func writeIntrospection(w http.ResponseWriter, claims map[string]any, active bool) {
	if !active {
		web.Write(w, http.StatusOK, map[string]any{"error_code": 4001, "error_message": "The token is not valid.", "active": false}, 0)
		return
	}
	out := map[string]any{"error_code": 0, "error_message": "", "active": true, "data": claims}
	for name, v := range claims {
		if _, taken := out[name]; !taken {
			out[name] = v
		}
	}
	out["token_type"] = session.JourneyType
	web.Write(w, http.StatusOK, out, 0)
}
