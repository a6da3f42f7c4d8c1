#!/bin/bash
#
# private-pg.sh <pg_config> <dest>
#
# Makes a private copy of an installed PostgreSQL below <dest> and prints the
# path of its pg_config. "make install PG_CONFIG=<that path>" then installs
# into <dest> and leaves the system alone.
#
# PostgreSQL finds its directories relative to the program that runs, after
# resolving symbolic links. So every directory P that pg_config reports
# becomes <dest>P: programs as hard links or copies, everything else as
# symbolic links inside real directories. A file installed later replaces a
# link, it is never written through one: PGXS installs with install(1), which
# unlinks its target first; files of this extension that the system may hold
# are left out all the same.
#
# A second call for the same PostgreSQL and destination does nothing. The
# directory's own permissions are the caller's business: a server that runs
# as another user must be able to read <dest>.

set -euo pipefail

if [ $# -ne 2 ]; then
	echo "usage: ${0##*/} <pg_config> <dest>" >&2
	exit 2
fi

# On Debian the pg_config in PATH is a wrapper that libpq-dev brings.
bindir=$("$1" --bindir)
pg_config=$bindir/pg_config
if [ ! -x "$pg_config" ]; then
	echo "${0##*/}: $pg_config does not exist" >&2
	exit 1
fi

mkdir -p "$2"
dest=$(cd "$2" && pwd -P)
stamp=$dest/.private-pg
want="$("$pg_config" --version) $(stat -c '%n %s %Y' "$bindir/postgres" "$pg_config" 2>/dev/null | tr '\n' ' ')"

if [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$want" ]; then
	echo "$dest$bindir/pg_config"
	exit 0
fi

# link_tree <dir>: real directories, a symbolic link for every file
link_tree() {
	[ -d "$1" ] || return 0
	mkdir -p "$dest$1"
	cp -rsf --no-preserve=all "$1/." "$dest$1/"
}

# link_files <dir> <pattern>...: links for some files of a shared directory
link_files() {
	local dir=$1 f
	shift
	mkdir -p "$dest$dir"
	(
		shopt -s nullglob
		cd "$dir"
		for f in $*; do
			ln -sfn "$dir/$f" "$dest$dir/$f"
		done
	)
}

umask 022
mkdir -p "$dest$bindir"
for f in "$bindir"/*; do
	[ -f "$f" ] || continue
	real=$(readlink -f "$f")
	cp -lf "$real" "$dest$bindir/${f##*/}" 2>/dev/null ||
		cp -f "$real" "$dest$bindir/${f##*/}"
done

link_tree "$("$pg_config" --pkglibdir)"
link_tree "$("$pg_config" --sharedir)"
link_tree "$("$pg_config" --pkgincludedir)"
link_tree "$("$pg_config" --includedir-server)"
link_files "$("$pg_config" --includedir)" 'libpq*' 'postgres_ext.h' 'pg_config*.h'
link_files "$("$pg_config" --libdir)" 'libpq.*' 'libpg*'
mkdir -p "$dest$("$pg_config" --docdir)" "$dest$("$pg_config" --mandir)" \
	"$dest$("$pg_config" --localedir)" "$dest$("$pg_config" --sysconfdir)"

find "$dest$("$pg_config" --pkglibdir)" "$dest$("$pg_config" --sharedir)" \
	-name 'provenance*' -prune -exec rm -rf {} +

got=$("$dest$bindir/pg_config" --pkglibdir)
if [ "$got" != "$dest$("$pg_config" --pkglibdir)" ]; then
	echo "${0##*/}: this PostgreSQL cannot be relocated: its private copy uses $got" >&2
	exit 1
fi

printf '%s\n' "$want" >"$stamp"
echo "$dest$bindir/pg_config"
