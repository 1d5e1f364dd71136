// Package password is the method of a secret that people remember. Every hash
// is slow, so all of it happens outside transactions, behind one gate; what is
// decided is charged before it is judged all the same (authn.Weigh).
package password

import (
	"context"
	"slices"
	"time"

	"github.com/watchword-auth/watchword/internal/apps"
	"github.com/watchword-auth/watchword/internal/authn"
	"github.com/watchword-auth/watchword/internal/backend"
	"github.com/watchword-auth/watchword/internal/db"
	"github.com/watchword-auth/watchword/internal/directory"
	"github.com/watchword-auth/watchword/internal/fault"
	"github.com/watchword-auth/watchword/internal/form"
	"github.com/watchword-auth/watchword/internal/lockout"
	"github.com/watchword-auth/watchword/internal/session"
)

// Kind names the method.
const Kind authn.Kind = "password"

func init() {
	authn.Register(authn.Method{
		Kind: Kind, Title: "Password", Lives: authn.PerApp, Counts: authn.PerApp, Unlock: authn.PerApp, AMR: []string{"pwd"},
		Config: append(form.New(
			form.Number("min_length", "Characters at least", form.Default(15), form.Between(5, 128)),
			form.Number("complexity", "Complexity", form.Default(0), form.Between(0, 5),
				form.Help("0 is off; 1 to 4: that many of small letter, capital letter, digit, symbol; 5: all four and no three equal or consecutive characters in a row.")),
			form.Number("history", "Previous passwords that are blocked", form.Default(0), form.Between(0, 20)),
			form.Boolean("hibp", "Refuse passwords from data breaches", form.Default(true)),
			form.Text("hibp_url", "Have I Been Pwned service", form.Default("https://api.pwnedpasswords.com"), form.Help("It learns five hex digits of a hash.")),
			form.Text("hibp_file", "File of breached hashes", form.Help("Sorted lines of SHA-1:count on the server, instead of the service.")),
			form.Boolean("hibp_open", "Accept a password when the service is away", form.Default(true)),
			form.Boolean("dictionary", "Refuse words of the dictionary", form.Default(false), form.Help("The dictionary is kept through the API.")),
			form.Boolean("never_expires", "Passwords never expire", form.Default(true)),
			form.Number("expires_days", "Days until a password expires", form.Default(90), form.Between(1, 1096)),
			form.Number("reset_minutes", "Minutes that a reset is good for", form.Default(5), form.Between(5, 60)),
			form.Number("reset_code_length", "Digits of a reset code", form.Default(6), form.Between(4, 8)),
			form.Boolean("reset_mfa", "A reset needs another factor", form.Default(false)),
			form.Boolean("notify", "Tell the user of a new password", form.Default(true)),
			form.Number("temporary_hours", "Hours that a temporary password is good for", form.Default(24), form.Between(1, 8760)),
		), lockout.Fields(100, lockout.Tier{Failures: 5, Minutes: 1}, lockout.Tier{Failures: 8, Minutes: 15}, lockout.Tier{Failures: 10, Minutes: 60})...),
		Lint: lint,
	})
}

type settings struct {
	MinLength    int    `json:"min_length"`
	Complexity   int    `json:"complexity"`
	History      int    `json:"history"`
	HIBP         bool   `json:"hibp"`
	HIBPURL      string `json:"hibp_url"`
	HIBPFile     string `json:"hibp_file"`
	HIBPOpen     bool   `json:"hibp_open"`
	Dictionary   bool   `json:"dictionary"`
	NeverExpires bool   `json:"never_expires"`
	ExpiresDays  int    `json:"expires_days"`
	ResetMinutes int    `json:"reset_minutes"`
	ResetMFA     bool   `json:"reset_mfa"`
	Temporary    int    `json:"temporary_hours"`
}

// kept is what the server keeps of a password.
type kept struct {
	Hash      string    `json:"hash"`
	Previous  []string  `json:"previous,omitempty"` // hashes, newest first
	SetAt     time.Time `json:"set_at"`
	Temporary time.Time `json:"temporary,omitzero"` // until when it is good, if somebody else chose it
}

// State is what a right password is worth.
type State string

const (
	Good      State = "good"
	Temporary State = "temporary" // must be replaced now
	Expired   State = "expired"   // must be replaced now
)

func (k kept) state(set settings, now time.Time) State {
	switch {
	case !k.Temporary.IsZero():
		return Temporary
	case !set.NeverExpires && now.Sub(k.SetAt) >= time.Duration(set.ExpiresDays)*24*time.Hour:
		return Expired
	}
	return Good
}

// handle makes a user's password the only one of theirs in an application.
func handle(u directory.UserID) string { return "user/" + string(u) }

// Checked is a password that was judged, outside any transaction. Settle it.
type Checked struct {
	verdict authn.Verdict
	state   State
	cred    authn.Credential[kept]
	again   string // a new hash, if the old one was made by older rules
	nobody  error  // there is no such user
	typed   string
}

