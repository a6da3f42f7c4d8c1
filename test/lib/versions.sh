#!/bin/bash
#
# versions.sh: the tests on the PostgreSQL of other Debian suites ("make
# check-versions"), by default 17 and 18; VERSIONS="17" runs that one only.
#
# For each version: the suite that has it is bootstrapped into a folder, and
# there, in a mount namespace of its own, this tree is built, warnings being
# errors, and its layers static, core, regress, isolation and tap are run
# (LAYERS and TESTS as for "make check"). Nothing is installed into the system
# but debootstrap itself. Needs root: for debootstrap, chroot and mounts.
#
#   VERSIONS_DIR   where suites are kept for the next time (a scratch folder,
#                  removed at the end)
#   VERSIONS_MIRROR  Debian's archive; by default the one that this machine's
#                  own package sources name
#
# Everything runs in namespaces of its own: no server and no mount outlives this
# script, however it ends.
#
# The last line is "N passed, N failed, N skipped" over all versions; a version
# whose suite could not be had counts as one skipped. Status 1 if anything
# failed; 3 if nothing did, but a version, or this script, could not be run.

set -euo pipefail

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd -P)
versions=${VERSIONS:-17 18}

declare -A suites=([15]=bookworm [17]=trixie [18]=sid)

unset MAKEFLAGS MFLAGS MAKELEVEL MAKEOVERRIDES LC_ALL
export LANG=C.UTF-8 DEBIAN_FRONTEND=noninteractive

die()
{
	echo "check-versions: $*" >&2
	exit 3
}

[ "$(id -u)" = 0 ] || die "root is needed, for debootstrap and chroot"
if [ -z "${VERSIONS_NAMESPACE:-}" ]; then
	namespace=(unshare --mount --mount-proc --ipc --pid --fork --kill-child)
	"${namespace[@]}" true || die "this machine allows no namespaces of one's own"
	VERSIONS_NAMESPACE=yes exec "${namespace[@]}" "${BASH_SOURCE[0]}"
fi
if ! command -v debootstrap >/dev/null; then
	echo "check-versions: installing debootstrap" >&2
	{ apt-get update -qq && apt-get install -qq -y --no-install-recommends debootstrap; } >/dev/null ||
		die "debootstrap cannot be installed"
fi

# The first archive that the machine's own sources name, security's apart.
mirror()
{
	find /etc/apt/sources.list /etc/apt/sources.list.d -type f -exec cat {} + 2>/dev/null |
		sed -n -e '/security/d' -e 's/^URIs: *\([^ ]*\).*/\1/p' \
			-e 's/^deb  *\(\[[^]]*\] *\)\{0,1\}\([^ ]*\) .*/\2/p' | grep -m 1 '/debian/*$' || true
}
mirror=${VERSIONS_MIRROR:-$(mirror)}
[ -n "$mirror" ] || die "no Debian archive in the package sources; name one in VERSIONS_MIRROR"

if [ -n "${VERSIONS_DIR:-}" ]; then
	dir=$VERSIONS_DIR
	mkdir -p "$dir"
else
	dir=$(mktemp -d /tmp/provenance-versions.XXXXXX)
	trap 'rm -rf --one-file-system "$dir"' EXIT
fi
trap 'exit 1' INT TERM HUP

# within <root> <command>: in the suite, with the mounts that a server needs
within()
{
	local root=$1

	shift
	unshare --mount --pid --fork --kill-child sh -c '
		root=$1; shift
		mount --rbind /dev "$root/dev" && mount -t proc proc "$root/proc" &&
		mount -t tmpfs tmpfs "$root/dev/shm" && exec chroot "$root" "$@"' sh "$root" \
		env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8 TERM=dumb \
		DEBIAN_FRONTEND=noninteractive "$@"
}

# make_suite <version> <root>: once; a folder left half done is made anew
make_suite()
{
	local version=$1 root=$2

	[ ! -e "$root/.complete" ] || return 0
	rm -rf --one-file-system "$root"
	debootstrap --variant=minbase "${suites[$version]}" "$root" "$mirror" || return 1
	# no server of the package's own
	printf '#!/bin/sh\nexit 101\n' >"$root/usr/sbin/policy-rc.d"
	chmod 755 "$root/usr/sbin/policy-rc.d"
	mkdir -p "$root/etc/postgresql-common/createcluster.d"
	echo 'create_main_cluster = false' >"$root/etc/postgresql-common/createcluster.d/provenance.conf"
	# a frozen copy of an archive serves as well
	echo 'Acquire::Check-Valid-Until "false";' >"$root/etc/apt/apt.conf.d/valid-until"
	within "$root" apt-get update -qq || return 1
	within "$root" apt-get install -qq -y --no-install-recommends \
		gcc libc6-dev make libssl-dev openssl perl libipc-run-perl python3 procps util-linux \
		"postgresql-$version" "postgresql-server-dev-$version" || return 1
	touch "$root/.complete"
}

# run_version <version>: prints the tests' output
run_version()
{
	local version=$1 root=$dir/$1

	rm -rf "$root/src"
	mkdir "$root/src"
	tar -C "$top" --exclude=./.git --exclude='*.o' --exclude='*.bc' --exclude='*.so' -cf - . |
		tar -C "$root/src" --no-same-owner -xf -
	local vectors=()
	if [ -n "${PROVENANCE_VECTORS:-}" ] && [ -d "$PROVENANCE_VECTORS" ]; then
		cp -r "$PROVENANCE_VECTORS" "$root/src/vectors"
		vectors=(PROVENANCE_VECTORS=/src/vectors)
	fi
	within "$root" env LAYERS="${LAYERS:-build static core regress isolation tap}" TESTS="${TESTS:-}" "${vectors[@]}" \
		PG_CONFIG="/usr/lib/postgresql/$version/bin/pg_config" make -C /src check 2>&1
}

passed=0
failed=0
skipped=0
status=0
missing=no
for version in $versions; do
	[ -n "${suites[$version]:-}" ] || die "no Debian suite is known for PostgreSQL $version"
	echo "PostgreSQL $version (Debian ${suites[$version]})"
	if ! make_suite "$version" "$dir/$version" >"$dir/$version.log" 2>&1; then
		tail -n 20 "$dir/$version.log"
		echo "check-versions: PostgreSQL $version skipped: the suite could not be made"
		skipped=$((skipped + 1)) missing=yes
		continue
	fi
	# the output goes to the terminal, and its counts are read
	run_version "$version" | tee "$dir/$version.out" || status=1
	if counts=$(grep -E '^[0-9,]+ passed, [0-9,]+ failed, [0-9,]+ skipped$' "$dir/$version.out" | tail -n 1) &&
		[ -n "$counts" ]; then
		read -r p _ f _ s _ <<<"${counts//,/}"
		passed=$((passed + p)) failed=$((failed + f)) skipped=$((skipped + s))
	else
		failed=$((failed + 1)) status=1
	fi
done
printf '%d passed, %d failed, %d skipped\n' $passed $failed $skipped
[ $status = 0 ] && [ $failed = 0 ] || exit 1
[ $missing = no ] || exit 3
