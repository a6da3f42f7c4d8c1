#!/bin/bash
#
# data.sh: what this version stores and hands out, as a dump on standard output.
#
# freeze.sh keeps it beside the extension script, and test/tap/upgrade.pl restores
# it under every later version: the script alone says nothing of how bytes are
# laid out in leaf_run.map, seq_block.map, head.heads, merged_path.path, images,
# contexts and so on, which a later library has to read.
#
# Database "acme" has a log of a few hundred leaves (several runs, blocks of seqs,
# rows of heads, a full tile): tables of each kind, one untagged, one tagged with
# baseline => 'later' of which half is recorded; a handover; a rotation of the key;
# a bundle merged from "globex", which cosigned its checkpoint, and signed another
# log, of which the evidence was kept; a time stamp; countersignatures; entries
# that are not sealed. Database "initech", after the line "-- initech", has a log
# that goes on as initech.example/2.
#
# What was handed out is in table public.kept: checkpoints, leaves, proofs,
# disclosures, a bundle, histories, requests, hashes of tiles, the signer's state.
# Where there is a query, it must give the content again. Not so the bundle: its
# export is an entry, so the next one is another.
#
# Not in it: a fork shown by two leaves; the row of scrub_state, which background
# verification may begin anew; what only a large log has (tiles of level 2, blocks
# and heads by the thousand); what a crash leaves behind; what other versions of
# PostgreSQL would store.
#
# Keys: those of tests 1 to 3 of RFC 8032, section 7.1, and others that are gone
# when this ends; no secrets.
#
# INSTALLED=1: $PG_CONFIG's PostgreSQL has this tree's extension. Otherwise it is
# built in a scratch folder. Paths and the host's name do not get into the dump.

set -euo pipefail

if [ -z "${INSTALLED:-}" ]; then
	cd "$(dirname "${BASH_SOURCE[0]}")/../.."
	if [ -z "${SCRATCH:-}" ]; then
		exec test/lib/scratch.sh "build server" test/upgrade/data.sh
	fi
	. test/lib/build.sh
	echo "Building the extension against $("$PG_CONFIG" --version), in $SCRATCH." >&2
	build_private || { tail -n 40 "$SCRATCH/build.log" >&2; exit 1; }
	export INSTALLED=1
	exec test/upgrade/data.sh
fi

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd -P)
. "$top/test/lib/cluster.sh"

bin=$("$PG_CONFIG" --bindir)
dir=$(mktemp -d "${SCRATCH:-/tmp}/frozen.XXXXXX")
trap 'cluster_stop "$dir/c" immediate >&2 || true; rm -rf "$dir"' EXIT
export PGTZ=UTC PGCLIENTENCODING=UTF8 PGOPTIONS='-c client_min_messages=warning'

