package server_test

import (
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// TestRecoveryCodes: ten codes, each good once whoever comes at once, and new
// ones end the old ones.
func TestRecoveryCodes(t *testing.T) {
	w := newWorld(t)
	c := w.rest(t)
	u := c.want(t, 201, "POST /v1/users", map[string]any{"email": "ana@example.org"})
	made := func() []any {
		t.Helper()
		return c.want(t, 201, "POST /v1/users/"+u["user_id"].(string)+"/recovery-codes", nil)["codes"].([]any)
	}
	use := func(code string) int {
		got, _ := c.do(t, "POST /v1/auth/recovery-code/authenticate", map[string]any{"identifier": "ana@example.org", "recovery_code": code})
		return got
	}
	old := made()
	if len(old) != 10 || len(old[0].(string)) != 19 {
		t.Fatalf("%v", old)
	}
	codes := made()
	if use(old[0].(string)) == 200 {
		t.Error("an old code is good")
	}
	var good atomic.Int64
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			if use(codes[0].(string)) == 200 {
				good.Add(1)
			}
		})
	}
	wg.Wait()
	if good.Load() != 1 {
		t.Errorf("%d of 16 signed in by one code", good.Load())
	}
	w.Pass(3600e9)
	c = w.rest(t)
	if got := use(strings.ToUpper(strings.ReplaceAll(codes[1].(string), "-", " "))); got != 200 {
		t.Errorf("as people type it: %d", got)
	}
}
