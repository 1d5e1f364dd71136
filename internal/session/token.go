// Package session turns proofs into what a client may show: sessions, the tokens
// of a session and of a back end, the journey token that says how a run ended, and
// the receipt of an approval. It makes no decision about who somebody is; it
// repeats what proofs say.
package session

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/watchword-auth/watchword/internal/apps"
	"github.com/watchword-auth/watchword/internal/authn"
	"github.com/watchword-auth/watchword/internal/db"
	"github.com/watchword-auth/watchword/internal/directory"
	"github.com/watchword-auth/watchword/internal/fault"
	"github.com/watchword-auth/watchword/internal/token"
)

// JourneyType is the "typ" of a journey token, so that it is taken for no other.
const JourneyType = "journey+jwt"

// Facts are what a journey token says. Without proofs it has no subject: it is
// the receipt of a registration and signs nobody in.
type Facts struct {
	ID      string // jti; the same facts make the same statement again
	At      time.Time
	Client  apps.ClientID
	App     apps.App
	Journey string
	Version int64
	Run     string
	Device  string
	Params  map[string]any
	Proofs  []authn.Proof
	Signed  []Receipt
	Claims  map[string]any // the author's own; reserved names are dropped
}

// reserved are the claims that an author cannot set (mosaic-protocol 2.11,
// security R82).
var reserved = []string{"iss", "sub", "aud", "exp", "iat", "nbf", "jti", "azp", "acr", "amr", "auth_time", "sid", "did", "pid", "pvid", "params", "ted", "tid", "cnf", "client_id", "scope", "nonce", "at_hash", "c_hash", "s_hash", "gid", "authorization_details", "act", "may_act", "app_id", "org_id", "registered",
	"approval_id", "approval_data", "approval_hash", "approval_receipt"}

// Reserved reports whether a claim is ours alone to make.
func Reserved(name string) bool { return slices.Contains(reserved, name) }

// JourneyToken signs the token of a run that ended well: valid ten minutes, for
// the client that ran it.
func JourneyToken(ctx context.Context, keys *token.Keys, issuer string, f Facts) (string, error) {
	claims := dropped(f.Claims)
	maps.Copy(claims, map[string]any{
		"iss": issuer, "aud": string(f.Client), "azp": string(f.Client), "jti": f.ID, "iat": f.At.Unix(), "exp": f.At.Add(apps.TokenLife).Unix(),
		"pid": f.Journey, "pvid": f.Version, "sid": f.Run, "did": f.Device, "tid": string(f.App.Tenant), "app_id": string(f.App.ID), "params": filled(f.Params), "ted": f.At.UnixMilli(),
	})
	if len(f.Proofs) > 0 {
		claims["sub"] = string(f.Proofs[0].User())
		claims["amr"] = authn.AMR(f.Proofs)
		claims["acr"] = authn.ACR(f.Proofs)
		claims["auth_time"] = AuthTime(f.Proofs).Unix()
	} else {
		claims["registered"] = true
	}
	if n := len(f.Signed); n > 0 && len(f.Proofs) > 0 {
		last := f.Signed[n-1]
		receipt, err := last.sign(ctx, keys, issuer, f)
		if err != nil {
			return "", err
		}
		maps.Copy(claims, map[string]any{"approval_id": last.ID, "approval_data": last.Data, "approval_hash": last.Hash, "approval_receipt": receipt})
	}
	return keys.Sign(ctx, "ES256", JourneyType, claims)
}

// ReceiptType is the "typ" of the receipt of an approval.
const ReceiptType = "approval-receipt+jwt"

// Receipt says what a user was shown and approved.
type Receipt struct {
	ID         string
	Data       map[string]any // nil is an empty object
	Hash       string         // base64url(SHA-256(RFC 8785 form of Data))
	Method     authn.Kind
	Credential string
	At         time.Time
	Evidence   map[string]any
}

// sign makes the statement that outlives the token it comes with: it has no
// "exp", and whoever keeps it can verify it offline, by our key set as it was,
// and by the evidence the method left.
func (r Receipt) sign(ctx context.Context, keys *token.Keys, issuer string, f Facts) (string, error) {
	return keys.Sign(ctx, "ES256", ReceiptType, map[string]any{
		"iss": issuer, "aud": string(f.Client), "sub": string(f.Proofs[0].User()), "tid": string(f.App.Tenant), "app_id": string(f.App.ID), "jti": r.ID, "iat": r.At.Unix(),
		"approval_data": filled(r.Data), "approval_hash": r.Hash, "method": string(r.Method), "authenticator": r.Credential, "evidence": filled(r.Evidence),
		"amr": authn.AMR(f.Proofs), "acr": authn.ACR(f.Proofs),
	})
}

// AuthTime is when the newest of proofs was made.
func AuthTime(ps []authn.Proof) time.Time {
	var t time.Time
	for _, p := range ps {
		if p.At().After(t) {
			t = p.At()
		}
	}
	return t
}

func filled(m map[string]any) map[string]any {
	if m == nil {
		return map[string]any{}
	}
	return m
}

// Introspect returns the claims of a journey token for a confidential client of
// the same application (RFC 7662): active is false, and nothing else is said, for
// a token that does not verify, is of another application, or whose user may not
// sign in any more.
func Introspect(ctx context.Context, q db.Q, keys *token.Keys, issuer string, caller apps.App, jwt string) (claims map[string]any, active bool, err error) {
	claims, err = keys.Verify(ctx, jwt, token.Want{Issuer: issuer, Typ: JourneyType})
	if err != nil {
		f := fault.Of(err)
		if f.Code == fault.Internal || f.Code == fault.Unavailable {
			return nil, false, err
		}
		return nil, false, nil
	}
	if claims["app_id"] != string(caller.ID) || claims["tid"] != string(caller.Tenant) {
		return nil, false, nil
	}
	sub, _ := claims["sub"].(string)
	if sub == "" {
		return claims, true, nil
	}
	if err := directory.MaySignIn(ctx, q, caller.Tenant, directory.UserID(sub)); err != nil {
		if fault.Is(err, fault.Denied) {
			return nil, false, nil
		}
		return nil, false, err
	}
	return claims, true, nil
}

// Sign signs the receipt of something that was approved for a client outside a
// journey.
func (r Receipt) Sign(ctx context.Context, keys *token.Keys, issuer string, client apps.ClientID, app apps.App, ps []authn.Proof) (string, error) {
	return r.sign(ctx, keys, issuer, Facts{Client: client, App: app, Proofs: ps})
}
