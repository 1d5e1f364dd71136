package face

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/watchword-auth/watchword/internal/authn"
	"github.com/watchword-auth/watchword/internal/fault"
)

// peer is a CompreFace that checks what the real one checks: the key of the
// service, JSON with base64 pictures, and vectors of the length of its model.
func peer(t *testing.T) *httptest.Server {
	t.Helper()
	return httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fail := func(status int, text string) {
			w.WriteHeader(status)
			_, _ = io.WriteString(w, `{"message":"`+text+`","code":28}`)
		}
		if r.Method != http.MethodPost || r.Header.Get("Content-Type") != "application/json" {
			fail(400, "Content-Type is not supported")
			return
		}
		if r.Header.Get("x-api-key") != "the-key" {
			fail(401, "Face verification service not found")
			return
		}
		var in struct {
			SourceImage string `json:"source_image"`
			TargetImage string `json:"target_image"`
		}
		body, _ := io.ReadAll(r.Body)
		switch r.URL.Path {
		case "/api/v1/verification/verify":
			_ = json.Unmarshal(body, &in)
			b, err := base64.StdEncoding.DecodeString(in.SourceImage)
			if err != nil || in.SourceImage != in.TargetImage || r.URL.Query().Get("face_plugins") != "calculator" {
				fail(400, "Unable to decode base64")
				return
			}
			if strings.Contains(string(b), "empty") {
				fail(400, "No face is found in the given image")
				return
			}
			match := `{"embedding":[1,2],"similarity":1.0}`
			if strings.Contains(string(b), "crowd") {
				match += "," + match
			}
			_, _ = io.WriteString(w, `{"result":[{"source_image_face":{"embedding":[1,2]},"face_matches":[`+match+`]}],"plugins_versions":{"calculator":"facenet.Calculator"}}`)
		case "/api/v1/verification/embeddings/verify":
			var in struct {
				Source  []float32   `json:"source"`
				Targets [][]float32 `json:"targets"`
			}
			if json.Unmarshal(body, &in) != nil || len(in.Source) != 2 || len(in.Targets) != 1 || len(in.Targets[0]) != 2 {
				fail(400, "Not valid embedding")
				return
			}
			_, _ = io.WriteString(w, `{"result":[{"embedding":[1,2],"similarity":0.97}]}`)
		default:
			fail(404, "not found")
		}
	}))
}

// TestCompreFace: the REST API of CompreFace 1.x, as its documentation has it.
func TestCompreFace(t *testing.T) {
	s := peer(t)
	defer s.Close()
	e := compreface{caller{s.URL, map[string]string{"x-api-key": "the-key"}}}
	ctx := t.Context()
	got, err := e.look(ctx, question{Images: [][]byte{[]byte("picture")}})
	if err != nil || got.Faces != 1 || got.Live != nil || got.Print.Model != "compreface facenet.Calculator" || len(got.Print.Vector) != 2 {
		t.Errorf("%+v, %v", got, err)
	}
	if score, err := e.compare(ctx, got.Print, got.Print); err != nil || score != 0.97 {
		t.Errorf("%v, %v", score, err)
	}
	if got, err := e.look(ctx, question{Images: [][]byte{[]byte("empty")}}); err != nil || got.Faces != 0 {
		t.Errorf("no face: %+v, %v", got, err)
	}
	if got, err := e.look(ctx, question{Images: [][]byte{[]byte("crowd")}}); err != nil || got.Faces != 2 {
		t.Errorf("a crowd: %+v, %v", got, err)
	}
	e.header = nil
	if _, err := e.look(ctx, question{Images: [][]byte{[]byte("x")}}); !fault.Is(err, fault.Unavailable) || strings.Contains(err.Error(), "the-key") {
		t.Errorf("without its key: %v", err)
	}
	s.Close()
	if _, err := e.compare(ctx, got.Print, got.Print); !fault.Is(err, fault.Unavailable) {
		t.Errorf("when it is away: %v", err)
	}
}

