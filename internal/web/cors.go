package web

import "net/http"

// Readable lets a page of an origin read an answer; with cookies, only if it says
// so. Whether it may is the door's to know.
func Readable(w http.ResponseWriter, origin string, cookies bool) {
	w.Header().Set("Access-Control-Allow-Origin", origin)
	if cookies {
		w.Header().Set("Access-Control-Allow-Credentials", "true")
	}
}

// Preflight answers the question of a browser what a page may send, which it may
// remember for ten minutes. Who may ask was said by Readable.
func Preflight(w http.ResponseWriter, methods, headers string) {
	w.Header().Set("Access-Control-Allow-Methods", methods)
	if headers != "" {
		w.Header().Set("Access-Control-Allow-Headers", headers)
	}
	w.Header().Set("Access-Control-Max-Age", "600")
	w.WriteHeader(http.StatusNoContent)
}
