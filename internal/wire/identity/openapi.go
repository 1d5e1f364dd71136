package identity

import (
	"net/http"
	"reflect"
	"strings"

	"github.com/watchword-auth/watchword/internal/backend"
	"github.com/watchword-auth/watchword/internal/web"
)

// openAPI describes every call of the table (OpenAPI 3.1).
func openAPI(base string) http.HandlerFunc {
	doc := map[string]any{
		"openapi": "3.1.0",
		"info":    map[string]any{"title": "Watchword identity API", "version": "1"},
		"servers": []any{map[string]any{"url": base + "/cis"}, map[string]any{"url": base}},
		"paths":   paths(),
		"components": map[string]any{"securitySchemes": map[string]any{
			"client": map[string]any{"type": "oauth2", "flows": map[string]any{"clientCredentials": map[string]any{"tokenUrl": base + "/oidc/token", "scopes": map[string]any{}}}},
			"user":   map[string]any{"type": "http", "scheme": "bearer"},
		}},
	}
	return func(w http.ResponseWriter, _ *http.Request) { web.Write(w, http.StatusOK, doc, 0) }
}

func paths() map[string]any {
	out := map[string]any{}
	for _, c := range backend.Calls() {
		method, path, _ := strings.Cut(c.Route, " ")
		item, ok := out[path].(map[string]any)
		if !ok {
			item = map[string]any{}
			out[path] = item
		}
		item[strings.ToLower(method)] = operation(c, method, path)
	}
	return out
}

func operation(c backend.Info, method, path string) map[string]any {
	op := map[string]any{"summary": c.Title, "operationId": strings.ToLower(method) + strings.NewReplacer("/", "_", "{", "", "}", "", "-", "_", ".", "_").Replace(path),
		"responses": map[string]any{"default": map[string]any{"description": "The answer, or {message, error_code, ts_error_code, request_id, retry_after}."}}}
	switch c.Who {
	case backend.Client:
		op["security"], op["description"] = []any{map[string]any{"client": []any{}}}, "Needs the permission "+c.Needs+"."
	case backend.User:
		op["security"] = []any{map[string]any{"user": []any{}}}
	}
	var params []any
	for _, part := range strings.Split(path, "/") {
		if name, ok := strings.CutPrefix(part, "{"); ok {
			params = append(params, map[string]any{"name": strings.TrimSuffix(name, "}"), "in": "path", "required": true, "schema": map[string]any{"type": "string"}})
		}
	}
	for _, name := range c.Query {
		params = append(params, map[string]any{"name": name, "in": "query", "schema": map[string]any{"type": "string"}})
	}
	if params != nil {
		op["parameters"] = params
	}
	if method != http.MethodGet && method != http.MethodDelete {
		op["requestBody"] = map[string]any{"content": map[string]any{"application/json": map[string]any{"schema": schema(c.In)}}}
	}
	return op
}

// schema describes what a call decodes.
func schema(t reflect.Type) map[string]any {
	switch t.Kind() {
	case reflect.Pointer:
		return schema(t.Elem())
	case reflect.String:
		return map[string]any{"type": "string"}
	case reflect.Bool:
		return map[string]any{"type": "boolean"}
	case reflect.Int, reflect.Int64, reflect.Float64:
		return map[string]any{"type": "number"}
	case reflect.Slice:
		if t.Elem().Kind() == reflect.Uint8 {
			return map[string]any{}
		}
		return map[string]any{"type": "array", "items": schema(t.Elem())}
	case reflect.Struct:
		props := map[string]any{}
		for _, f := range reflect.VisibleFields(t) {
			name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
			if name != "" && name != "-" && f.IsExported() {
				props[name] = schema(f.Type)
			}
		}
		return map[string]any{"type": "object", "properties": props, "additionalProperties": false}
	}
	return map[string]any{"type": "object"}
}
