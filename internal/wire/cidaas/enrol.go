package cidaas

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"math/big"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/watchword-auth/watchword/internal/apps"
	"github.com/watchword-auth/watchword/internal/authenticators/push"
	"github.com/watchword-auth/watchword/internal/authn"
	"github.com/watchword-auth/watchword/internal/backend"
	"github.com/watchword-auth/watchword/internal/db"
	"github.com/watchword-auth/watchword/internal/directory"
	"github.com/watchword-auth/watchword/internal/fault"
	"github.com/watchword-auth/watchword/internal/oidc"
	"github.com/watchword-auth/watchword/internal/session"
)

// enrolment is what the challenge of an enrolment keeps (cidaas-protocol 1.1).
type enrolment struct {
	flow
	Setup   bool          `json:"setup,omitempty"`
	Number  string        `json:"number,omitempty"`
	Choices []string      `json:"choices,omitempty"`
	Client  apps.ClientID `json:"client,omitempty"` // the app that the phone has
	Page    apps.ClientID `json:"page,omitempty"`   // the client that began it
	Device  string        `json:"phone,omitempty"`
	PushID  string        `json:"push_id,omitempty"`
	Session string        `json:"session,omitempty"` // of whom it is for
	Consent string        `json:"consent,omitempty"` // to keep a face
	Reason  string        `json:"reason,omitempty"`
}

// setupWords are the states of an enrolment; before the scan there is none.
var setupWords = map[authn.State]string{authn.Acknowledged: "SCANNED", authn.Allowed: "ENROLLED", authn.Cancelled: "CANCELLED", authn.Denied: "CANCELLED", authn.Expired: "CANCELLED"}

const setupLife = 10 * time.Minute

// user is whom the access token of a call speaks for.
func (d Door) user(r *http.Request) (oidc.Bearer, error) {
	b, err := d.Provider.Check(r.Context(), bearer(r), oidc.Key{})
	if oidc.Refusal(err) != nil {
		err = notSignedIn.because(err)
	}
	if err != nil {
		return b, err
	}
	client, _, err := apps.FindClient(r.Context(), d.Kit.DB, b.Client)
	if err == nil && (!b.Here() || !client.Settings.Cidaas || client.Settings.ThirdParty) {
		err = notSignedIn // what somebody let a third party know, or a resource, is no leave to change how they sign in
	}
	return b, err
}

// fresh returns the session of somebody who may change what they sign in with.
func (d Door) fresh(ctx context.Context, id string, app apps.App) (session.Session, error) {
	s, err := session.Named(ctx, d.Kit.DB, app, id)
	if err == nil {
		err = authn.StepUp(ctx, d.Kit.DB, app.Tenant, app.ID, s.User, s.Proofs)
	}
	if fault.Is(err, fault.Denied) || fault.Is(err, fault.NotFound) {
		err = signInAgain.because(err)
	}
	return s, err
}

