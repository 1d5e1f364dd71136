// Package password is the method of a secret that people remember. Every hash
// is slow, so all of it happens outside transactions, behind one gate; what is
// decided is charged before it is judged all the same (authn.Weigh).
package password

import (
	"context"
	"slices"
	"time"

	"github.com/watchword-auth/watchword/internal/apps"
	"github.com/watchword-auth/watchword/internal/audit"
	"github.com/watchword-auth/watchword/internal/authn"
	"github.com/watchword-auth/watchword/internal/backend"
	"github.com/watchword-auth/watchword/internal/db"
	"github.com/watchword-auth/watchword/internal/directory"
	"github.com/watchword-auth/watchword/internal/fault"
	"github.com/watchword-auth/watchword/internal/form"
	"github.com/watchword-auth/watchword/internal/lockout"
	"github.com/watchword-auth/watchword/internal/message"
	"github.com/watchword-auth/watchword/internal/session"
)

// Kind names the method.
const Kind authn.Kind = "password"

// said are the messages of the method.
var said = []string{message.ResetCode, message.ResetLink, message.Changed}

func init() {
	authn.Register(authn.Method{
		Kind: Kind, Title: "Password", Lives: authn.PerApp, Counts: authn.PerApp, Unlock: authn.PerApp, Tells: true, Shares: true, Factor: authn.Knows, AMR: []string{"pwd"},
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
			form.Number("temporary_hours", "Hours that a temporary password is good for", form.Default(24), form.Between(1, 8760)),
		), append(message.Fields(said...), lockout.Fields(100, lockout.Tier{Failures: 5, Minutes: 1}, lockout.Tier{Failures: 8, Minutes: 15}, lockout.Tier{Failures: 10, Minutes: 60})...)...),
		Lint: lint, Check: message.CheckSettings, Messages: said,
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
	ResetLength  int    `json:"reset_code_length"`
	ResetMFA     bool   `json:"reset_mfa"`
	Notify       bool   `json:"notify"`
	Temporary    int    `json:"temporary_hours"`
	message.Style
}

// kept is what the server keeps of a password.
type kept struct {
	Hash      string    `json:"hash"`
	Was       string    `json:"was,omitempty"`      // keyed hash of the hash that a sign-in made this one from: the same password
	Previous  []string  `json:"previous,omitempty"` // hashes, newest first
	SetAt     time.Time `json:"set_at"`
	Temporary time.Time `json:"temporary,omitzero"` // until when it is good, if somebody else chose it
	Checked   time.Time `json:"checked,omitzero"`   // against known breaches; zero: never
	Reset     *reset    `json:"reset,omitempty"`
}

// State is what a right password is worth.
type State string

const (
	Good      State = "good"
	Temporary State = "temporary" // must be replaced now
	Expired   State = "expired"   // must be replaced now
	Breached  State = "breached"  // must be replaced now
)

// recheck is how long a password is taken to be in no breach.
const recheck = 7 * 24 * time.Hour

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
	again   string    // a new hash, if the old one was made by older rules
	checked time.Time // when it was last looked up among breaches, if it was now
}

// Check judges a password for the user whom s names; err is what finding them
// said. A temporary password that has run out, and one of a user who has none,
// are wrong, and take as long. So does somebody unknown, whose name is charged.
func Check(ctx context.Context, d *db.DB, s authn.Subject, err error, typed, password string) (Checked, error) {
	s.Kind = Kind
	var c Checked
	if fault.Is(err, fault.NotFound) {
		s.User, err = authn.NobodyID(d, typed), nil
	}
	if err != nil {
		return c, err
	}
	c.verdict = authn.Weigh(ctx, d, s, func() (authn.CredentialID, error) { return c.judge(ctx, d, s, password) })
	return c, nil
}

// outage reports whether an error is none of the user's doing.
func outage(err error) bool { return fault.Is(err, fault.Internal) || fault.Is(err, fault.Unavailable) }

