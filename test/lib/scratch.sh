#!/bin/bash
#
# scratch.sh <needs> <program> [<argument>...]
#
# Runs a program of this tree in a copy of it, so that neither the checkout nor
# the system is touched and the server's user can read everything:
#
#   - require.sh for the needs (words in one argument), before anything else
#   - a scratch folder below /tmp with the copy in it, owned by the user that
#     servers run as (see cluster.sh)
#   - there, as that user, <program> (a path relative to the top of the tree)
#     with these variables:
#       SCRATCH     the scratch folder; the copy is $SCRATCH/tree, and is the
#                   working directory
#       PG_CONFIG   the PostgreSQL to build against (if needs name a server)
#       CALLER      the user who ran this
#   - at the end, at a failure, at a signal: servers below the scratch folder
#     stopped, the folder removed. KEEP=1 keeps both, unless it was a signal.
#
# The folders that CRM_DATA and PROVENANCE_VECTORS name are copied too if that
# user could not read them. The program's status is this one's.

set -euo pipefail

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd -P)
. "$top/test/lib/cluster.sh"

needs=$1
shift

# make's own variables are about this run of make, not about those within.
unset MAKEFLAGS MFLAGS MAKELEVEL MAKEOVERRIDES

PG_CONFIG=$("$top/test/lib/require.sh" $needs) || exit 1
export PG_CONFIG

# A server, a service file or options named for another purpose stay out.
unset PGHOST PGHOSTADDR PGPORT PGUSER PGDATABASE PGPASSWORD PGPASSFILE PGSERVICE \
	PGSERVICEFILE PGOPTIONS PGDATA PGSSLMODE PGTZ PGDATESTYLE PGCLIENTENCODING

# So does the caller's locale. In the C locale initdb would choose SQL_ASCII,
# which cannot hold a log.
unset LC_ALL LC_COLLATE LC_CTYPE LC_MESSAGES LC_MONETARY LC_NUMERIC LC_TIME LANGUAGE
export LANG=C.UTF-8

# /tmp, whatever TMPDIR says: root's own may be closed to the server's user, and
# the name of a socket must be short.
SCRATCH=$(mktemp -d /tmp/provenance.XXXXXX)
export SCRATCH TMPDIR=$SCRATCH/tmp
CALLER=$(id -un)
export CALLER

clean_up()
{
	local status=$? group

	trap '' INT TERM HUP
	if group=$(cat "$SCRATCH/group" 2>/dev/null); then
		kill -TERM -- "-$group" 2>/dev/null || true
		for _ in $(seq 60); do
			kill -0 -- "-$group" 2>/dev/null || break
			sleep 0.05
		done
		kill -KILL -- "-$group" 2>/dev/null || true
	fi
	if [ -z "${KEEP:-}" ] || [ "$status" -gt 128 ]; then
		clusters_destroy_below "$SCRATCH"
		rm -rf "$SCRATCH"
	fi
	exit "$status"
}
trap clean_up EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM

# What git knows and what it would add; without git, all but what a build makes.
mkdir "$SCRATCH/tree" "$SCRATCH/tmp"
if [ -e "$top/.git" ] && git -C "$top" rev-parse >/dev/null 2>&1; then
	(cd "$top" && git ls-files -z --cached --others --exclude-standard |
		while IFS= read -r -d '' f; do [ ! -e "$f" ] || printf '%s\0' "$f"; done |
		tar --null --no-recursion -T - -cf -) | tar -C "$SCRATCH/tree" -xf - --no-same-owner
else
	tar -C "$top" --exclude=./.git --exclude='*.o' --exclude='*.bc' --exclude='*.so' \
		--exclude=./build --exclude=./results --exclude=./output_iso --exclude=tmp_check \
		-cf - . | tar -C "$SCRATCH/tree" -xf - --no-same-owner
fi

# share <variable>: the folder it names, where the server user can read it
share()
{
	local dir=${!1:-}

	[ -n "$dir" ] || return 0
	[ -d "$dir" ] || { echo "$1=$dir is not a folder" >&2; exit 1; }
	dir=$(cd "$dir" && pwd -P)
	if ! as_server_user find "$dir" -type f ! -readable 2>&1 | { ! grep -q .; }; then
		cp -rL --no-preserve=all "$dir" "$SCRATCH/$1"
		dir=$SCRATCH/$1
	fi
	export "$1=$dir"
}
if [ -z "${PROVENANCE_VECTORS:-}" ] && [ -d "$top/../shared/vectors" ]; then
	PROVENANCE_VECTORS=$top/../shared/vectors
fi
share PROVENANCE_VECTORS
share CRM_DATA

# A checkout made under a tight umask stays readable for its new owner only.
if [ "$(id -u)" = 0 ]; then
	chown -R "$(server_user):" "$SCRATCH"
fi
chmod -R u+rwX "$SCRATCH/tree"

cd "$SCRATCH/tree"
program=$1
shift
# In the background, and waited for, so that a signal is acted on at once; in a
# session of its own, so that all of it can be signalled. The terminal's input
# reaches it still.
as_server_user setsid sh -c 'echo $$ >"$SCRATCH/group"; exec "$@"' sh \
	"./$program" "$@" <&0 &
status=0
wait $! || status=$?
rm -f "$SCRATCH/group"
exit "$status"
