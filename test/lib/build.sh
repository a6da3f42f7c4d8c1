# build.sh: build and install the copy of the tree in a scratch folder.
# A library to be sourced by bash, in a program that scratch.sh runs.
#
#	build_private [<make argument>...]
#		makes $SCRATCH/pg, a private copy of the PostgreSQL that $PG_CONFIG
#		names, builds the working directory's extension against it and installs
#		it there; then sets PG_CONFIG to the private one and puts its programs
#		first in PATH. Silent if all is well; $SCRATCH/build.log has the output.

build_private()
{
	local pg_config

	pg_config=$(test/lib/private-pg.sh "$PG_CONFIG" "$SCRATCH/pg") || return 1
	{
		make -j2 PG_CONFIG="$pg_config" "$@" &&
			make PG_CONFIG="$pg_config" "$@" install
	} >"$SCRATCH/build.log" 2>&1 || return 1
	export PG_CONFIG=$pg_config PATH=${pg_config%/*}:$PATH
}