// Check judges a password for the user whom u names; err is what finding them
// said. A temporary password that has run out, and one of a user who has none,
// are wrong, and take as long.
func Check(ctx context.Context, d *db.DB, s authn.Subject, err error, typed, password string) (Checked, error) {
	s.Kind = Kind
	c := Checked{typed: typed, nobody: err}
	if err != nil {
		if !fault.Is(err, fault.NotFound) {
			return c, err
		}
		_, err := matches(ctx, d.Vault(), nobody, password)
		return c, err
	}
	var set settings
	c.verdict = authn.Weigh(ctx, d, s, func() (authn.CredentialID, error) {
		if err := authn.Settings(ctx, d, s.App, Kind, &set); err != nil {
			return "", err
		}
		creds, err := authn.Credentials[kept](ctx, d, s)
		if err != nil {
			return "", err
		}
		hash := nobody
		if len(creds) > 0 {
			c.cred, hash = creds[0], creds[0].Data.Hash
		}
		ok, err := matches(ctx, d.Vault(), hash, password)
		if err != nil {
			return "", err
		}
		late := !c.cred.Data.Temporary.IsZero() && !d.Now().Before(c.cred.Data.Temporary)
		if !ok || len(creds) == 0 || late {
			return "", authn.Wrong
		}
		if !current(hash) {
			c.again, err = newHash(ctx, d.Vault(), password)
		}
		c.state = c.cred.Data.state(set, d.Now())
		return c.cred.ID, err
	})
	return c, nil
}

// Settle turns what Check found into a proof, in the transaction that relies on
// it. A password that must be replaced gives its state and no proof. Wrong must
// be committed.
func (c Checked) Settle(ctx context.Context, tx *db.Tx, tenant apps.TenantID, app apps.ID) (authn.Proof, State, error) {
	if c.nobody != nil {
		return authn.Proof{}, "", authn.Unknown(ctx, tx, c.nobody, Kind, tenant, app, c.typed)
	}
	p, err := c.verdict.Settle(ctx, tx)
	if err != nil {
		return authn.Proof{}, "", err
	}
	if c.state != Good {
		return authn.Proof{}, c.state, nil
	}
	if c.again != "" {
		c.cred.Data.Hash = c.again
	}
	return p, Good, authn.Touch(ctx, tx, c.cred)
}

// Fresh is a new password that may be set: hashed, outside any transaction.
type Fresh struct{ hash string }

// Prepare checks a new password against every rule and hashes it. fault.Invalid,
// with the vendor's word, says what is wrong with it. lax leaves the rules out:
// for one that somebody else chose and that is replaced at once.
func Prepare(ctx context.Context, d *db.DB, app apps.App, u directory.User, password string, lax bool) (Fresh, error) {
	var set settings
	if err := authn.Settings(ctx, d, app.ID, Kind, &set); err != nil {
		return Fresh{}, backend.Code(err, "auth_password_policy_disabled")
	}
	if lax {
		set = settings{MinLength: 1}
	}
	if err := acceptable(ctx, d, set, app, u, password); err != nil {
		return Fresh{}, err
	}
	if u.ID != "" && !lax {
		if err := unused(ctx, d, authn.Subject{Kind: Kind, Tenant: app.Tenant, App: app.ID, User: u.ID}, set.History, password); err != nil {
			return Fresh{}, err
		}
	}
	hash, err := newHash(ctx, d.Vault(), password)
	return Fresh{hash}, err
}

// unused refuses one of the newest passwords of a user: the present one, if
// history is on, and so many before.
func unused(ctx context.Context, d *db.DB, s authn.Subject, history int, password string) error {
	if history == 0 {
		return nil
	}
	creds, err := authn.Credentials[kept](ctx, d, s)
	if err != nil || len(creds) == 0 {
		return err
	}
	all := append([]string{creds[0].Data.Hash}, creds[0].Data.Previous...)
	for _, hash := range all[:min(len(all), history)] {
		same, err := matches(ctx, d.Vault(), hash, password)
		if err != nil {
			return err
		}
		if same {
			return backend.Code(fault.New(fault.Invalid, "You have used this password before. Choose another one."), "auth_password_recently_used")
		}
	}
	return nil
}

// Imported is a hash that another system made; fault.Invalid if it is of no known
// kind.
func Imported(hash string) (Fresh, error) {
	_, err := parse(hash)
	return Fresh{hash}, err
}

// Set gives a user a new password and ends their sessions in the application. A
// temporary one is good for the hours that the settings say, and only to be
// replaced. only says that the user must not have one: fault.Conflict.
func Set(ctx context.Context, tx *db.Tx, s authn.Subject, f Fresh, temporary, only bool) (authn.CredentialID, error) {
	s.Kind = Kind
	var set settings
	if err := authn.Settings(ctx, tx, s.App, Kind, &set); err != nil {
		return "", err
	}
	k := kept{Hash: f.hash, SetAt: tx.Now()}
	if temporary {
		k.Temporary = tx.Now().Add(time.Duration(set.Temporary) * time.Hour)
	}
	creds, err := authn.Credentials[kept](ctx, tx, s)
	if err != nil {
		return "", err
	}
	if len(creds) == 0 {
		id, err := authn.Enroll(ctx, tx, s, handle(s.User), "", k)
		if fault.Is(err, fault.Conflict) { // it is there and deactivated
			err = backend.Code(fault.New(fault.Denied, "The password is locked."), "auth_not_active")
		}
		return id, err
	}
	if only {
		return "", backend.Code(fault.New(fault.Conflict, "There is a password already."), "auth_password_already_configured")
	}
	c := creds[0]
	k.Previous = append([]string{c.Data.Hash}, c.Data.Previous...)
	k.Previous = slices.Clip(k.Previous[:min(len(k.Previous), 20)])
	c.Data = k
	if err := authn.Use(ctx, tx, c); err != nil {
		return "", err
	}
	_, err = session.EndAll(ctx, tx, s.Tenant, s.App, s.User)
	return c.ID, err
}

// proven makes the proof of somebody who has just replaced their password, after
// the old one was found right in the same visit or a reset was redeemed.
func proven(ctx context.Context, tx *db.Tx, s authn.Subject, id authn.CredentialID) (authn.Proof, error) {
	s.Kind = Kind
	return authn.Attempt(ctx, tx, s, func() (authn.CredentialID, error) { return id, nil })
}
