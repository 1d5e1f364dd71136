package cidaas

import (
	"net/http"
	"strings"

	"github.com/watchword-auth/watchword/internal/apps"
	"github.com/watchword-auth/watchword/internal/authenticators/push"
	"github.com/watchword-auth/watchword/internal/authn"
	"github.com/watchword-auth/watchword/internal/db"
	"github.com/watchword-auth/watchword/internal/fault"
)

// reply is what a phone's call says.
func (d Door) reply(r *http.Request, in body) (push.Reply, error) {
	t := tripleOf(in)
	if in.get("exchange_id") == "" || t.Device == "" || t.PushID == "" || t.Client == "" {
		return push.Reply{}, missing
	}
	if _, err := methodOf(r.PathValue("method"), apps.Client{}); err != nil {
		return push.Reply{}, err
	}
	id, turn, err := parted(d.Kit.DB, in.get("exchange_id"))
	return push.Reply{ID: id, Turn: turn, Unsigned: d.Kit.Dev, Triple: t, As: r.PathValue("method")}, err
}

// said translates a refusal of a phone's answer.
func said(err error) error {
	switch {
	case err == nil:
		return nil
	case fault.Of(err) == push.NotOpen:
		return lateExchange
	case fault.Of(err) == push.NotItsTurn, fault.Of(err) == authn.Gone:
		return badExchange
	case fault.Of(err) == push.NotThis:
		return wrongDevice
	case fault.Of(err) == push.NotYet:
		return wrongStage
	case fault.Is(err, fault.Locked):
		return wrongCode.because(err)
	}
	return err
}

// take is acknowledge and allow.
func (d Door) take(from, to authn.State) handler {
	return func(r *http.Request, in body) (any, error) {
		reply, err := d.reply(r, in)
		if err != nil {
			return nil, err
		}
		var ch push.Challenge
		err = d.Kit.DB.Move(r.Context(), func(tx *db.Tx) (err error) {
			ch, err = reply.Take(r.Context(), tx, from, to)
			return err
		})
		if err != nil {
			return nil, said(err)
		}
		out := d.stood(ch)
		if to == authn.Allowed && ch.Data.Signs {
			out["signed_challenge"], err = d.challenge(r, ch)
			return out, err
		}
		if to == authn.Allowed {
			out["push_random_numbers"] = listed(ch.Data.Choices)
			return out, nil
		}
		for name, v := range map[string]any{"push_id": in.get("push_id"), "device_id": in.get("device_id"), "client_id": in.get("client_id"), "client_name": ch.Data.ClientAs, "message": approvalText(ch),
			"address": place(ch.Data.Place), "device_info": browser(ch.Data.Browser)} {
			out[name] = v
		}
		return out, nil
	}
}

// approvalText is what is approved, in one line.
func approvalText(ch push.Challenge) string {
	if s, ok := ch.Data.Approval["message"].(string); ok {
		return s
	}
	var parts []string
	for _, name := range sorted(ch.Data.Approval) {
		if s, ok := ch.Data.Approval[name].(string); ok {
			parts = append(parts, name+": "+s)
		}
	}
	return strings.Join(parts, ", ")
}

func browser(agent string) map[string]any {
	return map[string]any{"user_device_id": "", "device_info": map[string]any{"os": map[string]any{"name": "", "version": ""}, "browser": map[string]any{"name": "", "version": "", "major": ""},
		"engine": map[string]any{"name": "", "version": ""}, "deviceMake": "", "deviceModel": "", "userAgent": agent}}
}

func listed(list []string) []string {
	if list == nil {
		return []string{}
	}
	return list
}

// stood is where a flow stands, with the exchange id of the next step.
func (d Door) stood(ch push.Challenge) map[string]any {
	return map[string]any{"exchange_id": held(d.Kit.DB, ch.ID, ch.Turn, ch.Expires), "sub": first(ch.Data.Masked, masked(d.Kit.DB, string(ch.ID), string(ch.Subject.User))), "status_id": string(ch.ID)}
}

func (d Door) deny(r *http.Request, in body) (any, error) {
	reply, err := d.reply(r, in)
	if err != nil {
		return nil, err
	}
	var ch push.Challenge
	err = d.Kit.DB.Move(r.Context(), func(tx *db.Tx) (err error) {
		ch, err = reply.Refuse(r.Context(), tx, clip(in.get("reason")))
		return err
	})
	if err != nil {
		return nil, said(err)
	}
	return d.stood(ch), nil
}

