# Verification by several processes: the same findings in the same order as by
# one, of an intact ledger and of ledgers that were tampered with, each in the
# transaction that tampers; workers do take part; cancelling, roles, a standby,
# no worker to be had.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('parallel');
$node->init(allows_streaming => 1);
$node->append_conf('postgresql.conf', q{
fsync = off
autovacuum = off
max_worker_processes = 24
max_parallel_workers = 8
min_parallel_table_scan_size = 0
});
$node->start;

sub sql { return $node->safe_psql('postgres', $_[0]); }

sub said
{
	my ($where, $script) = @_;
	my ($out, $err) = ('', '');
	my $rc = $where->psql('postgres', $script, stdout => \$out, stderr => \$err);
	return ($rc, $out, $err);
}

my $origin = 'parallel-' . int(rand(1e9)) . '.example';
sql("CREATE EXTENSION provenance; SELECT provenance.setup('$origin');
CREATE TABLE contact (id int PRIMARY KEY, name text, score numeric, seen timestamptz);
CREATE TABLE event (region text, n int, what text, PRIMARY KEY (region, n)) PARTITION BY LIST (region);
CREATE TABLE event_eu PARTITION OF event FOR VALUES IN ('eu');
CREATE TABLE event_us PARTITION OF event FOR VALUES IN ('us');
CREATE TYPE mood AS ENUM ('good', 'bad');
CREATE TABLE feeling (id int PRIMARY KEY, how mood);
SELECT provenance.tag('contact'), provenance.tag('event'), provenance.tag('feeling'); SELECT provenance.stop_worker();");
sql("SET provenance.actor = 'zoe'; INSERT INTO contact SELECT i, 'name ' || i, i / 4.0, now() FROM generate_series(1, 9000) i");
sql('SELECT provenance.seal()');
sql("INSERT INTO event SELECT CASE WHEN i % 2 = 0 THEN 'eu' ELSE 'us' END, i, 'what' FROM generate_series(1, 2000) i;
INSERT INTO feeling SELECT i, 'good' FROM generate_series(1, 500) i");
sql('UPDATE contact SET score = score + 1 WHERE id % 2 = 0');
sql('SELECT provenance.seal()');
sql("ALTER TABLE event ADD COLUMN more text; TRUNCATE feeling; INSERT INTO feeling VALUES (1, 'bad')");
my $one_by_one = join('', map { "UPDATE contact SET name = 'x$_' WHERE id = $_;\n" } 1 .. 300);
sql($one_by_one);
sql('DELETE FROM contact WHERE id > 8900; INSERT INTO contact VALUES (8950, \'back\')');
sql('UPDATE contact SET score = score + 1 WHERE id % 3 = 0');
my $kept = sql('SELECT provenance.size(provenance.seal())');
sql("UPDATE contact SET name = 'unsealed' WHERE id < 20; INSERT INTO event VALUES ('eu', 5000, 'new', NULL)");
cmp_ok($kept, '>', 18000, 'a log of several pieces');
sql("CREATE ROLE somebody");

# What one process and what three find, as text, in order.
my @calls = ('verify()', "verify_table('contact')", "verify_table('event')", 'verify_log()', "verify_log(9000)", 'verify(300)');

sub both
{
	my ($tampering, $call, $role) = @_;
	$role = defined $role ? "SET LOCAL ROLE $role;" : '';
	my ($rc, $out, $err) = said($node, "SET client_min_messages = warning;
		BEGIN; SET LOCAL allow_system_table_mods = on; SET LOCAL session_replication_role = replica;
		$tampering; SET LOCAL session_replication_role = origin; $role
		SET LOCAL max_parallel_maintenance_workers = 0; SELECT * FROM provenance.$call;
		\\echo ====
		SET LOCAL client_min_messages = debug1;
		SET LOCAL max_parallel_maintenance_workers = 2; SELECT * FROM provenance.$call; ROLLBACK");
	return ("error: $err", 'none', $err) if $rc != 0;
	my ($one, $three) = split /^====\n?/m, $out . "\n", 2;
	s/\s+\z// for ($one, $three);
	return ($one, $three, $err);
}

for my $call (@calls)
{
	my ($one, $three, $err) = both('SELECT 1 WHERE false', $call);
	is($one, '', "$call: intact, says one process");
	is($three, '', "$call: intact, say three");
	like($err, qr/\d parallel workers did \d+ of [1-9]\d* pieces/, "$call: the work was divided");
}

# Workers do their share: how much, is the scheduler's affair, so it is tried again.
my %share;
for (1 .. 30)
{
	my (undef, undef, $err) = both('SELECT 1 WHERE false', 'verify()');
	my @did = $err =~ /parallel workers did (\d+) of \d+ pieces/g;
	$share{$_} += $did[$_] for 0 .. $#did;
	last if $share{0} && $share{ $#did };
}
cmp_ok($share{0}, '>', 0, 'workers looked at pieces of the log');
cmp_ok((sort { $b <=> $a } values %share)[-1] + $share{ (sort { $b <=> $a } keys %share)[0] }, '>', 0, 'and at parts of the row chains');

my $run = "(SELECT first_leaf FROM provenance.leaf_run WHERE first_leaf < 7000 ORDER BY 1 DESC LIMIT 1)";
my $off = join(' ', map { "ALTER TABLE $_ DISABLE TRIGGER ALL;" } qw(contact event_eu event_us feeling));
my $heads = "UPDATE provenance.head SET heads = overlay(heads PLACING int8send(1) FROM 17) WHERE hashtext(from_row_id::text) % 20 = 0";
my $others = 'changed_at, context_id, order_number, table_id, shape_id, row_id, commitment, seed, image, op FROM provenance.entry';
my @tamperings = (
	[ 'an image', "UPDATE provenance.entry SET image = set_byte(image, 3, 88) WHERE seq = 5000" ],
	[ 'many images', "UPDATE provenance.entry SET image = set_byte(image, 3, 88) WHERE seq % 700 = 0" ],
	[ 'a seed', "UPDATE provenance.entry SET seed = gen_random_uuid() WHERE seq = 12000" ],
	[ 'a time', "UPDATE provenance.entry SET changed_at = changed_at + interval '1 s' WHERE seq IN (77, 4100, 9100)" ],
	[ 'a commitment', "UPDATE provenance.entry SET commitment = sha256('x')::provenance.hash WHERE seq = 9005" ],
	[ 'an operation', "UPDATE provenance.entry SET op = 77 WHERE seq = 3000" ],
	[ 'a row identity', "UPDATE provenance.entry SET row_id = gen_random_uuid() WHERE seq = 3000" ],
	[ 'erased without a word', "UPDATE provenance.entry SET image = NULL, seed = NULL WHERE seq IN (100, 8000, 12500)" ],
	[ 'entries removed', "DELETE FROM provenance.entry WHERE seq IN (2500, 2501, 11000)" ],
	[ 'an entry put in', "INSERT INTO provenance.entry SELECT xid, -1000000 - seq, $others WHERE seq = 5000" ],
	[ 'entries put in far away', "INSERT INTO provenance.entry SELECT xid, seq + 4611686018427387904, $others WHERE seq IN (60, 5000)" ],
	[ 'a second entry of a number', "INSERT INTO provenance.entry SELECT '3', seq, $others WHERE seq = 5000" ],
	[ 'a second entry of one that waits', "INSERT INTO provenance.entry SELECT '3', seq, $others WHERE seq = (SELECT max(seq) FROM provenance.entry)" ],
	[ 'entries of a number, both waiting', "INSERT INTO provenance.entry SELECT pg_current_xact_id(), seq, $others WHERE seq IN (5000, (SELECT max(seq) FROM provenance.entry))" ],
	[ 'stored hashes', "UPDATE provenance.leaf_run SET hashes = overlay(hashes PLACING '\\xff'::bytea FROM 5) WHERE first_leaf = $run" ],
	[ 'a run removed', "DELETE FROM provenance.leaf_run WHERE first_leaf = $run" ],
	[ 'many runs removed', "DELETE FROM provenance.leaf_run WHERE first_leaf BETWEEN 2000 AND 9000" ],
	[ 'the first run removed', "DELETE FROM provenance.leaf_run WHERE first_leaf = 0" ],
	[ 'the last runs removed', "DELETE FROM provenance.leaf_run WHERE first_leaf > $kept - 400" ],
	[ 'a map', "UPDATE provenance.leaf_run SET map = '\\x00' WHERE first_leaf = $run" ],
	[ 'a map: another table', "UPDATE provenance.leaf_run SET map = substr(map, 1, length(map) - 1) || '\\x0402' WHERE get_byte(map, length(map) - 1) = 0 AND first_leaf % 3 = 0" ],
	[ 'a number of leaves', "UPDATE provenance.leaf_run SET count = count + 1 WHERE first_leaf = $run" ],
	[ 'an entry sealed twice', "UPDATE provenance.leaf_run SET map = (SELECT map FROM provenance.leaf_run WHERE first_leaf = $run),
		count = (SELECT count FROM provenance.leaf_run WHERE first_leaf = $run)
		WHERE first_leaf = (SELECT max(first_leaf) FROM provenance.leaf_run)" ],
	[ 'the map of seqs', "UPDATE provenance.seq_block SET first_leaf = first_leaf + 1 WHERE block = 20" ],
	[ 'the tree', "UPDATE provenance.tree_node SET hash = sha256('x')::provenance.hash WHERE level = 1 AND index IN (3, 30)" ],
	[ 'heads', $heads ],
	[ 'heads removed', "DELETE FROM provenance.head WHERE hashtext(from_row_id::text) % 20 = 0" ],
	[ 'a context', "UPDATE provenance.context SET seed = gen_random_uuid()" ],
	[ 'a context removed', "DELETE FROM provenance.context WHERE context_id = (SELECT min(context_id) FROM provenance.context)" ],
	[ 'a shape', "UPDATE provenance.shape SET definition = set_byte(definition, 8, 65) WHERE table_id = 1" ],
	[ 'shapes removed', "DELETE FROM provenance.shape" ],
	[ 'a size', "UPDATE provenance.seal_state SET log_size = log_size - 3000" ],
	[ 'a size without end', "UPDATE provenance.seal_state SET log_size = 9223372036854775807" ],
	[ 'a checkpoint', "UPDATE provenance.checkpoint_note SET root = sha256('x')::provenance.hash WHERE size > 9000" ],
	[ 'a row', "$off UPDATE contact SET name = 'forged' WHERE id IN (7, 4000)" ],
	[ 'rows in', "$off INSERT INTO contact SELECT 100000 + i, 'forged' FROM generate_series(1, 5) i" ],
	[ 'rows out', "$off DELETE FROM event WHERE n BETWEEN 100 AND 120" ],
	[ 'all rows out', "$off DELETE FROM feeling" ],
	[ 'the registry', "UPDATE provenance.registry SET table_name = 'nowhere' WHERE table_id = 2" ],
	[ 'a row of the registry removed', "DELETE FROM provenance.registry WHERE table_id = 1" ],
	[ 'triggers', "UPDATE pg_trigger SET tgenabled = 'D' WHERE tgrelid = 'contact'::regclass" ],
	[ 'two things', "UPDATE provenance.entry SET image = set_byte(image, 3, 88) WHERE seq = 5000; DELETE FROM provenance.leaf_run WHERE first_leaf = $run;
		$off UPDATE contact SET name = 'forged' WHERE id = 8000" ],
);
for my $tampering (@tamperings)
{
	my ($what, $statement) = @$tampering;
	my $found = 0;
	for my $call (@calls)
	{
		my ($one, $three, $err) = both($statement, $call);
		is($three, $one, "$what: $call: the same findings");
		$found += $one ne '';
	}
	cmp_ok($found, '>', 0, "$what: there are findings");
}

# Roles: what a role may not see, workers do not show it.
{
	# several rows: the head of one of them may be among those that are changed
	my ($one, $three) = both("$off UPDATE contact SET name = 'forged' WHERE id IN (7, 1234, 4000, 7777); $heads",
		'verify()', 'somebody');
	is($three, $one, 'the same findings for a role without privileges');
	like($one, qr/row_differs/, 'which are there');
	unlike($one, qr/contact \(/, 'without keys');
}

# No worker to be had.
{
	my ($rc, $out, $err) = said($node, "SET max_parallel_workers = 0; SET client_min_messages = debug1; SELECT count(*) FROM provenance.verify()");
	is($out, '0', 'without a worker, the leader does it all');
	like($err, qr/0 parallel workers did 0 of/, 'by itself');
}

# Within a block that catches errors, in a function, in a serializable transaction.
is(sql("SET client_min_messages = warning; BEGIN ISOLATION LEVEL SERIALIZABLE; DO \$\$ BEGIN
		BEGIN
			PERFORM provenance.verify();
			IF FOUND THEN RAISE EXCEPTION 'found something'; END IF;
			RAISE division_by_zero;
		EXCEPTION WHEN division_by_zero THEN
			PERFORM provenance.verify();
			IF FOUND THEN RAISE EXCEPTION 'found something'; END IF;
		END; END \$\$; COMMIT; SELECT 'done'"), 'done', 'in a subtransaction that is rolled back, and after it');

# Cancelled at any time, it ends, and leaves nothing.
my $ended = 0;
for my $ms (1, 5, 10, 20, 40, 60, 80, 120)
{
	my ($rc, $out, $err) = said($node, "SET statement_timeout = $ms; SELECT count(*) FROM provenance.verify()");
	$ended++ if $out eq '0' || $err =~ /canceling statement due to statement timeout/;
}
is($ended, 8, 'cancelled or done');
ok($node->poll_query_until('postgres', "SELECT count(*) = 0 FROM pg_stat_activity WHERE backend_type = 'parallel worker'"), 'no worker stays');
is(sql('SELECT count(*) FROM pg_ls_tmpdir()'), '0', 'nor a temporary file');

# On a standby.
$node->backup('copy');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($node, 'copy', has_streaming => 1);
$standby->start;
$node->wait_for_catchup($standby);
{
	my ($rc, $out, $err) = said($standby, "SET client_min_messages = debug1; SELECT count(*) FROM provenance.verify()");
	is($out, '0', 'on a standby');
	like($err, qr/\d parallel workers did \d+ of/, 'by several processes too');
}
is(sql("SELECT count(*) FROM provenance.verify()"), '0', 'and the database is intact');
unlike(slurp_file($node->logfile), qr/WARNING:.*leak|TRAP|was terminated by signal/, 'nothing was left behind');
$standby->stop;
$node->stop;
done_testing();
