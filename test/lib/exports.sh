#!/bin/bash
#
# exports.sh <src> <script>...
#
# Prints the symbols that the library exports, one a line: for each C function
# that the SQL scripts name, the function and its pg_finfo record; the module's
# magic and _PG_init; and what a header below <src> declares PGDLLEXPORT (entry
# points of background workers, which the server looks up by name).

set -euo pipefail
src=$1
shift

echo Pg_magic_func
echo _PG_init

# Statements with AS 'MODULE_PATHNAME'[, 'symbol']; without a symbol the SQL
# function's own name counts.
cat "$@" | sed 's/--.*//' | tr '\n\t' '  ' | tr ';' '\n' |
	{ grep "'MODULE_PATHNAME'" || true; } |
	sed -E -e "s/.*'MODULE_PATHNAME' *, *'([A-Za-z0-9_]+)'.*/\1/" -e t \
		-e "s/.*FUNCTION +([A-Za-z0-9_@]*\.)?([A-Za-z0-9_]+) *\(.*/\2/I" |
	sort -u | sed 'p; s/^/pg_finfo_/'

find "$src" -name '*.h' -exec sed -nE \
	's/.*PGDLLEXPORT[^(]*[ *]([A-Za-z0-9_]+) *\(.*/\1/p' {} + | sort -u
