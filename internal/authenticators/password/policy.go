package password

import (
	"bufio"
	"context"
	"crypto/sha1"
	"encoding/hex"
	"errors"
	"io"
	"net/url"
	"os"
	"sort"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"github.com/watchword-auth/watchword/internal/apps"
	"github.com/watchword-auth/watchword/internal/authn"
	"github.com/watchword-auth/watchword/internal/backend"
	"github.com/watchword-auth/watchword/internal/db"
	"github.com/watchword-auth/watchword/internal/directory"
	"github.com/watchword-auth/watchword/internal/fault"
	"github.com/watchword-auth/watchword/internal/web"
)

// Longest is how many characters a password has at most.
const Longest = 256

func weak(format string, args ...any) error {
	return backend.Code(fault.New(fault.Invalid, format, args...), "auth_password_weak")
}

// acceptable returns nil if a password may be set, and fault.Invalid that says
// what is wrong otherwise. Breaches and history are Prepare's.
func acceptable(ctx context.Context, q db.Q, set settings, app apps.App, u directory.User, password string) error {
	p := normal(password)
	if err := shape(set, p); err != nil {
		return err
	}
	names, err := directory.Identifiers(ctx, q, u.ID)
	if err != nil {
		return err
	}
	words := []string{app.Name}
	for _, i := range names {
		local, _, _ := strings.Cut(i.Value, "@")
		words = append(words, local)
	}
	for _, w := range words {
		if dominates(fold(w), fold(p)) {
			return weak("The password is made of a name. Choose something else.")
		}
	}
	if set.Dictionary {
		found, err := authn.WordsIn(ctx, q, app.ID, fold(p))
		if err != nil {
			return err
		}
		for _, w := range found {
			if dominates(w, fold(p)) {
				return backend.Code(fault.New(fault.Invalid, "The password is made of a word that is not allowed here."), "auth_password_in_dictionary")
			}
		}
	}
	return nil
}

// shape checks length and complexity (DESIGN 2.20.18).
func shape(set settings, p string) error {
	n := utf8.RuneCountInString(p)
	if n < set.MinLength {
		return weak("The password needs at least %d characters.", set.MinLength)
	}
	if n > Longest || !utf8.ValidString(p) || strings.ContainsFunc(p, unicode.IsControl) {
		return weak("The password has at most %d characters, and no control characters.", Longest)
	}
	var lower, upper, digit, symbol int
	for _, r := range p {
		switch {
		case unicode.IsLower(r):
			lower = 1
		case unicode.IsUpper(r):
			upper = 1
		case unicode.IsDigit(r):
			digit = 1
		default:
			symbol = 1
		}
	}
	if lower+upper+digit+symbol < min(set.Complexity, 4) {
		return weak("The password needs %d of these: a small letter, a capital letter, a digit, a symbol.", min(set.Complexity, 4))
	}
	if set.Complexity == 5 && runs(p) {
		return weak("The password must not have three equal or consecutive characters in a row.")
	}
	return nil
}

func runs(p string) bool {
	r := []rune(p)
	for i := 2; i < len(r); i++ {
		a, b := r[i-1]-r[i-2], r[i]-r[i-1]
		if a == b && (a == 0 || a == 1 || a == -1) {
			return true
		}
	}
	return false
}

// leet are the digits and symbols that people write for letters.
var leet = strings.NewReplacer("0", "o", "1", "l", "3", "e", "4", "a", "5", "s", "7", "t", "@", "a", "$", "s", "!", "i")

// fold is what spellings of a word have in common: letters and digits, small,
// with no digits for letters.
func fold(s string) string {
	s = leet.Replace(strings.ToLower(norm.NFKC.String(s)))
	return strings.Map(func(r rune) rune {
		if unicode.IsLetter(r) || unicode.IsDigit(r) {
			return r
		}
		return -1
	}, s)
}

// dominates reports whether a password is a word, or a word and fewer than eight
// other characters (authenticators.md 1.3).
func dominates(word, password string) bool {
	if utf8.RuneCountInString(word) < 3 || !strings.Contains(password, word) {
		return false
	}
	return utf8.RuneCountInString(strings.Replace(password, word, "", 1)) < 8
}

// breached refuses a password that is in the collection of leaked ones. If that
// cannot be found out, it is fault.Unavailable, or blind where the settings let
// such a password pass.
func breached(ctx context.Context, set settings, p string) (blind bool, err error) {
	seen, err := leaked(ctx, set, p)
	switch {
	case seen:
		return false, backend.Code(fault.New(fault.Invalid, "This password has appeared in a data breach. Choose another one."), "auth_password_breached")
	case err != nil && !set.HIBPOpen:
		return false, fault.New(fault.Unavailable, "The password cannot be checked now. Try again in a moment.").Because(err)
	}
	return err != nil, nil
}

// leaked looks a password up in an offline file, or asks the service, which
// learns five hex digits of a hash and no more (HIBP range API, with padding).
func leaked(ctx context.Context, set settings, p string) (bool, error) {
	sum := sha1.Sum([]byte(p))
	hash := strings.ToUpper(hex.EncodeToString(sum[:]))
	if set.HIBPFile != "" {
		return inFile(set.HIBPFile, hash)
	}
	return inRange(ctx, set.HIBPURL, hash)
}

// outgoing is the guarded client; tests replace it.
var outgoing = web.Egress(web.EgressOptions{})

func inRange(ctx context.Context, base, hash string) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	at, err := url.JoinPath(base, "range", hash[:5])
	if err != nil {
		return false, err
	}
	body, err := web.Get(ctx, outgoing, at, map[string]string{"Add-Padding": "true", "User-Agent": "watchword"})
	if err != nil {
		return false, err
	}
	for line := range strings.Lines(string(body)) {
		suffix, count, ok := strings.Cut(strings.TrimSpace(line), ":")
		if ok && strings.EqualFold(suffix, hash[5:]) && strings.Trim(count, "0") != "" { // padding has a count of 0
			return true, nil
		}
	}
	return false, nil
}

// maxLine is more than any line of such a file has; a file that has longer ones is
// another, and is not read into memory.
const maxLine = 256

func tooLong(had, err error) error {
	if err == nil || err == io.EOF {
		return had
	}
	return err
}

// inFile searches a file of "HASH:COUNT" lines that is sorted by hash.
func inFile(path, hash string) (bool, error) {
	info, err := os.Stat(path)
	if err == nil && !info.Mode().IsRegular() { // whatever else has a path may never end, or never begin
		err = errors.New("the list of leaked passwords is no file")
	}
	if err != nil {
		return false, err
	}
	f, err := os.Open(path)
	if err != nil {
		return false, err
	}
	defer f.Close()
	size := info.Size()
	var bad error
	lineAt := func(at int64) string { // the first whole line at or after at
		r := bufio.NewReaderSize(io.NewSectionReader(f, at, size-at), maxLine)
		if at > 0 {
			if _, err := r.ReadSlice('\n'); err != nil {
				bad = tooLong(bad, err)
				return ""
			}
		}
		line, err := r.ReadSlice('\n')
		bad = tooLong(bad, err)
		return strings.ToUpper(strings.TrimSpace(string(line)))
	}
	at := sort.Search(int(size), func(i int) bool { l := lineAt(int64(i)); return l == "" || l >= hash })
	for _, from := range []int64{0, int64(at)} {
		if line := lineAt(from); strings.HasPrefix(line, hash+":") || line == hash {
			return true, bad
		}
	}
	return false, bad
}
