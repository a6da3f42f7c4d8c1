#!/bin/bash
#
# bench.sh bench|bench-long
#
# Measures what recording costs, and how fast sealing, proving and verifying
# are; doc/performance.md says what and how to read it. test/lib/bench.sh calls
# this with the extension installed in a private PostgreSQL, PG_CONFIG naming
# it, its programs in PATH, and SCRATCH a folder of its own.
#
# Prints one table in Markdown to standard output, progress to standard error,
# and writes the table and every round's figures to two CSV files, again after
# each figure: what fails is left out, and a signal ends it with the table of
# what there is. Nothing is asserted. An estimate of the time comes first.
#
#   BENCH_QUICK=1     a smoke run of some minutes: everything once, small
#   BENCH_ONLY        groups to run, of: single clients txn bulk wal ledger tag
#                     shapes tpcb replay (all) bundle; of bench-long: growth
#                     bundle (both)
#   BENCH_ROUNDS      interleaved rounds (5)
#   BENCH_SECONDS     length of one pgbench run (2; bench-long: 10); with 1 and
#                     16 clients half of it, with 64 half as much again
#   BENCH_ROWS        rows of the CRM table and of bulk statements (200000)
#   BENCH_MINUTES     a group that would not end within that time is left out,
#                     and said so (57; bench-long: a day)
#   BENCH_BUNDLE_ROWS entries of a bundle (BENCH_ROWS; bench-long: 1000000); the
#                     log is six, in bench-long ten times as long
#   BENCH_CSV         every round's figures (/tmp/provenance-bench-<time>.csv);
#                     the table goes beside it, ...-table.csv
#   BENCH_DIR         where the cluster lives (SCRATCH); for durable commits it
#                     must be a file system on a disk
#   BENCH_STAGES      bench-long: log sizes, in million entries (1 10 50)
#   BENCH_SCALE       bench-long: these sizes and numbers of keys times this (1)
#   CRM_DATA          the folder of crm-sales-opportunities, for the replay

set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
. "$here/../lib/cluster.sh"

export BENCH_CSV=${BENCH_CSV:-/tmp/provenance-bench-$(date +%Y%m%d-%H%M%S).csv}
dir=${BENCH_DIR:-$SCRATCH}/bench-cluster

# Two cores, for server and clients together, wherever this runs.
if command -v taskset >/dev/null && [ "$(nproc)" -gt 2 ] && [ -z "${BENCH_PINNED:-}" ]; then
	BENCH_PINNED=1 exec taskset -c 0,1 "$0" "$@"
fi

make -C "$here/floor" PG_CONFIG="$PG_CONFIG" >"$SCRATCH/floor.log" 2>&1 || {
	tail -n 20 "$SCRATCH/floor.log"
	exit 1
}

trap 'cluster_destroy "$dir"' EXIT
cluster_start "$PG_CONFIG" "$dir" fsync=on full_page_writes=on \
	shared_buffers=1GB max_wal_size=8GB checkpoint_timeout=1h \
	autovacuum=off max_locks_per_transaction=128 provenance.wait_timeout=1h
export BENCH_DATA=$dir/data

python3 "$here/bench.py" "$@"
