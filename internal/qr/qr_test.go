package qr_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/watchword-auth/watchword/internal/qr"
)

// TestThePhoneReadsWhatIsDrawn: the phone app's decoder reads every length that a
// code of ours can have, from the modules and from a picture.
func TestThePhoneReadsWhatIsDrawn(t *testing.T) {
	if _, err := exec.LookPath("node"); err != nil {
		if os.Getenv("WATCHWORD_REQUIRE_ALL") != "" {
			t.Fatal("node is required: ", err)
		}
		t.Skip("needs node: ", err)
	}
	type drawn struct {
		SVG  string `json:"svg"`
		Text string `json:"text"`
	}
	var all []drawn
	for n := 1; n <= 2331; n += 1 + n/6 { // 2331 bytes is all that version 40-M holds
		text := "https://id.example/authenticator/#"
		for i := 0; len(text) < n; i++ {
			text += fmt.Sprintf("%c%d", 'a'+i%26, i*7919)
		}
		svg, err := qr.SVG(text[:n], "a & b")
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(svg, `aria-label="a &amp; b"`) {
			t.Fatal("the label is not escaped")
		}
		all = append(all, drawn{svg, text[:n]})
	}
	in, err := json.Marshal(all)
	if err != nil {
		t.Fatal(err)
	}
	script, err := filepath.Abs("testdata/read.mjs")
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "node", script)
	cmd.Stdin, cmd.Stderr = bytes.NewReader(in), os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	var read []struct{ Modules, Picture string }
	if err := json.Unmarshal(out, &read); err != nil {
		t.Fatal(err)
	}
	if len(read) != len(all) || len(all) < 35 {
		t.Fatalf("%d of %d codes were looked at", len(read), len(all))
	}
	for i, want := range all {
		if read[i].Modules != want.Text {
			t.Errorf("of %d bytes the modules say %q", len(want.Text), read[i].Modules)
		}
		if read[i].Picture != want.Text {
			t.Errorf("of %d bytes the picture says %q", len(want.Text), read[i].Picture)
		}
	}
}