// beginSetup begins to enrol a method for the user of a token. A phone is shown
// a code to scan and a number to choose; other methods end here or with a code.
func (d Door) beginSetup(r *http.Request, in body) (any, error) {
	ctx := r.Context()
	b, err := d.user(r)
	if err != nil {
		return nil, err
	}
	client, app, err := apps.FindClient(ctx, d.Kit.DB, b.Client)
	if err != nil {
		return nil, err
	}
	m, err := methodOf(r.PathValue("method"), client)
	if err != nil {
		return nil, err
	}
	s, err := d.fresh(ctx, b.Session, app)
	if err != nil {
		return nil, err
	}
	e := enrolment{flow: flow{As: m.Type, Masked: string(b.User)}, Setup: true, Client: client.ID, Page: client.ID, Session: s.ID}
	out := map[string]any{"sub": string(b.User)}
	switch {
	case m.way == byPhone:
		if e.Client, err = d.phoneClient(ctx, app, in, client); err != nil {
			return nil, err
		}
		out["authenticator_client_id"] = string(e.Client)
		if m.Kind != push.Kind {
			break
		}
		if e.Number, e.Choices, err = draw(); err != nil {
			return nil, err
		}
		out["push_selected_number"] = e.Number
	case m.way == byKey:
		if out["fido2_entity"], err = d.creation(r, client, app, b.User, &e); err != nil {
			return nil, err
		}
	case m.way == byPicture:
		if e.Consent = in.get("consent_id"); e.Consent == "" {
			return nil, noConsent
		}
		if err := d.picture(r, m, client, app, b.User, &e); err != nil {
			return nil, err
		}
	case m.setup != "":
		if err := d.setUp(r, m, client, app, s, out); err != nil {
			return nil, err
		}
	case m.always:
		return nil, configured
	default:
		return nil, inactive
	}
	ch, err := d.pose(ctx, app, b.User, m, e)
	if err != nil {
		return nil, err
	}
	out["exchange_id"], out["status_id"] = held(d.Kit.DB, ch.ID, ch.Turn, ch.Expires), string(ch.ID)
	if m.way == byPhone {
		out["qr_code"] = db.Text(map[string]any{"baseurl": d.Kit.URL, "exchange_id": push.Exchange(d.Kit.DB, ch.ID, ch.Turn), "sub": string(b.User), "verification_type": m.Type, "authenticator_client_id": string(e.Client)})
	}
	return out, nil
}

// creation begins the ceremony that makes a passkey of a user's.
func (d Door) creation(r *http.Request, c apps.Client, app apps.App, user directory.UserID, e *enrolment) (map[string]any, error) {
	name, err := directory.Label(r.Context(), d.Kit.DB, user)
	if err != nil {
		return nil, err
	}
	out, err := backend.Do(r.Context(), "POST /v1/auth/webauthn/register/start", d.exec(r, c, app), map[string]any{"client_id": string(c.ID), "username": name, "limit_single_credential_to_device": true})
	if err != nil {
		return nil, err
	}
	entity, id := entityOf(out, "credential_creation_options")
	e.Ref = id
	return entity, nil
}

// noConsent: a face is only kept with its owner's consent, which the client asks
// for and names.
var noConsent = &ver{417, "VER_0005", "data_missing", "consent_id is missing: a face is only kept with its owner's consent.", nil}

// picture begins to take a picture of a user.
func (d Door) picture(r *http.Request, m method, c apps.Client, app apps.App, user directory.UserID, e *enrolment) error {
	out, err := m.call(r.Context(), d.exec(r, c, app), m.begin, user, map[string]any{"purpose": "register"})
	doc, _ := out.Body.(map[string]any)
	e.Ref, _ = doc["face_session_id"].(string)
	e.Token, _ = doc["start_token"].(string)
	return err
}

func (d Door) pose(ctx context.Context, app apps.App, user directory.UserID, m method, e enrolment) (ch authn.Challenge[enrolment], err error) {
	err = d.Kit.DB.Move(ctx, func(tx *db.Tx) (err error) {
		ch, _, err = authn.Pose(ctx, tx, authn.Opening{Subject: authn.Subject{Kind: m.Kind, Tenant: app.Tenant, App: app.ID, User: user}, Once: "cidaas/" + rand.Text(), Life: setupLife}, e)
		return err
	})
	return ch, err
}

// phoneClient is the client that the user's phone shall speak as: the one that
// asks, if it is a phone, else the application's own.
func (d Door) phoneClient(ctx context.Context, app apps.App, in body, c apps.Client) (apps.ClientID, error) {
	if c.Kind == apps.Native || in.get("device_id") != "" {
		return c.ID, nil
	}
	list, err := apps.Clients(ctx, d.Kit.DB, app.ID)
	for _, each := range list {
		if each.Kind == apps.Native {
			return each.ID, err
		}
	}
	return c.ID, err
}

