#!/bin/bash
#
# require.sh <need>...
#
# Makes sure that this machine has what the named needs ask for, and installs
# what is missing from Debian's packages, saying first what and why:
#
#   build    C compiler, make, OpenSSL's headers
#   server   a PostgreSQL, 15 to 18, with its server headers and PGXS
#   python   python3, for the independent reader of what the extension emits
#   test     what the tests use besides: Perl with IPC::Run and prove, python3
#   candidates   (after server) other extensions that measurements compare with:
#            Debian's tablelog and periods for that PostgreSQL. Those that cannot
#            be had are done without.
#
# With "server", the path of the pg_config to use is printed to standard
# output: $PG_CONFIG if set, else the one in PATH, else the newest complete
# one of Debian's layout, else the newest that Debian's packages offer. A
# pg_config alone proves nothing: libpq-dev brings one without PGXS.
#
# Status 1 if something is missing and cannot be installed here (neither root
# nor passwordless sudo, no apt-get, a PG_CONFIG that Debian knows nothing of).
# Installing a server package on Debian usually creates and starts a cluster;
# it is told not to for as long as the installation takes.

set -euo pipefail

MAJORS="18 17 16 15"
packages=()
reasons=()
updated=no
dropin=

say()
{
	printf '%s\n' "$*" >&2
}

die()
{
	say "$*"
	exit 1
}

want()
{
	packages+=("$1")
	reasons+=("$2")
}

# major <pg_config>: its major version, or nothing
major()
{
	"$1" --version 2>/dev/null | sed -n 's/^PostgreSQL \([0-9]*\).*/\1/p'
}

# complete <pg_config>: is this a supported server, with headers and PGXS?
complete()
{
	local m bin

	m=$(major "$1")
	[[ -n $m && " $MAJORS " == *" $m "* ]] || return 1
	bin=$("$1" --bindir)
	[ -f "$("$1" --pgxs)" ] && [ -f "$("$1" --includedir-server)/postgres.h" ] &&
		[ -x "$bin/postgres" ] && [ -x "$bin/initdb" ]
}

available()
{
	[[ $(LC_ALL=C apt-cache policy "$1" 2>/dev/null) =~ Candidate:\ [0-9] ]]
}

debian()
{
	command -v apt-get >/dev/null && command -v apt-cache >/dev/null
}

# as_admin <command>...: as root, by sudo if need be
as_admin()
{
	if [ "$(id -u)" = 0 ]; then
		"$@"
	else
		sudo -n "$@"
	fi
}

admin()
{
	[ "$(id -u)" = 0 ] || sudo -n true 2>/dev/null
}

apt_update()
{
	[ "$updated" = no ] || return 0
	say "Reading Debian's package lists (apt-get update)."
	as_admin apt-get -q update >&2
	updated=yes
}

want_server()
{
	local m

	[ -x "/usr/lib/postgresql/$1/bin/postgres" ] ||
		want "postgresql-$1" "the server, for private throwaway clusters (no system cluster is made)"
	want "postgresql-server-dev-$1" "server headers and PGXS, to build the extension"
	pg_config=/usr/lib/postgresql/$1/bin/pg_config
}

