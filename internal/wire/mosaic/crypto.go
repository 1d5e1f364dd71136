package mosaic

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdh"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"time"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/watchword-auth/watchword/internal/apps"
	"github.com/watchword-auth/watchword/internal/fault"
	"github.com/watchword-auth/watchword/internal/secret"
	"github.com/watchword-auth/watchword/internal/web"
)

// The protocol can encrypt bodies on top of TLS (mosaic-protocol 2.10): AES-CBC
// under a key agreed by ECDH, without authentication. It hides bodies from
// what stands between TLS and the application and proves nothing; no decision
// rests on it.

// cryptoSession is an agreed key. Its id is the key itself, sealed: no node has
// to remember it.
type cryptoSession struct {
	Key     []byte    `json:"key"`
	Expires time.Time `json:"expires"`
}

const (
	scheme      = 3
	cryptoLife  = time.Hour
	cryptoPlace = "mosaic/crypto_session/id"
)

// exchange agrees on a key. It is the one operation whose HTTP status the SDK
// reads.
func (d Door) exchange(w http.ResponseWriter, r *http.Request) {
	var in struct {
		Headers []struct {
			Type   string `json:"type"`
			Scheme int    `json:"scheme"`
			Y      string `json:"y"`
		} `json:"headers"`
		Data json.RawMessage `json:"data"`
	}
	if err := web.DecodeLoose(w, r, &in); err != nil {
		refuse(w, r, err, nil)
		return
	}
	if _, _, err := apps.FindClient(r.Context(), d.Kit.DB, apps.ClientID(r.URL.Query().Get("clientId"))); err != nil {
		refuse(w, r, fault.New(fault.Denied, "The client is not known here.").Because(err), nil)
		return
	}
	for _, h := range in.Headers {
		if h.Type != "key_exchange" || h.Scheme != scheme {
			continue
		}
		head, err := agree(d.Kit.DB.Vault(), h.Y, d.Kit.DB.Now())
		if err != nil {
			refuse(w, r, err, nil)
			return
		}
		response{Headers: []map[string]any{head}, Data: in.Data}.write(w, nil)
		return
	}
	refuse(w, r, fault.New(fault.Invalid, "There is no key to agree on."), nil)
}

func agree(v *secret.Vault, y string, now time.Time) (map[string]any, error) {
	point, err := base64.StdEncoding.DecodeString(y)
	if err != nil {
		return nil, fault.New(fault.Invalid, "The public point is not base64.").Because(err)
	}
	theirs, err := ecdh.P256().NewPublicKey(point)
	if err != nil {
		return nil, fault.New(fault.Invalid, "The public point is not on P-256.").Because(err)
	}
	ours, err := ecdh.P256().GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	x, err := ours.ECDH(theirs)
	if err != nil {
		return nil, fault.New(fault.Invalid, "The public point is not on P-256.").Because(err)
	}
	key := sha256.Sum256(x)
	b, err := json.Marshal(cryptoSession{key[:], now.Add(cryptoLife)})
	if err != nil {
		return nil, err
	}
	return map[string]any{"type": "key_exchange", "scheme": scheme, "y": base64.StdEncoding.EncodeToString(ours.PublicKey().Bytes()),
		"crypto_session_id": base64.RawURLEncoding.EncodeToString(v.Seal(cryptoPlace, b))}, nil
}

