#!/bin/bash
#
# check.sh: all tests ("make check").
#
# In a scratch folder, with a private copy of PostgreSQL, as the user that
# servers run as (scratch.sh; nothing is installed into the system, and what is
# missing to build and test is installed from Debian's packages after saying
# so). The layers, in this order:
#
#   build      the extension, warnings being errors
#   static     what can be said of the tree without running it (checks.pl)
#   core       test/core, without a server
#   regress    sql/ with pg_regress, on a private cluster
#   isolation  test/isolation/specs with pg_isolation_regress, on the same
#   tap        test/tap, with PostgreSQL's Perl test modules
#
# LAYERS="core regress" runs these only (and builds if one of them needs it);
# TESTS="name ..." runs the tests of these names only, patterns allowed, in
# every layer chosen. KEEP=1 keeps the scratch folder. VERBOSE=1 shows every
# TAP line. PROVENANCE_VECTORS names a folder of further test vectors.
# PROVENANCE_SLOW_TESTS=1 has crash.pl end each step in each of its three ways.
#
# The last line is "N passed, N failed, N skipped", counting TAP tests,
# regression files, isolation specs. Status 1 if anything failed.

set -euo pipefail

ALL="build static core regress isolation tap"
LAYERS=${LAYERS:-$ALL}
TESTS=${TESTS:-}

for layer in $LAYERS; do
	[[ " $ALL " == *" $layer "* ]] || {
		echo "check: there is no layer $layer; there are: $ALL" >&2
		exit 2
	}
done
case " $LAYERS " in
	" core ") needs="build test" ;;
	*) needs="build server test" ;;
esac

if [ -z "${SCRATCH:-}" ]; then
	export LAYERS TESTS
	exec "$(dirname "${BASH_SOURCE[0]}")/scratch.sh" "$needs" test/lib/check.sh
fi

. test/lib/cluster.sh
. test/lib/build.sh

passed=0
failed=0
skipped=0
cluster=$SCRATCH/cluster

chosen()
{
	[[ " $LAYERS " == *" $1 "* ]]
}

# selected <name>: do TESTS, if given, name this test?
selected()
{
	local pattern

	[ -n "$TESTS" ] || return 0
	for pattern in $TESTS; do
		[[ $1 == $pattern ]] && return 0
	done
	return 1
}

now()
{
	local t=${EPOCHREALTIME/,/.}
	echo "${t/./}"
}

# layer <name> <function>: run it; it adds to the counts; say a line
layer()
{
	local name=$1 p=$passed f=$failed s=$skipped start ms

	start=$(now)
	echo "== $name"
	"$2"
	ms=$((($(now) - start) / 1000))
	printf '== %s: %d passed, %d failed, %d skipped (%d.%d s)\n' "$name" \
		$((passed - p)) $((failed - f)) $((skipped - s)) $((ms / 1000)) $((ms % 1000 / 100))
}

