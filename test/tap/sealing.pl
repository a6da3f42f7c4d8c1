# Sealing: no entry is missed, doubled or misplaced, whatever commits when; a
# large batch builds the tree's upper levels; after a restore into a cluster
# whose transaction ids run behind, nothing gets a second place, not even when
# they have caught up.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('sealing');
$node->init;
$node->append_conf('postgresql.conf', <<'CONF');
fsync = off
max_worker_processes = 16
max_prepared_transactions = 10
CONF

# Transaction ids far ahead of those of the second cluster. 1048576 begins a
# segment of pg_xact.
command_ok([ 'pg_resetwal', '-x', 1048576, $node->data_dir ], 'transaction ids moved ahead');
$node->start;

sub q1 { my ($sql, $n) = @_; return ($n // $node)->safe_psql('postgres', $sql); }

my $origin = 'sealing-' . int(rand(1e9)) . '.example';
q1("CREATE EXTENSION provenance; SELECT provenance.setup('$origin');");
q1(<<'SQL');
CREATE TABLE t (id int PRIMARY KEY, v int NOT NULL);
INSERT INTO t SELECT i, 0 FROM generate_series(1, 20) AS i;
SELECT provenance.tag('t');
CREATE TABLE big (id int PRIMARY KEY, v int NOT NULL);
SELECT provenance.tag('big');
-- Each write of a row raises v by one, so the chain's images must count up.
CREATE VIEW misplaced AS
	SELECT h.* FROM (SELECT id FROM generate_series(1, 20) AS id) AS k,
		LATERAL (SELECT k.id, leaf_index, (image->>'v')::int AS v,
			lag((image->>'v')::int) OVER (ORDER BY leaf_index) AS before,
			prev_hash, coalesce(lag(leaf_hash) OVER (ORDER BY leaf_index)::text, repeat('0', 64)) AS expected
			FROM provenance.history('t', k.id)) AS h
	WHERE h.v <> coalesce(h.before + 1, 0) OR h.prev_hash::text <> h.expected;
SQL

# As many leaves as entries, each entry one, and their count what the state says.
sub complete
{
	my ($name, $n) = @_;
	is( q1( q{SELECT (SELECT count(*) FROM provenance.entry) - log_size, (SELECT sum(count) FROM provenance.leaf_run) - log_size,
			(SELECT sum(entries) FROM provenance.table_head) - log_size FROM provenance.seal_state}, $n),
		'0|0|0', $name);
	is( q1( q{SELECT count(*) - count(DISTINCT leaf_index) FROM (
			SELECT leaf_index FROM provenance.changes('t', '-infinity', 'infinity')
			UNION ALL SELECT leaf_index FROM provenance.changes('big', '-infinity', 'infinity')) AS x}, $n),
		'0', "$name: each in one place");
}

q1('SELECT provenance.seal()');
complete('baselines');

# A transaction that commits late, after others with greater numbers are sealed.
q1(q{BEGIN; UPDATE t SET v = v + 1 WHERE id = 1; PREPARE TRANSACTION 'late'});
q1('UPDATE t SET v = v + 1 WHERE id <> 1');
q1('SELECT provenance.seal()');
is(q1('SELECT log_size FROM provenance.seal_state'),
	q1(q{SELECT count(*) FROM provenance.entry}), 'all that is committed is sealed');
my $before = q1('SELECT log_size FROM provenance.seal_state');
q1('UPDATE t SET v = v + 1 WHERE id = 2');
q1('SELECT provenance.seal()');
is(q1('SELECT log_size FROM provenance.seal_state'), $before + 1, 'an open transaction holds up nobody');
q1(q{COMMIT PREPARED 'late'});
q1('SELECT provenance.seal()');
complete('the late one follows');
is(q1('SELECT count(*) FROM misplaced'), '0', 'chains are in version order');

# Many at once on few rows: savepoints, rollbacks, transactions of every
# length, and the sealer in between as often as it can.
my $script = PostgreSQL::Test::Utils::tempdir() . '/stress.sql';
open(my $fh, '>', $script) or die $!;
print $fh <<'SQL';
\set a random(1, 20)
\set b random(1, 20)
\set low least(:a, :b)
\set high greatest(:a, :b)
\set nap random(0, 20)
BEGIN;
UPDATE t SET v = v + 1 WHERE id = :low;
SAVEPOINT s;
UPDATE t SET v = v + 1 WHERE id = :high;
\if :nap > 10
ROLLBACK TO s;
\endif
SAVEPOINT r;
UPDATE t SET v = v + 1 WHERE id = :high;
RELEASE r;
\sleep :nap ms
COMMIT;
SQL
close $fh;
q1(q{ALTER DATABASE postgres SET provenance.seal_interval = '10ms'});
q1('SELECT provenance.stop_worker()');
$node->poll_query_until('postgres', 'SELECT provenance.worker_pid() IS NULL');
q1('SELECT provenance.start_worker()');
my $pgbench = IPC::Run::start([ 'pgbench', '-n', '-c', 8, '-j', 2, '-T', 6, '-f', $script, '-h', $node->host, '-p', $node->port, 'postgres' ],
	'>', \my $out, '2>', \my $err);
for my $i (1 .. 5)
{
	q1(q{BEGIN; UPDATE t SET v = v + 1 WHERE id = 20; PREPARE TRANSACTION 'p'});
	select(undef, undef, undef, 0.7);
	q1(q{COMMIT PREPARED 'p'});
	q1('REINDEX INDEX CONCURRENTLY provenance.entry_pkey');
}
ok($pgbench->finish, 'pgbench') or diag($err);
my $batches = q1('SELECT count(*) FROM provenance.leaf_run');
q1('SELECT provenance.seal()');
complete('after many at once');
cmp_ok($batches, '>', 10, 'sealed in between');
is(q1('SELECT count(*) FROM misplaced'), '0', 'chains are in version order');
is(q1(q{SELECT count(*) FROM t, LATERAL (SELECT image FROM provenance.history('t', t.id) ORDER BY leaf_index DESC LIMIT 1) AS h
	WHERE (h.image->>'v')::int <> t.v}), '0', 'and end with the rows as they are');

# Whoever moves the entries' index elsewhere keeps writers waiting, so that it lacks no entry.
q1(q{SET allow_in_place_tablespaces = on; CREATE TABLESPACE elsewhere LOCATION ''});
for my $move ('ALTER INDEX provenance.entry_pkey SET TABLESPACE elsewhere', 'ALTER INDEX ALL IN TABLESPACE elsewhere SET TABLESPACE pg_default',
	'ALTER TABLE provenance.entry_pkey SET TABLESPACE elsewhere', 'ALTER TABLE provenance.entry_pkey SET TABLESPACE pg_default')
{
	q1("BEGIN; $move; PREPARE TRANSACTION 'p'");
	(undef, undef, $err) = $node->psql('postgres', q{SET lock_timeout = '500ms'; UPDATE t SET v = v + 1 WHERE id = 4});
	like($err, qr/lock timeout/, "$move: who writes waits");
	q1(q{COMMIT PREPARED 'p'});
	q1('UPDATE t SET v = v + 1 WHERE id = 4');
	q1('SELECT provenance.seal()');
	complete($move);
}
q1('DROP TABLESPACE elsewhere');

# More than a chunk of the sealer, more than two levels of tiles.
q1('INSERT INTO big SELECT i, 0 FROM generate_series(1, 66000) AS i');
q1('UPDATE big SET v = 1 WHERE id % 2 = 0');
q1('SELECT provenance.seal()');
complete('a large batch');
is( q1(q{SELECT count(*) FROM provenance.seal_state AS s, generate_series(1, 2) AS l
		WHERE (SELECT count(*) FROM provenance.tree_node WHERE level = l) <> floor(s.log_size / 256 ^ l)}),
	'0', 'upper levels of the tree are complete');
is(q1(q{SELECT max(n) FROM (SELECT count(*) AS n FROM provenance.history('big', 2)) AS x}), '2', 'chains across chunks');

# The extension's state claims another system: a fresh start.
sub forge_system
{
	my ($n) = @_;
	q1(q{SET session_replication_role = replica; UPDATE provenance.seal_state SET system_identifier = system_identifier + 1}, $n);
}
forge_system();
$before = q1('SELECT log_size FROM provenance.seal_state');
q1('UPDATE t SET v = v + 1 WHERE id = 3');
q1('SELECT provenance.seal()');
is(q1('SELECT log_size FROM provenance.seal_state'), $before + 1, 'a fresh start seals only what is new');
complete('after a fresh start');
is(q1('SELECT floor FROM provenance.seal_state'), '-1', 'no transaction of another cluster');

# A restore, with entries that were not sealed, into a cluster whose
# transaction ids are far behind.
q1('SELECT provenance.stop_worker()');
$node->poll_query_until('postgres', 'SELECT provenance.worker_pid() IS NULL');
q1('UPDATE t SET v = v + 1 WHERE id <= 5');
my $unsealed = q1('SELECT (SELECT count(*) FROM provenance.entry) - log_size FROM provenance.seal_state');
cmp_ok($unsealed, '>', 0, 'something is not sealed');
my $dump = PostgreSQL::Test::Utils::tempdir() . '/dump.sql';
$node->run_log([ 'pg_dump', '-f', $dump, '-h', $node->host, '-p', $node->port, 'postgres' ]);

my $other = PostgreSQL::Test::Cluster->new('restored');
$other->init;
$other->append_conf('postgresql.conf', "fsync = off\nmax_worker_processes = 16\n");
$other->start;
$other->run_log([ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-f', $dump, '-h', $other->host, '-p', $other->port, 'postgres' ]);
my $entries = q1('SELECT count(*) FROM provenance.entry', $other);
is($entries, q1('SELECT count(*) FROM provenance.entry'), 'restored');

# An open transaction of the new cluster, begun before the fresh start.
sub sealed_to
{
	my ($name, $size) = @_;
	q1('SELECT provenance.start_worker()', $other);
	ok($other->poll_query_until('postgres', "SELECT log_size = $size FROM provenance.seal_state"), $name)
	  or diag(q1('SELECT * FROM provenance.seal_state', $other));
}
my ($stdin, $stdout, $timer) = ('', '', IPC::Run::timeout(180));
my $open = IPC::Run::start([ 'psql', '-XAtq', '-h', $other->host, '-p', $other->port, 'postgres' ],
	'<', \$stdin, '>', \$stdout, $timer);
$stdin .= "BEGIN; UPDATE t SET v = v + 1 WHERE id = 7; SELECT 'begun';\n";
$open->pump until $stdout =~ /begun/;
q1('UPDATE t SET v = v + 1 WHERE id = 6', $other);
sealed_to('restored: the unsealed and the new', $entries + 1);
cmp_ok(q1('SELECT floor FROM provenance.seal_state', $other), '>', 0, 'restored: a floor');
$stdin .= "COMMIT; SELECT 'done';\n";
$open->pump until $stdout =~ /done/;
$stdin .= "\\q\n";
$open->finish;
sealed_to('restored: the one that was open', $entries + 2);
complete('restored', $other);

# The counter passes the old cluster's transactions.
q1('SELECT provenance.stop_worker()', $other);
$other->stop;
command_ok([ 'pg_resetwal', '-x', 2 * 1048576, $other->data_dir ], 'transaction ids have caught up');
$other->start;
q1('UPDATE t SET v = v + 1 WHERE id = 8', $other);
sealed_to('restored: caught up', $entries + 3);
complete('caught up', $other);
is(q1('SELECT count(*) FROM misplaced', $other), '0', 'restored: chains are in version order');

done_testing();
