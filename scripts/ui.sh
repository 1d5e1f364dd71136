#!/bin/sh
# Builds the console into ui/console/dist, if anything of it changed since.
set -eu
cd "$(dirname "$0")/../ui/console"
now=$(find . ../lib -path ./node_modules -prune -o -path ./dist -prune -o -type f -print | LC_ALL=C sort | xargs cat | sha256sum | cut -d' ' -f1)
if [ -f dist/index.html ] && [ "$(cat dist/.built 2>/dev/null || true)" = "$now" ]; then
	exit 0
fi
npm ci --no-audit --no-fund --loglevel=error
npm run --silent build
echo "$now" >dist/.built
