package cidaas

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"math/big"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/watchword-auth/watchword/internal/apps"
	"github.com/watchword-auth/watchword/internal/authenticators/push"
	"github.com/watchword-auth/watchword/internal/authn"
	"github.com/watchword-auth/watchword/internal/backend"
	"github.com/watchword-auth/watchword/internal/db"
	"github.com/watchword-auth/watchword/internal/directory"
	"github.com/watchword-auth/watchword/internal/fault"
	"github.com/watchword-auth/watchword/internal/jobs"
	"github.com/watchword-auth/watchword/internal/limit"
	"github.com/watchword-auth/watchword/internal/oidc"
)

// begun is what a flow is about, while it is begun.
type begun struct {
	ask     oidc.Ask
	request string
	m       method
	user    directory.UserID // "" for nobody
	typed   string
	half    bool // the user has proven something for the request
	from    string
	agent   string
	flow    flow
}

// name is what the calls of a method know the user by: what belongs to nobody
// gets the answer of somebody unknown.
func (b begun) name() string {
	if b.user != "" {
		return string(b.user)
	}
	return stranger(b.typed)
}

// initiateOther begins a flow of a method that needs no phone to be asked.
func (d Door) initiateOther(r *http.Request, b begun) (any, error) {
	more, err := d.ceremony(r, &b)
	if err != nil {
		return nil, err
	}
	b.flow.Client, b.flow.Decoy, b.flow.Name = b.ask.Client.ID, b.user == "", stranger(b.typed)
	var ch authn.Challenge[flow]
	err = d.Kit.DB.Move(r.Context(), func(tx *db.Tx) (err error) {
		s := authn.Subject{Kind: b.m.Kind, Tenant: b.ask.App.Tenant, App: b.ask.App.ID, User: b.user}
		if ch, _, err = authn.Pose(r.Context(), tx, authn.Opening{Subject: s, Once: "cidaas/" + rand.Text(), Life: flowLife}, b.flow); err != nil {
			return err
		}
		if b.m.way == byMessage {
			if err := d.order(r.Context(), tx, b, ch); err != nil {
				return err
			}
		}
		return d.Provider.Begun(r.Context(), tx, b.request, ch.ID)
	})
	if err != nil {
		return nil, err
	}
	out := map[string]any{"exchange_id": held(d.Kit.DB, ch.ID, ch.Turn, ch.Expires), "sub": b.flow.Masked, "status_id": string(ch.ID)}
	if !strict(r) {
		out["medium_text"] = mask(b.typed)
		for name, v := range more {
			out[name] = v
		}
	}
	return out, nil
}

// ceremony does what a method does before it asks, and returns what the page
// needs for it. Whether there is such a user makes no difference.
func (d Door) ceremony(r *http.Request, b *begun) (map[string]any, error) {
	ctx, x := r.Context(), d.exec(r, b.ask.Client, b.ask.App)
	switch {
	case b.m.way == byKey:
		name := b.typed
		if b.half {
			name = string(b.user)
		}
		out, err := backend.Do(ctx, b.m.begin, x, map[string]any{"client_id": string(b.ask.Client.ID), "username": name})
		if err != nil {
			return nil, err
		}
		entity, id := entityOf(out, "credential_request_options")
		b.flow.Ref = id
		return map[string]any{"fido2_entity": entity}, nil
	case b.m.way == byPicture && !b.half:
		return nil, insufficient // a face counts beside another factor only, whosever it is
	case b.m.way == byPicture:
		out, err := b.m.call(ctx, x, b.m.begin, b.user, map[string]any{"purpose": "authenticate"})
		if err != nil {
			return nil, err
		}
		doc, _ := out.Body.(map[string]any)
		b.flow.Ref, _ = doc["face_session_id"].(string)
		b.flow.Token, _ = doc["start_token"].(string)
		return map[string]any{"face_moves": doc["moves"]}, nil
	case b.m.Kind == mailedLink.Kind:
		n, err := rand.Int(rand.Reader, big.NewInt(90))
		if err != nil {
			return nil, err
		}
		b.flow.Number = strconv.FormatInt(n.Int64()+10, 10)
		return map[string]any{"push_selected_number": b.flow.Number}, nil
	}
	return nil, nil
}