func (c *Checked) judge(ctx context.Context, d *db.DB, s authn.Subject, password string) (authn.CredentialID, error) {
	var set settings
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
	if c.state = c.cred.Data.state(set, d.Now()); c.state == Good && set.HIBP && d.Now().Sub(c.cred.Data.Checked) >= recheck {
		c.lookUp(ctx, set, d.Now(), password)
	}
	return c.cred.ID, err
}

// lookUp asks once a week whether a good password has leaked since it was set. A
// service that is away keeps nobody out, and is asked again in a day.
func (c *Checked) lookUp(ctx context.Context, set settings, now time.Time, password string) {
	switch seen, err := leaked(ctx, set, normal(password)); {
	case err != nil:
		c.checked = now.Add(24*time.Hour - recheck)
	case seen:
		c.state = Breached
	default:
		c.checked = now
	}
}

// Settle turns what Check found into a proof, in the transaction that relies on
// it. A password that must be replaced gives its state and no proof. Wrong must
// be committed.
func (c Checked) Settle(ctx context.Context, tx *db.Tx) (authn.Proof, State, error) {
	p, err := c.verdict.Settle(ctx, tx)
	if err != nil {
		return authn.Proof{}, "", err
	}
	if c.state != Good {
		return authn.Proof{}, c.state, nil
	}
	now, err := present(ctx, tx, c.cred.Subject, c.cred.Data.Hash)
	if err != nil {
		return authn.Proof{}, "", err
	}
	if c.again != "" && now.Data.Hash == c.cred.Data.Hash { // of many at once the first stores its new hash
		now.Data.Hash, now.Data.Was = c.again, was(tx, c.cred.Data.Hash)
	}
	if !c.checked.IsZero() {
		now.Data.Checked = c.checked
	}
	return p, Good, authn.Touch(ctx, tx, now)
}

// was names a hash that a new one of the same password took the place of.
func was(q db.Q, hash string) string { return q.Vault().Hash("password was", hash) }

// present is the password as it is kept now; fault.Conflict if it is not the one
// whose hash was judged. One that another sign-in hashed anew meanwhile is.
func present(ctx context.Context, q db.Q, s authn.Subject, hash string) (authn.Credential[kept], error) {
	creds, err := authn.Credentials[kept](ctx, q, s)
	if err == nil && (len(creds) == 0 || creds[0].Data.Hash != hash && creds[0].Data.Was != was(q, hash)) {
		err = fault.New(fault.Conflict, "The password was changed a moment ago. Try again.")
	}
	if err != nil {
		return authn.Credential[kept]{}, err
	}
	return creds[0], nil
}

// Fresh is a new password that may be set: hashed, outside any transaction.
type Fresh struct {
	hash    string
	checked bool // it is in no known breach
	blind   bool // it was to be looked up among breaches and could not be
}

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
	var f Fresh
	if set.HIBP {
		var err error
		if f.blind, err = breached(ctx, set, normal(password)); err != nil {
			return Fresh{}, err
		}
		f.checked = !f.blind
	}
	if u.ID != "" && !lax {
		if err := unused(ctx, d, authn.Subject{Kind: Kind, Tenant: app.Tenant, App: app.ID, User: u.ID}, set.History, password); err != nil {
			return Fresh{}, err
		}
	}
	var err error
	f.hash, err = newHash(ctx, d.Vault(), password)
	return f, err
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
	return Fresh{hash: hash}, err
}

// Set gives a user a new password and ends their sessions in the application. A
// temporary one is good for the hours that the settings say, and only to be
// replaced. only says that the user must not have one: fault.Conflict.
func Set(ctx context.Context, tx *db.Tx, s authn.Subject, f Fresh, temporary, only bool) (authn.CredentialID, error) {
	s.Kind = Kind
	creds, err := authn.Credentials[kept](ctx, tx, s)
	if err != nil {
		return "", err
	}
	if len(creds) > 0 && only {
		return "", backend.Code(fault.New(fault.Conflict, "There is a password already."), "auth_password_already_configured")
	}
	if len(creds) > 0 {
		return creds[0].ID, replace(ctx, tx, creds[0], f, temporary)
	}
	k, _, err := keep(ctx, tx, s, f, temporary)
	if err != nil {
		return "", err
	}
	id, err := authn.Enroll(ctx, tx, s, handle(s.User), "", k)
	if fault.Is(err, fault.Conflict) { // it is there and deactivated
		err = backend.Code(fault.New(fault.Denied, "The password is locked."), "auth_not_active")
	}
	return id, err
}

