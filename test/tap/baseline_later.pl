# tag(…, baseline => 'later') under load: whatever the writers do, whatever
# becomes of the worker, of the table's file or of the database, each row comes
# to have one baseline, or an insert, before its first change.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(usleep);
use IPC::Run qw(start);

my $rows = 50_000;
my $node = PostgreSQL::Test::Cluster->new('baseline_later');
$node->init;
$node->append_conf('postgresql.conf', <<'CONF');
fsync = off
max_worker_processes = 16
max_prepared_transactions = 10
restart_after_crash = on
autovacuum_naptime = 1s
CONF
$node->start;

sub q1 { return $node->safe_psql('postgres', $_[0]); }

q1('CREATE EXTENSION provenance; SELECT provenance.setup(\'later-' . int(rand(1e9)) . '.example\');');
# Each change of a row raises n by one, so that its history counts up.
q1(<<SQL);
CREATE TABLE t (id int PRIMARY KEY, n int NOT NULL, pad text, unseen int);
INSERT INTO t SELECT i, 0, repeat('x', 80), 0 FROM generate_series(1, $rows) AS i;
-- Rows that the load leaves alone.
INSERT INTO t SELECT i, 0, 'apart', 0 FROM generate_series(100001, 100010) AS i;
CREATE VIEW chain AS
	SELECT leaf_index, (key->>'id')::int AS id, op, (image->>'n')::int AS n,
		lag(op) OVER w AS op_before, lag((image->>'n')::int) OVER w AS n_before
	FROM provenance.changes('t', '-infinity', 'infinity') WHERE key IS NOT NULL
	WINDOW w AS (PARTITION BY key ORDER BY leaf_index);
CREATE VIEW wrong AS
	SELECT * FROM chain WHERE leaf_index IS NULL OR NOT CASE op
		WHEN 'baseline' THEN op_before IS NULL
		WHEN 'insert' THEN (op_before IS NULL OR op_before = 'delete') AND n = 0
		WHEN 'update' THEN op_before IN ('baseline', 'insert', 'update') AND n = n_before + 1
		WHEN 'delete' THEN op_before IN ('baseline', 'insert', 'update')
		ELSE false END;
SQL

my $dir = PostgreSQL::Test::Utils::tempdir();
my $script = "$dir/load.sql";
open(my $fh, '>', $script) or die $!;
print $fh <<SQL;
\\set a random(1, $rows)
\\set b random(1, $rows)
\\set c random(1, $rows)
\\set d random(1, $rows + 2000)
BEGIN;
UPDATE t SET n = n + 1 WHERE id = :a;
UPDATE t SET unseen = unseen + 1 WHERE id = :b;
COMMIT;
DELETE FROM t WHERE id = :c;
INSERT INTO t VALUES (:d, 0, 'new', 0) ON CONFLICT (id) DO UPDATE SET n = t.n + 1;
BEGIN;
SAVEPOINT s;
UPDATE t SET n = n + 1 WHERE id = :b;
ROLLBACK TO s;
UPDATE t SET n = n + 1 WHERE id = :b;
UPDATE t SET n = n + 1 WHERE id = :b;
END;
SQL
close($fh);

sub load
{
	my ($seconds) = @_;
	# a thread each: a client that prepares a statement waits with all of its thread
	return start([ 'pgbench', '-n', '-c', '4', '-j', '4', '-T', $seconds, '-M', 'prepared', '--max-tries', '10', '-f', $script, '-h', $node->host, '-p', $node->port, 'postgres' ],
		'>', "$dir/load.out", '2>', "$dir/load.err");
}

# The worker needs this table for each chunk, a writer only reads it.
my $hold;
sub hold
{
	my ($in, $out) = ('', '');
	$hold = { h => start([ 'psql', '-XAtq', '-h', $node->host, '-p', $node->port, 'postgres' ], '<', \$in, '>', \$out), in => \$in, out => \$out };
	$in .= "BEGIN; LOCK TABLE provenance.baseline_phase IN SHARE MODE; SELECT 'held';\n";
	$hold->{h}->pump until $out =~ /held/;
}
sub release { ${ $hold->{in} } .= "COMMIT;\n\\q\n"; $hold->{h}->finish; }

sub phase { return q1(q{SELECT baseline || ' ' || coalesce(baseline_rows, 0) FROM provenance.tagged_table WHERE "table" = 't'::regclass}); }
sub wait_phase
{
	my ($pattern) = @_;
	for (1 .. 6000) { return 1 if phase() =~ $pattern; usleep(10_000); }
	diag(phase(), q1('SELECT last_error FROM provenance.status'));
	return 0;
}
sub whole
{
	my ($name) = @_;
	q1('SELECT provenance.seal()');
	is(q1('SELECT count(*) FROM (SELECT * FROM wrong LIMIT 10) AS x'), '0', "$name: each history is in order")
	  or diag(q1('SELECT * FROM wrong LIMIT 10'));
	is(q1(q{SELECT count(*) FROM ((SELECT id, n, pad FROM t EXCEPT SELECT id, n, pad FROM provenance.as_of(NULL::t, 'infinity'))
			UNION ALL (SELECT id, n, pad FROM provenance.as_of(NULL::t, 'infinity') EXCEPT SELECT id, n, pad FROM t)) AS d}),
		'0', "$name: the state is the table's");
	is(q1(q{SELECT code || ' ' || object || ' ' || message FROM provenance.verify() LIMIT 5}), '', "$name: intact");
	is(q1('SELECT count(*) - (SELECT log_size FROM provenance.seal_state) FROM provenance.entry'), '0', "$name: no surplus is left");
}

