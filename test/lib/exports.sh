#!/bin/bash
#
# exports.sh <top> [names]
#
# Prints the symbols that the library exports, one a line: for each C function
# that the SQL scripts name, the function and its pg_finfo record; the module's
# magic and _PG_init; and what a header declares PGDLLEXPORT (entry points of
# background workers, which the server looks up by name).
# With "names": the C functions of the SQL scripts alone.

set -euo pipefail
top=$1

c_functions() {
	# A statement with AS 'MODULE_PATHNAME'[, 'symbol']; without a symbol the
	# SQL function's own name counts.
	cat "$top"/src/sql/provenance--*.sql | sed 's/--.*//' | tr '\n\t' '  ' | tr ';' '\n' |
		grep -i "'MODULE_PATHNAME'" |
		sed -E -e "s/.*'MODULE_PATHNAME' *, *'([A-Za-z0-9_]+)'.*/\1/" -e t \
			-e "s/.*FUNCTION +([A-Za-z0-9_@.]*\.)?([A-Za-z0-9_]+) *\(.*/\2/I" |
		sort -u || true
}

if [ "${2:-}" = names ]; then
	c_functions
	exit
fi

echo Pg_magic_func
echo _PG_init
c_functions | sed 'p; s/^/pg_finfo_/'
find "$top/src" -name '*.h' -exec sed -nE \
	's/.*PGDLLEXPORT[^(]*[ *]([A-Za-z0-9_]+) *\(.*/\1/p' {} + | sort -u
