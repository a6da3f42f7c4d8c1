# Replication. Two databases with ledgers that are partners and witnesses of each
# other, each a subscriber of a publication FOR ALL TABLES of the other: each
# records what arrives, neither ledger takes over anything of the other's, no
# apply fails. Then a physical standby: what works there, what is refused, and
# its promotion, which continues the log.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $dir = PostgreSQL::Test::Utils::tempdir_short;
my $node = PostgreSQL::Test::Cluster->new('hub');
$node->init(allows_streaming => 'logical');
$node->append_conf('postgresql.conf', <<CONF);
fsync = off
max_worker_processes = 32
max_logical_replication_workers = 16
wal_retrieve_retry_interval = '100 ms'
CONF
$node->start;

my %other = (acme => 'globex', globex => 'acme');
my @names = sort keys %other;
my %key;

sub sql { my ($db, $sql, $n) = @_; return ($n // $node)->safe_psql($db, $sql); }

sub fails
{
	my ($db, $sql, $n) = @_;
	my ($rc, $out, $err) = ($n // $node)->psql($db, $sql, extra_params => [ '-v', 'VERBOSITY=verbose' ]);
	return $rc ? $err : "no error: $out";
}

for my $name (@names)
{
	sql('postgres', "CREATE DATABASE $name");
	sql($name, 'CREATE EXTENSION provenance');
	$key{$name} = sql($name, "SELECT provenance.setup('$name.example')");
	sql($name, 'SELECT provenance.setup_witness()');

	# What comes back to where it came from changes nothing: a change is applied,
	# and published again, by both. It may come back before the commit that it began
	# with is visible, hence the lock.
	sql($name, <<SQL);
	CREATE SCHEMA crm;
	CREATE TABLE crm.contact (id int PRIMARY KEY, email text, note text);
	CREATE FUNCTION crm.skip_known() RETURNS trigger LANGUAGE plpgsql AS
		'BEGIN PERFORM pg_advisory_xact_lock(NEW.id); RETURN CASE WHEN EXISTS (SELECT FROM crm.contact WHERE id = NEW.id) THEN NULL ELSE NEW END; END';
	CREATE TRIGGER a_known BEFORE INSERT ON crm.contact FOR EACH ROW EXECUTE FUNCTION crm.skip_known();
	CREATE TRIGGER a_same BEFORE UPDATE ON crm.contact FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger();
	ALTER TABLE crm.contact ENABLE ALWAYS TRIGGER a_known, ENABLE ALWAYS TRIGGER a_same;
	SELECT provenance.tag('crm.contact', subject => 'email');
SQL
}
sql('acme', q{INSERT INTO crm.contact SELECT i, 'p' || i || '@mail.example', 'first' FROM generate_series(1, 20) i; SELECT provenance.seal()});
sql($_, "SELECT provenance.add_partner('$other{$_}', '$key{$other{$_}}')") for @names;


# --- both directions ----------------------------------------------------------------

for my $name (@names)
{
	sql($name, "CREATE PUBLICATION everything FOR ALL TABLES");
	sql($name, "SELECT pg_create_logical_replication_slot('to_$other{$name}', 'pgoutput')");
}
for my $name (@names)
{
	sql($name, "CREATE SUBSCRIPTION to_$name CONNECTION '" . $node->connstr . " dbname=$other{$name}' PUBLICATION everything WITH (create_slot = false)");
}

sub settle
{
	for my $name (@names)
	{
		$node->poll_query_until($name, q{SELECT count(*) = 0 FROM pg_subscription_rel WHERE srsubstate <> 'r'}) or die "$name: not synchronised";
	}
	# twice: what was applied is published again
	for (1 .. 2) { $node->wait_for_catchup("to_$_") for @names; }
}
settle();
is(sql('globex', q{SELECT count(*), count(*) FILTER (WHERE note = 'first') FROM crm.contact}), '20|20', 'the first rows have arrived');
is(sql('globex', q{SELECT op, count(*) FROM provenance.changes('crm.contact', '-infinity', 'infinity') GROUP BY 1 ORDER BY 1}), "insert|20\ntag|1", 'and are recorded as inserts');

for my $round (1 .. 3)
{
	for my $name (@names)
	{
		my $id = 100 * $round + ($name eq 'acme' ? 1 : 2);
		sql($name, "INSERT INTO crm.contact VALUES ($id, 'new$id\@mail.example', '$name')");
		settle();
		sql($name, "UPDATE crm.contact SET note = '$name $round' WHERE id IN ($round, $id)");
		settle();
		sql($name, "DELETE FROM crm.contact WHERE id = " . (10 + 2 * $round + ($name eq 'acme' ? 0 : 1)));
		settle();
		sql($name, 'SELECT provenance.seal()');
	}
	for my $name (@names)
	{
		my $to = $other{$name};
		my $since = sql($to, "SELECT coalesce(size, 0) FROM provenance.partner WHERE name = '$name'");
		$since = 'NULL' if !$since;
		sql($name, "COPY (SELECT * FROM provenance.export_bundle('crm.contact', recipient => '$to', since_size => $since)) TO '$dir/$name.$round'");
		sql($to, "COPY provenance.inbox FROM '$dir/$name.$round'");
		sql($to, "SELECT provenance.cosign('$name')");
		settle();
	}
}
sql('acme', 'SELECT provenance.rotate_key()');
sql($_, 'SELECT provenance.seal()') for @names;
settle();

is(sql('acme', 'SELECT md5(string_agg(c::text, E\'\n\' ORDER BY id)) FROM crm.contact c'),
	sql('globex', 'SELECT md5(string_agg(c::text, E\'\n\' ORDER BY id)) FROM crm.contact c'), 'both tables are the same');
is(sql('acme', 'SELECT count(*) FROM crm.contact'), '20', 'with what was written on both sides');
for my $name (@names)
{
	my $other = $other{$name};
	is(sql($name, q{SELECT apply_error_count, sync_error_count FROM pg_stat_subscription_stats WHERE subname = 'to_' || current_database()}), '0|0', "$name: nothing failed to be applied");
	is(sql($name, q{SELECT string_agg(origin, ' ') FROM provenance.log_identity}), "$name.example", "$name: its log is its own");
	is(sql($name, q{SELECT count(*) FROM provenance.log_key}), $name eq 'acme' ? 2 : 1, "$name: and so are its keys");
	is(sql($name, qq{SELECT count(*) FROM provenance.checkpoints WHERE convert_from(provenance.note(note), 'UTF8') NOT LIKE '$name.example' || chr(10) || '%'}), '0', "$name: its checkpoints");
	is(sql($name, q{SELECT string_agg(name, ' ') FROM provenance.partner}), $other, "$name: its partners");
	is(sql($name, q{SELECT string_agg(DISTINCT partner, ' ') FROM provenance.merged_entry}), $other, "$name: what it merged is its partner's");
	is(sql($name, q{SELECT count(*) FROM provenance.disclosures}), '3', "$name: what it disclosed");
	is(sql($name, q{SELECT count(*) = count(DISTINCT seq) AND count(*) = max(log_size) FROM provenance.entry, provenance.seal_state}), 't', "$name: each entry is in its log, once");
	is(sql($name, 'SELECT code, object, message FROM provenance.verify()'), '', "$name: it verifies");
	# a row of the other's, a row changed there
	is(sql($name, qq{SELECT op || ' ' || coalesce(image->>'note', '') FROM provenance.history('crm.contact', } . ($name eq 'acme' ? 302 : 301) . ')'),
		"insert $other\nupdate $other 3", "$name: history of a row that came from $other");
	is(sql($name, q{SELECT count(*) FROM provenance.changes('crm.contact', '-infinity', 'infinity') WHERE op IN ('insert', 'update', 'delete')}),
		20 + 6 * 3 + 6, "$name: nothing is recorded twice");
}

# Direct writes of an apply worker to a ledger: the rows of the other pass by,
# also those that would fit.
sql('acme', q{SET session_replication_role = replica; INSERT INTO provenance.tree_node VALUES (1, 9999999, repeat('0', 64)::provenance.hash)});
settle();
is(sql('globex', 'SELECT count(*) FROM provenance.tree_node WHERE index = 9999999'), '0', 'an insert into the other ledger passes by');
sql('acme', q{SET session_replication_role = replica; DELETE FROM provenance.tree_node WHERE index = 9999999});
my $head = sql('globex', 'SELECT max(from_row_id::text) FROM provenance.head');
sql('acme', "SET session_replication_role = replica; INSERT INTO provenance.head VALUES ('$head', 'x');
	UPDATE provenance.head SET heads = 'y' WHERE from_row_id = '$head'; DELETE FROM provenance.head WHERE from_row_id = '$head'");
settle();
is(sql('globex', 'SELECT code, object FROM provenance.verify()'), '', 'an update and a delete of a row with the same key, too');
is(sql('globex', q{SELECT sum(apply_error_count) FROM pg_stat_subscription_stats}), '0', 'nothing failed');

for my $name (@names)
{
	sql($name, "ALTER SUBSCRIPTION to_$name DISABLE; ALTER SUBSCRIPTION to_$name SET (slot_name = NONE); DROP SUBSCRIPTION to_$name");
}
for my $name (@names)
{
	$node->poll_query_until($name, "SELECT NOT active FROM pg_replication_slots WHERE slot_name = 'to_$name'");
	sql('postgres', "SELECT pg_drop_replication_slot('to_$name')");
}

# --- a physical standby ------------------------------------------------------------------

my $size = sql('acme', 'SELECT published_size FROM provenance.status');
my $note = sql('acme', 'SELECT provenance.seal()');
my $leaf = sql('acme', 'SELECT max(leaf_index) FROM provenance.merged_entry');
my %asked = (
	history => q{SELECT * FROM provenance.history('crm.contact', 1)},
	changes => q{SELECT * FROM provenance.changes('crm.contact', '-infinity', 'infinity')},
	as_of => q{SELECT * FROM provenance.as_of(NULL::crm.contact, 'infinity') ORDER BY id},
	as_of_size => q{SELECT * FROM provenance.as_of_size(NULL::crm.contact, 20) ORDER BY id},
	prove => "SELECT provenance.prove(5, $size)",
	prove_consistency => "SELECT provenance.prove_consistency(7, $size)",
	tile => 'SELECT provenance.tile(0, 0, 21)',
	pedigree => q{SELECT * FROM provenance.pedigree('p1@mail.example')},
	merged_entry => 'SELECT * FROM provenance.merged_entry ORDER BY partner, leaf_index',
	prove_merged => "SELECT provenance.prove_merged('globex', $leaf)",
	disclosures => 'SELECT * FROM provenance.disclosures',
	partner => 'SELECT * FROM provenance.partner',
	checkpoints => 'SELECT * FROM provenance.checkpoints',
	disclose => 'SELECT length(provenance.disclose(5))',
	verify_row => q{SELECT * FROM provenance.verify_row('crm.contact', 1)},
	verify_table => q{SELECT * FROM provenance.verify_table('crm.contact')},
	verify_log => 'SELECT * FROM provenance.verify_log()',
	verify_checkpoint => "SELECT * FROM provenance.verify_checkpoint('$note')",
	verify => 'SELECT * FROM provenance.verify()',
	wait_sealed => 'SELECT provenance.wait_sealed()');
my %said = map { $_ => sql('acme', $asked{$_}) } keys %asked;
$node->backup('b');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($node, 'b', has_streaming => 1);
$standby->start;
$node->wait_for_catchup($standby);
is(sql('acme', $asked{$_}, $standby), $said{$_}, "standby: $_") for sort keys %asked;
isnt($said{$_}, '', "$_ says something") for grep { !/^verify/ } sort keys %asked;

my %refused = (
	seal => 'SELECT provenance.seal()',
	export_bundle => q{SELECT * FROM provenance.export_bundle('crm.contact')},
	countersign => q{SELECT provenance.countersign(5, '\x00', '\x00')},
	inbox => "COPY provenance.inbox FROM '$dir/globex.1'",
	cosign => q{SELECT provenance.cosign('globex')},
	tag => q{SELECT provenance.tag('crm.contact')},
	untag => q{SELECT provenance.untag('crm.contact')},
	adopt => 'SELECT provenance.adopt()',
	new_incarnation => q{SELECT provenance.new_incarnation('x')},
	rotate_key => 'SELECT provenance.rotate_key()',
	add_partner => "SELECT provenance.add_partner('globex', '$key{globex}')",
	resolve_fork => q{SELECT provenance.resolve_fork('globex', 'x')},
	set_pseudonym_key => q{SELECT provenance.set_pseudonym_key('globex', NULL)},
	set_witness_policy => q{SELECT provenance.set_witness_policy(0, '{}')},
	setup_witness => 'SELECT provenance.setup_witness()',
	handover_give => q{SELECT provenance.handover_give('x', 'globex')},
	add_cosignature => q{SELECT provenance.add_cosignature('x')},
	remove_partner => q{SELECT provenance.remove_partner('globex')},
	start_worker => 'SELECT provenance.start_worker()',
	stop_worker => 'SELECT provenance.stop_worker()');
for (sort keys %refused)
{
	like(fails('acme', $refused{$_}, $standby), qr/ERROR:  25006: .*(standby|read-only transaction|recovery)/, "standby: $_ is refused");
}
is(sql('acme', $asked{verify}, $standby), '', 'standby: it still verifies');

# --- its promotion ---------------------------------------------------------------------------

$node->stop;
$standby->promote;
sql('acme', q{INSERT INTO crm.contact VALUES (900, 'promoted@mail.example', 'x'); UPDATE crm.contact SET note = 'y' WHERE id = 1}, $standby);
like(fails('acme', 'SELECT provenance.seal()', $standby), qr/55000: .*the signer is stopped.*HINT: .*adopt/s, 'promoted: nothing is signed before adopt()');
rename $node->data_dir . '.provenance', $standby->data_dir . '.provenance' or die $!;
for my $name (@names)
{
	like(sql($name, 'SELECT provenance.adopt()', $standby), qr/^$name\.example\+/, "promoted: $name adopted");
}
like(sql('acme', 'SELECT provenance.seal()', $standby), qr/^acme\.example\n/, 'promoted: the log goes on');
is(sql('acme', "SELECT * FROM provenance.verify_checkpoint('$note')", $standby), '', 'and extends what was signed before');
is(sql('acme', 'SELECT code, object FROM provenance.verify()', $standby), '', 'it verifies');
sql('globex', "UPDATE crm.contact SET note = 'z' WHERE id = 2; SELECT provenance.seal()", $standby);
my $since = sql('acme', 'SELECT size FROM provenance.partner', $standby);
sql('globex', "COPY (SELECT * FROM provenance.export_bundle('crm.contact', recipient => 'acme', since_size => $since)) TO '$dir/after'", $standby);
my $before = sql('acme', 'SELECT count(*) FROM provenance.merged_entry', $standby);
sql('acme', "COPY provenance.inbox FROM '$dir/after'", $standby);
cmp_ok(sql('acme', 'SELECT count(*) FROM provenance.merged_entry', $standby), '>', $before, 'and bundles go on');
sql('acme', 'SELECT provenance.seal()', $standby);
is(sql($_, 'SELECT code, object FROM provenance.verify()', $standby), '', "$_ verifies") for @names;
$standby->stop;
done_testing();
