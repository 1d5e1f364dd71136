#!/bin/sh
# Draws the pictures of the documentation anew, by the specs that walk the pages,
# and copies them into docs. Looking at them is left to whoever runs it.
set -eu
cd "$(dirname "$0")/.."
command -v chromium >/dev/null 2>&1 || { echo "pictures.sh: chromium is missing" >&2; exit 1; }
(cd tests/node && npm ci --no-audit --no-fund --loglevel=error)
scripts/ui.sh
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
go build -o "$dir/watchword" ./cmd/watchword
WATCHWORD_BIN=$dir/watchword SHOTS=$dir
export WATCHWORD_BIN SHOTS

node tests/browser/playground.spec.mjs "every state"
ONLY="sign in: name" node tests/browser/hosted.spec.mjs
ONLY="number matching" node tests/browser/hosted.spec.mjs
ONLY="the account" node tests/browser/hosted.spec.mjs
ONLY="printed link|pictures" node tests/browser/console.spec.mjs
node tests/browser/seeds.spec.mjs

mv "$dir/sign-in-light-1280.png" "$dir/hosted-sign-in.png"
mv "$dir/wait-dark-390.png" "$dir/hosted-waiting.png"
mv "$dir/account-light-1280.png" "$dir/hosted-account.png"
for picture in docs/*.png; do
	cp "$dir/${picture#docs/}" "$picture"
done
