package hosted

import (
	"cmp"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/watchword-auth/watchword/internal/apps"
	"github.com/watchword-auth/watchword/internal/directory"
	"github.com/watchword-auth/watchword/internal/form"
	"github.com/watchword-auth/watchword/internal/journey"
	"github.com/watchword-auth/watchword/internal/web"
)

// Screens are the kinds of prompts that the pages know, and what answers each
// beside its form: "" nothing; "wait" the other side; or a script, by its name.
// Whatever is not here is drawn from its fields.
var Screens = map[string]string{
	"form": "", "login_form": "", "information": "", "ticket.wait": "wait",
	"password": "", "password.register": "", "password.replace": "", "password.reset": "",
	"code.email": "", "code.sms": "", "code.generic": "", "code.verify_email": "", "code.verify_phone": "",
	"totp.register": "", "totp.confirm": "", "totp.sign": "", "recovery.show": "",
	"push.device": "", "push.validate_code": "", "push.wait": "wait", "push.invite": "wait", "magiclink.wait": "wait",
	"passkey.register": "passkey", "passkey.authenticate": "passkey", "passkey.sign": "passkey",
	"device.register": "device", "device.validate": "device",
	"biometric.register": "owner", "biometric.authenticate": "owner", "biometric.sign": "owner", "biometric.delete": "owner",
	"pin.register": "owner", "pin.authenticate": "owner", "pin.sign": "owner",
	"face.register": "face", "face.authenticate": "face",
}

// proofView is a prompt that a script answers: by the key of this browser
// ("device"), by what its owner does ("owner"), or by the camera ("face").
type proofView struct {
	Script string
	Act    string   // the kind of the prompt
	Data   string   // of the prompt, JSON
	Posts  []string // the fields that the script fills
	PIN    bool     // is typed
	Anew   bool     // and chosen, or a key is made
	Least  string   // digits of a PIN
	Photo  bool     // may be chosen instead of taken
	Left   int      // seconds in which the camera is waited for
	Agree  *input   // what the user agrees to
}

// The fields in which a page says which key its browser holds. They are no part of
// an answer.
const (
	deviceID  = "device_key_id"
	deviceKey = "device_public_key"
)

// proofOf is how a script answers a prompt; nil if none has to.
func proofOf(p *journey.Prompt, now time.Time) *proofView {
	script := Screens[p.Kind]
	if script != "device" && script != "owner" && script != "face" {
		return nil
	}
	b, err := json.Marshal(p.Data)
	if err != nil {
		return nil
	}
	v := &proofView{Script: script, Act: p.Kind, Data: string(b), PIN: strings.HasPrefix(p.Kind, "pin."), Anew: strings.HasSuffix(p.Kind, ".register")}
	for _, f := range p.Fields {
		if f.Type == "text" || f.Type == "choice" {
			v.Posts = append(v.Posts, f.Name)
		}
	}
	switch script {
	case "face":
		v.Photo, _ = p.Data["photo"].(bool)
		v.Left = max(0, int(p.Until.Sub(now).Seconds()))
	default:
		v.Posts = append(v.Posts, deviceID, deviceKey)
	}
	policy, _ := p.Data["pin_policy"].(map[string]any)
	v.Least = cmp.Or(text(policy, "min_length"), "4")
	return v
}

// prove draws a prompt that a script answers. One whose key somebody must vouch for
// is answered by an app alone.
func (v *view) prove(p *journey.Prompt, now time.Time) {
	if vouched, _ := p.Data["attestation_required"].(bool); vouched {
		v.NeedsApp, v.Title = true, v.Lang.T("The app on your phone is needed")
		return
	}
	v.Proof = proofOf(p, now)
	for _, f := range p.Fields {
		if v.Proof != nil && f.Type == "boolean" {
			v.Proof.Agree = &v.inputs(p, "", form.Form{f})[0]
		}
	}
}

// instead is how the way past a script is called: what the step calls it speaks to
// an app.
var instead = map[string]string{"device": "Go on without it", "owner": "Another way", "face": "Another way"}

// aside is what the button of an option says.
func (v *view) aside(o journey.Option) string {
	switch {
	case o.ID != "failure":
	case v.Proof != nil:
		return v.Lang.T(instead[v.Proof.Script])
	case v.NeedsApp, v.Key != nil:
		return v.Lang.T("Another way")
	}
	return v.Lang.T(o.Label)
}

// camera is who may use the camera on a page: this page, if it looks at a face.
func (v view) camera() string {
	if v.Proof != nil && v.Proof.Script == "face" {
		return "(self)"
	}
	return "()"
}

// deviceCookie holds the id of the key that a browser made for an application, so
// that a run knows from its start which device it is on. It is a claim and opens
// nothing: the key signs.
func (d Door) deviceCookie(app apps.ID) string {
	if d.secure() {
		return "__Host-ww-key-" + string(app)
	}
	return "ww-key-" + string(app)
}

// known is the device that a browser says it is, as it was last seen.
func (d Door) known(r *http.Request, app apps.ID) journey.Device {
	c, err := r.Cookie(d.deviceCookie(app))
	if err != nil {
		return journey.Device{}
	}
	return deviceOf(r, c.Value, "")
}

func deviceOf(r *http.Request, id, key string) journey.Device {
	if len(id) != 64 || strings.Trim(id, "0123456789abcdef") != "" || len(key) > 4096 {
		return journey.Device{}
	}
	return journey.Device{KeyID: id, PublicKey: key, Name: web.Browser(r.UserAgent()), Platform: directory.Browser}
}

// introduced is the device that a page says it runs on with an answer, which this
// browser then says by itself. Only prompts of its key are answered so.
func (d Door) introduced(w http.ResponseWriter, r *http.Request, app apps.ID, p *journey.Prompt) journey.Device {
	if !slices.Contains([]string{"device", "owner"}, Screens[p.Kind]) {
		return journey.Device{}
	}
	device := deviceOf(r, r.PostForm.Get(deviceID), r.PostForm.Get(deviceKey))
	if device.KeyID != "" {
		http.SetCookie(w, &http.Cookie{Name: d.deviceCookie(app), Value: device.KeyID, Path: "/", MaxAge: 400 * 24 * 3600, HttpOnly: true, Secure: d.secure(), SameSite: http.SameSiteLaxMode})
	}
	return device
}
