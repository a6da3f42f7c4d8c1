#!/bin/bash
#
# data.sh: what this version stores and hands out, as a dump on standard output.
#
# freeze.sh keeps it beside the extension script, and test/tap/upgrade.pl restores
# it under every later version: the script alone says nothing of how bytes are
# laid out in leaf_run.map, seq_block.map, head.heads, merged_path.path, images,
# contexts and so on, which a later library has to read.
#
# One database "acme" with a log of a few hundred leaves (several runs, blocks of
# seqs, rows of heads, a full tile), with what each table of the ledger is for; a
# bundle merged from "globex", which cosigned its checkpoint; and some entries
# that are not sealed. What was handed out is in table public.kept: the
# checkpoint, proofs, leaves, disclosures, a bundle, histories, the signer's
# state. Keys: those of tests 1 to 3 of RFC 8032, section 7.1; no secrets.
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

# keep <name> <query>: its one value goes into table kept
keep()
{
	q acme "INSERT INTO kept SELECT '$1', ($2)::text"
}

# countersign <database> <table> <key>: the row's first entry, whose seq is left in $seq
countersign()
{
	local message signature

	read -r seq message < <(q "$1" "SELECT seq || ' ' || encode(provenance.countersignature_message(seq), 'hex')
		FROM provenance.history('$2', $3) ORDER BY seq LIMIT 1")
	signature=$("$top/sql/include/sign.sh" c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7 "$message")
	q "$1" "SELECT provenance.countersign($seq, '\xfc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025', '\x$signature')" >/dev/null
}

# key <file> <seed>: a private key, PKCS#8
key()
{
	perl -e 'print pack "H*", "302e020100300506032b657004220420" . shift' "$2" |
		openssl pkey -inform DER -out "$dir/$1"
	chmod 600 "$dir/$1"
}

cluster_start "$PG_CONFIG" "$dir/c" provenance.publish_interval='1 h' provenance.seal_interval='1 h' \
	log_min_messages=error >&2

key first 9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60
key second 4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb
q postgres <<SQL
CREATE DATABASE acme;
CREATE DATABASE globex;
ALTER DATABASE acme SET provenance.signing_key = '$dir/first';
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
CREATE TABLE kept (name text PRIMARY KEY, content text NOT NULL);
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

# What is in the state directory and no key; and what was not sealed.
q acme 'SELECT provenance.stop_worker()' >/dev/null
for file in "$dir"/c/data.provenance/*; do
	case $file in
		*.state | *.cosigned) ;;
		*) continue ;;
	esac
	sed -n 2p "$file" | grep -qE '^(origin|witness) acme\.example$' || continue
	sed -i -e "s|^data_directory .*|data_directory /frozen/data|" -e 's/^host .*/host frozen.example/' "$file"
	keep "file $(basename "$file")" "SELECT pg_read_file('$file')"
done
q acme <<SQL >/dev/null
INSERT INTO crm.contact VALUES (50, 'not sealed', 'p50@mail.example', 50, NULL);
UPDATE crm.contact SET name = 'not sealed' WHERE id = 6;
SQL
findings=$(q acme 'SELECT * FROM provenance.verify()')
if [ -n "$findings" ]; then
	echo "$findings" >&2
	exit 1
fi

# psql before the minor releases of August 2025 does not know \restrict. No value
# that is dumped here has an empty line or begins with "--".
"$bin/pg_dump" --no-owner -d acme |
	sed -E -e '/^\\(un)?restrict /d' -e '/^(--.*)?$/d' -e "s|$dir/c/|/frozen/|g" >"$dir/dump"
if grep -nF -e "$dir" -e "host $(hostname)" "$dir/dump" >&2; then
	echo "data.sh: the dump names this machine" >&2
	exit 1
fi
cat "$dir/dump"
