package push_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/watchword-auth/watchword/internal/authenticators/push"
	"github.com/watchword-auth/watchword/internal/authn"
	"github.com/watchword-auth/watchword/internal/db"
	"github.com/watchword-auth/watchword/internal/fault"
	"github.com/watchword-auth/watchword/internal/journey"
)

// joined is a phone that answers the one open request, at the prompt for its
// owner's biometrics.
func (h *house) joined(t *testing.T, p *handset, number string) *talk {
	t.Helper()
	k, err := h.join(t, p, h.pending(t, p)[0].ID)
	if err != nil {
		t.Fatal(err)
	}
	return k.want(t, "push.validate_code").say(t, "", map[string]any{"passcode": number}).want(t, "biometric.authenticate")
}

// TestP3SignaturesAreBound: what the phone signs commits to one request, and is
// good for no other.
func TestP3SignaturesAreBound(t *testing.T) {
	h := newHouse(t)
	p := newHandset(t, 0)
	h.register(t, p, grace)
	b := h.ask(t, grace)
	first, _ := h.joined(t, p, number(b)).Prompt.Data["biometrics_challenge"].(string)
	_, commitment, ok := strings.Cut(first, ".")
	if !ok || len(commitment) != 43 {
		t.Fatalf("the challenge %q commits to nothing", first)
	}
	b = h.ask(t, grace).want(t, "push.wait")
	k := h.joined(t, p, number(b))
	if second, _ := k.Prompt.Data["biometrics_challenge"].(string); second == first || strings.HasSuffix(second, commitment) {
		t.Errorf("two requests commit to the same: %s and %s", first, second)
	}
	k.say(t, "", map[string]any{"publicKeyId": "bio-1", "signedChallenge": p.signBio(t, first), "userIdentifier": grace}).want(t, "end")
	if k.End.OK {
		t.Error("a signature for another request approved this one")
	}
	if b.say(t, "", nil).want(t, "end"); b.End.OK {
		t.Error("and the browser signed in")
	}
}

// TestP4TurnsAreSpent: the turn of a request changes at every move, and what was
// read before a move moves nothing after it.
func TestP4TurnsAreSpent(t *testing.T) {
	h := newHouse(t)
	p := newHandset(t, 0)
	h.register(t, p, grace)
	b := h.ask(t, grace)
	id := authn.ChallengeID(h.pending(t, p)[0].ID)
	before, err := authn.Recall[push.Request](t.Context(), h.DB, id)
	if err != nil {
		t.Fatal(err)
	}
	h.joined(t, p, number(b))
	after, err := authn.Recall[push.Request](t.Context(), h.DB, id)
	if err != nil || after.Turn == before.Turn {
		t.Fatalf("the turn stayed %q (%v)", after.Turn, err)
	}
	if err := after.Play(before.Turn); err == nil {
		t.Error("an old turn may be played")
	}
	stale := before
	if err := h.DB.Move(t.Context(), func(tx *db.Tx) error { return authn.Move(t.Context(), tx, &stale, authn.Denied) }); !fault.Is(err, fault.Expired) {
		t.Errorf("a move from an old turn: %v", err)
	}
	if now, err := authn.StateOf(t.Context(), h.DB, id); err != nil || !now.Open() {
		t.Errorf("the request is %s (%v)", now, err)
	}
}

// TestP10ParametersSelectNobody: what a phone sends along is data; user, device
// and amount are those of the request.
func TestP10ParametersSelectNobody(t *testing.T) {
	h := newHouse(t)
	p, other := newHandset(t, 0), newHandset(t, 1)
	h.register(t, p, grace)
	h.register(t, other, "mallory@example.org")
	b := h.ask(t, grace)
	id := h.pending(t, p)[0].ID
	evil := map[string]any{"external_user_id": "mallory@example.org", "user_id": "mallory@example.org", "device_id": "dev_x", "correlation_id": "chl_x", "approval_data": map[string]any{"amount": "1"}}
	r, err := push.Join(t.Context(), h.Kit, h.engine, push.JoinRequest{Request: id, Signature: p.sign(t, id), App: h.app, Client: h.native, Caller: p.caller(), Params: evil})
	if err != nil {
		t.Fatal(err)
	}
	k := &talk{h, r.Session, p.caller(), r}
	k.want(t, "push.validate_code").say(t, "", map[string]any{"passcode": number(b)}).want(t, "biometric.authenticate")
	if h.bio(t, k, p); !k.End.OK || k.End.User != "" && k.End.User != k.End.Proofs[0].User() {
		t.Fatalf("the phone's end %+v", k.End)
	}
	b.say(t, "", nil).want(t, "end")
	got, err := authn.Recall[push.Request](t.Context(), h.DB, authn.ChallengeID(id))
	if err != nil || !b.End.OK || b.End.User != got.Subject.User {
		t.Errorf("%s signed in, for a request to %s (%v)", b.End.User, got.Subject.User, err)
	}
}

