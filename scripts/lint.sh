#!/bin/sh
# Formatting, vet and staticcheck.
set -eu
cd "$(dirname "$0")/.."
bad=$(gofmt -l cmd internal ui bench tests 2>/dev/null || true)
if [ -n "$bad" ]; then
	echo "gofmt would change:" "$bad" >&2
	exit 1
fi
go vet ./...
go run honnef.co/go/tools/cmd/staticcheck@v0.8.2 ./...
