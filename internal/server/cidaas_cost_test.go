package server_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/watchword-auth/watchword/internal/db"
	"github.com/watchword-auth/watchword/internal/directory"
)

// cost is what the database did.
type cost struct{ Statements, Transactions int64 }

func (w *world) cost(fn func()) cost {
	statements, commits := w.Kit.DB.Statements(), w.Kit.DB.Commits()
	fn()
	return cost{w.Kit.DB.Statements() - statements, w.Kit.DB.Commits() - commits}
}

// least is the lesser of both, each by itself.
func (c cost) least(d cost) cost {
	return cost{min(c.Statements, d.Statements), min(c.Transactions, d.Transactions)}
}

// like reports whether both are the same. At PostgreSQL a server reads beside every
// call what others tell it, which falls into some of them.
func (c cost) like(d cost) bool {
	beside := int64(0)
	if os.Getenv("TEST_POSTGRES") != "" {
		beside = 1
	}
	return c.Transactions == d.Transactions && max(c.Statements, d.Statements)-min(c.Statements, d.Statements) <= beside
}

// drained runs every job that is due.
func (w *world) drained(t testing.TB) {
	t.Helper()
	for more := true; more; {
		var err error
		if more, err = w.Kit.Jobs.RunOne(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}

// somebody is ada by every kind of name, each beside one of the same kind that is
// nobody's.
func (v vendor) somebody() map[string][2]string {
	v.t.Helper()
	ada := v.w.ada(v.t).ID
	if err := v.w.Kit.DB.Move(v.t.Context(), func(tx *db.Tx) error {
		for kind, shown := range map[directory.IdentifierKind]string{directory.Phone: "+441632960001", directory.External: "Ada Lovelace #1"} {
			if err := directory.AddIdentifier(v.t.Context(), tx, "default", ada, kind, shown); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		v.t.Fatal(err)
	}
	id := string(ada)
	return map[string][2]string{
		"e-mail": {"ada@example.org", "nob@example.org"}, "username": {"ada", "bob"}, "phone": {"+441632960001", "+441632960002"},
		"external id": {"Ada Lovelace #1", "Bob Lovelace #1"}, "user id": {id, id[:len(id)-4] + "0000"},
	}
}

// equip gives ada an authenticator app, a passkey and recovery codes.
func (v vendor) equip() {
	v.t.Helper()
	api, ada := v.w.rest(v.t), string(v.w.ada(v.t).ID)
	api.want(v.t, 201, "POST /v1/users/"+ada+"/totp", nil)
	api.want(v.t, 201, "POST /v1/users/"+ada+"/recovery-codes", nil)
}

// TestCidaasCosts: at every door of this family somebody and nobody cost the same
// statements and transactions, by whatever name, and so does what is left to do
// afterwards (R30). Clocks are no part of it, so that it says so on any machine.
func TestCidaasCosts(t *testing.T) {
	w := newWorld(t)
	v := w.vendor(t)
	v.enrolled()
	names := v.somebody()
	v.equip()
	const list, initiate, perform = "/verification-srv/v2/setup/public/configured/list", "/verification-srv/v2/authenticate/initiate/", "/verification-srv/v2/authenticate/authenticate/"
	type door func(request, who string) func() (int, map[string]any)
	post := func(path string, in map[string]any) (int, map[string]any) { return v.do("POST", path, in) }
	ask := func(path string, more map[string]any) door {
		return func(request, who string) func() (int, map[string]any) {
			in := map[string]any{"request_id": request, "identifier": who, "usage_type": "INITIAL_AUTHENTICATION"}
			for name, x := range more {
				in[name] = x
			}
			return func() (int, map[string]any) { return post(path, in) }
		}
	}
	then := func(method string, more map[string]any, path func(begun map[string]any) string) door {
		return func(request, who string) func() (int, map[string]any) {
			status, out := ask(initiate+method, nil)(request, who)()
			begun, _ := out["data"].(map[string]any)
			if status != 200 {
				t.Fatalf("beginning %s for %s: %d %v", method, who, status, out)
			}
			w.drained(t)
			in := map[string]any{"exchange_id": exchangeOf(begun)}
			for name, x := range more {
				in[name] = x
			}
			return func() (int, map[string]any) { return post(path(begun), in) }
		}
	}
	at := func(path string) func(map[string]any) string { return func(map[string]any) string { return path } }
	status := func(begun map[string]any) string {
		return "/verification-srv/v2/notification/status/" + begun["status_id"].(string)
	}
	doors := map[string]door{
		"list": ask(list, nil), "list by graph": ask("/verification-srv/public/graph/user/setup", nil), "check": ask("/verification-srv/v2/setup/public/configured/check/EMAIL", nil),
		"EMAIL by link": ask(initiate+"EMAIL", map[string]any{"processingType": "LINK"}),
		"EMAIL wrong":   then("EMAIL", map[string]any{"pass_code": "000000x"}, at(perform+"EMAIL")), "PASSWORD wrong": then("PASSWORD", map[string]any{"password": "wrong"}, at(perform+"PASSWORD")), "BACKUPCODE wrong": then("BACKUPCODE", map[string]any{"pass_code": "wrong"}, at(perform+"BACKUPCODE")), "TOTP wrong": then("TOTP", map[string]any{"pass_code": "000000"}, at(perform+"TOTP")),
		"FIDO2 wrong": then("FIDO2", map[string]any{"fido2_client_response": map[string]any{"client_response": map[string]any{"id": "x"}}}, at(perform+"FIDO2")),
		"PUSH stands": then("PUSH", nil, status), "EMAIL stands": then("EMAIL", nil, status), "PUSH cancelled": then("PUSH", nil, at("/verification-srv/v2/authenticate/cancel/PUSH")), "EMAIL cancelled": then("EMAIL", nil, at("/verification-srv/v2/setup/cancel/EMAIL")),
		"password form": func(request, who string) func() (int, map[string]any) {
			return func() (int, map[string]any) {
				r, err := http.PostForm(w.URL+"/login-srv/login", url.Values{"requestId": {request}, "username": {who}, "password": {"wrong"}})
				if err != nil {
					t.Fatal(err)
				}
				r.Body.Close()
				return r.StatusCode, nil
			}
		},
	}
	for _, method := range []string{"PUSH", "EMAIL", "SMS", "TOTP", "PASSWORD", "FIDO2", "BACKUPCODE", "FACE"} {
		doors[method] = ask(initiate+method, nil)
		doors[method+" in the other family"] = ask("/verification-srv/authentication/"+strings.ToLower(method)+"/initiation", nil)
	}
	for kind, who := range names {
		for name, open := range doors {
			if strings.HasSuffix(name, "wrong") && kind != "e-mail" {
				continue // what is judged does not depend on how somebody was named
			}
			w.Pass(2 * time.Hour) // limits and locks count alike, and are no part of this
			var now, later [2]cost
			var told [2]int
			for n := range 5 { // what else a server does once in a while is in some of them
				for i := range who {
					try := open(v.request(), who[i])
					w.drained(t)
					a := w.cost(func() { told[i], _ = try() })
					b := w.cost(func() { w.drained(t) })
					if n == 0 {
						now[i], later[i] = a, b
					}
					now[i], later[i] = now[i].least(a), later[i].least(b)
				}
				if told[0] != told[1] || now[0].like(now[1]) && later[0].like(later[1]) {
					break
				}
				w.Pass(2 * time.Hour)
			}
			if !now[0].like(now[1]) || told[0] != told[1] {
				t.Errorf("%s by %s: somebody costs %+v (%d), nobody %+v (%d)", name, kind, now[0], told[0], now[1], told[1])
			}
			if !later[0].like(later[1]) {
				t.Errorf("%s by %s, afterwards: somebody costs %+v, nobody %+v", name, kind, later[0], later[1])
			}
		}
	}
}

// timed is how long an answer takes to come.
func (v vendor) timed(path string, in map[string]any) time.Duration {
	v.t.Helper()
	b, err := json.Marshal(in)
	if err != nil {
		v.t.Fatal(err)
	}
	began := time.Now()
	r, err := http.Post(v.w.URL+path, "application/json", bytes.NewReader(b))
	took := time.Since(began)
	if err != nil || r.StatusCode >= 500 {
		v.t.Fatal(fmt.Sprint(err, r))
	}
	r.Body.Close()
	return took
}