// entityOf is how that protocol shows a ceremony of WebAuthn, and the name of it.
func entityOf(out backend.Out, member string) (map[string]any, string) {
	doc, _ := out.Body.(map[string]any)
	id, _ := doc["webauthn_session_id"].(string)
	var options map[string]any
	if json.Unmarshal([]byte(db.Text(doc[member])), &options) != nil {
		return nil, id
	}
	webSafe(options)
	return map[string]any{"fidoRequestId": id, "server_challenge": options["challenge"], "publicKey": options}, id
}

// webSafe turns the binary members of options into base64url, as
// PublicKeyCredential.parseRequestOptionsFromJSON wants them (WebAuthn Level 3
// 5.1.9).
func webSafe(v any) {
	switch v := v.(type) {
	case map[string]any:
		for _, name := range []string{"challenge", "id"} {
			s, _ := v[name].(string)
			if b, err := base64.StdEncoding.DecodeString(s); err == nil && s != "" && (name != "id" || v["name"] == nil || v["displayName"] != nil) {
				v[name] = base64.RawURLEncoding.EncodeToString(b)
			}
		}
		for _, inner := range v {
			webSafe(inner)
		}
	case []any:
		for _, inner := range v {
			webSafe(inner)
		}
	}
}

// SendJob sends what a flow by message sends. It is queued for anybody, and does as
// much for anybody, so that neither the answer nor what is asked next takes longer
// for somebody (security R30). What is nobody's goes nowhere.
const SendJob = "cidaas.send"

// Order is what it is given.
type Order struct {
	Flow    authn.ChallengeID `json:"flow"`
	Kind    authn.Kind        `json:"kind"`
	App     apps.ID           `json:"app"`
	Client  apps.ClientID     `json:"client"`
	User    directory.UserID  `json:"user"` // "" for nobody
	Name    string            `json:"name"` // that nobody is judged by
	Number  string            `json:"number,omitempty"`
	Address string            `json:"address"`
	Agent   string            `json:"agent"`
}

// order queues what is sent, as often as anybody may be sent something.
func (d Door) order(ctx context.Context, tx *db.Tx, b begun, ch authn.Challenge[flow]) error {
	key := "cidaas/send/" + string(b.ask.App.Tenant) + "/" + string(b.m.Kind) + "/" + tx.Vault().Hash("cidaas_send", directory.NameKey(b.typed))
	if err := limit.Take(ctx, tx, key, 5, 15*time.Minute); err != nil {
		return err
	}
	o := Order{Flow: ch.ID, Kind: b.m.Kind, App: b.ask.App.ID, Client: b.ask.Client.ID, User: b.user, Name: clip(stranger(b.typed)), Number: b.flow.Number, Address: b.from, Agent: b.agent}
	return jobs.Enqueue(ctx, tx, SendJob, o, ch.Expires)
}

// Deliver sends it. What cannot be sent is not: who waits for it was told what
// anybody is told.
func (d Door) Deliver(ctx context.Context, o Order) error {
	app, err := apps.Find(ctx, d.Kit.DB, o.App)
	if err != nil {
		return jobs.Drop(err)
	}
	m := ofKind(o.Kind)
	if o.Kind == mailedLink.Kind {
		m = mailedLink
	}
	x := &backend.Exec{Kit: d.Kit, App: app, Client: o.Client, Address: o.Address, Agent: o.Agent}
	out, err := m.send(ctx, x, o)
	if f := fault.Of(err); err != nil && f.Code != fault.Internal && f.Code != fault.Unavailable {
		return jobs.Drop(err)
	}
	if err != nil || o.Kind != mailedLink.Kind {
		return err
	}
	doc, _ := out.Body.(map[string]any)
	link, _ := doc["challenge"].(string)
	return d.Kit.DB.Move(ctx, func(tx *db.Tx) error {
		ch, err := authn.Recall[flow](ctx, tx, o.Flow)
		if err != nil || !ch.State.Open() {
			return err
		}
		ch.Data.Ref = link
		return authn.Move(ctx, tx, &ch, ch.State)
	})
}

// send has a message sent to whom an order is for, or does as much for nobody.
func (m method) send(ctx context.Context, x *backend.Exec, o Order) (backend.Out, error) {
	if o.User != "" {
		return m.call(ctx, x, m.begin, o.User, map[string]any{"number": o.Number})
	}
	return backend.Do(ctx, m.nobody, x, map[string]any{"channel": m.extra["channel"], "name": o.Name, "number": o.Number})
}

