package apps

import (
	"reflect"
	"slices"
	"strings"
	"testing"
)

// TestClientForm: the form and the settings name the same things.
func TestClientForm(t *testing.T) {
	var want, have []string
	s := reflect.TypeFor[ClientSettings]()
	for i := range s.NumField() {
		name, _, _ := strings.Cut(s.Field(i).Tag.Get("json"), ",")
		want = append(want, name)
	}
	for _, f := range ClientForm() {
		have = append(have, f.Name)
	}
	slices.Sort(want)
	slices.Sort(have)
	if !slices.Equal(want, have) {
		t.Errorf("the settings are %v, the form has %v", want, have)
	}
}
