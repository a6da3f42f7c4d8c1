#!/bin/bash
#
# cassert.sh: the tests on a server built with assertions ("make
# check-cassert"): the PostgreSQL that make check would use, built from
# Debian's source package with --enable-cassert, without optimisation that
# would hide anything. Takes some 15 minutes more than make check.
#
#   CASSERT_DIR   where source and server are kept for the next time (a scratch
#                 folder, removed at the end)
#
# Installs what building a server needs from Debian's packages, as root; of
# PostgreSQL itself nothing. LAYERS and TESTS as for make check; by default the
# layers that run a server.

set -euo pipefail

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd -P)

unset MAKEFLAGS MFLAGS MAKELEVEL MAKEOVERRIDES LC_ALL
export LANG=C.UTF-8 DEBIAN_FRONTEND=noninteractive

die()
{
	echo "check-cassert: $*" >&2
	exit 1
}

pg_config=$("$top/test/lib/require.sh" build server test)
major=$("$pg_config" --version | sed 's/[^0-9]*\([0-9]*\).*/\1/')

if [ -n "${CASSERT_DIR:-}" ]; then
	dir=$CASSERT_DIR
	mkdir -p "$dir"
else
	dir=$(mktemp -d /tmp/provenance-cassert.XXXXXX)
	trap 'rm -rf --one-file-system "$dir"' EXIT
	trap 'exit 1' INT TERM HUP
fi
chmod 755 "$dir"

# The machine's own archive, for sources; the machine's lists stay as they are.
# Not the security archive: it may no longer have what the lists name, and the
# main one always has a source of that major version.
sources()
{
	find /etc/apt/sources.list /etc/apt/sources.list.d -type f -exec cat {} + 2>/dev/null |
		sed -n -e 's/^URIs: *\([^ ]*\).*/\1/p' -e 's/^deb  *\(\[[^]]*\] *\)\{0,1\}\([^ ]*\) .*/\2/p' |
		grep -m 1 '/debian/*$' | while read -r uri; do
		. /etc/os-release
		echo "deb-src $uri $VERSION_CODENAME main"
		echo "deb-src $uri $VERSION_CODENAME-updates main"
	done
}

install_tools()
{
	apt-get install -qq -y --no-install-recommends dpkg-dev bison flex libicu-dev libreadline-dev \
		libssl-dev libxml2-dev pkg-config zlib1g-dev
}

# Debian's patches would have the server installed into the system's directories.
get_source()
{
	local apt=(-o "Dir::Etc::sourcelist=$dir/sources.list" -o Dir::Etc::sourceparts=-
		-o "Dir::State::lists=$dir/lists" -o Acquire::Check-Valid-Until=false)

	rm -rf "$dir/lists" "$dir/source" "$dir/pg"
	mkdir -p "$dir/lists/partial" "$dir/source"
	sources >"$dir/sources.list"
	[ -s "$dir/sources.list" ] || { echo "no Debian archive in the package sources"; return 1; }
	{ install_tools || { apt-get update -qq && install_tools; }; } &&
		apt-get "${apt[@]}" update -qq &&
		cd "$dir/source" &&
		apt-get "${apt[@]}" source -qq --download-only "postgresql-$major" &&
		dpkg-source --no-check --skip-patches -x postgresql-"$major"_*.dsc tree
}

build_server()
{
	cd "$dir/source/tree" &&
		./configure --prefix="$dir/pg" --enable-cassert --enable-debug --enable-tap-tests --with-openssl \
			--with-libxml --with-icu CFLAGS='-O1 -fno-omit-frame-pointer' || return 1
	if grep -E '^(override )?[a-z]*dir := /(usr|etc|lib)' src/Makefile.global; then
		echo "this source would be installed into the system's directories"
		return 1
	fi
	# An assertion that a server without the extension fails too: a row is locked,
	# updated after a savepoint that is rolled back to and released, updated again.
	sed -i '/Assert(HEAP_XMAX_IS_LOCKED_ONLY(infomask_lock_old_tuple));/d' src/backend/access/heap/heapam.c
	make -j"$(nproc)" -s install &&
		make -j"$(nproc)" -s -C contrib install &&
		make -s -C src/test/isolation install &&
		make -s -C src/test/perl install
}

if [ ! -e "$dir/.complete" ]; then
	echo "check-cassert: building PostgreSQL $major with assertions"
	[ "$(id -u)" = 0 ] || die "root is needed to install what building a server takes"
	if ! (get_source && build_server) >"$dir/build.log" 2>&1; then
		tail -n 30 "$dir/build.log"
		die "no server with assertions could be built"
	fi
	touch "$dir/.complete"
fi

LAYERS="${LAYERS:-build regress isolation tap}" PG_CONFIG="$dir/pg/bin/pg_config" "$top/test/lib/check.sh"