// perform judges an answer (cidaas-protocol 2.8).
func (d Door) perform(r *http.Request, in body) (any, error) {
	ctx := r.Context()
	if in.get("exchange_id") == "" {
		return nil, missing
	}
	id, turn, err := parted(d.Kit.DB, in.get("exchange_id"))
	if err != nil {
		return nil, err
	}
	ch, err := authn.Recall[flow](ctx, d.Kit.DB, id)
	if fault.Is(err, fault.NotFound) {
		return nil, badExchange
	}
	if err != nil {
		return nil, err
	}
	if !strings.EqualFold(first(ch.Data.As, "PUSH"), r.PathValue("method")) || ch.Data.Party == "" && ch.Subject.Kind != push.Kind {
		return nil, badExchange
	}
	if ch.Subject.Kind == push.Kind {
		return d.performPhone(r, in, ch.Data.As)
	}
	switch {
	case !ch.State.Open():
		return nil, lateExchange
	case ch.Play(turn) != nil:
		return nil, badExchange
	}
	return d.performOther(r, in, ch)
}

// performOther lets the method's own call judge, and keeps its proof in the flow.
func (d Door) performOther(r *http.Request, in body, ch authn.Challenge[flow]) (any, error) {
	ctx := r.Context()
	m := ofKind(ch.Subject.Kind)
	if m.judge == "" {
		return nil, wrongStage // a mailed link is answered where it leads
	}
	app, err := apps.Find(ctx, d.Kit.DB, ch.Subject.App)
	if err != nil {
		return nil, err
	}
	x := d.exec(r, apps.Client{ID: ch.Data.Client}, app)
	answer, err := answered(ctx, x, m, in, ch.Data)
	if err != nil {
		return nil, err
	}
	user := ch.Subject.User
	if ch.Data.Decoy { // judged like anybody's, which costs the same and counts the same
		user = directory.UserID(ch.Data.Name)
	}
	out, err := m.call(ctx, x, m.judge, user, map[string]any{m.code: answer})
	if err != nil {
		return nil, err
	}
	next := ch
	err = d.Kit.DB.Move(ctx, func(tx *db.Tx) error {
		next = ch
		return authn.Approve(ctx, tx, &next, out.Proof)
	})
	if err != nil {
		return nil, said(err)
	}
	return map[string]any{"exchange_id": held(d.Kit.DB, next.ID, next.Turn, next.Expires), "sub": next.Data.Masked, "status_id": string(next.ID)}, nil
}

// answered is what somebody answered, as the method's call wants it.
func answered(ctx context.Context, x *backend.Exec, m method, in body, f flow) (string, error) {
	switch m.way {
	case byKey:
		return in.fido(f.Ref, x.Agent)
	case byPicture:
		if len(in.photo) == 0 {
			return "", missingCode
		}
		return f.Ref, capture(ctx, x, f.Ref, f.Token, in.photo)
	}
	code := in.get("pass_code", "passcode", "password")
	if code == "" {
		return "", missingCode
	}
	return code, nil
}

// capture hands a picture to the engine.
func capture(ctx context.Context, x *backend.Exec, id, token string, photo []byte) error {
	values := x.Values
	x.Values = func(string) string { return id }
	defer func() { x.Values = values }()
	doc, err := json.Marshal(map[string]any{"start_token": token, "image": photo})
	if err != nil {
		return err
	}
	_, err = backend.Do(ctx, "POST /v1/face/sessions/{session_id}/capture", x, map[string]any{"Body": doc})
	return err
}

// fido is the result of a ceremony, as passkeys are handed over here: the one
// that was begun for this flow.
func (b body) fido(request, agent string) (string, error) {
	var doc struct {
		ID       string          `json:"fidoRequestId"`
		Response json.RawMessage `json:"client_response"`
	}
	raw := b.object["fido2_client_response"]
	if len(raw) == 0 {
		return "", missingCode
	}
	if err := json.Unmarshal(raw, &doc); err != nil || len(doc.Response) == 0 {
		return "", badKey.because(err)
	}
	var text string
	if json.Unmarshal(doc.Response, &text) == nil { // some send it as text
		doc.Response = json.RawMessage(text)
	}
	if doc.ID != "" && doc.ID != request || !json.Valid(doc.Response) {
		return "", badKey
	}
	full, err := json.Marshal(map[string]any{"webauthnSessionId": request, "publicKeyCredential": doc.Response, "userAgent": clip(agent)})
	return base64.StdEncoding.EncodeToString(full), err
}
