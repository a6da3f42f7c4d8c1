#!/bin/bash
#
# bench.sh bench|bench-long: measurements ("make bench"), test/bench/bench.sh,
# on a private PostgreSQL with this tree's extension installed.
#
# test/bench/bench.sh gets the goal's name as argument and finds in its
# environment: PG_CONFIG (the private one; its programs are in PATH) and SCRATCH
# (a folder of its own, removed afterwards unless KEEP is set).

set -euo pipefail

if [ -z "${SCRATCH:-}" ]; then
	here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
	data=$here/../../../shared/data/crm-sales-opportunities
	if [ -z "${CRM_DATA:-}" ] && [ -d "$data" ]; then
		export CRM_DATA=$data
	fi
	exec "$here/scratch.sh" "build server python candidates" test/lib/bench.sh "$@"
fi

. test/lib/build.sh

if ! build_private; then
	tail -n 40 "$SCRATCH/build.log"
	exit 1
fi
exec test/bench/bench.sh "$@"
