#!/bin/sh
# Measure the real server and write docs/performance.md, on SQLite and on a
# throw-away PostgreSQL that nothing else uses. Flags go to the benchmark.
set -eu
cd "$(dirname "$0")/.."

POSTGRES_PORT=${POSTGRES_PORT:-7430}
POSTGRES_DIR=${POSTGRES_DIR:-/tmp/watchword-postgres-$POSTGRES_PORT}
export POSTGRES_PORT POSTGRES_DIR

url=${BENCH_POSTGRES:-}
if [ -z "$url" ]; then
	url=$(scripts/postgres.sh start)
	trap 'scripts/postgres.sh stop' EXIT
fi
go run ./bench -postgres "$url" "$@"