# run_tap <program>...: adds the counts of TAP programs
run_tap()
{
	local p f s

	[ $# -gt 0 ] || return 0
	rm -f "$SCRATCH/summary"
	perl "$SCRATCH/tree/test/lib/tap.pl" "$SCRATCH/summary" "$@" || true
	if read -r p f s 2>/dev/null <"$SCRATCH/summary"; then
		passed=$((passed + p)) failed=$((failed + f)) skipped=$((skipped + s))
	else
		failed=$((failed + 1))
	fi
}

layer_build()
{
	if build_private WERROR=-Werror; then
		passed=$((passed + 1))
	else
		failed=$((failed + 1))
		tail -n 60 "$SCRATCH/build.log"
	fi
}

layer_static()
{
	selected checks || selected static || return 0
	run_tap test/lib/checks.pl test/lib/checks_test.pl
}

layer_core()
{
	local build=$SCRATCH/core t names=() list=()

	shopt -s nullglob
	for t in test/core/t_*.c; do
		t=$(basename "$t" .c)
		if selected "$t" || selected "${t#t_}"; then
			names+=("$build/$t")
		fi
	done
	for t in test/core/*.t; do
		if selected "$(basename "$t" .t)"; then
			names+=("$(basename "$t")")
		fi
	done
	shopt -u nullglob
	[ ${#names[@]} -gt 0 ] || return 0
	if ! make -j2 -C test/core BUILD="$build" all >"$SCRATCH/core.log" 2>&1; then
		failed=$((failed + 1))
		tail -n 60 "$SCRATCH/core.log"
		return 0
	fi
	list=("${names[@]}")
	cd test/core
	BUILD=$build TAP_LIB=. run_tap "${list[@]}"
	cd "$SCRATCH/tree"
}

have_cluster=no
need_cluster()
{
	[ "$have_cluster" = no ] || return 0
	cluster_start "$PG_CONFIG" "$cluster" || return 1
	have_cluster=yes
}

# run_pg_regress <make variable> <other> <output folder> <name>...
run_pg_regress()
{
	local variable=$1 other=$2 out=$3 counts p f status=0

	shift 3
	[ $# -gt 0 ] || return 0
	if ! need_cluster; then
		failed=$((failed + 1))
		return 0
	fi
	: >"$SCRATCH/regress.out"
	make -s installcheck PG_CONFIG="$PG_CONFIG" "$variable=$*" "$other=" \
		2>&1 | tee "$SCRATCH/regress.out" || status=1

	# before 16 "test name ... ok", since then TAP
	counts=$(awk '
		/^not ok +[0-9]/ || /\.\.\. +FAILED/	{ f++; next }
		/^ok +[0-9]/ || /\.\.\. +(ok|failed \(ignored\))/	{ p++ }
		END	{ print p + 0, f + 0 }' "$SCRATCH/regress.out")
	read -r p f <<<"$counts"
	[ "$status" = 0 ] || [ "$f" -gt 0 ] || f=1
	passed=$((passed + p)) failed=$((failed + f))
	if [ "$f" -gt 0 ]; then
		[ ! -f "$out/regression.diffs" ] || head -n 400 "$out/regression.diffs"
		echo "-- end of the server log"
		tail -n 40 "$cluster/log"
	fi
	if grep -E 'PANIC: |TRAP: |was terminated by signal|AddressSanitizer' "$cluster/log"; then
		echo "the server crashed"
		failed=$((failed + 1))
		mv "$cluster/log" "$cluster/log.crashed"
		cluster_stop "$cluster" immediate || true
		have_cluster=no
	fi
}

# names <folder> <suffix>: the selected tests there
names()
{
	local f n

	for f in "$1"/*"$2"; do
		[ -e "$f" ] || continue
		n=$(basename "$f" "$2")
		selected "$n" && echo "$n"
	done
	return 0
}

layer_regress()
{
	run_pg_regress REGRESS ISOLATION . $(names sql .sql)
}

layer_isolation()
{
	run_pg_regress ISOLATION REGRESS output_iso $(names test/isolation/specs .spec)
}

layer_tap()
{
	local pgxs files=() f n

	for f in test/tap/*.pl test/tap/*.t test/tap/*.py; do
		[ -e "$f" ] || continue
		n=$(basename "$f")
		if selected "${n%.*}"; then
			files+=("$f")
		fi
	done
	[ ${#files[@]} -gt 0 ] || return 0
	pgxs=$(dirname "$("$PG_CONFIG" --pgxs)")/../..
	mkdir -p "$SCRATCH/tap"
	PG_REGRESS=$pgxs/src/test/regress/pg_regress TESTDIR=$SCRATCH/tap \
		TESTLOGDIR=$SCRATCH/tap/log TESTDATADIR=$SCRATCH/tap/data \
		TAP_LIB=$pgxs/src/test/perl:test/tap run_tap "${files[@]}"
	tail -n +2 "$SCRATCH/summary" 2>/dev/null | while IFS= read -r f; do
		n=regress_log_$(basename "${f%.*}")
		find "$SCRATCH/tap" -name "$n" | while IFS= read -r f; do
			echo "-- end of $n"
			tail -n 40 "$f"
			# what failed, again at the end of the output, where it is not lost
			{
				echo "-- failed in $(basename "${n#regress_log_}")"
				grep -A 12 -E '(^|[ )])not ok ' "$f" | cut -c 1-500 | head -n 40
			} >>"$SCRATCH/failures" || true
		done
	done
}

if [ -n "$PG_CONFIG" ]; then
	echo "provenance: tests with $("$PG_CONFIG" --version), as user $(id -un), in $SCRATCH"
else
	echo "provenance: tests as user $(id -un), in $SCRATCH"
fi

built=yes
if [ -n "$PG_CONFIG" ]; then
	layer build layer_build
	[ "$failed" = 0 ] || built=no
fi
for layer in static core regress isolation tap; do
	chosen "$layer" || continue
	if [ "$built" = no ] && [ "$layer" != core ]; then
		echo "== $layer: not run, the build failed"
		continue
	fi
	layer "$layer" "layer_$layer"
done
[ "$have_cluster" = no ] || cluster_stop "$cluster" immediate || true

[ ! -f "$SCRATCH/failures" ] || cat "$SCRATCH/failures"
printf '%d passed, %d failed, %d skipped\n' "$passed" "$failed" "$skipped"
[ "$failed" = 0 ]
