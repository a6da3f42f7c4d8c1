#!/bin/bash
#
# demo.sh: a CRM's day, its history, its proof, and its being tampered with.
#
# Run by "make demo" through test/lib/demo.sh, which gives it SCRATCH (a folder
# of its own), PG_CONFIG (a private PostgreSQL with the extension installed),
# CALLER (who typed it) and a user that servers may run as. Nothing outside SCRATCH is touched.
#
#   KEEP=1            leaves the cluster up, with an empty database crm for the
#                     README's tour, and prints the psql lines
#   CRM_DATA=<folder> plays with the CSV files of crm-sales-opportunities

set -euo pipefail
demo=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
top=$(dirname "$demo")
. "$top/test/lib/cluster.sh"

if [ -t 1 ]; then bold=$'\e[1m' plain=$'\e[0m'; else bold='' plain=''; fi
step()
{
	printf '\n%s== %s%s\n' "$bold" "$1" "$plain"
	shift
	[ $# = 0 ] || printf '%s\n' "$@"
	echo
}

# sql: runs what it reads, showing each statement as one would type it
sql()
{
	"$bindir/psql" -X -q -e -v ON_ERROR_STOP=1 -P null=- "$@"
}

quiet_sql()
{
	"$bindir/psql" -X -q -v ON_ERROR_STOP=1 "$@"
}

value()
{
	quiet_sql -At "$@"
}

# finds <code> <what was done>: verify must name it
finds()
{
	if ! value -c "SELECT code FROM provenance.verify()" | grep -qx "$1"; then
		echo "demo: verify did not report $1 after: $2" >&2
		exit 1
	fi
}

bindir=$("$PG_CONFIG" --bindir)

step "Starting a throwaway cluster" "Its files are in $SCRATCH and go when the demo ends."
cluster_start "$PG_CONFIG" "$SCRATCH/demo"
"$bindir/createdb" demo
export PGDATABASE=demo

step "CREATE EXTENSION, and a name for the log" \
	"setup() makes the log's signing key, outside the database, and returns the verifier key for partners."
sql <<'SQL'
CREATE EXTENSION provenance;
SELECT provenance.setup('demo.acme.example');
SQL

if [ -n "${CRM_DATA:-}" ]; then
	step "The opportunities of $(basename "$CRM_DATA"), one event after the other" \
		"Tables are tagged first; each event is a transaction with the sales agent as actor."
	export CRM_DATA
	quiet_sql -f "$demo/opportunities.sql"
	table=crm.opportunity key=$(value -c "SELECT opportunity_id FROM crm.opportunity WHERE deal_stage = 'Won' ORDER BY 1 LIMIT 1")
	keycol=opportunity_id victim_column=close_value victim_value="'999999'"
else
	step "A CRM with accounts, contacts, opportunities and activities"
	quiet_sql -f "$demo/crm.sql"
	quiet_sql -c "SELECT (SELECT count(*) FROM crm.account) AS accounts, (SELECT count(*) FROM crm.contact) AS contacts, (SELECT count(*) FROM crm.opportunity) AS opportunities, (SELECT count(*) FROM crm.activity) AS activities"

	step "Tagging: from here on every change is recorded" \
		"Existing rows become baseline entries; tag() returns how many."
	sql <<'SQL'
SELECT provenance.tag('crm.account');
SELECT provenance.tag('crm.contact', subject => 'contact_id');
SELECT provenance.tag('crm.opportunity', subject => 'contact_id');
SELECT provenance.tag('crm.activity', subject => 'contact_id', mode => 'append_only');
SQL

	step "Three people and a web form at work" "$(sed -n '/^\\c - /,$p' "$demo/work.sql")"
	quiet_sql -f "$demo/work.sql" >/dev/null
	table=crm.contact key=42 keycol=contact_id victim_column=email victim_value="'quiet@rewrite.example'"
fi

step "Seal: a signed head over everything so far" \
	"A C2SP checkpoint: origin, size, root, signature. Keep it outside the database: from then on nobody can rewrite what it covers unnoticed."
quiet_sql -At -c "SELECT provenance.seal()" | tee "$SCRATCH/checkpoint"

step "The history of one row" "Who, why and from where, oldest first; what changed is named."
sql -v key="$key" -v table="$table" <<'SQL'
SELECT seq, leaf_index AS leaf, op, changed_at::timestamptz(0), actor, db_user, purpose, changed
  FROM provenance.history(:'table', :'key');
SQL

step "Verify: no rows means intact"
sql -c "SELECT * FROM provenance.verify();"
[ "$(value -c "SELECT count(*) FROM provenance.verify()")" = 0 ] || { echo "demo: not intact" >&2; exit 1; }
sql -c "SELECT entries, pending, log_size, published_size, signer, tagged_tables FROM provenance.status;"

step "A proof of one change, as a file that other people's tools verify" "$SCRATCH/change.tlog-proof and $SCRATCH/change.leaf"
seq=$(value -v key="$key" -v table="$table" <<<"SELECT max(seq) FROM provenance.history(:'table', :'key')")
# A note ends with a newline, and psql -A adds the one that it takes away here.
value -v seq="$seq" <<<"SELECT provenance.prove(:seq)" | head -c -1 >"$SCRATCH/change.tlog-proof"
value -v seq="$seq" <<<"SELECT encode(provenance.leaf(:seq), 'hex')" >"$SCRATCH/change.leaf"
cat "$SCRATCH/change.tlog-proof"

step "Verified again from the files: signature, path and leaf" "Needs the log's verifier key, no ledger: any database with the extension can do it."
vkey=$(value -c "SELECT provenance.verifier_key()")
"$bindir/createdb" elsewhere
sql -d elsewhere -c "CREATE EXTENSION provenance;"
verified=$(quiet_sql -At -d elsewhere -v proof="$(cat "$SCRATCH/change.tlog-proof"; echo .)" -v leaf="$(cat "$SCRATCH/change.leaf")" -v vkey="$vkey" <<'SQL'
SELECT provenance.verify_inclusion(rtrim(:'proof', '.')::provenance.proof, decode(:'leaf', 'hex'), :'vkey');
SQL
)
echo "SELECT provenance.verify_inclusion(proof, leaf, '$vkey'): $verified"
[ "$verified" = t ] || exit 1
if command -v python3 >/dev/null; then
	echo "and by an independent program, test/independent/tlog.py: $(python3 "$top/test/independent/tlog.py" proof "$vkey" "$(cat "$SCRATCH/change.leaf")" "$SCRATCH/change.tlog-proof")"
fi

step "Now the superuser rewrites history" "1. One row of $table, with the trigger switched off and on again."
sql -v key="$key" <<SQL
ALTER TABLE $table DISABLE TRIGGER provenance_capture;
UPDATE $table SET $victim_column = $victim_value WHERE $keycol = :'key';
ALTER TABLE $table ENABLE ALWAYS TRIGGER provenance_capture;
SELECT code, object, message FROM provenance.verify();
SQL
finds row_differs "a row of $table rewritten"

step "2. One entry: who changed what, a year earlier"
sql -v seq="$seq" <<'SQL'
SET session_replication_role = replica;
UPDATE provenance.entry SET changed_at = changed_at - interval '1 year' WHERE seq = :seq;
RESET session_replication_role;
SELECT code, object, seq, leaf_index AS leaf, message FROM provenance.verify();
SQL
finds leaf_differs "an entry moved in time"

step "3. One stored hash of the tree"
sql <<'SQL'
SET session_replication_role = replica;
UPDATE provenance.leaf_run SET hashes = set_byte(hashes, 0, get_byte(hashes, 0) # 1) WHERE first_leaf = 0;
RESET session_replication_role;
SELECT code, object, leaf_index AS leaf, message FROM provenance.verify();
SQL
finds tile_differs "a stored hash changed"

step "4. And if the log itself were rewritten: the head kept outside" "A superuser who takes the last leaves away and signs no more can still not make this head true."
sql -v kept="$(cat "$SCRATCH/checkpoint")"$'\n' <<'SQL'
BEGIN;
SET LOCAL session_replication_role = replica;
DELETE FROM provenance.checkpoint_note;
DELETE FROM provenance.leaf_run WHERE first_leaf >= 4000;
UPDATE provenance.seal_state SET log_size = (SELECT max(first_leaf + count) FROM provenance.leaf_run);
SELECT code, message FROM provenance.verify_checkpoint(:'kept');
ROLLBACK;
SQL

if [ -n "${KEEP:-}" ]; then
	step "KEEP=1: the cluster stays up"
	"$bindir/createdb" crm
	case ${SUDO_USER:-$CALLER} in
		"$(id -un)") as='' ;;
		root) as="runuser -u $(id -un) -- " ;;
		*) as="sudo -u $(id -un) " ;;
	esac
	echo "What you have seen:                   ${as}$bindir/psql -h $PGHOST -U postgres demo"
	echo "An empty database, for README's tour: ${as}$bindir/psql -h $PGHOST -U postgres crm"
	echo "To stop it: ${as}$bindir/pg_ctl -D $SCRATCH/demo/data stop; ${as}rm -rf $SCRATCH"
else
	cluster_stop "$SCRATCH/demo"
	step "Done; nothing is left running"
fi
