#!/bin/bash
#
# all.sh: all tests that the time allows ("make check-all"; what CI runs):
# make check, then make check-versions for one version after the other.
#
#   CHECK_BUDGET  seconds for everything together (5100). A version is begun if
#                 what is left suffices for it, going by how long the longest
#                 part took so far, and ended when nothing is left.
#   VERSIONS, VERSIONS_DIR, VERSIONS_MIRROR, LAYERS, TESTS: as for the parts
#
# A version that cannot be had here (no root, no network) or for which no time
# is left is skipped, says so, and counts as one skipped; what had failed until
# its time was over counts all the same.
#
# The last line is "N passed, N failed, N skipped" over everything; the counts
# of a part have its name before them. Status 1 if anything failed.

set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/../.."

budget=${CHECK_BUDGET:-5100}
bootstrap=300					# seconds to make a suite of another version
longest=0
passed=0
failed=0
skipped=0

work=$(mktemp -d /tmp/provenance-all.XXXXXX)
child=
trap '[ -z "$child" ] || { kill -TERM $child && wait $child || true; } 2>/dev/null; rm -rf --one-file-system "$work"' EXIT
trap 'exit 1' INT TERM HUP
export VERSIONS_DIR=${VERSIONS_DIR:-$work/versions}

# add <line>...: the counts in lines "… N passed, N failed, N skipped …"
add()
{
	local p f s

	while read -r p f s; do
		passed=$((passed + p)) failed=$((failed + f)) skipped=$((skipped + s))
	done < <(sed -n 's/^\(.*[^0-9]\)\{0,1\}\([0-9]\{1,\}\) passed, \([0-9]*\) failed, \([0-9]*\) skipped.*/\2 \3 \4/p' <<<"$1")
}

# part <name> <grace> <command>...: run it for as long as there is time, and add
# its counts. What is still there <grace> seconds after it was told to end is
# killed. Nobody waits for the output's end: a process left over may hold it.
part()
{
	local name=$1 grace=$2 out=$work/out start=$SECONDS status=0 before=$failed counts

	shift 2
	: >"$out"
	timeout --foreground -k "$grace" $((budget - SECONDS)) "$@" >"$out" 2>&1 &
	child=$!
	tail -n +1 -s 0.2 -f --pid=$child "$out" |
		sed -u "s/^[0-9]* passed, [0-9]* failed, [0-9]* skipped\$/$name: &/" &
	wait $child || status=$?
	child=
	wait $!
	[ $((SECONDS - start)) -le $longest ] || longest=$((SECONDS - start))
	counts=$(grep -E '^[0-9]+ passed, [0-9]+ failed, [0-9]+ skipped$' "$out" | tail -n 1) || true
	case $status in
		124 | 137)
			add "$(grep -E '^== [a-z]+: [0-9]+ passed, ' "$out")"
			return 124
			;;
		3)
			add "${counts:-0 passed, 0 failed, 1 skipped}"
			return 0
			;;
	esac
	add "$counts"
	if [ "$failed" = "$before" ] && { [ $status != 0 ] || [ -z "$counts" ]; }; then
		failed=$((failed + 1))
	fi
}

if ! part "make check" 60 test/lib/check.sh; then
	echo "check-all: make check did not end in $budget seconds"
	failed=$((failed + 1))
fi

for version in ${VERSIONS:-17 18}; do
	left=$((budget - SECONDS))
	need=$longest
	[ -e "$VERSIONS_DIR/$version/.complete" ] || need=$((need + bootstrap))
	if [ $left -le $need ]; then
		echo "check-all: PostgreSQL $version skipped: it takes about $need seconds, and $left of $budget are left"
		skipped=$((skipped + 1))
	elif ! VERSIONS=$version part "PostgreSQL $version" 5 test/lib/versions.sh; then
		echo "check-all: PostgreSQL $version not tested to the end: the $budget seconds are over"
		skipped=$((skipped + 1))
	fi
done

printf '%d passed, %d failed, %d skipped\n' $passed $failed $skipped
[ $failed = 0 ]