// paying asks for a signature under a payment.
func (h *house) paying(t *testing.T, amount string) *talk {
	t.Helper()
	g := journey.Graph{ID: "pay", Name: "pay", Kind: journey.KindClient, Start: "push", Nodes: map[string]journey.Node{
		"push": {Kind: "push.authenticate", Config: map[string]any{"user": grace, "journey": "mobile_approve", "approval_data": map[string]any{"amount": amount, "payee": "ACME"}},
			Next: map[journey.Outcome]string{"success": "done", "failure": "no", "cancel": "no", "no_devices": "no"}},
		"done": {Kind: "complete"}, "no": {Kind: "reject"}}}
	h.Do(t, func(tx *db.Tx) error { _, err := journey.Publish(t.Context(), tx, "t1", g); return err })
	return h.start(t, "pay", h.web, browser).want(t, "push.wait")
}

// TestP13ThePhoneShowsTheRecord: what is shown where the number is typed, and in
// the list before, is what the browser's side asked for, and the receipt says
// the same.
func TestP13ThePhoneShowsTheRecord(t *testing.T) {
	h := newHouse(t)
	p := newHandset(t, 0)
	h.register(t, p, grace)
	b := h.paying(t, "1500.00")
	if listed := h.pending(t, p)[0].Approval; listed["amount"] != "1500.00" || listed["payee"] != "ACME" {
		t.Errorf("listed as %v", listed)
	}
	k, err := h.join(t, p, h.pending(t, p)[0].ID)
	if err != nil {
		t.Fatal(err)
	}
	if shown, _ := k.want(t, "push.validate_code").Prompt.Data["approval_data"].(map[string]any); shown["amount"] != "1500.00" || len(shown) != 2 {
		t.Errorf("shown as %v", shown)
	}
	k.say(t, "", map[string]any{"passcode": number(b)}).want(t, "biometric.authenticate")
	h.bio(t, k, p)
	b.say(t, "", nil).want(t, "end")
	if len(b.End.Approvals) != 1 || b.End.Approvals[0].Data["amount"] != "1500.00" || b.End.Approvals[0].Hash != journey.ApprovalHash(b.End.Approvals[0].Data) {
		t.Errorf("approved %+v", b.End.Approvals)
	}
}

// TestP15OneTransaction: a move that does not commit leaves neither its effect
// nor its record; one that does leaves both.
func TestP15OneTransaction(t *testing.T) {
	h := newHouse(t)
	p := newHandset(t, 0)
	h.register(t, p, grace)
	b := h.ask(t, grace)
	k, err := h.join(t, p, h.pending(t, p)[0].ID)
	if err != nil {
		t.Fatal(err)
	}
	k.want(t, "push.validate_code")
	var id authn.ChallengeID
	if err := h.DB.QueryRow(t.Context(), `SELECT id FROM challenges`).Scan(&id); err != nil {
		t.Fatal(err)
	}
	rows := func() (n int) {
		t.Helper()
		if err := h.DB.QueryRow(t.Context(), `SELECT COUNT(*) FROM audit`).Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	before := rows()
	boom := errors.New("the power goes")
	err = h.DB.Tx(t.Context(), func(tx *db.Tx) error {
		if err := push.Enter(t.Context(), tx, id, "not "+number(b)); !fault.Is(err, fault.Wrong) {
			t.Errorf("a wrong number: %v", err)
		}
		return boom
	})
	if st, e := authn.StateOf(t.Context(), h.DB, id); !errors.Is(err, boom) || e != nil || !st.Open() || rows() != before {
		t.Errorf("after a move that was undone: %s, %d rows of %d (%v, %v)", st, rows(), before, err, e)
	}
	h.Do(t, func(tx *db.Tx) error {
		if err := push.Enter(t.Context(), tx, id, "not "+number(b)); !fault.Is(err, fault.Wrong) {
			return err
		}
		return nil
	})
	if st, err := authn.StateOf(t.Context(), h.DB, id); err != nil || st != authn.Denied || rows() == before {
		t.Errorf("after one that was not: %s, %d rows of %d (%v)", st, rows(), before, err)
	}
}

// TestJ3LeavingLeavesNothing: whoever takes another way leaves no request behind
// that could still be approved.
func TestJ3LeavingLeavesNothing(t *testing.T) {
	h := newHouse(t)
	p := newHandset(t, 0)
	h.register(t, p, grace)
	b := h.ask(t, grace).want(t, "push.wait")
	id, old := h.pending(t, p)[0].ID, number(b)
	b.say(t, "another_way", nil).want(t, "login_form")
	if list := h.pending(t, p); len(list) != 0 {
		t.Errorf("still pending: %v", list)
	}
	if _, err := h.join(t, p, id); !fault.Is(err, fault.Expired) {
		t.Errorf("joining what was left: %v", err)
	}
	b.say(t, "web_to_mobile", map[string]any{"email": grace}).want(t, "push.wait")
	if list := h.pending(t, p); len(list) != 1 || list[0].ID == id {
		t.Errorf("the new request: %v (the old number was %s)", list, old)
	}
}
