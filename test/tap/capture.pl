# Capture where a session alone does not show it: values of 100 MB and those
# that are too large, a database of another encoding, clients over TCP, PREPARE
# TRANSACTION, changes that arrive by logical replication.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $identity = q(INSERT INTO provenance.log_identity (incarnation, created_at, origin, row_key, state_directory)
	VALUES (1, now(), 'tap.example', decode(repeat('07', 32), 'hex'), ''););

# Tables are tagged at once; entries are looked at by the superuser.
sub set_up
{
	my ($node, $db, $sql) = @_;
	$node->safe_psql($db, "CREATE EXTENSION provenance; $identity $sql");
}

my $node = PostgreSQL::Test::Cluster->new('capture');
$node->init(allows_streaming => 'logical');
$node->append_conf('postgresql.conf', "fsync = off\nmax_prepared_transactions = 5\nlisten_addresses = '127.0.0.1'\n");
open(my $hba, '>', $node->data_dir . '/pg_hba.conf') or die $!;
print $hba "local all all trust\nlocal replication all trust\nhost all all 127.0.0.1/32 trust\n";
close $hba;
$node->start;

# --- large values ---
set_up($node, 'postgres', q(CREATE TABLE blob (id int PRIMARY KEY, b bytea); SELECT provenance.tag('blob');));
$node->safe_psql('postgres', q(INSERT INTO blob SELECT 1, decode(repeat('00ff', 50 * 1024 * 1024), 'hex')));
# the image: version, '1', length, '\x...'
is($node->safe_psql('postgres', q(SELECT op, length(image) FROM provenance.entry WHERE op = 1)),
	'1|' . (1 + 2 + 5 + 2 + 200 * 1024 * 1024), 'a value of 100 MB is recorded');
is($node->safe_psql('postgres', q(SELECT substr(image, 9, 14) FROM provenance.entry WHERE op = 1)),
	'\x' . unpack('H*', '\x00ff00ff00ff'), 'as its text');
my ($rc, $out, $err) = $node->psql('postgres',
	q(\set VERBOSITY verbose
	INSERT INTO blob SELECT 2, convert_to(repeat('x', 540 * 1000 * 1000), 'UTF8')));
like($err, qr/54000: value is too long to be recorded/, 'a value whose text exceeds 1 GB is refused');
like($err, qr/Exclude the column.*column "b" of tagged table "public.blob"/s, 'with a hint, and the column');
is($node->safe_psql('postgres', q(SELECT count(*) FROM blob)), '1', 'nothing of it stays');

# --- another encoding ---
$node->safe_psql('postgres', q(CREATE DATABASE latin1 ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0));
set_up($node, 'latin1', q(SET client_encoding = 'UTF8';
	CREATE TYPE moød AS ENUM ('glücklich');
	CREATE TABLE "größe" ("schlüssel" text PRIMARY KEY, v varchar, c char(3), m moød, a text[], j jsonb);
	SELECT provenance.tag('größe');
	SET provenance.actor = 'Zoë';
	INSERT INTO "größe" VALUES ('ä', 'ö', 'ü', 'glücklich', '{ß}', '{"é": "è"}');));
my $bytes = unpack('H*', "\x01\x02\xc3\xa4\x02\xc3\xb6\x04\xc3\xbc  \x0agl\xc3\xbccklich\x04{\xc3\x9f}\x0c{\"\xc3\xa9\": \"\xc3\xa8\"}");
is($node->safe_psql('latin1', q(SELECT encode(image, 'hex') FROM provenance.entry WHERE op = 1)), $bytes, 'an image is UTF-8 in a LATIN1 database');
is($node->safe_psql('latin1', q(SELECT count(*) FROM provenance.shape WHERE position('\x6772c3b6c39f65' IN definition) > 0
	AND position('\x7363686cc3bc7373656c' IN definition) > 0 AND position('\x6d6fc3b864' IN definition) > 0)), '1', 'so are the names in a shape');
is($node->safe_psql('latin1', q(SELECT count(*) FROM provenance.context WHERE position('\x5a6fc3ab' IN fields) > 0)), '1', 'and a context');

# --- where from ---
$node->safe_psql('postgres', q(CREATE TABLE t (id int PRIMARY KEY); SELECT provenance.tag('t')));
$node->safe_psql('postgres', q(INSERT INTO t VALUES (1)));
command_ok([ 'psql', '-XqAt', '-d', 'host=127.0.0.1 port=' . $node->port . ' dbname=postgres', '-c', 'INSERT INTO t VALUES (2)' ],
	'a client over TCP writes');
is($node->safe_psql('postgres', q(SELECT string_agg((position('127.0.0.1'::bytea IN fields) > 0)::text, ' ' ORDER BY seq)
	FROM provenance.entry JOIN provenance.context USING (context_id) WHERE op = 1 AND table_id = (SELECT table_id FROM provenance.registry WHERE table_name = 't'))),
	'false true', 'its address is in the context');

# --- two phases: the context of a prepared transaction is not reused ---
$node->safe_psql('postgres', q(SET provenance.actor = 'prepared';
	BEGIN; INSERT INTO t VALUES (11); PREPARE TRANSACTION 'p1';
	INSERT INTO t VALUES (12);
	BEGIN; INSERT INTO t VALUES (13); PREPARE TRANSACTION 'p2';
	ROLLBACK PREPARED 'p1';
	COMMIT PREPARED 'p2';));
is($node->safe_psql('postgres', q(SELECT count(*) FROM provenance.entry LEFT JOIN provenance.context c USING (context_id) WHERE c IS NULL)),
	'0', 'every entry has its context after a prepared transaction was rolled back');
is($node->safe_psql('postgres', q(SELECT count(*) FROM provenance.entry WHERE image IN ('\x01023132', '\x01023133', '\x01023131'))),
	'2', 'and those that were not rolled back are there');

# --- changes that arrive by logical replication ---
my $subscriber = PostgreSQL::Test::Cluster->new('subscriber');
$subscriber->init;
$subscriber->append_conf('postgresql.conf', "fsync = off\n");
$subscriber->start;
$node->safe_psql('postgres', q(CREATE TABLE shared (id int PRIMARY KEY, v text); INSERT INTO shared VALUES (1, 'copied');
	CREATE PUBLICATION p FOR TABLE shared));
set_up($subscriber, 'postgres', q(CREATE TABLE shared (id int PRIMARY KEY, v text); SELECT provenance.tag('shared');));
$subscriber->safe_psql('postgres', "CREATE SUBSCRIPTION s CONNECTION '" . $node->connstr . " dbname=postgres' PUBLICATION p");
$subscriber->wait_for_subscription_sync($node, 's') if $subscriber->can('wait_for_subscription_sync');
$subscriber->poll_query_until('postgres', q(SELECT count(*) = 0 FROM pg_subscription_rel WHERE srsubstate <> 'r'));
$node->safe_psql('postgres', q(BEGIN; INSERT INTO shared VALUES (2, 'b'); UPDATE shared SET v = 'c' WHERE id = 2; UPDATE shared SET id = 3 WHERE id = 2;
	DELETE FROM shared WHERE id = 1; COMMIT; TRUNCATE shared;));
$node->wait_for_catchup('s');
is($subscriber->safe_psql('postgres', q(SELECT string_agg(op::text, ' ' ORDER BY last, order_number, seq)
	FROM (SELECT *, max(seq) OVER (PARTITION BY xid) AS last FROM provenance.entry) e)),
	'6 1 1 2 3 1 3 5', 'replicated changes are recorded in their order');
$subscriber->stop;
$node->stop;

done_testing();
