# Two targets do all the set-up: `make dev` and `make test`.

GO ?= go
export CGO_ENABLED = 0

.PHONY: dev ui test bench build lint clean

## dev: run the product to develop against, at http://localhost:8080; with the console where npm is there
dev:
	@if command -v npm >/dev/null 2>&1; then $(MAKE) --no-print-directory ui; else echo "npm is not there: the console is left out"; fi
	$(GO) run ./cmd/watchword dev

## ui: build the console, which the next build of the binary has inside
ui:
	scripts/ui.sh

## test: install what is needed and run everything, on SQLite and on PostgreSQL
test:
	scripts/test.sh

## bench: measure the real server and write docs/performance.md
bench:
	scripts/bench.sh

## build: the one binary, in bin/
build: ui
	$(GO) build -trimpath -ldflags='-s -w' -o bin/watchword ./cmd/watchword

## lint: what CI says so that people need not
lint:
	scripts/lint.sh

clean:
	rm -rf bin .tmp
	scripts/postgres.sh stop || true
