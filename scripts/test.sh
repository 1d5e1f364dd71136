#!/bin/sh
# Everything: lint, Go tests on SQLite and on PostgreSQL, the real SDK in Node and
# in Chromium, every page in Firefox and WebKit. Installs what is missing. A step that fails ends the run.
set -eu
cd "$(dirname "$0")/.."
export CGO_ENABLED=0

step() { printf '\n== %s\n' "$*"; }

need() { # COMMAND-OR-FILE PACKAGE
	command -v "$1" >/dev/null 2>&1 && return
	for file in $1; do [ -e "$file" ] && return; done
	if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
		apt-get update -qq
		DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$2"
		return
	fi
	echo "test.sh: $1 is missing; install the package $2" >&2
	exit 1
}

# roomy reports whether 4 GB may be kept in memory, and as much is left.
roomy() {
	[ -w /dev/shm ] && [ "$(df -Pk /dev/shm | awk 'NR == 2 { print $4 }')" -gt 4000000 ] &&
		[ "$(awk '/^MemAvailable:/ { print $2 }' /proc/meminfo)" -gt 8000000 ]
}

step "what the tests need"
need node nodejs
need npm npm
need chromium chromium
need oathtool oathtool
need firefox-esr firefox-esr
need WebKitWebDriver webkit2gtk-driver
need Xvfb xvfb
need /usr/lib/python3/dist-packages/gi python3-gi
need '/usr/lib/*/girepository-1.0/WebKit2-4.1.typelib' gir1.2-webkit2-4.1
need zbarimg zbar-tools
need /usr/share/zoneinfo/Europe/Berlin tzdata
need /etc/ssl/certs/ca-certificates.crt ca-certificates
need rsvg-convert librsvg2-bin
(cd tests/node && npm ci --no-audit --no-fund --loglevel=error)
POSTGRES_PORT=${POSTGRES_PORT:-7431}
export POSTGRES_PORT
# Each test has a database of its own, which is some 300 files: where there is room
# they are made in memory, several times faster than on a disk.
if [ -z "${POSTGRES_DIR:-}" ] && roomy; then
	POSTGRES_DIR=/dev/shm/watchword-postgres-$POSTGRES_PORT
	export POSTGRES_DIR
fi
TEST_POSTGRES=$(POSTGRES_FSYNC=off scripts/postgres.sh start)
trap 'scripts/postgres.sh stop >/dev/null 2>&1 || true' EXIT

step "the console"
node ui/console/scripts/words.mjs
scripts/ui.sh
node --test ui/console/scripts/journeys.test.mjs ui/console/scripts/shapes.test.mjs

step "lint"
scripts/lint.sh

step "Go tests on SQLite"
TEST_POSTGRES= go test ./...

step "Go tests on PostgreSQL"
TEST_POSTGRES=$TEST_POSTGRES go test -p 2 ./internal/... ./cmd/... ./tests/...

step "race detector on the core"
if command -v gcc >/dev/null 2>&1; then
	CGO_ENABLED=1 go test -race ./internal/db ./internal/journey ./internal/authn ./internal/authenticators/... ./internal/limit
fi

step "the real SDK, in Node and in Chromium"
mkdir -p .tmp
go build -o .tmp/watchword ./cmd/watchword
WATCHWORD_BIN=$PWD/.tmp/watchword
export WATCHWORD_BIN
TEST_POSTGRES= node tests/run.mjs
TEST_POSTGRES=$TEST_POSTGRES node tests/run.mjs

step "what is measured, by itself"
node tests/browser/vitals.spec.mjs
node tests/browser/console.spec.mjs
node tests/qr/qr.spec.mjs
node tests/browser/scan.spec.mjs

step "every page, in Chromium, Firefox and WebKit"
(
	cd tests/browser && exec node ../specs.mjs console.roles.spec.mjs seeds.spec.mjs console.pages.spec.mjs engines.spec.mjs authenticator.spec.mjs hosted.spec.mjs hosted_proof.spec.mjs \
		console.words.spec.mjs console.away.spec.mjs webpush.spec.mjs playground.spec.mjs lib.spec.mjs types.spec.mjs
)