# Writers before, during and after the phase; a prepared transaction over it all.
my $run = load(8);
usleep(500_000);
my $tagged = q1(q{SELECT provenance.tag('t', exclude => '{unseen}', baseline => 'later')});
is($tagged, '0', 'tag() records no row itself');
hold();
q1(q{BEGIN; UPDATE t SET n = n + 1 WHERE id > 100000; PREPARE TRANSACTION 'over'});
usleep(1_500_000);
like(phase(), qr/^running/, 'the phase waits while it is held, the writers do not');
like(q1('SELECT DISTINCT code || severity FROM provenance.verify()'), qr/^(baseline_pendingnotice)?$/, 'meanwhile nothing is wrong');
release();
ok(wait_phase(qr/^done/), 'the phase ends under load');
$run->finish;
is($run->result(0), 0, 'no writer failed') or diag(slurp_file("$dir/load.err"));
q1(q{COMMIT PREPARED 'over'});
whole('load');
cmp_ok(q1(q{SELECT count(DISTINCT id) FROM chain WHERE op = 'baseline'}), '>', $rows / 2, 'most rows had a baseline, the others an entry before it');

# The table's file changes in mid-phase; the worker, and with it the server,
# is killed; a session that captures something starts the next one.
q1(q{SELECT provenance.untag('t')});
q1('SELECT lo_create(0) FROM generate_series(1, 3000)');	# for greater OIDs
q1('SELECT count(lo_unlink(oid)) FROM pg_largeobject_metadata');
q1(q{DROP VIEW wrong, chain; ALTER TABLE t RENAME TO old_t; CREATE TABLE t AS SELECT id + k * 10000000 AS id, 0 AS n, pad, 0 AS unseen FROM old_t, generate_series(0, 2) k ORDER BY random(); ALTER TABLE t ADD PRIMARY KEY (id)});
q1(<<'SQL');
CREATE VIEW chain AS
	SELECT leaf_index, (key->>'id')::int AS id, op, (image->>'n')::int AS n,
		lag(op) OVER w AS op_before, lag((image->>'n')::int) OVER w AS n_before
	FROM provenance.changes('t', '-infinity', 'infinity') WHERE key IS NOT NULL
	WINDOW w AS (PARTITION BY key ORDER BY leaf_index);
CREATE VIEW wrong AS
	SELECT * FROM chain WHERE leaf_index IS NULL OR NOT CASE op
		WHEN 'baseline' THEN op_before IS NULL
		WHEN 'insert' THEN (op_before IS NULL OR op_before = 'delete') AND n = 0
		WHEN 'update' THEN op_before IN ('baseline', 'insert', 'update') AND n = n_before + 1
		WHEN 'delete' THEN op_before IN ('baseline', 'insert', 'update')
		ELSE false END;
SQL
q1(q{SELECT provenance.tag('t', exclude => '{unseen}', baseline => 'later')});
$run = load(4);
ok(wait_phase(qr/^running [1-9]/), 'the worker has begun');
hold();
q1('VACUUM FULL t');
$run->finish;
is($run->result(0), 0, 'no writer failed') or diag(slurp_file("$dir/load.err"));
my $before = (split ' ', phase())[1];
release();
ok(wait_phase(qr/^running (?!$before$)/), "after VACUUM FULL the worker goes on at $before");
my $pid = q1('SELECT worker_pid FROM provenance.status');
kill 'KILL', $pid;
# until the server has noticed, and is up again
for (1 .. 1200)
{
	my ($rc, $out) = $node->psql('postgres', 'SELECT worker_pid IS NULL FROM provenance.status');
	last if $rc == 0 && $out eq 't';
	usleep(50_000);
}
is(q1('SELECT worker_pid IS NULL FROM provenance.status'), 't', 'no worker after the crash');
like(phase(), qr/^running [1-9]/, 'the phase has outlived it');
hold();
q1('UPDATE t SET n = n + 1 WHERE id = (SELECT max(id) FROM t)');
for (1 .. 6000) { last if q1('SELECT worker_pid IS NOT NULL FROM provenance.status') eq 't'; usleep(20_000); }
is(q1('SELECT worker_pid IS NOT NULL FROM provenance.status'), 't', 'a change starts the worker again');

# The database in another cluster, by dump and restore, in mid-phase.
$node->command_ok([ 'pg_dump', '-Fc', '-f', "$dir/dump", 'postgres' ], 'dump in mid-phase');
release();
ok(wait_phase(qr/^done/), 'the phase ends after a crash');
whole('crash');
$node->stop;
$node = PostgreSQL::Test::Cluster->new('restored');
$node->init;
$node->append_conf('postgresql.conf', "fsync = off\n");
$node->start;
$node->command_ok([ 'pg_restore', '-d', 'postgres', "$dir/dump" ], 'restore');
cmp_ok(q1(q{SELECT 't'::regclass::oid}), '<', q1('SELECT relid FROM provenance.baseline_phase'), 'other OIDs, smaller ones');
like(phase(), qr/^running/, 'the restored phase runs');
q1('SELECT provenance.start_worker()');
ok(wait_phase(qr/^done/), 'and ends');
for (1 .. 6000) { last if q1('SELECT pending FROM provenance.status') eq '0'; usleep(20_000); }
is(q1(q{SELECT DISTINCT code FROM provenance.verify_table('t')}), '', 'all have their baselines');
is(q1(q{SELECT count(*) FROM wrong}), '0', 'each once');

$node->stop;
done_testing();
