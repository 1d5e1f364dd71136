package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/watchword-auth/watchword/internal/simulator"
)

// phoneTOTP is the phone's authenticator app. It needs no server.
type phoneTOTP struct {
	Add  totpAdd  `cmd:"" help:"Add the entry of an otpauth:// address, as a scan of its QR code would."`
	Code totpCode `cmd:"" help:"Print the code of now."`
	Sign totpSign `cmd:"" help:"Print the code that answers a challenge."`
}

type totpFlags struct {
	State string `help:"File that holds the phone, secrets included." default:"watchword-phone.json" placeholder:"FILE"`
	JSON  bool   `name:"json" help:"Print JSON."`
}

type totpAdd struct {
	totpFlags
	URI string `arg:"" help:"The address."`
}

// Run adds an entry.
func (c *totpAdd) Run() error {
	t, err := simulator.ParseToken(c.URI)
	if err != nil {
		return err
	}
	if err := simulator.AddToken(c.State, t); err != nil {
		return err
	}
	if c.JSON {
		return json.NewEncoder(os.Stdout).Encode(map[string]any{"issuer": t.Issuer, "label": t.Label})
	}
	_, err = fmt.Printf("Added %s (%s).\n", t.Label, t.Issuer)
	return err
}

type totpCode struct {
	totpFlags
	Label string `help:"Which entry; the newest one if not given." placeholder:"LABEL"`
}

// Run prints a code.
func (c *totpCode) Run() error {
	t, err := c.token(c.Label)
	if err != nil {
		return err
	}
	now := time.Now()
	code, err := t.Code(now)
	if err != nil {
		return err
	}
	return c.print(t, code, now)
}

type totpSign struct {
	totpFlags
	Challenge string `arg:"" help:"The challenge that the page shows."`
	Label     string `help:"Which entry; the newest one if not given." placeholder:"LABEL"`
}

// Run prints the code that answers a challenge.
func (c *totpSign) Run() error {
	t, err := c.token(c.Label)
	if err != nil {
		return err
	}
	now := time.Now()
	return c.print(t, t.Sign(c.Challenge, now), now)
}

func (f totpFlags) token(label string) (simulator.Token, error) {
	all, err := simulator.Tokens(f.State)
	if err != nil {
		return simulator.Token{}, err
	}
	for _, t := range all {
		if label == "" || strings.EqualFold(t.Label, label) {
			return t, nil
		}
	}
	return simulator.Token{}, errors.New(`there is no such entry: add one with "phone totp add"`)
}

func (f totpFlags) print(t simulator.Token, code string, now time.Time) error {
	if f.JSON {
		left := t.Period - int(now.Unix()%int64(t.Period))
		return json.NewEncoder(os.Stdout).Encode(map[string]any{"code": code, "issuer": t.Issuer, "label": t.Label, "expires_in": left})
	}
	_, err := fmt.Println(code)
	return err
}