# q <database> [<sql>]: SQL as an argument or on standard input
q()
{
	if [ $# -gt 1 ]; then
		"$bin/psql" -XAtq -v ON_ERROR_STOP=1 -d "$1" -c "$2"
	else
		"$bin/psql" -XAtq -v ON_ERROR_STOP=1 -d "$1"
	fi
}

# keep <name> <query>: its one value goes into table kept of database $db
keep()
{
	q "$db" "INSERT INTO kept SELECT '$1', ($2)::text"
}

# again <name> <query>: likewise, and the query, which is to give that value in each later version
again()
{
	q "$db" "INSERT INTO kept SELECT '$1', ($2)::text, \$q\$$2\$q\$"
}

# keep_files: what is in the state directory of $db's log and no key
keep_files()
{
	local file

	for file in "$dir"/c/data.provenance/*; do
		case $file in
			*.state | *.cosigned) ;;
			*) continue ;;
		esac
		sed -n 2p "$file" | grep -qE "^(origin|witness) $db\.example(/2)?\$" || continue
		sed -i -e "s|^data_directory .*|data_directory /frozen/data|" -e 's/^host .*/host frozen.example/' "$file"
		keep "file $(basename "$file")" "SELECT pg_read_file('$file')"
	done
}

# unhex, hex: bytes on standard input and output
unhex() { perl -ne 'chomp; print pack "H*", $_'; }
hex() { od -An -v -tx1 | tr -d ' \n'; }

# forged <size>: a head of globex's log of that size, well signed, with a root that it never had
forged()
{
	local text signature id

	text="globex.example
$1
Zm9ya2Zvcmtmb3JrZm9ya2Zvcmtmb3JrZm9ya2Zvcms=
"
	signature=$("$top/sql/include/sign.sh" "$third" "$(printf %s "$text" | hex)")
	id=$(cut -d+ -f2 <<<"$vkey")
	printf '%s\n— globex.example %s\n' "$text" "$(unhex <<<"$id$signature" | openssl base64 -A)"
}

# stamp <query>: a time-stamping authority's response, in hexadecimal
stamp()
{
	cat >"$dir/tsa.cnf" <<CNF
[req]
distinguished_name = dn
prompt = no
[dn]
CN = tsa.example
[tsa]
basicConstraints = CA:FALSE
keyUsage = critical,digitalSignature
extendedKeyUsage = critical,timeStamping
[reply]
serial = $dir/tsa.serial
crypto_device = builtin
signer_cert = $dir/tsa.pem
signer_key = $dir/tsa.key
signer_digest = sha256
default_policy = 1.2.3.4.1
digests = sha256
ess_cert_id_chain = no
ess_cert_id_alg = sha256
CNF
	echo 0A >"$dir/tsa.serial"
	unhex <<<"$1" >"$dir/query"
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 36500 -config "$dir/tsa.cnf" \
		-extensions tsa -keyout "$dir/tsa.key" -out "$dir/tsa.pem" >"$dir/openssl" 2>&1 &&
		openssl ts -reply -config "$dir/tsa.cnf" -section reply -queryfile "$dir/query" -out "$dir/reply" >>"$dir/openssl" 2>&1 || {
		cat "$dir/openssl" >&2
		return 1
	}
	hex <"$dir/reply"
}

# countersign <database> <table> <key>: the row's first entry, whose seq is left in $seq
countersign()
{
	local message signature

	read -r seq message < <(q "$1" "SELECT seq || ' ' || encode(provenance.countersignature_message(seq), 'hex')
		FROM provenance.history('$2', $3) ORDER BY seq LIMIT 1")
	signature=$("$top/sql/include/sign.sh" "$third" "$message")
	q "$1" "SELECT provenance.countersign($seq, '\xfc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025', '\x$signature')" >/dev/null
}

# key <file> <seed>: a private key, PKCS#8
key()
{
	unhex <<<"302e020100300506032b657004220420$2" |
		openssl pkey -inform DER -out "$dir/$1"
	chmod 600 "$dir/$1"
}

# dump <database>: psql before the minor releases of August 2025 does not know
# \restrict. No value that is dumped here has an empty line or begins with "--".
dump()
{
	"$bin/pg_dump" --no-owner -d "$1" |
		sed -E -e '/^\\(un)?restrict /d' -e '/^(--.*)?$/d' -e "s|$dir/c/|/frozen/|g"
}

cluster_start "$PG_CONFIG" "$dir/c" provenance.publish_interval='1 h' provenance.seal_interval='1 h' \
	max_prepared_transactions=1 log_min_messages=error >&2

third=c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7
key first 9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60
key second 4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb
key third $third
q postgres <<SQL
CREATE DATABASE acme;
CREATE DATABASE globex;
CREATE DATABASE initech;
ALTER DATABASE acme SET provenance.signing_key = '$dir/first';
ALTER DATABASE globex SET provenance.signing_key = '$dir/third';
ALTER DATABASE initech SET provenance.signing_key = '$dir/first';
SQL

for name in acme globex; do
	q $name <<SQL >/dev/null
CREATE EXTENSION provenance;
SELECT provenance.setup('$name.example');
SELECT provenance.setup_witness();
CREATE SCHEMA crm;
CREATE TABLE crm.contact (id int PRIMARY KEY, name text, email text, balance numeric(12,2), seen timestamptz);
SQL
done
vkey=$(q globex 'SELECT provenance.verifier_key()')
witness=$(q globex 'SELECT provenance.witness_key()')
q globex "SELECT provenance.add_partner('acme', '$(q acme 'SELECT provenance.verifier_key()')')" >/dev/null

# The partner's log, and its bundle.
q globex <<SQL >/dev/null
SET provenance.actor = 'kim@globex.example';
SET provenance.purpose = 'support';
SELECT provenance.set_pseudonym_key('acme', '\x$(printf 'ab%.0s' $(seq 32))');
SELECT provenance.tag('crm.contact', subject => 'email');
CREATE TABLE other (id int PRIMARY KEY);
SELECT provenance.tag('other');
INSERT INTO crm.contact VALUES (1, 'Zoë Núñez', 'p1@mail.example', 17.5, '2026-01-02 03:04:05.678Z'), (2, NULL, 'p2@mail.example', 0, NULL);
INSERT INTO other SELECT generate_series(1, 30);
UPDATE crm.contact SET name = E'two\nlines|' WHERE id = 2;
INSERT INTO other SELECT generate_series(31, 40);
DELETE FROM crm.contact WHERE id = 1;
SELECT provenance.seal();
SQL
countersign globex crm.contact 1
q globex <<SQL >/dev/null
SELECT provenance.seal();
COPY (SELECT * FROM provenance.export_bundle('crm.contact', columns => '{id,email,name}', recipient => 'acme', purpose => 'joint support',
	context => '{actor,purpose}')) TO '$dir/globex';
SQL

# The log: tables of each kind, partner, witness, rotation of the key.
q acme <<SQL >/dev/null
SET provenance.actor = 'ann@acme.example';
CREATE TABLE kept (name text PRIMARY KEY, content text NOT NULL, query text);
INSERT INTO crm.contact VALUES (1, 'there before', 'p1@mail.example', 1, NULL);
SELECT provenance.tag('crm.contact', subject => 'email');
CREATE TABLE crm.event (id int PRIMARY KEY, note text) PARTITION BY RANGE (id);
CREATE TABLE crm.event_0 PARTITION OF crm.event FOR VALUES FROM (0) TO (30);
CREATE TABLE crm.event_1 (id int NOT NULL, note text);
SELECT provenance.tag('crm.event');
ALTER TABLE crm.event ATTACH PARTITION crm.event_1 FOR VALUES FROM (30) TO (100);
CREATE TABLE crm.visit (id int PRIMARY KEY, photo bytea, secret text);
SELECT provenance.tag('crm.visit', mode => 'append_only', exclude => '{secret}', require_countersignature => true);
CREATE TABLE crm.stock (place text, item text, n int, PRIMARY KEY (item, place));
SELECT provenance.tag('crm.stock');
CREATE TABLE crm.old (id int PRIMARY KEY, v text);
SELECT provenance.tag('crm.old');
INSERT INTO crm.old VALUES (1, 'recorded');
UPDATE crm.old SET v = 'until here';
SELECT provenance.untag('crm.old');
UPDATE crm.old SET v = 'not recorded';
INSERT INTO crm.event SELECT i, 'a' FROM generate_series(1, 35) i;
UPDATE crm.event SET note = 'b';
UPDATE crm.event SET note = 'c';
UPDATE crm.event SET note = 'd' WHERE id % 7 <> 0;
SELECT provenance.seal();
UPDATE crm.event SET note = 'e';
UPDATE crm.event SET note = 'f' WHERE id % 2 = 0;
SELECT provenance.add_partner('globex', '$vkey'), provenance.set_pseudonym_key('globex', '\x$(printf 'ab%.0s' $(seq 32))');
SELECT provenance.set_witness_policy(1, '{$witness}');
COPY provenance.inbox FROM '$dir/globex';
SELECT provenance.cosign('globex');
SET provenance.purpose = 'orders';
INSERT INTO crm.contact SELECT i, 'n' || i, 'p' || i || '@mail.example', i / 7.0, '2026-01-02 03:04:05Z' FROM generate_series(2, 12) i;
UPDATE crm.contact SET name = repeat('long ', 60), balance = NULL WHERE id = 2;
ALTER TABLE crm.contact ADD COLUMN note text DEFAULT 'new';
UPDATE crm.contact SET note = '', name = 'Zoë' WHERE id = 2;
UPDATE crm.contact SET id = 100 WHERE id = 3;
DELETE FROM crm.contact WHERE id IN (4, 5);
INSERT INTO crm.contact VALUES (4, 'again', 'p4@mail.example', -1, NULL);
UPDATE crm.event SET note = 'g' WHERE id % 2 = 1;
INSERT INTO crm.stock VALUES ('a', 'x', 1), ('b', 'x', 2);
TRUNCATE crm.stock;
INSERT INTO crm.stock VALUES ('a', 'x', 3);
INSERT INTO crm.visit VALUES (1, '\x00ff', 'not recorded');
SELECT provenance.handover_give('handover:1', 'globex', 'p2@mail.example');
ALTER TABLE crm.event DETACH PARTITION crm.event_1;
SELECT provenance.seal();
SELECT count(*) FROM provenance.export_bundle('crm.stock', recipient => 'globex');
SQL
countersign acme crm.visit 1

# A table with rows from before, of which the worker records the first partition,
# as somebody has the second one locked.
q acme <<SQL >/dev/null
SELECT provenance.stop_worker();
CREATE TABLE crm.later (id int PRIMARY KEY, v text) PARTITION BY RANGE (id);
CREATE TABLE crm.later_0 PARTITION OF crm.later FOR VALUES FROM (0) TO (10);
CREATE TABLE crm.later_1 PARTITION OF crm.later FOR VALUES FROM (10) TO (20);
INSERT INTO crm.later SELECT i, 'there before' FROM generate_series(7, 13) i;
SELECT provenance.tag('crm.later', baseline => 'later');
BEGIN;
LOCK TABLE crm.later_1 IN ACCESS EXCLUSIVE MODE;
PREPARE TRANSACTION 'held';
SELECT provenance.start_worker();
SQL
for i in {1..300}; do
	rows=$(q acme "SELECT baseline_rows FROM provenance.tagged_table WHERE \"table\" = 'crm.later'::regclass")
	[ "$rows" != 3 ] || break
	sleep 0.1
done
if [ "$rows" != 3 ]; then
	echo "data.sh: of crm.later $rows rows were recorded, not 3" >&2
	exit 1
fi

q acme <<SQL >/dev/null
ALTER DATABASE acme SET provenance.signing_key = '$dir/second';
ALTER DATABASE acme SET provenance.previous_signing_key = '$dir/first';
SQL
q acme <<SQL >/dev/null
SELECT provenance.rotate_key();
SELECT provenance.seal();
COPY (SELECT * FROM provenance.export_bundle('crm.contact', '{2,100}', columns => '{id,email,name,note}', recipient => 'initech',
	context => '{actor}')) TO '$dir/bundle';
COPY (SELECT * FROM provenance.export_bundle('crm.contact', '{1}', recipient => 'globex')) TO '$dir/acme';
SQL
q globex "COPY provenance.inbox FROM '$dir/acme'" >/dev/null
line=$(q globex "SELECT provenance.cosign('acme')")
q acme "SELECT provenance.add_cosignature('$line')" >/dev/null

# The partner's key signs another log; a time stamp.
size=$(q acme 'SELECT max(size) FROM provenance.partner_checkpoint')
if q acme "SELECT provenance.cosign_request(E'old $size\n\n' || '$(forged "$size")' || E'\n')" 2>"$dir/fork" ||
	[ "$(q acme 'SELECT count(*) FROM provenance.fork_record')" != 1 ]; then
	cat "$dir/fork" >&2
	exit 1
fi
q acme "SELECT provenance.resolve_fork('globex', 'a test')" >/dev/null
size=$(q acme 'SELECT max(size) FROM provenance.checkpoints')
response=$(stamp "$(q acme "SELECT encode(provenance.timestamp_request($size), 'hex')")")
q acme "SET client_min_messages = error; SELECT provenance.add_timestamp($size, '\x$response')" >/dev/null

db=acme
keep vkeys "SELECT string_agg(vkey, ' ') FROM provenance.log_key"
keep size "SELECT size FROM provenance.checkpoints ORDER BY size DESC LIMIT 1"
keep checkpoint "SELECT provenance.cosigned_checkpoint(max(size)) FROM provenance.checkpoints"
keep signed "SELECT note FROM provenance.checkpoints ORDER BY size DESC LIMIT 1"
for seq in 1 65 257 $seq; do
	keep "leaf $seq" "SELECT encode(provenance.leaf($seq), 'hex')"
	keep "proof $seq" "SELECT provenance.prove($seq, (SELECT content::bigint FROM kept WHERE name = 'size'))"
done
for id in 2 4; do
	keep "disclosure $id" "SELECT provenance.disclose(max(seq), '{id,name}', '{actor,purpose}') FROM provenance.history('crm.contact', $id)"
done
keep bundle "SELECT pg_read_file('$dir/bundle')"
for id in 2 3 4 100; do
	keep "history $id" "SELECT jsonb_agg(to_jsonb(h) ORDER BY seq) FROM provenance.history('crm.contact', $id) AS h"
done
keep merged "SELECT jsonb_agg(to_jsonb(m) ORDER BY leaf_index) FROM provenance.merged_entry AS m"
keep "merged proof" "SELECT provenance.prove_merged('globex', max(leaf_index)) FROM provenance.merged_entry"
keep forks "SELECT jsonb_agg(to_jsonb(f) ORDER BY fork_id) FROM provenance.fork_evidence AS f"
keep timestamps "SELECT jsonb_agg(to_jsonb(t) ORDER BY size, serial) FROM provenance.timestamps AS t"
again 'tile 0/000' "SELECT sha256(provenance.tile(0, 0))"
again 'tile 0/001' "SELECT provenance.tile(0, 1, $size - 256)"
again 'tile 1/000' "SELECT provenance.tile(1, 0, 1)"
again 'leaves 000' "SELECT sha256(provenance.entry_bundle(0))"
again 'leaves 001' "SELECT sha256(provenance.entry_bundle(1, $size - 256))"
again consistency "SELECT provenance.prove_consistency(65, $size)"
again 'time-stamp request' "SELECT provenance.timestamp_request($size)"
again 'witness request' "SELECT provenance.witness_request($size, 65)"
again checkpoints "SELECT string_agg(size || ' ' || note::text, '' ORDER BY size) FROM provenance.checkpoints WHERE size <= $size"
again 'tagged tables' "SELECT string_agg(concat_ws(' ', \"table\", mode, subject, exclude, entries, require_countersignature, baseline, baseline_rows), ', ' ORDER BY \"table\"::text COLLATE \"C\") FROM provenance.tagged_table"
again 'untagged table' "SELECT string_agg(op || ' ' || image::text, ', ' ORDER BY seq) FROM provenance.history('crm.old', 1)"

# The state; and what was not sealed.
q acme 'SELECT provenance.stop_worker()' >/dev/null
keep_files
q acme <<SQL >/dev/null
ROLLBACK PREPARED 'held';
UPDATE crm.later SET v = 'changed' WHERE id = 11;
INSERT INTO crm.contact VALUES (50, 'not sealed', 'p50@mail.example', 50, NULL);
UPDATE crm.contact SET name = 'not sealed' WHERE id = 6;
SQL

# A log that was given up, and goes on.
q initech <<SQL >/dev/null
CREATE EXTENSION provenance;
SELECT provenance.setup('initech.example');
CREATE TABLE kept (name text PRIMARY KEY, content text NOT NULL, query text);
CREATE TABLE item (id int PRIMARY KEY, v text);
SELECT provenance.tag('item');
INSERT INTO item SELECT i, 'v' || i FROM generate_series(1, 5) i;
SELECT provenance.seal();
INSERT INTO item VALUES (6, 'not signed before');
ALTER DATABASE initech SET provenance.signing_key = '$dir/second';
SQL
before=$(q initech 'SELECT max(size) FROM provenance.checkpoints')
q initech <<SQL >/dev/null
SELECT provenance.new_incarnation('restored to Monday');
UPDATE item SET v = 'after' WHERE id < 3;
SELECT provenance.seal();
SELECT provenance.stop_worker();
SQL
db=initech
keep vkeys "SELECT string_agg(vkey, ' ' ORDER BY incarnation) FROM provenance.log_key"
keep size "SELECT max(size) FROM provenance.checkpoints"
keep before "SELECT note FROM provenance.checkpoints WHERE size = $before"
again keys "SELECT string_agg(concat_ws(' ', incarnation, since_size, vkey), ', ' ORDER BY incarnation) FROM provenance.verifier_keys"
again incarnations "SELECT string_agg(concat_ws(' ', n, since_size, reason, vkey, abandoned_origin, abandoned_size, abandoned_root, abandoned_note), ', ' ORDER BY n) FROM provenance.incarnations"
again checkpoints "SELECT string_agg(size || ' ' || note::text, '' ORDER BY size) FROM provenance.checkpoints"
again leaf "SELECT provenance.leaf(2)"
again proof "SELECT provenance.prove(2)"
again 'proof of before' "SELECT provenance.prove(2, $before)"
again disclosure "SELECT provenance.disclose(2)"
keep_files

for db in acme initech; do
	findings=$(q $db "SELECT * FROM provenance.verify() WHERE code <> 'baseline_pending'")
	if [ -n "$findings" ]; then
		echo "$findings" >&2
		exit 1
	fi
done
{
	dump acme
	echo '-- initech'
	dump initech
} >"$dir/dump"
if grep -nF -e "$dir" -e "host $(hostname)" "$dir/dump" >&2; then
	echo "data.sh: the dump names this machine" >&2
	exit 1
fi
cat "$dir/dump"
