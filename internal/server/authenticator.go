package server

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"maps"
	"mime"
	"net/http"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/watchword-auth/watchword/internal/apps"
	"github.com/watchword-auth/watchword/internal/db"
	"github.com/watchword-auth/watchword/internal/web"
	"github.com/watchword-auth/watchword/ui"
)

// authenticatorPolicy lets the phone app run its own modules and speak to its own
// server, and nothing else. The one policy for trusted types is for its worker.
const authenticatorPolicy = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; manifest-src 'self'; worker-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types watchword"

// asset is one file as it is served.
type asset struct {
	kind    string
	body    []byte
	squeeze []byte // by gzip; nil where that makes nothing smaller
	tag     string
}

// authenticatorFiles are the files of the phone app by path, as they are served:
// without the comments, which are for whoever reads the source, and with a worker
// that knows the hash of all of them, and which of them read QR codes: only some
// browsers want those.
func authenticatorFiles(files fs.FS) (map[string]asset, error) {
	out := map[string]asset{}
	err := fs.WalkDir(files, "authenticator", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := fs.ReadFile(files, name)
		if err == nil {
			out["/"+name] = made(name, b)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	known, err := sharedBy(files, joined(out))
	if err != nil {
		return nil, err
	}
	shell, reader, h := []string{}, []string{}, sha256.New()
	for _, name := range sorted(out) {
		h.Write(out[name].body)
		if strings.Contains(name, "/qr/") {
			reader = append(reader, name)
			continue
		}
		if base := path.Base(name); base != "sw.js" && base != "index.html" && !strings.Contains(name, "/lang/") && !strings.HasPrefix(base, "icon-") {
			shell = append(shell, name)
		}
	}
	for _, name := range sorted(known) {
		h.Write(known[name])
		shell = append(shell, name)
	}
	shell = append(shell, "/authenticator/", "/authenticator/icon-192.png", "/authenticator/lang/en.json")
	version := "watchword-" + hex.EncodeToString(h.Sum(nil))[:16]
	worker := fmt.Sprintf("self.SHELL = %s;\n%s", db.Text(map[string]any{"version": version, "files": shell, "reader": reader}), out["/authenticator/sw.js"].body)
	out["/authenticator/sw.js"] = made("sw.js", []byte(worker))
	out["/authenticator/"] = made("index.html", preloading(out, known))
	delete(out, "/authenticator/index.html")
	return out, nil
}

const firstModule = `<script type="module" src="app.js"></script>`

var imported = regexp.MustCompile(`(?m)^(?:import|export)\b.*?['"](\.?/[^'"]+)['"];?$`)

// preloading is the app's page with every module named that the first one needs,
// however indirectly: they are all asked for at once, and not one row after the
// other has come.
func preloading(out map[string]asset, shared map[string][]byte) []byte {
	const begin = "/authenticator/app.js"
	queue, links := []string{begin}, ""
	for seen := map[string]bool{begin: true}; len(queue) > 0; queue = queue[1:] {
		text := out[queue[0]].body
		if b, is := shared[queue[0]]; is {
			text = b
		}
		for _, m := range imported.FindAllSubmatch(text, -1) {
			name := string(m[1])
			if !path.IsAbs(name) {
				name = path.Join(path.Dir(queue[0]), name)
			}
			if !seen[name] {
				seen[name] = true
				queue = append(queue, name)
				links += `<link rel="modulepreload" href="` + name + `">`
			}
		}
	}
	return bytes.Replace(out["/authenticator/index.html"].body, []byte(firstModule), []byte(links+firstModule), 1)
}

// sharedBy are the files of lib that an app needs, by path: those that it names, and
// those that these name.
func sharedBy(files fs.FS, app []byte) (map[string][]byte, error) {
	list, err := fs.ReadDir(files, "lib")
	if err != nil {
		return nil, err
	}
	out := map[string][]byte{}
	for more := true; more; {
		more = false
		for _, d := range list {
			name := "/lib/" + d.Name()
			if out[name] != nil || !bytes.Contains(app, []byte(name)) && !slices.ContainsFunc(slices.Collect(maps.Values(out)), func(b []byte) bool { return bytes.Contains(b, []byte("'./"+d.Name()+"'")) }) {
				continue
			}
			b, err := fs.ReadFile(files, strings.TrimPrefix(name, "/"))
			if err != nil {
				return nil, err
			}
			out[name], more = b, true
		}
	}
	return out, nil
}

func sorted[V any](m map[string]V) []string {
	names := make([]string, 0, len(m))
	for name := range m {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

func joined(files map[string]asset) []byte {
	var b bytes.Buffer
	for _, name := range sorted(files) {
		b.Write(files[name].body)
	}
	return b.Bytes()
}

func made(name string, b []byte) asset {
	kind := mime.TypeByExtension(path.Ext(name))
	switch path.Ext(name) {
	case ".js":
		kind, b = "text/javascript; charset=utf-8", uncommented(b)
	case ".webmanifest":
		kind = "application/manifest+json"
	case ".json":
		kind = "application/json"
	}
	h := sha256.Sum256(b)
	a := asset{kind: kind, body: b, tag: `"` + hex.EncodeToString(h[:])[:20] + `"`}
	var z bytes.Buffer
	w, err := gzip.NewWriterLevel(&z, gzip.BestCompression)
	if err != nil {
		panic(err) // the level is one that exists
	}
	_, _ = w.Write(b) // a buffer takes everything
	_ = w.Close()
	if z.Len() < len(b) {
		a.squeeze = z.Bytes()
	}
	return a
}

// uncommented leaves away the lines of a module that are comments and nothing else.
// The app's sources keep to that: no line of a template begins like one.
func uncommented(b []byte) []byte {
	var out bytes.Buffer
	within := false
	for line := range bytes.Lines(b) {
		text := bytes.TrimSpace(line)
		switch {
		case within:
			within = !bytes.HasSuffix(text, []byte("*/"))
		case bytes.HasPrefix(text, []byte("/*")) && bytes.Count(text, []byte("*/")) == 1 && bytes.HasSuffix(text, []byte("*/")), bytes.HasPrefix(text, []byte("//")), len(text) == 0:
		case bytes.HasPrefix(text, []byte("/*")) && !bytes.Contains(text, []byte("*/")):
			within = true
		default:
			out.Write(bytes.TrimLeft(line, " "))
		}
	}
	return out.Bytes()
}

// authenticator serves the phone app.
func (s *Server) authenticator(mux *http.ServeMux) {
	files, err := authenticatorFiles(ui.Files)
	if err != nil {
		panic(err) // the folder is embedded at build time
	}
	mux.HandleFunc("GET /authenticator/config.json", func(w http.ResponseWriter, r *http.Request) {
		client, err := onlyPhone(r.Context(), s.Kit.DB)
		if err != nil {
			f := web.Report(r, err)
			web.Write(w, web.Status(f.Code), map[string]any{"error": f.Code, "message": f.Message}, 0)
			return
		}
		web.Write(w, http.StatusOK, map[string]any{"client": client}, 0)
	})
	mux.HandleFunc("GET /authenticator/", func(w http.ResponseWriter, r *http.Request) {
		a, ok := files[r.URL.Path]
		if !ok {
			http.NotFound(w, r)
			return
		}
		head := w.Header()
		head.Set("Content-Security-Policy", authenticatorPolicy)
		head.Set("Permissions-Policy", "camera=(self), microphone=(), geolocation=()")
		a.serve(w, r)
	})
}

// serve answers with a file, smaller where the browser takes that, or says that it is
// the one the browser has.
func (a asset) serve(w http.ResponseWriter, r *http.Request) {
	head := w.Header()
	head.Set("Cache-Control", "no-cache")
	head.Set("ETag", a.tag)
	head.Set("Content-Type", a.kind)
	head.Add("Vary", "Accept-Encoding")
	if r.Header.Get("If-None-Match") == a.tag {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	body := a.body
	if a.squeeze != nil && strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
		head.Set("Content-Encoding", "gzip")
		body = a.squeeze
	}
	_, _ = w.Write(body) // who went away needs no answer
}

// onlyPhone is the client as which a phone may be set up without a link: the only
// native one of this server, or "" if there are several.
func onlyPhone(ctx context.Context, q db.Q) (apps.ClientID, error) {
	tenants, err := apps.Tenants(ctx, q)
	if err != nil {
		return "", err
	}
	var found []apps.ClientID
	for _, t := range tenants {
		list, err := apps.List(ctx, q, t.ID)
		if err != nil {
			return "", err
		}
		for _, a := range list {
			clients, err := apps.Clients(ctx, q, a.ID)
			if err != nil {
				return "", err
			}
			for _, c := range clients {
				if c.Kind == apps.Native {
					found = append(found, c.ID)
				}
			}
		}
	}
	if len(found) != 1 {
		return "", nil
	}
	return found[0], nil
}
