# Two targets do all the set-up: `make dev` and `make test`.

GO ?= go
export CGO_ENABLED = 0

.PHONY: dev test bench build lint clean

## dev: run the product to develop against, at http://127.0.0.1:8080
dev:
	$(GO) run ./cmd/watchword dev

## test: install what is needed and run everything, on SQLite and on PostgreSQL
test:
	scripts/test.sh

## bench: measure the real server and write docs/performance.md
bench:
	scripts/bench.sh

## build: the one binary, in bin/
build:
	$(GO) build -trimpath -ldflags='-s -w' -o bin/watchword ./cmd/watchword

## lint: what CI says so that people need not
lint:
	scripts/lint.sh

clean:
	rm -rf bin .tmp
	scripts/postgres.sh stop || true
