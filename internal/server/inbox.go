package server

import (
	"html/template"
	"net/http"
)

var inboxTemplate = template.Must(template.New("inbox").Parse(`<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="theme-color" content="#fbfaf8" media="(prefers-color-scheme: light)">
<meta name="theme-color" content="#101218" media="(prefers-color-scheme: dark)">
<title>Inbox · watchword</title>
<link rel="icon" href="/lib/mark.svg"><link rel="stylesheet" href="/lib/watchword.css"><link rel="stylesheet" href="/playground/inbox.css">
<script type="module" src="/playground/inbox.js"></script></head>
<body><main class="inbox"><header><h1>Inbox</h1><a href="/playground/">Playground</a>
<p class="lead">Every message this development server would have sent, newest first.</p></header>
{{range .}}<article id="{{.ID}}"><h2>{{.Subject}}</h2><p class="route">{{.Channel}} to {{.To}} · <time datetime="{{.At.UTC.Format "2006-01-02T15:04:05Z07:00"}}">{{.At.UTC.Format "15:04:05"}} UTC</time></p><p class="text">{{.Text}}</p>
{{if .Data}}<dl>{{range $k, $v := .Data}}{{if and (ne $k "title") (ne $k "body")}}<dt>{{$k}}</dt><dd>{{if eq $k "link"}}<a href="{{$v}}">{{$v}}</a>{{else}}<code>{{$v}}</code>{{end}}</dd>{{end}}{{end}}</dl>{{end}}</article>
{{else}}<p>Nothing yet. Sign in at the <a href="/playground/">playground</a> and a push shows up here.</p>{{end}}
</main></body></html>
`))

const pagePolicy = "default-src 'none'; style-src 'self'; img-src 'self'; frame-ancestors 'none'; base-uri 'none'"

func (d *Dev) inboxPage(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Content-Security-Policy", pagePolicy+"; script-src 'self'; connect-src 'self'")
	list := d.Inbox.List("", "", "")
	for i, j := 0, len(list)-1; i < j; i, j = i+1, j-1 {
		list[i], list[j] = list[j], list[i]
	}
	if err := inboxTemplate.Execute(w, list); err != nil {
		d.s.config.Log.Warn("inbox page", "err", err)
	}
}