// TestContract: the generic contract of docs/face.md.
func TestContract(t *testing.T) {
	live := `,"liveness":{"live":true,"score":0.99}`
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var in struct {
			Images  [][]byte `json:"images"`
			Purpose string   `json:"purpose"`
			Moves   []string `json:"moves"`
		}
		if json.NewDecoder(r.Body).Decode(&in) != nil || r.URL.Path != "/v1/analyze" || r.Header.Get("Authorization") != "Bearer k" || string(in.Images[0]) != "picture" || in.Purpose != "register" || in.Moves[0] != "blink" {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		_, _ = io.WriteString(w, `{"faces":1,"model":"m1","threshold":0.8,"embedding":[0.6,0.8]`+live+`}`)
	}))
	defer s.Close()
	e := contract{caller{s.URL, map[string]string{"Authorization": "Bearer k"}}}
	q := question{[][]byte{[]byte("picture")}, "register", []string{"blink"}}
	got, err := e.look(t.Context(), q)
	if err != nil || got.Live == nil || !*got.Live || got.Print.Threshold != 0.8 {
		t.Fatalf("%+v, %v", got, err)
	}
	if score, _ := e.compare(t.Context(), got.Print, got.Print); score < 0.999 {
		t.Errorf("itself: %v", score)
	}
	live = ""
	if got, err = e.look(t.Context(), q); err != nil || got.Live != nil {
		t.Errorf("no verdict: %+v, %v", got, err)
	}
}

// TestAlike: what cannot be compared does not match, and nothing matches below
// the threshold.
func TestAlike(t *testing.T) {
	of := func(model string, threshold float64, v ...float32) print { return print{model, v, threshold} }
	for name, c := range map[string]struct {
		set       settings
		kept, now print
		want      error
		code      fault.Code
	}{
		"the same":                {settings{}, of("m", 0.9, 1, 0), of("m", 0.9, 1, 0), nil, ""},
		"nearly":                  {settings{}, of("m", 0.9, 1, 0), of("m", 0.9, 1, 0.2), nil, ""},
		"too far":                 {settings{}, of("m", 0.9, 1, 0), of("m", 0.9, 1, 0.9), NoMatch, ""},
		"the operator is strict":  {settings{Threshold: 999}, of("m", 0.9, 1, 0), of("m", 0.9, 1, 0.2), NoMatch, ""},
		"the other way":           {settings{}, of("m", 0.9, 1, 0), of("m", 0.9, -1, 0), NoMatch, ""},
		"nothing":                 {settings{}, of("m", 0.9, 0, 0), of("m", 0.9, 0, 0), NoMatch, ""},
		"no threshold at all":     {settings{}, of("m", 0, 1, 0), of("m", 0, 1, 0), NoMatch, ""},
		"another model":           {settings{}, of("m", 0.9, 1, 0), of("n", 0.9, 1, 0), nil, fault.Conflict},
		"a vector of another len": {settings{}, of("m", 0.9, 1, 0), of("m", 0.9, 1), nil, fault.Conflict},
	} {
		err := c.set.alike(t.Context(), contract{}, c.kept, c.now)
		if c.code != "" && !fault.Is(err, c.code) || c.code == "" && !errors.Is(err, c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestLive: in production an engine without a verdict counts only if the operator
// insists.
func TestLive(t *testing.T) {
	yes, no := true, false
	for name, c := range map[string]struct {
		live     *bool
		dev, set bool
		code     fault.Code
	}{
		"alive": {&yes, false, false, ""}, "a photograph": {&no, true, true, fault.Wrong}, "no verdict": {nil, false, false, fault.Denied},
		"no verdict in development": {nil, true, false, ""}, "no verdict, insisted": {nil, false, true, ""},
	} {
		if err := (settings{WithoutLiveness: c.set}).live(seen{Live: c.live}, c.dev); fault.Of(err).Code != c.code && !(err == nil && c.code == "") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if !fault.Is(NoMatch, fault.Wrong) || !errors.Is(NotLive, authn.Wrong) {
		t.Error("a refusal is not charged")
	}
}