// decrypt replaces the parts of an encrypted body by what they hold, and returns
// the session; nil for a body in clear.
func (d Door) decrypt(headers *[]json.RawMessage, encrypted []string, body *json.RawMessage) (*cryptoSession, error) {
	var iv, id string
	for _, raw := range *headers {
		var h struct {
			Type string `json:"type"`
			IV   string `json:"iv"`
			ID   string `json:"crypto_session_id"`
		}
		if json.Unmarshal(raw, &h) == nil && h.Type == "encryption" {
			iv, id = h.IV, h.ID
		}
	}
	if id == "" {
		return nil, nil
	}
	c, err := openSession(d.Kit.DB.Vault(), id, d.Kit.DB.Now())
	if err != nil {
		return nil, err
	}
	nonce, err := base64.StdEncoding.DecodeString(iv)
	if err != nil || len(nonce) != aes.BlockSize {
		return nil, undecipherable
	}
	for _, e := range encrypted {
		plain, err := c.open(nonce, e)
		if err != nil {
			return nil, err
		}
		*headers = append(*headers, plain)
	}
	var text string
	if err := json.Unmarshal(*body, &text); err != nil {
		return nil, undecipherable.Because(err)
	}
	*body, err = c.open(nonce, text)
	return c, err
}

var undecipherable = fault.New(fault.Invalid, "The body could not be decrypted. Exchange keys again.")

func openSession(v *secret.Vault, id string, now time.Time) (*cryptoSession, error) {
	sealed, err := base64.RawURLEncoding.DecodeString(clip(id, 1024))
	if err != nil {
		return nil, undecipherable.Because(err)
	}
	b, err := v.Open(cryptoPlace, sealed)
	if err != nil {
		return nil, undecipherable.Because(err)
	}
	var c cryptoSession
	if err := json.Unmarshal(b, &c); err != nil || !now.Before(c.Expires) {
		return nil, undecipherable.Because(err)
	}
	return &c, nil
}

// open decrypts one part, which must be strict JSON. Bad padding and bad JSON
// are one answer.
func (c *cryptoSession) open(iv []byte, text string) (json.RawMessage, error) {
	sealed, err := base64.StdEncoding.DecodeString(text)
	if err != nil || len(sealed) == 0 || len(sealed)%aes.BlockSize != 0 {
		return nil, undecipherable
	}
	block, err := aes.NewCipher(c.Key)
	if err != nil {
		return nil, err
	}
	plain := make([]byte, len(sealed))
	cipher.NewCBCDecrypter(block, iv).CryptBlocks(plain, sealed)
	pad := int(plain[len(plain)-1])
	if pad < 1 || pad > aes.BlockSize || !bytes.Equal(plain[len(plain)-pad:], bytes.Repeat([]byte{byte(pad)}, pad)) {
		return nil, undecipherable
	}
	plain = plain[:len(plain)-pad]
	var v any
	if err := web.Parse(plain, &v, false); err != nil {
		return nil, undecipherable
	}
	return plain, nil
}

// encrypt replaces the data of a response by its ciphertext.
func (c *cryptoSession) encrypt(r *response) {
	plain, err := json.Marshal(r.Data)
	if err != nil {
		panic("mosaic: " + err.Error()) // our own maps are JSON
	}
	plain = firstPlane(plain)
	pad := aes.BlockSize - len(plain)%aes.BlockSize
	plain = append(plain, bytes.Repeat([]byte{byte(pad)}, pad)...)
	block, err := aes.NewCipher(c.Key)
	if err != nil {
		panic("mosaic: " + err.Error()) // the key has 32 bytes
	}
	iv := make([]byte, aes.BlockSize)
	rand.Read(iv)
	cipher.NewCBCEncrypter(block, iv).CryptBlocks(plain, plain)
	r.Headers = append(r.Headers, map[string]any{"type": "encryption", "iv": base64.StdEncoding.EncodeToString(iv)})
	r.Data = base64.StdEncoding.EncodeToString(plain)
}

// firstPlane is JSON with every character that UTF-8 writes in four bytes
// escaped: the web SDK decrypts with a decoder that knows only three, and would
// show rubbish for it and for what follows.
func firstPlane(text []byte) []byte {
	out := make([]byte, 0, len(text))
	for _, c := range string(text) {
		if c <= 0xffff {
			out = utf8.AppendRune(out, c)
			continue
		}
		high, low := utf16.EncodeRune(c)
		out = fmt.Appendf(out, `\u%04x\u%04x`, high, low)
	}
	return out
}
