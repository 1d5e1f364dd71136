package main

import (
	"fmt"
	"io"
	"slices"
)

// bar is what a row is asked to reach. Of ratios, other is the row that it is
// divided by: of the same store, or of the machine if that has it.
type bar struct {
	row, other string
	least      float64 // 0: none
	most       float64 // 0: none
	stores     []string
	peer       string // the best figure of other servers, for the same thing
}

const bare = "bare net/http requests, 32 at a time"

var (
	embedded = []string{sqliteColumn}
	both     = []string{sqliteColumn, postgresColumn}
)

// bars are in the order of the table. What others reach was measured on a machine
// of this kind on 2026-11-22, with a bare server at 18-23 thousand requests a
// second, the best of 1, 8 and 32 at a time.
var bars = []bar{
	{row: "discovery documents, 32 at a time", other: bare, least: 0.7, stores: both, peer: "pocket-id 11,900/s"},
	{row: "key sets, 32 at a time", other: bare, least: 0.7, stores: both, peer: "pocket-id 14,000/s"},
	{row: "client_credentials tokens, 32 at a time", least: 1500, stores: embedded, peer: "hydra 155/s"},
	{row: "client_credentials tokens, 32 at a time", least: 1000, stores: []string{postgresColumn}, peer: "authelia 563/s"},
	{row: "introspections, 32 at a time", other: bare, least: 0.15, stores: embedded, peer: "hydra 1,515/s"},
	{row: "refreshes, 32 at a time", least: 600, stores: both, peer: "dex 449/s, in memory"},
	{row: "code flows on a session, 32 at a time", least: 250, stores: both, peer: "pocket-id 93/s"},
	{row: "TOTP sign-ins over REST, 32 at a time", least: 500, stores: embedded, peer: "authelia 415/s, second factor only"},
	{row: "TOTP sign-ins over REST, 32 at a time: server CPU", most: 1.5, stores: embedded, peer: "authelia 2.7 ms"},
	{row: "TOTP sign-ins through journeys, 32 at a time", least: 300, stores: embedded},
	{row: "passkey sign-ins over REST, 32 at a time", least: 500, stores: embedded, peer: "pocket-id 208/s"},
	{row: "password sign-ins over REST, 32 at a time", other: "argon2id hashes of the machine", least: 0.8, stores: embedded, peer: "dex 26/s, bcrypt"},
}

// value is what a bar judges: a median, or the quotient of two.
func (t *table) value(b bar, store string) (float64, bool) {
	of := func(name string) (float64, bool) {
		i := slices.IndexFunc(t.rows, func(r *row) bool { return r.name == name })
		if i < 0 {
			return 0, false
		}
		v := t.rows[i].values[store]
		if len(v) == 0 {
			v = t.rows[i].values[machineColumn]
		}
		return median(v), len(v) > 0
	}
	v, ok := of(b.row)
	if b.other == "" || !ok {
		return v, ok
	}
	by, ok := of(b.other)
	if by == 0 {
		return 0, false
	}
	return v / by, ok
}

// met reports whether a value reaches the bar.
func (b bar) met(v float64) bool { return v >= b.least && (b.most == 0 || v <= b.most) }

// asked says the bar in words.
func (b bar) asked() string {
	switch {
	case b.other != "":
		return fmt.Sprintf("at least %.0f %% of %s", b.least*100, b.other)
	case b.most != 0:
		return fmt.Sprintf("at most %g ms", b.most)
	}
	return fmt.Sprintf("at least %g/s", b.least)
}

// judge writes what was asked of each row and what it reached.
func (t *table) judge(w io.Writer) {
	fmt.Fprint(w, "\n## What is asked, and what it reached\n\n| | asked | store | reached | others |\n|---|---|---|---:|---|\n")
	for _, b := range bars {
		for _, store := range b.stores {
			v, ok := t.value(b, store)
			if !ok {
				continue
			}
			reached := number(v)
			if b.other != "" {
				reached = number(v*100) + " %"
			}
			if !b.met(v) {
				reached += ", **missed**"
			}
			fmt.Fprintf(w, "| %s | %s | %s | %s | %s |\n", b.row, b.asked(), store, reached, b.peer)
		}
	}
	fmt.Fprint(w, "\nOthers: the best of pocket-id, authelia, dex, hydra and kratos as built from their sources on 2026-11-22, with their own default hashing, on a machine of\nthis kind (a bare server at 18 to 23 thousand requests a second), 1, 8 and 32 at a time; on the same kind of store where one could be run.\n")
}