find_server()
{
	local m p

	if [ -n "${PG_CONFIG:-}" ]; then
		p=$(command -v "$PG_CONFIG" || true)
		if [ -n "$p" ] && complete "$p"; then
			pg_config=$p
			return
		fi
		m=
		if [[ $PG_CONFIG =~ ^/usr/lib/postgresql/([0-9]+)/bin/pg_config$ ]]; then
			m=${BASH_REMATCH[1]}
		elif [ -n "$p" ] && [[ $("$p" --bindir) == /usr/lib/postgresql/*/bin ]]; then
			m=$(major "$p")
		fi
		[[ -n $m && " $MAJORS " == *" $m "* ]] ||
			die "PG_CONFIG=$PG_CONFIG is not the pg_config of a PostgreSQL 15 to 18 with server, headers and PGXS."
		want_server "$m"
		return
	fi

	for p in pg_config $(printf '/usr/lib/postgresql/%s/bin/pg_config ' $MAJORS); do
		p=$(command -v "$p") || continue
		if complete "$p"; then
			pg_config=$p
			return
		fi
	done

	debian || die "No PostgreSQL 15 to 18 with server headers (PGXS) found. Install one, or name its pg_config with PG_CONFIG=."

	# headers only for a server that is there
	for m in $MAJORS; do
		if [ -x "/usr/lib/postgresql/$m/bin/postgres" ]; then
			want_server "$m"
			return
		fi
	done

	for m in $MAJORS; do
		available "postgresql-server-dev-$m" && { want_server "$m"; return; }
	done
	if admin; then
		apt_update
		for m in $MAJORS; do
			available "postgresql-server-dev-$m" && { want_server "$m"; return; }
		done
		die "Debian's packages, as this machine sees them, offer no PostgreSQL of version 15 to 18."
	fi
	want postgresql-NN "the server (NN: 15 to 18), for private throwaway clusters"
	want postgresql-server-dev-NN "server headers and PGXS, to build the extension"
}

find_build()
{
	if ! command -v "${CC:-cc}" >/dev/null && ! command -v gcc >/dev/null; then
		want gcc "C compiler"
		want libc6-dev "C library headers"
	fi
	command -v make >/dev/null || want make "runs the build"
	if ! printf '#include <openssl/evp.h>\n' | ${CC:-cc} -E - >/dev/null 2>&1; then
		[ -f /usr/include/openssl/evp.h ] || want libssl-dev "OpenSSL's headers (libcrypto: SHA-256, Ed25519)"
	fi
}

find_python()
{
	command -v python3 >/dev/null || want python3 "independent checks of formats"
}

find_test()
{
	command -v prove >/dev/null && perl -MTAP::Harness -MTest::More -e 1 2>/dev/null ||
		want perl "prove and TAP::Harness, to run tests"
	perl -MIPC::Run -e 1 2>/dev/null || want libipc-run-perl "IPC::Run, for PostgreSQL's Perl test modules"
	find_python
	command -v nm >/dev/null || want binutils "nm, to compare exported symbols"
	command -v diff >/dev/null || want diffutils "pg_regress compares with diff"
}

# Wanted, not needed: nothing here ends the program.
find_candidates()
{
	local m p file

	m=$(major "$pg_config")
	if [ "$pg_config" != "/usr/lib/postgresql/$m/bin/pg_config" ] &&
		[ "$("$pg_config" --bindir)" != "/usr/lib/postgresql/$m/bin" ]; then
		return 0
	fi
	for p in tablelog periods; do
		file=$p
		[ "$p" = periods ] || file=table_log
		[ ! -f "/usr/share/postgresql/$m/extension/$file.control" ] || continue
		if debian && admin && available "postgresql-$m-$p"; then
			optional+=("postgresql-$m-$p")
		else
			say "Measured without $p: there is no package postgresql-$m-$p that could be installed here."
		fi
	done
}

pg_config=
optional=()
for need in "$@"; do
	case $need in
		build) find_build ;;
		server) find_server ;;
		python) find_python ;;
		test) find_test ;;
		candidates) find_candidates ;;
		*) die "usage: ${0##*/} build|server|python|test|candidates..." ;;
	esac
done

if [ ${#packages[@]} -gt 0 ]; then
	if debian && admin; then
		say "Missing on this machine; to be installed now from Debian's packages:"
	else
		say "Missing on this machine; Debian's packages for it:"
	fi
	for i in "${!packages[@]}"; do
		say "$(printf '  %-26s %s' "${packages[$i]}" "${reasons[$i]}")"
	done
	debian || die "There is no apt-get here: install them by the means of this system."
	admin || die "Not root, and no sudo without a password: install them, then run this again."

	for p in "${packages[@]}"; do
		available "$p" || apt_update
	done

	if [[ " ${packages[*]} " == *" postgresql-1"* ]]; then
		dropin=/etc/postgresql-common/createcluster.d/zz-provenance-tests.conf
		trap 'as_admin rm -f "$dropin"' EXIT
		as_admin mkdir -p "${dropin%/*}"
		echo 'create_main_cluster = false' | as_admin tee "$dropin" >/dev/null
	fi
	install()
	{
		as_admin env DEBIAN_FRONTEND=noninteractive \
			apt-get -q -y --no-install-recommends install "${packages[@]}" >&2
	}
	if ! install; then
		[ "$updated" = no ] || exit 1
		apt_update
		install || exit 1
	fi
fi

for p in "${optional[@]}"; do
	say "To be installed now from Debian's packages, to be compared with: $p"
	as_admin env DEBIAN_FRONTEND=noninteractive apt-get -q -y --no-install-recommends install "$p" >&2 ||
		say "Measured without it."
done

if [ -n "$pg_config" ]; then
	complete "$pg_config" || die "$pg_config is still incomplete."
	echo "$pg_config"
fi
