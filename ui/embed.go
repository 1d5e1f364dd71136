// Package ui holds the pages that browsers run, as they stand: hand-written ES
// modules and CSS, no build step, no code of third parties. It is files and
// nothing else; who serves them, where and with which policy is the server's
// business. A new folder of pages is one more word in the directive below.
package ui

import "embed"

// Files has one folder for each set of pages, and lib, which they share.
//
//go:embed playground login lib authenticator
var Files embed.FS