// keep is what is stored of a new password. One that could not be looked up
// among breaches, and was let pass, leaves a record.
func keep(ctx context.Context, tx *db.Tx, s authn.Subject, f Fresh, temporary bool) (kept, settings, error) {
	var set settings
	if err := authn.Settings(ctx, tx, s.App, Kind, &set); err != nil {
		return kept{}, set, err
	}
	k := kept{Hash: f.hash, SetAt: tx.Now()}
	if temporary {
		k.Temporary = tx.Now().Add(time.Duration(set.Temporary) * time.Hour)
	}
	if f.checked {
		k.Checked = tx.Now()
	}
	if !f.blind {
		return k, set, nil
	}
	return k, set, audit.Record(ctx, tx, audit.Event{Tenant: string(s.Tenant), App: string(s.App), Type: "password.unchecked", Target: string(s.User), Reason: "service_away", Outcome: "success"})
}

// replace stores a new password over the one in c, which must not have changed
// since it was read (fault.Conflict), ends the sessions that the old one may have
// opened, and any reset, and tells the user.
func replace(ctx context.Context, tx *db.Tx, c authn.Credential[kept], f Fresh, temporary bool) error {
	s := c.Subject
	k, set, err := keep(ctx, tx, s, f, temporary)
	if err != nil {
		return err
	}
	k.Previous = append([]string{c.Data.Hash}, c.Data.Previous...)
	k.Previous = slices.Clip(k.Previous[:min(len(k.Previous), 20)])
	c.Data = k
	if err := authn.Use(ctx, tx, c); err != nil {
		return err
	}
	if err := authn.Replaced(ctx, tx, s); err != nil {
		return err
	}
	if _, err := session.EndAll(ctx, tx, s.Tenant, s.App, s.User); err != nil || !set.Notify {
		return err
	}
	return tell(ctx, tx, s, set.Style)
}

// Renew replaces the password that was judged in c, and no other: if it was
// changed since then, perhaps because somebody else knew it, it is
// fault.Conflict.
func (c Checked) Renew(ctx context.Context, tx *db.Tx, f Fresh) (authn.CredentialID, error) {
	return renew(ctx, tx, c.cred.Subject, c.cred.Data.Hash, f)
}

func renew(ctx context.Context, tx *db.Tx, s authn.Subject, hash string, f Fresh) (authn.CredentialID, error) {
	now, err := present(ctx, tx, s, hash)
	if err != nil {
		return "", err
	}
	return now.ID, replace(ctx, tx, now, f, false)
}

// tell mails the user that the password is another now, if they have an address.
func tell(ctx context.Context, tx *db.Tx, s authn.Subject, style message.Style) error {
	to, err := address(ctx, tx, s.User, directory.Email)
	if err != nil || to == "" {
		return err
	}
	app, err := apps.Find(ctx, tx, s.App)
	if err != nil {
		return err
	}
	return message.Mail(ctx, tx, app, to, message.Changed, message.Data{Language: directory.Language(ctx, tx, s.Tenant, s.User), Style: style})
}

// address is the user's primary one of a kind, or "".
func address(ctx context.Context, q db.Q, u directory.UserID, kind directory.IdentifierKind) (string, error) {
	ids, err := directory.Identifiers(ctx, q, u)
	for _, i := range ids {
		if i.Kind == kind && i.Primary {
			return i.Value, err
		}
	}
	return "", err
}

// proven makes the proof of somebody who has just replaced their password, after
// the old one was found right in the same visit or a reset was redeemed.
func proven(ctx context.Context, tx *db.Tx, s authn.Subject, id authn.CredentialID) (authn.Proof, error) {
	s.Kind = Kind
	return authn.Attempt(ctx, tx, s, func() (authn.CredentialID, error) { return id, nil })
}
