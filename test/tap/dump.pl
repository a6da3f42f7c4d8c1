# pg_dump and pg_restore of a database with a ledger, partners and merged
# entries: plain, custom in parallel, data only, under session_replication_role;
# into a cluster whose transaction counter is behind and later passes the old
# one; and CREATE DATABASE ... TEMPLATE. Nothing is missing and nothing there
# twice; all verifies; the log goes on with the key only.
use strict;
use warnings;
use File::Copy;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $dir = PostgreSQL::Test::Utils::tempdir_short;
my $node = PostgreSQL::Test::Cluster->new('original');
$node->init;
command_ok([ 'pg_resetwal', '-x', 1048576, $node->data_dir ], 'transaction ids are ahead');
$node->append_conf('postgresql.conf', "fsync = off\nmax_worker_processes = 16\n");
$node->start;

# sql, database, node
sub psql { return ($_[2] // $node)->safe_psql($_[1] // 'acme', $_[0]); }

sub fails
{
	my ($sql, $db, $n) = @_;
	my ($rc, $out, $err) = ($n // $node)->psql($db, $sql, extra_params => [ '-v', 'VERBOSITY=verbose' ]);
	return $rc ? $err : "no error: $out";
}

sub findings { return psql('SELECT code, object, message FROM provenance.verify()', @_); }

# --- what is dumped -------------------------------------------------------------

my %key;
for my $name (qw(acme globex))
{
	psql("CREATE DATABASE $name", 'postgres');
	psql('CREATE EXTENSION provenance', $name);
	$key{$name} = psql("SELECT provenance.setup('$name.example')", $name);
	psql(<<SQL, $name);
	-- one schema before "provenance", one after it
	CREATE SCHEMA crm;
	CREATE TYPE crm.state AS ENUM ('new', 'old');
	CREATE TABLE crm.contact (gone int, id int PRIMARY KEY, email text, state crm.state DEFAULT 'new');
	ALTER TABLE crm.contact DROP COLUMN gone;
	CREATE TABLE public.deal (id int PRIMARY KEY, contact int REFERENCES crm.contact, note text);
	CREATE TABLE crm.event (id int PRIMARY KEY, note text) PARTITION BY RANGE (id);
	CREATE TABLE crm.event_0 PARTITION OF crm.event FOR VALUES FROM (0) TO (10);
	CREATE TABLE crm.event_1 (note text, id int NOT NULL);
	SELECT provenance.tag('crm.contact', subject => 'email'), provenance.tag('deal'), provenance.tag('crm.event');
	ALTER TABLE crm.event ATTACH PARTITION crm.event_1 FOR VALUES FROM (10) TO (20);
	INSERT INTO crm.contact SELECT i, 'p' || i || '\@mail.example' FROM generate_series(1, 40) i;
	INSERT INTO deal SELECT i, i, '$name' FROM generate_series(1, 20) i;
	INSERT INTO crm.event SELECT i, 'x' FROM generate_series(1, 19) i;
	UPDATE crm.contact SET email = 'q' || id || '\@mail.example' WHERE id % 3 = 0;
	DELETE FROM deal WHERE id % 4 = 0;
SQL
}
psql("SELECT provenance.add_partner('globex', '$key{globex}'); SELECT provenance.setup_witness()");
psql("SELECT provenance.add_partner('acme', '$key{acme}'); SELECT provenance.seal()", 'globex');
psql("COPY (SELECT * FROM provenance.export_bundle('crm.contact', recipient => 'acme')) TO '$dir/bundle'", 'globex');
psql("COPY provenance.inbox FROM '$dir/bundle'");
psql('SELECT provenance.seal()');
my $given = psql(q{SELECT count(*) FROM provenance.export_bundle('crm.contact', '{1,2}', recipient => 'globex')});
cmp_ok($given, '>', 2, 'a bundle given away');
psql(q{SELECT provenance.cosign('globex'); SELECT provenance.rotate_key()});
psql(q{UPDATE crm.contact SET state = 'old' WHERE id = 7; ALTER TYPE crm.state RENAME VALUE 'old' TO 'former'});
my $note = psql('SELECT provenance.seal()');
my $vkeys = psql(q{SELECT string_agg(quote_literal(vkey), ', ') FROM provenance.log_key});
my $size = psql('SELECT published_size FROM provenance.status');
my $proof = psql("SELECT provenance.prove(10, $size)");
my $disclosed = psql(q{SELECT provenance.disclose(10)});
my $merged_leaf = psql('SELECT max(leaf_index) FROM provenance.merged_entry');
my $merged_proof = psql("SELECT provenance.prove_merged('globex', $merged_leaf)");
# entries that are not sealed
psql('SELECT provenance.stop_worker()');
ok($node->poll_query_until('acme', 'SELECT provenance.worker_pid() IS NULL'), 'no worker');
psql(q{INSERT INTO deal VALUES (100, 1, 'not sealed'); UPDATE crm.event SET note = 'not sealed' WHERE id IN (3, 13)});
cmp_ok(psql('SELECT (SELECT count(*) FROM provenance.entry) - log_size FROM provenance.seal_state'), '==', 3, 'three entries are not sealed');

# all tables and sequences of the ledger, row by row, and the user's
sub contents
{
	my ($db, $n) = @_;
	my @relations = split /\n/, psql(q{SELECT c.oid::regclass || ' ' || c.relkind::text FROM pg_class c
		WHERE relkind IN ('r', 'S', 'p') AND relnamespace IN ('provenance'::regnamespace, 'crm'::regnamespace, 'public'::regnamespace) ORDER BY 1}, $db, $n);
	my %result;
	for (@relations)
	{
		my ($name, $kind) = split / /;
		# names of relations differ, and what a clone's worker says of itself
		my $columns = $kind eq 'S' ? 'last_value::text' : $name =~ /\bregistry$/ && $name !~ /partner/ ? "(to_jsonb(t) - 'relid')::text" : 't::text';
		next if $name =~ /worker_state|baseline_phase/;
		$result{$name} = psql("SELECT count(*) || ' ' || coalesce(md5(string_agg(x, E'\\n' ORDER BY x COLLATE \"C\")), '-') FROM (SELECT $columns x FROM $name t) t", $db, $n);
	}
	return \%result;
}
my $contents = contents('acme');
for my $table (qw(merge merged_leaf merged_shape merged_path partner_registry partner_log partner_checkpoint disclosure disclosure_subject
	cosigned cosigner_key log_key key_handover))
{
	unlike($contents->{"provenance.$table"} // 'not there', qr/^(0 |not)/, "$table has rows");
}

# --- dumps ------------------------------------------------------------------------

my @from = ('-d', $node->connstr('acme'));
$node->command_ok([ 'pg_dump', '-f', "$dir/plain.sql", @from ], 'plain dump');
$node->command_ok([ 'pg_dump', '-Fc', '-f', "$dir/custom", @from ], 'custom dump');
$node->command_ok([ 'pg_dump', '--schema-only', '-f', "$dir/schema.sql", @from ], 'schema dump');
$node->command_ok([ 'pg_dump', '--data-only', '--disable-triggers', '-f', "$dir/data.sql", @from ], 'data dump');
$node->command_ok([ 'pg_dump', '--data-only', '-f', "$dir/live.sql", @from ], 'data dump, triggers and all');

my $other = PostgreSQL::Test::Cluster->new('other');
$other->init;
$other->append_conf('postgresql.conf', "fsync = off\nmax_worker_processes = 16\n");
$other->start;

sub load
{
	my ($db, $file, @options) = @_;
	local $ENV{PGOPTIONS} = "@options";
	$other->command_ok([ 'psql', '-Xq', '-v', 'ON_ERROR_STOP=1', '-f', "$dir/$file", '-d', $other->connstr($db) ], "$db: $file loaded");
}
my @copies = qw(plain custom data replica replica_data);
psql("CREATE DATABASE $_", 'postgres', $other) for @copies, 'live';
load('plain', 'plain.sql');
$other->command_ok([ 'pg_restore', '-j2', '-d', $other->connstr('custom'), "$dir/custom" ], 'custom: loaded in parallel');
load('data', 'schema.sql');
load('data', 'data.sql');
load('replica', 'plain.sql', '-c session_replication_role=replica');
load('replica_data', 'schema.sql', '-c session_replication_role=replica');
load('replica_data', 'data.sql', '-c session_replication_role=replica');

# --- what has been restored -----------------------------------------------------------

sub check_copy
{
	my ($db, $n) = @_;
	is_deeply(contents($db, $n), $contents, "$db: everything is there, once");
	is(findings($db, $n), '', "$db: it verifies");
	is(psql("SELECT provenance.verify_inclusion('$proof', provenance.leaf(10), $vkeys)", $db, $n), 't', "$db: a proof made before verifies");
	is(psql("SELECT provenance.prove(10, $size)", $db, $n), $proof, "$db: and is made again");
	is(psql("SELECT * FROM provenance.verify_checkpoint('$note')", $db, $n), '', "$db: so does a checkpoint kept before");
	cmp_ok(psql("SELECT count(*) FROM provenance.verify_disclosure(\$\$$disclosed\$\$, $vkeys)", $db, $n), '>', 0, "$db: and a disclosure");
	is(psql("SELECT provenance.prove_merged('globex', $merged_leaf)", $db, $n), $merged_proof, "$db: a merged entry is proven");
	is(psql(q{SELECT name, state FROM provenance.partner}, $db, $n), 'globex|trusted', "$db: the partner is known");
	is(psql(q{SELECT count(*) > 40 FROM provenance.pedigree('p1@mail.example') p, provenance.merged_entry}, $db, $n), 't', "$db: a pedigree");
	is(psql(q{SELECT string_agg(op, ' ') FROM provenance.history('crm.contact', 7)}, $db, $n), 'insert update baseline', "$db: a history");
	is(psql(q{SELECT count(*) FROM pg_trigger t JOIN pg_class c ON c.oid = tgrelid WHERE tgname ~ 'provenance_(capture|truncate|foreign|refuse)' AND tgenabled <>
		CASE WHEN tgname ~ 'foreign' THEN 'R' WHEN tgname = 'provenance_refuse' THEN 'O' ELSE 'A' END}, $db, $n), '0', "$db: the triggers are in their modes");
}

# the application writes on at once; the worker seals, nobody signs
my $written = 0;
sub write_on
{
	my ($db, $n, $what) = @_;
	my $before = psql('SELECT count(*) FROM provenance.entry', $db, $n);
	$written++;
	psql("INSERT INTO deal VALUES (200 + $written, 1, 'new'); UPDATE crm.contact SET email = 'new' || $written || '\@mail.example' WHERE id = 1; UPDATE crm.event SET note = 'new $written' WHERE id IN (4, 14)", $db, $n);
	psql('SELECT provenance.start_worker()', $db, $n);
	my $expected = $before + 4;
	ok($n->poll_query_until($db, "SELECT log_size = $expected FROM provenance.seal_state"), "$db: $what: all is sealed, once")
	  or diag(psql('SELECT * FROM provenance.seal_state', $db, $n));
	is(psql('SELECT count(DISTINCT seq), count(*) FROM provenance.entry', $db, $n), "$expected|$expected", "$db: $what: no seq twice");
	is(findings($db, $n), '', "$db: $what: it verifies");
}

for my $db (@copies)
{
	check_copy($db, $other);
}

# sealed first, then written to; and the other way round
psql('SELECT provenance.start_worker()', 'custom', $other);
ok($other->poll_query_until('custom', 'SELECT (SELECT count(*) FROM provenance.entry) = log_size FROM provenance.seal_state'), 'custom: what was not sealed is');
write_on($_, $other, 'written on') for @copies;

# a data load with the triggers on would record the rows as new ones
$other->safe_psql('postgres', 'SELECT 1');
load('live', 'schema.sql');
{
	local $ENV{PGOPTIONS} = '-c session_replication_role=replica';
	my ($rc, $out, $err) = (0);
	$other->command_fails_like([ 'psql', '-Xq', '-v', 'ON_ERROR_STOP=1', '-1', '-f', "$dir/live.sql", '-d', $other->connstr('live') ],
		qr/table "contact" is not tagged.*--disable-triggers/s, 'a data load that does not disable the triggers is refused');
}

# --- the counter passes the old cluster's ---------------------------------------------

psql('SELECT provenance.stop_worker()', $_, $other) for @copies;
$other->stop;
command_ok([ 'pg_resetwal', '-x', 2 * 1048576, $other->data_dir ], 'transaction ids have passed those of the original');
$other->start;
write_on($_, $other, 'past the original') for @copies;

# --- who signs ---------------------------------------------------------------------------

like(fails('SELECT provenance.seal()', $_, $other), qr/55000: .*sealed up to size \d+, but the signer is stopped.*HINT:/s, "$_: nothing is signed, and there is a hint") for @copies;
my $state = psql('SELECT state_directory FROM provenance.status');
my $other_state = $other->data_dir . '.provenance';
like(fails('SELECT provenance.adopt()', 'plain', $other), qr/55000: the log cannot be adopted.*state is still in "\Q$state\E".*HINT:/s, 'without the state: what to do');
$node->stop;
mkdir $other_state, 0700;
my ($name) = map { m{([0-9a-f]{64})\.state$} } grep { slurp_file($_) =~ /acme\.example/ } glob("$state/*.state");
copy("$state/$name.state", "$other_state/$name.state");
chmod 0600, "$other_state/$name.state";
rename $state, "$state.away" or die $!;
like(fails('SELECT provenance.adopt()', 'plain', $other), qr/55000: .*Copy the key file/s, 'without the key: what to do');
copy("$state.away/$_", "$other_state/$_") for map { m{([^/]+)$} } glob("$state.away/$name.*key*");
chmod 0600, glob("$other_state/*");
like(psql('SELECT provenance.adopt()', 'plain', $other), qr/^acme\.example\+/, 'with the key: adopted');
like(psql('SELECT provenance.seal()', 'plain', $other), qr/^acme\.example\n/, 'and goes on');
is(psql("SELECT * FROM provenance.verify_checkpoint('$note')", 'plain', $other), '', 'beyond what was signed before');
is(findings('plain', $other), '', 'it verifies');
like(fails('SELECT provenance.adopt()', 'custom', $other), qr/55000: .*HINT:.*new_incarnation/s, 'a second copy does not');
like(psql(q{SELECT provenance.new_incarnation('test copy')}, 'custom', $other), qr{^acme\.example/2\+}, 'but has a successor');
like(psql('SELECT provenance.seal()', 'custom', $other), qr{^acme\.example/2\n}, 'which signs');
is(findings('custom', $other), '', 'and verifies');

# --- CREATE DATABASE ... TEMPLATE ----------------------------------------------------------

rename "$state.away", $state or die $!;
$node->start;
$contents = contents('acme');
psql('SELECT provenance.stop_worker()');
psql('CREATE DATABASE clone TEMPLATE acme', 'postgres');
check_copy('clone', $node);
write_on('clone', $node, 'written on');
like(fails('SELECT provenance.seal()', 'clone'), qr/55000: .*the signer is stopped.*HINT:.*new_incarnation/s, 'a clone does not sign, and says what to do');
like(psql('SELECT provenance.seal()'), qr/^acme\.example\n/, 'the original does');
psql(q{INSERT INTO deal VALUES (300, 1, 'original')});
like(psql('SELECT provenance.seal()'), qr/^acme\.example\n/, 'and goes on');
is(findings('acme'), '', 'it verifies');
# what comes next from the partner is merged in both
my $seen = psql('SELECT size FROM provenance.partner');
psql(q{UPDATE crm.contact SET email = 'later@mail.example' WHERE id = 2; SELECT provenance.seal()}, 'globex');
psql("COPY (SELECT * FROM provenance.export_bundle('crm.contact', recipient => 'acme', since_size => $seen)) TO '$dir/bundle2'", 'globex');
for (['clone', $node], ['acme', $node], ['plain', $other], ['data', $other])
{
	my ($db, $n) = @$_;
	my $before = psql('SELECT count(*) FROM provenance.merged_entry', $db, $n);
	is((fails("COPY provenance.inbox FROM '$dir/bundle2'", $db, $n) =~ /^(no error|[^\n]*)/)[0], 'no error', "$db: another bundle of the partner");
	cmp_ok(psql('SELECT count(*) FROM provenance.merged_entry', $db, $n), '>', $before, "$db: is merged");
	psql('SELECT provenance.start_worker()', $db, $n);
	is(findings($db, $n), '', "$db: it verifies");
}

$node->stop;
$other->stop;
done_testing();