// cancel ends an open flow, of authentication or of enrolment, by any exchange id
// that was ever issued for it (cidaas-protocol 1.2, trap 1).
func (d Door) cancel(r *http.Request, in body) (any, error) {
	if in.get("exchange_id") == "" {
		return nil, missing
	}
	id, _, err := parted(d.Kit.DB, in.get("exchange_id"))
	if err != nil {
		return nil, err
	}
	var e authn.Challenge[enrolment]
	err = d.Kit.DB.Move(r.Context(), func(tx *db.Tx) (err error) {
		if e, err = authn.Recall[enrolment](r.Context(), tx, id); err != nil {
			return err
		}
		if !e.State.Open() || e.Data.Setup && e.State == authn.Allowed { // who is enrolled stays so
			return lateExchange
		}
		whole, err := authn.Recall[map[string]any](r.Context(), tx, id) // whatever its method keeps
		if err != nil {
			return err
		}
		whole.Data["reason"] = "cancelled"
		err = authn.Move(r.Context(), tx, &whole, authn.Cancelled)
		e.Turn = whole.Turn
		return err
	})
	if fault.Is(err, fault.NotFound) {
		err = badExchange
	}
	if err != nil {
		return nil, said(err)
	}
	return map[string]any{"exchange_id": held(d.Kit.DB, e.ID, e.Turn, e.Expires), "sub": e.Data.Masked, "status_id": string(e.ID)}, nil
}

// performPhone is the last answer of a phone: the number that was chosen or, where
// its owner signs, the signature.
func (d Door) performPhone(r *http.Request, in body, as string) (any, error) {
	signs := strings.EqualFold(as, "TOUCHID")
	code := in.get("pass_code", "passcode")
	if signs {
		code = in.get("signature", "signedChallenge", "attestation")
	}
	if code == "" {
		return nil, missingCode
	}
	reply, err := d.reply(r, in)
	if err != nil {
		return nil, err
	}
	if signs {
		return d.approve(r, in, reply, code)
	}
	var ch push.Challenge
	var wrong error
	err = d.Kit.DB.Move(r.Context(), func(tx *db.Tx) (err error) {
		wrong = nil
		ch, err = reply.Perform(r.Context(), tx, code)
		if f := fault.Of(err); f == push.NotOpen || f == push.NotItsTurn || f == push.NotThis || f == push.NotYet {
			return err
		}
		if fault.Is(err, fault.Wrong) || fault.Is(err, fault.Locked) || fault.Is(err, fault.Denied) {
			wrong, err = err, nil
		}
		return err
	})
	switch {
	case err != nil:
		return nil, said(err)
	case wrong != nil:
		return nil, wrongCode.because(wrong)
	}
	return d.stood(ch), nil
}

// challenge is what the owner of a phone signs to confirm a request.
func (d Door) challenge(r *http.Request, ch push.Challenge) (string, error) {
	app, err := apps.Find(r.Context(), d.Kit.DB, ch.Subject.App)
	if err != nil {
		return "", err
	}
	m := ofKind("biometric")
	out, err := m.call(r.Context(), d.exec(r, apps.Client{}, app), m.begin, ch.Subject.User, nil)
	doc, _ := out.Body.(map[string]any)
	text, _ := doc["challenge"].(string)
	return text, err
}

// approve judges the signature of a phone's owner. Whether the phone may answer at
// all is seen first; a wrong signature is charged and ends nothing.
func (d Door) approve(r *http.Request, in body, reply push.Reply, signature string) (any, error) {
	ctx := r.Context()
	ch, err := reply.Ready(ctx, d.Kit.DB)
	if err != nil {
		return nil, said(err)
	}
	app, err := apps.Find(ctx, d.Kit.DB, ch.Subject.App)
	if err != nil {
		return nil, err
	}
	m := ofKind("biometric")
	out, err := m.call(ctx, d.exec(r, apps.Client{}, app), m.judge, ch.Subject.User, map[string]any{"publicKeyId": in.get("public_key_id", "publicKeyId"), "signature": signature})
	if err != nil {
		return nil, err
	}
	err = d.Kit.DB.Move(ctx, func(tx *db.Tx) (err error) {
		ch, err = reply.Confirm(ctx, tx, out.Proof)
		return err
	})
	if err != nil {
		return nil, said(err)
	}
	return d.stood(ch), nil
}
