package face

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math"
	"net/url"
	"strings"

	"github.com/watchword-auth/watchword/internal/apps"
	"github.com/watchword-auth/watchword/internal/db"
	"github.com/watchword-auth/watchword/internal/fault"
	"github.com/watchword-auth/watchword/internal/form"
	"github.com/watchword-auth/watchword/internal/notify"
	"github.com/watchword-auth/watchword/internal/web"
)

// engine is a program that knows faces. None comes with the server but a fake
// for development: whoever chooses an engine answers for how well it tells people
// apart (docs/face.md).
type engine interface {
	// look finds the face in pictures that were taken one after the other.
	look(ctx context.Context, asked question) (seen, error)
	// compare tells how alike two faces are, between 0 and 1.
	compare(ctx context.Context, a, b print) (float64, error)
}

// question is what an engine is asked to look at.
type question struct {
	Images  [][]byte
	Purpose string   // "register" or "authenticate"
	Moves   []string // what the person was asked to do meanwhile
}

// seen is what an engine saw.
type seen struct {
	Faces int   `json:"faces"`
	Print print `json:"print"`
	Live  *bool `json:"live,omitempty"` // nil: the engine cannot tell
}

// print is a face as numbers, good only beside others of the same model.
type print struct {
	Model     string    `json:"model"`
	Vector    []float32 `json:"vector"`
	Threshold float64   `json:"threshold"` // from which on the engine calls two faces one
}

const provider = "face"

func init() {
	notify.Offer(provider, "Face engine", form.New(
		form.Choice("driver", "Engine", []string{"compreface", "http", "fake"}, form.Required, form.Named, form.Read("compreface", "CompreFace", "http", "An HTTP service of your own", "fake", "None, for development"), form.Help("fake is for development and refuses to work elsewhere.")),
		form.Text("url", "Address", form.MaxLen(500), form.Help("Where the engine is, also in a network of your own.")),
		form.Secret("api_key", "Key", form.MaxLen(500), form.Help("CompreFace: that of a verification service. Otherwise sent as a bearer token.")),
	), func(doc map[string]any) error {
		address, _ := doc["url"].(string)
		u, err := url.Parse(address)
		if doc["driver"] != "fake" && (err != nil || u.Hostname() == "" || u.User != nil || u.Scheme != "https" && u.Scheme != "http") {
			return fault.At(fault.New(fault.Invalid, "A face engine has an address: https://, or http:// in a network of your own, without a name in it."), "url")
		}
		return nil
	})
}

// NotConfigured is the answer where no engine may judge faces.
var NotConfigured = fault.New(fault.Denied, "Faces cannot be checked here.")

// engineOf is the engine of an application.
func engineOf(ctx context.Context, q db.Q, tenant apps.TenantID, app apps.ID, dev bool) (engine, error) {
	ps, err := notify.Providers(ctx, q, string(tenant), string(app), provider)
	if err != nil {
		return nil, err
	}
	if len(ps) == 0 {
		return nil, NotConfigured
	}
	var c struct {
		Driver string `json:"driver"`
		URL    string `json:"url"`
		Key    string `json:"api_key"`
	}
	if err := ps[0].Into(&c); err != nil {
		return nil, err
	}
	switch at := strings.TrimSuffix(c.URL, "/"); {
	case c.Driver == "compreface":
		return compreface{caller{at, map[string]string{"x-api-key": c.Key}}}, nil
	case c.Driver == "http":
		return contract{caller{at, map[string]string{"Authorization": "Bearer " + c.Key}}}, nil
	case c.Driver == "fake" && dev:
		return fake{}, nil
	}
	return nil, NotConfigured
}

// caller calls one engine.
type caller struct {
	at     string
	header map[string]string
}

// clients keeps a guarded client for each address that an operator chose, which
// it may call although it may be private.
var clients = web.Pool{}

func (c caller) post(ctx context.Context, path string, in, out any) error {
	u, err := url.Parse(c.at)
	if err != nil {
		return err
	}
	if err := web.Post(ctx, clients.For(u), c.at+path, c.header, in, out); err != nil {
		return fault.New(fault.Unavailable, "Faces cannot be checked at the moment.").Because(err)
	}
	return nil
}