// setUp enrols a method that needs no phone.
func (d Door) setUp(r *http.Request, m method, c apps.Client, app apps.App, s session.Session, out map[string]any) error {
	x := d.exec(r, c, app)
	x.User, x.Proofs, x.Values = s.User, s.Proofs, me
	made, err := backend.Do(r.Context(), m.setup, x, map[string]any{})
	if fault.Is(err, fault.Conflict) {
		return configured.because(err)
	}
	if err != nil {
		return err
	}
	doc, _ := made.Body.(map[string]any)
	if m.Type == "TOTP" {
		out["totp_secret"] = doc["uri"]
		return nil
	}
	var list []map[string]any
	codes, _ := doc["codes"].([]string)
	for _, code := range codes {
		list = append(list, map[string]any{"code": code, "used": false, "sub": string(s.User)})
	}
	out["backup_codes"], out["enrolled"] = list, true
	return nil
}

// draw makes four numbers, and chooses one.
func draw() (chosen string, all []string, err error) {
	for len(all) < 4 {
		n, err := rand.Int(rand.Reader, big.NewInt(90))
		if err != nil {
			return "", nil, err
		}
		if s := fmt.Sprint(n.Int64() + 10); !slices.Contains(all, s) {
			all = append(all, s)
		}
	}
	chosen = all[0]
	slices.Sort(all)
	return chosen, all, nil
}

// recall reads the enrolment that a phone's call is about.
func (d Door) recall(ctx context.Context, q db.Q, r *http.Request, in body) (authn.Challenge[enrolment], error) {
	id, turn, err := parted(q, in.get("exchange_id"))
	if err != nil {
		return authn.Challenge[enrolment]{}, err
	}
	ch, err := authn.Recall[enrolment](ctx, q, id)
	switch {
	case fault.Is(err, fault.NotFound) || err == nil && (!ch.Data.Setup || !strings.EqualFold(ch.Data.As, r.PathValue("method"))):
		return ch, badExchange
	case err != nil:
		return ch, err
	case !ch.State.Open():
		return ch, lateExchange
	case ch.Play(turn) != nil:
		return ch, badExchange
	}
	return ch, nil
}

// scan is a phone that read the code. It is the one from here on. TOUCHID is set up
// on a phone that is enrolled for PUSH already.
func (d Door) scan(r *http.Request, in body) (any, error) {
	ctx, t := r.Context(), tripleOf(in)
	if in.get("exchange_id") == "" || t.Device == "" || t.PushID == "" || t.Client == "" {
		return nil, missing
	}
	var ch authn.Challenge[enrolment]
	err := d.Kit.DB.Move(ctx, func(tx *db.Tx) (err error) {
		if ch, err = d.recall(ctx, tx, r, in); err != nil {
			return err
		}
		if ch.State != authn.Created || ofType(ch.Data.As).way != byPhone {
			return wrongStage
		}
		if ch.Data.Client != t.Client {
			return wrongDevice
		}
		phone, err := bound(ctx, tx, ch.Subject, t)
		switch {
		case err != nil:
			return err
		case ch.Data.As == "PUSH" && phone.ID != "":
			return sameDevice
		case ch.Data.As != "PUSH" && phone.ID == "":
			return wrongDevice
		}
		ch.Data.Device, ch.Data.PushID = t.Device, t.PushID
		return authn.Move(ctx, tx, &ch, authn.Acknowledged)
	})
	if err != nil {
		return nil, said(err)
	}
	info, err := d.userInfo(ctx, ch.Subject)
	out := map[string]any{"exchange_id": held(d.Kit.DB, ch.ID, ch.Turn, ch.Expires), "sub": string(ch.Subject.User), "status_id": string(ch.ID), "user_info": info}
	if ch.Data.Number != "" {
		out["push_random_numbers"] = ch.Data.Choices
	}
	return out, err
}

