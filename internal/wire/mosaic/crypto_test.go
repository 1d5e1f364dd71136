package mosaic

import (
	"encoding/json"
	"testing"
)

func TestFirstPlane(t *testing.T) {
	for text, want := range map[string]string{
		"Žofie 日本 \uffff": `"Žofie 日本 ` + "\uffff" + `"`,
		"🦊":               `"\ud83e\udd8a"`,
		"a🦊\\\"𐀀b":        `"a\ud83e\udd8a\\\"\ud800\udc00b"`,
		"\U0010ffff":      `"\udbff\udfff"`,
	} {
		b, err := json.Marshal(text)
		if err != nil {
			t.Fatal(err)
		}
		got := firstPlane(b)
		if string(got) != want {
			t.Errorf("%q: got %s, want %s", text, got, want)
		}
		var back string
		if err := json.Unmarshal(got, &back); err != nil || back != text {
			t.Errorf("%q came back as %q: %v", text, back, err)
		}
	}
}
