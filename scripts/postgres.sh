#!/bin/sh
# A throw-away PostgreSQL for tests.
#
#   scripts/postgres.sh start    start one (or find the running one) and print its URL
#   scripts/postgres.sh halt     stop it at once, as a crash would, and keep its data
#   scripts/postgres.sh stop     stop it and delete its data
#   scripts/postgres.sh url      print its URL; exit 1 when it does not run
#
# It listens on the loopback only, as the user "watchword" without a password,
# below the ports that the system gives to connections and that servers under test
# take. POSTGRES_PORT (7429) and POSTGRES_DIR (/tmp/watchword-postgres-PORT) move it.
# It is as durable as in production; with POSTGRES_FSYNC=off it keeps all that a crash
# of its own leaves, and not what a crash of the machine would, which no test makes:
# a new database costs a fifth then.
set -eu

port=${POSTGRES_PORT:-7429}
dir=${POSTGRES_DIR:-/tmp/watchword-postgres-$port}
url="postgres://watchword@127.0.0.1:$port"

# PostgreSQL refuses to run as root.
as() {
	if [ "$(id -u)" = 0 ]; then
		user=nobody
		id postgres >/dev/null 2>&1 && user=postgres
		setpriv --reuid="$user" --regid="$(id -g "$user")" --clear-groups -- "$@"
	else
		"$@"
	fi
}

# find_bin prints the folder of the newest installed server.
find_bin() {
	if command -v pg_ctl >/dev/null 2>&1 && command -v initdb >/dev/null 2>&1; then
		dirname "$(readlink -f "$(command -v pg_ctl)")"
		return
	fi
	for candidate in $(ls -d /usr/lib/postgresql/*/bin /opt/homebrew/opt/postgresql*/bin 2>/dev/null | sort -rV); do
		if [ -x "$candidate/pg_ctl" ]; then
			echo "$candidate"
			return
		fi
	done
	return 1
}

need_bin() {
	if bin=$(find_bin); then
		return
	fi
	if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
		apt-get update -qq >&2
		DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends postgresql >&2
		bin=$(find_bin) && return
	fi
	echo "postgres.sh: no PostgreSQL server found; install the package 'postgresql'" >&2
	exit 1
}

running() { [ -d "$dir/data" ] && as "$bin/pg_ctl" -D "$dir/data" status >/dev/null 2>&1; }

need_bin
case "${1:-}" in
start)
	if ! running; then
		mkdir -p "$dir"
		chmod 700 "$dir"
		if [ "$(id -u)" = 0 ]; then
			user=nobody
			id postgres >/dev/null 2>&1 && user=postgres
			chown "$user" "$dir"
		fi
		cd "$dir"
		if [ ! -s "$dir/data/PG_VERSION" ]; then
			as "$bin/initdb" -D "$dir/data" -U watchword -A trust -E UTF8 --locale=C >"$dir/initdb.log" 2>&1 ||
				{ cat "$dir/initdb.log" >&2; exit 1; }
		fi
		as "$bin/pg_ctl" -D "$dir/data" -w -t 60 -l "$dir/data/server.log" start >/dev/null -o \
			"-p $port -c listen_addresses=127.0.0.1 -c unix_socket_directories=$dir -c max_connections=300 -c shared_buffers=128MB -c fsync=${POSTGRES_FSYNC:-on}" ||
			{ cat "$dir/data/server.log" >&2; exit 1; }
	fi
	echo "$url"
	;;
halt)
	if running; then
		as "$bin/pg_ctl" -D "$dir/data" -w -m immediate stop >/dev/null
	fi
	;;
stop)
	if running; then
		as "$bin/pg_ctl" -D "$dir/data" -w -m immediate stop >/dev/null
	fi
	rm -rf "$dir"
	;;
url)
	running || exit 1
	echo "$url"
	;;
*)
	echo "usage: $0 start|halt|stop|url" >&2
	exit 2
	;;
esac