// contract is the generic HTTP contract (docs/face.md).
type contract struct{ caller }

func (e contract) look(ctx context.Context, asked question) (seen, error) {
	in := map[string]any{"images": asked.Images, "purpose": asked.Purpose, "moves": asked.Moves} // bytes become base64
	var out struct {
		Faces     int       `json:"faces"`
		Embedding []float32 `json:"embedding"`
		Model     string    `json:"model"`
		Threshold float64   `json:"threshold"`
		Liveness  *struct {
			Live bool `json:"live"`
		} `json:"liveness"`
	}
	if err := e.post(ctx, "/v1/analyze", in, &out); err != nil {
		return seen{}, err
	}
	s := seen{Faces: out.Faces, Print: print{out.Model, out.Embedding, out.Threshold}}
	if out.Liveness != nil {
		s.Live = &out.Liveness.Live
	}
	return s, nil
}

func (e contract) compare(_ context.Context, a, b print) (float64, error) {
	return cosine(a.Vector, b.Vector), nil
}

// cosine is the similarity of two vectors, brought from [-1, 1] to [0, 1]: what
// points the other way is no likeness. Vectors of different lengths have none.
func cosine(a, b []float32) float64 {
	if len(a) != len(b) || len(a) == 0 {
		return 0
	}
	var dot, na, nb float64
	for i := range a {
		x, y := float64(a[i]), float64(b[i])
		dot, na, nb = dot+x*y, na+x*x, nb+y*y
	}
	s := dot / (math.Sqrt(na) * math.Sqrt(nb))
	if math.IsNaN(s) || math.IsInf(s, 0) {
		return 0
	}
	return max(0, s)
}

// compreface speaks to a verification service of CompreFace 1.x. It cannot tell a
// person from a photograph.
type compreface struct{ caller }

// comprefaceThreshold is from where on two faces are one; the project's own
// advice is "above 0.5, more where it matters".
const comprefaceThreshold = 0.95

func (e compreface) look(ctx context.Context, asked question) (seen, error) {
	picture := base64.StdEncoding.EncodeToString(asked.Images[0])
	var out struct {
		Result []struct {
			Source struct {
				Embedding []float32 `json:"embedding"`
			} `json:"source_image_face"`
			Matches []json.RawMessage `json:"face_matches"`
		} `json:"result"`
		Versions map[string]string `json:"plugins_versions"`
	}
	in := map[string]any{"source_image": picture, "target_image": picture}
	if err := e.post(ctx, "/api/v1/verification/verify?face_plugins=calculator&det_prob_threshold=0.8", in, &out); err != nil {
		if strings.Contains(causes(err), "No face is found") { // code 28
			return seen{}, nil
		}
		return seen{}, err
	}
	if len(out.Result) != 1 {
		return seen{}, nil
	}
	return seen{Faces: len(out.Result[0].Matches), Print: print{"compreface " + out.Versions["calculator"], out.Result[0].Source.Embedding, comprefaceThreshold}}, nil
}

func (e compreface) compare(ctx context.Context, a, b print) (float64, error) {
	var out struct {
		Result []struct {
			Similarity float64 `json:"similarity"`
		} `json:"result"`
	}
	if err := e.post(ctx, "/api/v1/verification/embeddings/verify", map[string]any{"source": a.Vector, "targets": [][]float32{b.Vector}}, &out); err != nil {
		return 0, err
	}
	if len(out.Result) != 1 {
		return 0, fmt.Errorf("the engine compared nothing")
	}
	return out.Result[0].Similarity, nil
}

// causes is all that an error says, also to nobody.
func causes(err error) string {
	var all []string
	for ; err != nil; err = unwrap(err) {
		all = append(all, err.Error())
	}
	return strings.Join(all, ": ")
}

func unwrap(err error) error {
	if u, ok := err.(interface{ Unwrap() error }); ok {
		return u.Unwrap()
	}
	return nil
}
