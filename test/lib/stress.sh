#!/bin/bash
#
# stress.sh: random changes from many sessions against a model ("make stress"),
# test/stress/stress.py, on a private PostgreSQL with this tree's extension
# installed, for STRESS_SECONDS (600), with STRESS_SEED if set.
#
# Ends with a transaction of STRESS_BULK entries (2,000,000; 0: none).

set -euo pipefail

if [ -z "${SCRATCH:-}" ]; then
	exec "$(dirname "${BASH_SOURCE[0]}")/scratch.sh" "build server python" test/lib/stress.sh
fi

. test/lib/cluster.sh
. test/lib/build.sh

if ! build_private; then
	tail -n 40 "$SCRATCH/build.log"
	exit 1
fi
cluster_start "$PG_CONFIG" "$SCRATCH/cluster" wal_level=logical max_prepared_transactions=40 \
	checkpoint_timeout=60s max_wal_size=2GB
status=0
python3 test/stress/stress.py --seconds "${STRESS_SECONDS:-600}" --bulk "${STRESS_BULK:-2000000}" \
	${STRESS_SEED:+--seed "$STRESS_SEED"} || status=$?
if grep -E 'PANIC: |TRAP: |AddressSanitizer|terminated by signal (4|6|7|8|11)\b' "$SCRATCH/cluster/log"; then
	echo "stress: the server crashed"
	status=1
fi
[ "$status" = 0 ] || tail -n 40 "$SCRATCH/cluster/log"
cluster_stop "$SCRATCH/cluster" immediate || true
exit "$status"