// bound is the phone of a user that was enrolled with this; nobody's if there is
// none.
func bound(ctx context.Context, q db.Q, s authn.Subject, t push.Triple) (push.Medium, error) {
	media, err := push.Media(ctx, q, s)
	if err != nil {
		return push.Medium{}, err
	}
	for _, m := range media {
		ok, err := m.Is(ctx, q, t, false)
		if ok || err != nil {
			return m, err
		}
	}
	return push.Medium{}, nil
}

func tripleOf(in body) push.Triple {
	return push.Triple{Client: apps.ClientID(in.get("client_id")), Device: in.get("device_id"), PushID: in.get("push_id")}
}

func (d Door) userInfo(ctx context.Context, s authn.Subject) (map[string]any, error) {
	u, err := directory.Find(ctx, d.Kit.DB, s.Tenant, s.User)
	if err != nil {
		return nil, err
	}
	out := map[string]any{"sub": string(s.User), "email": "", "mobile_number": "", "picture": "", "profile": "", "providerUserId": ""}
	for _, name := range []string{"given_name", "family_name", "name"} {
		out[name], _ = u.Custom[name].(string)
	}
	ids, err := directory.Identifiers(ctx, d.Kit.DB, s.User)
	for _, i := range ids {
		if i.Kind == directory.Email && (i.Primary || out["email"] == "") {
			out["email"] = i.Shown
		}
	}
	return out, err
}

// enrol ends an enrolment: a phone by the number that the web shows, an
// authenticator app by its first code, a passkey by the key that was made.
func (d Door) enrol(r *http.Request, in body) (any, error) {
	ch, err := d.recall(r.Context(), d.Kit.DB, r, in)
	if err != nil {
		return nil, err
	}
	code := in.get("pass_code", "passcode")
	m := ofType(ch.Data.As)
	switch {
	case m.way == byKey:
		result, err := in.fido(ch.Data.Ref, r.UserAgent())
		if err != nil {
			return nil, err
		}
		return d.finish(r, m, ch, map[string]any{"webauthn_encoded_result": result}, nil)
	case m.way == byPicture && len(in.photo) == 0, m.way == byCode && code == "", m.Kind == push.Kind && code == "":
		return nil, missingCode
	case m.way == byPicture:
		return d.finish(r, m, ch, map[string]any{"face_session_id": ch.Data.Ref, "consent_id": ch.Data.Consent}, in.photo)
	case m.Kind == push.Kind:
		return d.enrolPhone(r, in, code)
	case m.way == byPhone:
		return d.enrolOwner(r, in, m, ch)
	}
	return d.confirm(r, m, ch, code)
}

// enrolPhone binds a phone by the number that the web shows.
func (d Door) enrolPhone(r *http.Request, in body, code string) (any, error) {
	ctx := r.Context()
	var ch authn.Challenge[enrolment]
	var wrong error
	err := d.Kit.DB.Move(ctx, func(tx *db.Tx) (err error) {
		wrong = nil
		if ch, err = d.recall(ctx, tx, r, in); err != nil {
			return err
		}
		t := tripleOf(in)
		if err := ch.Data.scannedBy(ch.State, t); err != nil {
			return err
		}
		if code != ch.Data.Number { // one guess in four, once: whoever scanned has to begin anew
			wrong = wrongCode
			return authn.Move(ctx, tx, &ch, authn.Denied)
		}
		if err := directory.MaySignIn(ctx, tx, ch.Subject.Tenant, ch.Subject.User); err != nil {
			return err
		}
		_, err = push.Enrol(ctx, tx, ch.Subject, push.Carried{Client: t.Client, Device: t.Device, PushID: t.PushID, Name: clip(in.get("friendly_name")), Make: clip(r.Header.Get("Devicemake")), Model: clip(r.Header.Get("Devicemodel"))})
		if fault.Is(err, fault.Conflict) {
			return sameDevice.because(err)
		}
		if err != nil {
			return err
		}
		return authn.Move(ctx, tx, &ch, authn.Allowed)
	})
	if err = errors.Join(err, wrong); err != nil {
		return nil, unjoined(err)
	}
	return d.enrolled(ch), nil
}

