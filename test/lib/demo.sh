#!/bin/bash
#
# demo.sh: the guided tour ("make demo"), demo/demo.sh, on a private
# PostgreSQL with this tree's extension installed.
#
# demo/demo.sh finds in its environment: PG_CONFIG (the private one; its
# programs are in PATH), SCRATCH (a folder of its own, removed afterwards unless
# KEEP is set), and KEEP and CRM_DATA as the user gave them; it runs as the user
# that servers run as, in the top of a copy of the tree.

set -euo pipefail

if [ -z "${SCRATCH:-}" ]; then
	exec "$(dirname "${BASH_SOURCE[0]}")/scratch.sh" "build server python" test/lib/demo.sh
fi

. test/lib/build.sh

echo "Building the extension against $("$PG_CONFIG" --version), in $SCRATCH."
if ! build_private; then
	tail -n 40 "$SCRATCH/build.log"
	exit 1
fi
exec demo/demo.sh
