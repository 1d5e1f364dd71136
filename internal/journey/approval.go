package journey

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"maps"
	"strings"
	"time"

	"github.com/watchword-auth/watchword/internal/authn"
	"github.com/watchword-auth/watchword/internal/db"
	"github.com/watchword-auth/watchword/internal/fault"
)

// Approval is what a user approved in a run, and how that can be shown to
// others: the receipt of a signed transaction.
type Approval struct {
	ID         string         `json:"id"`
	Data       map[string]any `json:"data"` // exactly what the user was shown
	Hash       string         `json:"hash"` // of Data, see ApprovalHash
	Method     authn.Kind     `json:"method"`
	Credential string         `json:"credential,omitempty"`
	At         time.Time      `json:"at"`
	Evidence   map[string]any `json:"evidence,omitempty"` // what the method can show: a challenge, a signature, a public key
}

// ApprovalData checks what a transaction may say: at most 10 members, none of
// them nested, names and values of letters, digits, "-", "_", ".", ":" and space
// (mosaic-protocol 3.5), values as text of at most 256 characters. It returns
// the data with every value as text; fault.Invalid otherwise.
func ApprovalData(data map[string]any) (map[string]any, error) {
	if len(data) == 0 || len(data) > 10 {
		return nil, fault.New(fault.Invalid, "What is approved has 1 to 10 members.")
	}
	out := map[string]any{}
	for name, v := range data {
		text, ok := v.(string)
		if !ok {
			b, err := json.Marshal(v)
			text = string(b)
			if _, nested := v.(map[string]any); err != nil || nested || strings.HasPrefix(text, "[") || v == nil {
				return nil, fault.New(fault.Invalid, "What is approved is flat: names and texts.")
			}
		}
		if !approvalText(name, 64) || !approvalText(text, 256) {
			return nil, fault.New(fault.Invalid, "What is approved consists of letters, digits, spaces and - _ . : in names of up to 64 and values of up to 256 characters.")
		}
		out[name] = text
	}
	return out, nil
}

func approvalText(s string, longest int) bool {
	if s == "" || len(s) > longest {
		return false
	}
	for _, r := range s {
		if r > 0x7e || !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-_.: ", r)) {
			return false
		}
	}
	return true
}

// ApprovalHash is base64url(SHA-256(data in the form of RFC 8785)): what a
// challenge commits to, so that no signature can be moved to other data. No data
// is an empty object. Texts of ASCII are all that ApprovalData lets through, and
// of those encoding/json writes the canonical form.
func ApprovalHash(data map[string]any) string {
	h := sha256.Sum256([]byte(db.Text(filled(data))))
	return base64.RawURLEncoding.EncodeToString(h[:])
}

// Approve notes that the user approved data, by a proof that the run has. The
// journey token then carries the data and a receipt.
func (x *Exec) Approve(p authn.Proof, data, evidence map[string]any) {
	x.run.Approvals = append(x.run.Approvals, Approval{
		ID: db.NewID("apv_"), Data: data, Hash: ApprovalHash(data), Method: p.Kind(), Credential: string(p.Credential()), At: p.At(), Evidence: evidence,
	})
}

// Evidence keeps what a method can show for its proof. Whoever waits for the end
// of this run is handed it.
func (x *Exec) Evidence(shown map[string]any) { x.run.Evidence = maps.Clone(shown) }