// scannedBy checks that it is the phone's turn which scanned.
func (e enrolment) scannedBy(at authn.State, t push.Triple) error {
	switch {
	case at != authn.Acknowledged:
		return wrongStage
	case e.Client != t.Client || e.Device != t.Device || e.PushID != t.PushID:
		return wrongDevice
	}
	return nil
}

// enrolOwner keeps the key that the owner of a phone opens: it signs what they
// confirm on it.
func (d Door) enrolOwner(r *http.Request, in body, m method, ch authn.Challenge[enrolment]) (any, error) {
	t := tripleOf(in)
	if err := ch.Data.scannedBy(ch.State, t); err != nil {
		return nil, err
	}
	phone, err := bound(r.Context(), d.Kit.DB, ch.Subject, t)
	if err == nil && phone.ID == "" {
		err = wrongDevice
	}
	if err != nil {
		return nil, err
	}
	key := in.get("public_key", "publicKey")
	if key == "" {
		return nil, missing
	}
	return d.finish(r, m, ch, map[string]any{"publicKey": key, "publicKeyId": in.get("public_key_id", "publicKeyId"), "device_id": phone.ID, "displayName": "TOUCHID"}, nil)
}

// finish lets the method's own call enrol, for the session in which it was begun
// and no later than that allows.
func (d Door) finish(r *http.Request, m method, ch authn.Challenge[enrolment], doc map[string]any, photo []byte) (any, error) {
	ctx := r.Context()
	app, err := apps.Find(ctx, d.Kit.DB, ch.Subject.App)
	if err != nil {
		return nil, err
	}
	s, err := d.fresh(ctx, ch.Data.Session, app)
	if err != nil {
		return nil, err
	}
	x := d.exec(r, apps.Client{ID: ch.Data.Client}, app)
	x.User, x.Proofs, x.Values = s.User, s.Proofs, me
	if photo != nil {
		if err := capture(ctx, x, ch.Data.Ref, ch.Data.Token, photo); err != nil {
			return nil, err
		}
	}
	if _, err := backend.Do(ctx, m.setup, x, doc); fault.Is(err, fault.Conflict) {
		return nil, configured.because(err)
	} else if err != nil {
		return nil, err
	}
	return d.over(r, ch)
}

// me answers the wildcard of a call about the user of the token.
func me(name string) string {
	if name == "user_id" {
		return "me"
	}
	return ""
}

// over ends an enrolment well.
func (d Door) over(r *http.Request, ch authn.Challenge[enrolment]) (any, error) {
	err := d.Kit.DB.Move(r.Context(), func(tx *db.Tx) error {
		next := ch
		if err := authn.Move(r.Context(), tx, &next, authn.Allowed); err != nil {
			return err
		}
		ch = next
		return nil
	})
	return d.enrolled(ch), said(err)
}

// unjoined is the one refusal among errors that were joined.
func unjoined(err error) error {
	if v, ok := errors.AsType[*ver](err); ok {
		return v
	}
	return said(err)
}

func (d Door) enrolled(ch authn.Challenge[enrolment]) map[string]any {
	return map[string]any{"exchange_id": held(d.Kit.DB, ch.ID, ch.Turn, ch.Expires), "sub": string(ch.Subject.User), "status_id": string(ch.ID), "enrolled": true}
}

// confirm is the first code of an authenticator app.
func (d Door) confirm(r *http.Request, m method, ch authn.Challenge[enrolment], code string) (any, error) {
	app, err := apps.Find(r.Context(), d.Kit.DB, ch.Subject.App)
	if err != nil {
		return nil, err
	}
	if m.Type != "TOTP" {
		return nil, wrongStage
	}
	if _, err := m.call(r.Context(), d.exec(r, apps.Client{}, app), m.judge, ch.Subject.User, map[string]any{m.code: code}); err != nil {
		return nil, err
	}
	return d.over(r, ch)
}
