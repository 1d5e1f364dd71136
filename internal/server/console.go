package server

import (
	"io"
	"io/fs"
	"mime"
	"net/http"
	"path"
	"strings"

	"github.com/watchword-auth/watchword/ui"
)

// consolePolicy lets the console run its own scripts and speak to its own server.
// Frames show pages of this server: the preview of branding and, in development,
// the playground's phone. The drawing library places nodes by style properties,
// which no policy forbids.
const consolePolicy = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data: blob:; frame-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'"

// console serves the console, if it was built into this binary.
func (s *Server) console(mux *http.ServeMux) {
	files, built := ui.Console()
	mux.HandleFunc("GET /console", func(w http.ResponseWriter, r *http.Request) {
		if !built {
			notBuilt(w)
			return
		}
		consoleIndex(w, files)
	})
	mux.HandleFunc("GET /console/", func(w http.ResponseWriter, r *http.Request) {
		name := strings.TrimPrefix(path.Clean(r.URL.Path), "/console/")
		switch {
		case !built:
			notBuilt(w)
		case strings.HasPrefix(name, "assets/"):
			consoleAsset(w, r, files, name)
		default: // every other address is a place in the console
			consoleIndex(w, files)
		}
	})
}

func consoleIndex(w http.ResponseWriter, files fs.FS) {
	b, err := fs.ReadFile(files, "index.html")
	if err != nil {
		http.Error(w, "not found", http.StatusNotFound)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", consolePolicy)
	h.Set("Cache-Control", "no-cache")
	h.Set("Referrer-Policy", "no-referrer")
	w.Write(b)
}

// consoleAsset serves a file whose name changes with its content, compressed if
// the browser takes it so.
func consoleAsset(w http.ResponseWriter, r *http.Request, files fs.FS, name string) {
	h := w.Header()
	h.Set("Content-Type", mime.TypeByExtension(path.Ext(name)))
	h.Set("Cache-Control", "public, max-age=31536000, immutable")
	h.Set("Vary", "Accept-Encoding")
	for _, c := range []struct{ coding, suffix string }{{"br", ".br"}, {"gzip", ".gz"}, {"", ""}} {
		if c.coding != "" && !strings.Contains(r.Header.Get("Accept-Encoding"), c.coding) {
			continue
		}
		if b, err := fs.ReadFile(files, name+c.suffix); err == nil {
			if c.coding != "" {
				h.Set("Content-Encoding", c.coding)
			}
			w.Write(b)
			return
		}
	}
	h.Del("Cache-Control")
	http.Error(w, "not found", http.StatusNotFound)
}

// notBuilt says how to get a console.
func notBuilt(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Security-Policy", pagePolicy)
	io.WriteString(w, `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1"><title>Console</title>
<link rel="icon" href="/lib/favicon.svg"><link rel="stylesheet" href="/lib/watchword.css"></head>
<body class="page"><main class="inbox"><h1>The console is not built into this server</h1>
<p>Run <code>make ui</code>, which needs Node.js, and build the binary again. Everything else works.</p></main></body></html>
`)
}
