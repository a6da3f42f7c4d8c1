# The workers: they start without a restart and, preloaded, with the server;
# seal what is committed, again after a crash and a restart; never stand in
# the way of DROP DATABASE or CREATE DATABASE ... TEMPLATE; leave where there
# is no log; and a server without a free slot says so.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('worker');
$node->init;
$node->append_conf('postgresql.conf', "fsync = off\nmax_prepared_transactions = 4\nrestart_after_crash = on\nlog_line_prefix = '%p %b %d '\n");
$node->start;

sub psql { return $node->safe_psql($_[1] // 'postgres', $_[0]); }

# error message of a statement that fails
sub fails
{
	my ($sql, $db) = @_;
	my ($rc, $out, $err) = $node->psql($db // 'postgres', $sql, extra_params => [ '-v', 'VERBOSITY=verbose' ]);
	return $rc ? $err : "no error: $out";
}

sub await
{
	my ($sql, $want, $db) = @_;
	return $node->poll_query_until($db // 'postgres', $sql, $want);
}

# Kills a worker, and waits until the server has restarted after it.
sub crash
{
	my ($pid) = @_;
	my $end = -s $node->logfile;
	kill 'KILL', $pid;
	for (1 .. 600)
	{
		last if substr(slurp_file($node->logfile), $end) =~ /ready to accept connections/;
		select undef, undef, undef, 0.1;
	}
}

my $standing = q{SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'provenance worker'};
my $sealed = q{SELECT pending = 0 FROM provenance.status};

# --- without preload ----------------------------------------------------

psql('CREATE EXTENSION provenance');
psql(q{SELECT provenance.setup('one.example')});
ok(await($standing, '1'), 'setup() starts a worker, without a restart');
psql(q{CREATE TABLE t (id int PRIMARY KEY, v text); SELECT provenance.tag('t')});
psql(q{INSERT INTO t SELECT n, 'x' FROM generate_series(1, 100) n});
ok(await($sealed, 't'), 'the worker seals what is committed');
is(psql('SELECT log_size FROM provenance.status'), '101', 'all of it');
is(psql(q{INSERT INTO t VALUES (101, 'x'); SELECT provenance.wait_sealed() IS NOT NULL; SELECT pending FROM provenance.status}),
	"t\n0", 'wait_sealed() waits for what the session committed');

$node->restart;
is(psql($standing), '0', 'no worker after a restart without preload');
psql(q{INSERT INTO t VALUES (102, 'x')});
ok(await($standing, '1'), 'a captured change starts one');
ok(await($sealed, 't'), 'and it seals');

# one at a time
psql('SELECT provenance.start_worker()');
psql('SELECT provenance.start_worker()');
sleep 1;
is(psql($standing), '1', 'there is one standing worker');

# stop and start
psql('BEGIN; SELECT provenance.stop_worker(); ROLLBACK');
sleep 2;
is(psql($standing), '1', 'a stop that is rolled back stops nothing');
psql('SELECT provenance.stop_worker()');
ok(await($standing, '0'), 'stop_worker() stops it');
psql(q{INSERT INTO t VALUES (103, 'x')});
sleep 1;
is(psql($standing), '0', 'a captured change does not start it again');
like(fails(q{INSERT INTO t VALUES (104, 'x'); SELECT provenance.wait_sealed('200 ms')}),
	qr/57014: what this session committed is not sealed yet.*stop_worker/s, 'wait_sealed() says so');
is(psql(q{SELECT pending, now() - oldest_pending > '1 s' FROM provenance.status}), '2|t', 'status counts both, and has the time of the first');
is(psql('SELECT provenance.size(provenance.seal())'), '105', 'seal() works all the same');
is(psql(q{BEGIN; INSERT INTO t SELECT n, 'x' FROM generate_series(1000, 101050) n; SELECT pending, oldest_pending IS NOT NULL FROM provenance.status; ROLLBACK}),
	'100000|t', 'and counts no further than that');
psql('SELECT provenance.start_worker()');
ok(await($standing, '1'), 'start_worker() starts it');

# one after the other: another process, with the settings and the library of now
my $old = psql('SELECT provenance.worker_pid()');
psql('SELECT provenance.stop_worker(); SELECT provenance.start_worker()');
ok(await("SELECT provenance.worker_pid() <> $old", 't'), 'start_worker() right after stop_worker() starts another one');
$old = psql('SELECT provenance.worker_pid()');
is(psql(q{SET statement_timeout = '20 s'; BEGIN; SELECT provenance.stop_worker(); SELECT provenance.start_worker(); COMMIT; SELECT provenance.worker_pid()}) =~ s/\s//gr,
	$old, 'in one transaction they are nothing, and wait for nothing');
# not while it holds a lock
ok(await("SELECT count(*) FROM pg_stat_activity WHERE pid = $old AND state = 'idle'", '1'), 'it is between two turns');
kill 'STOP', $old;
like(($node->psql('postgres', q{SELECT provenance.stop_worker(); SET provenance.wait_timeout = '500 ms'; SELECT provenance.start_worker()}))[2],
	qr/WARNING:  the worker that was to stop is still running/, 'start_worker() says that it did not wait any longer');
kill 'CONT', $old;
ok(await($standing, '1'), 'and a worker there is');

# a crash of the worker takes the server's other processes along; then on
my $pid = psql('SELECT provenance.worker_pid()');
crash($pid);
psql(q{INSERT INTO t VALUES (105, 'x')});
ok(await($standing, '1'), 'a new worker after the crash');
ok(await($sealed, 't'), 'and it continues the log');
is(psql('SELECT provenance.size(provenance.seal())'), '106', 'nothing lost, nothing twice');

# a transaction longer than everything else, and a prepared one
psql(q{BEGIN; INSERT INTO t VALUES (106, 'p'); PREPARE TRANSACTION 'p'});
psql(q{INSERT INTO t VALUES (107, 'x')});
is(psql('SELECT provenance.size(provenance.seal())'), '107', 'a prepared transaction is not waited for');
psql(q{COMMIT PREPARED 'p'});
is(psql('SELECT provenance.size(provenance.seal())'), '108', 'nor missed');

# a session that only prepares transactions
$node->restart;
is(psql($standing), '0', 'no worker after the restart');
psql(q{BEGIN; INSERT INTO t VALUES (108, 'p'); PREPARE TRANSACTION 'p'});
ok(await($standing, '1'), 'PREPARE starts a worker');
psql(q{ROLLBACK PREPARED 'p'});

# --- seal() from a transaction that rolls back ---------------------------

is(psql(q{BEGIN; INSERT INTO t VALUES (200, 'x'); SELECT provenance.size(provenance.seal()); ROLLBACK}),
	'108', "seal() does not see the caller's own changes");
is(psql(q{SELECT max(size) FROM provenance.checkpoints}), '108', 'and the checkpoint stays after a rollback');
psql(q{INSERT INTO t VALUES (201, 'x')});
is(psql('BEGIN; SELECT provenance.size(provenance.seal()); ROLLBACK'), '109', 'seal() in a transaction that rolls back');
psql(q{INSERT INTO t VALUES (202, 'x')});
is(psql('SELECT provenance.size(provenance.seal())'), '110', 'the log goes on from there');
is(psql(q{BEGIN ISOLATION LEVEL SERIALIZABLE READ ONLY; SELECT provenance.size(provenance.seal()); COMMIT}),
	'110', 'seal() in a read-only serializable transaction');

# --- errors, each with its own text ---------------------------------------

psql(q{INSERT INTO t VALUES (203, 'x')});
like(fails(q{BEGIN; LOCK TABLE provenance.leaf_run; SELECT provenance.seal()}),
	qr/55000: cannot seal the log while this transaction holds a lock/, 'blocked by the caller');
{
	my $holder = $node->background_psql('postgres');
	$holder->query_safe('BEGIN; LOCK TABLE provenance.leaf_run;');
	my $holder_pid = $holder->query_safe('SELECT pg_backend_pid()');
	chomp $holder_pid;
	like(fails('SELECT provenance.seal()'), qr/55P03: .*process $holder_pid\b/s, 'blocked by another session');
	like(fails(q{SET provenance.wait_timeout = '300 ms'; SELECT provenance.seal()}),
		qr/57014: .*provenance.wait_timeout/, 'wait_timeout');
	like(fails(q{SET statement_timeout = '300 ms'; SELECT provenance.seal()}),
		qr/57014: .*statement timeout/, 'the wait can be cancelled');
	$holder->query_safe('COMMIT');
	$holder->quit;
}
ok(await($sealed, 't'), 'the worker goes on once the lock is gone');
like(psql('SELECT last_error FROM provenance.status'), qr/lock timeout|^$/, 'its last error is kept');
is(psql('SELECT provenance.size(provenance.seal())'), '111', 'and nothing was lost');

# --- publishing: log line, notification, files ----------------------------

my $dir = $node->basedir . '/published';
mkdir $dir or die;
psql("ALTER DATABASE postgres SET provenance.checkpoint_directory = '$dir'");
psql(q{INSERT INTO t VALUES (204, 'x')});
my ($rc, $out) = $node->psql('postgres', q{LISTEN provenance_checkpoint; SELECT provenance.size(provenance.seal()); SELECT pg_sleep(2); SELECT 'end'});
my $root = psql('SELECT root FROM provenance.checkpoints ORDER BY size DESC LIMIT 1');
like($out, qr/notification "provenance_checkpoint" with payload "112 $root"/, 'NOTIFY');
like(slurp_file($node->logfile), qr/published checkpoint of size 112, root $root/, 'a line in the server log');
my $note = psql('SELECT provenance.note(note) FROM provenance.checkpoints ORDER BY size DESC LIMIT 1');
is('\x' . unpack('H*', slurp_file("$dir/latest")), $note, 'the file latest');
my ($day) = glob("$dir/checkpoints-*");
my $latest = slurp_file("$dir/latest");
like(slurp_file($day), qr/\Q$latest\E\n\z/, "and the day's file");
chmod 0500, $dir;
psql("ALTER DATABASE postgres SET provenance.checkpoint_directory = '$dir/missing'");
psql(q{INSERT INTO t VALUES (205, 'x')});
is(psql('SELECT provenance.size(provenance.seal())'), '113', 'a folder that is missing undoes nothing');
like(slurp_file($node->logfile), qr/the checkpoint could not be written/, 'and is logged');
chmod 0700, $dir;
psql('ALTER DATABASE postgres RESET provenance.checkpoint_directory');

# --- memory ----------------------------------------------------------------

# what TopMemoryContext of the worker holds, in bytes
sub worker_memory
{
	my $end = -s $node->logfile;
	psql('SELECT pg_log_backend_memory_contexts(provenance.worker_pid())');
	for (1 .. 100)
	{
		return $1 if substr(slurp_file($node->logfile), $end) =~ /TopMemoryContext: .* (\d+) used/;
		select undef, undef, undef, 0.1;
	}
	die 'no memory contexts in the log';
}

psql(q{ALTER DATABASE postgres SET provenance.seal_interval = '10 ms'; ALTER DATABASE postgres SET provenance.publish_interval = 0});
psql('SELECT provenance.stop_worker()');
ok(await($standing, '0'), 'stopped');
psql('SELECT provenance.start_worker()');
ok(await($standing, '1'), 'started with other settings');
my $many = q{DO $$ BEGIN FOR i IN 1..150 LOOP UPDATE t SET v = i WHERE id = 1; COMMIT; PERFORM pg_sleep(0.015); END LOOP; END $$};
psql($many);
my $before = worker_memory();
my $checkpoints = psql('SELECT count(*) FROM provenance.checkpoints');
psql($many);
cmp_ok(psql('SELECT count(*) FROM provenance.checkpoints'), '>=', $checkpoints + 20, 'many checkpoints');
cmp_ok(worker_memory() - $before, '<', 16384, "and no more memory than before");
psql('ALTER DATABASE postgres RESET provenance.seal_interval; ALTER DATABASE postgres RESET provenance.publish_interval');

# --- copying, renaming, dropping ------------------------------------------

psql('CREATE DATABASE two');
psql('CREATE EXTENSION provenance', 'two');
psql(q{SELECT provenance.setup('two.example'); CREATE TABLE t (id int PRIMARY KEY); SELECT provenance.tag('t'); INSERT INTO t VALUES (1)}, 'two');
ok(await(q{SELECT provenance.worker_pid() IS NOT NULL}, 't', 'two'), 'a worker in another database');
psql('CREATE DATABASE three TEMPLATE two');
pass('CREATE DATABASE ... TEMPLATE beside a running worker');
is(psql('SELECT signer FROM provenance.status', 'two'), 'ready', 'the original\'s signer is ready');
like(psql('SELECT signer FROM provenance.status', 'three'), qr/^stopped: this database was restored or copied/, 'the copy\'s is not, before any seal');
psql(q{INSERT INTO t VALUES (2); SELECT provenance.start_worker()}, 'two');
ok(await(q{SELECT provenance.worker_pid() IS NOT NULL}, 't', 'two'), 'it comes back');
psql('ALTER DATABASE two RENAME TO deux');
pass('ALTER DATABASE ... RENAME beside a running worker');
like(fails('SELECT provenance.seal()', 'three'), qr/55000: .*signer is stopped.*belongs to the database with OID/s, 'the copy does not sign');
psql(q{INSERT INTO t VALUES (3)}, 'three');
ok(await($sealed, 't', 'three'), 'but seals');
is(psql('SELECT provenance.size(provenance.seal())', 'deux'), '3', 'the original signs');
psql(q{SELECT provenance.start_worker()}, 'deux');
ok(await(q{SELECT provenance.worker_pid() IS NOT NULL}, 't', 'deux'), 'a worker again');
psql('DROP DATABASE deux');
pass('DROP DATABASE beside a running worker');
psql('DROP DATABASE three');

# --- no extension, no log -------------------------------------------------

psql('CREATE DATABASE four');
psql('CREATE EXTENSION provenance', 'four');
psql(q{SELECT provenance.setup('four.example')}, 'four');
ok(await(q{SELECT provenance.worker_pid() IS NOT NULL}, 't', 'four'), 'a worker in a fourth database');
psql('DROP EXTENSION provenance', 'four');
ok(await(q{SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'provenance worker' AND datname = 'four'}, '0'),
	'the worker leaves after DROP EXTENSION');
psql('BEGIN; CREATE EXTENSION provenance; ROLLBACK', 'four');
psql(q{BEGIN; CREATE EXTENSION provenance; SELECT provenance.setup('five.example'); CREATE TABLE u (id int PRIMARY KEY);
	SELECT provenance.tag('u'); INSERT INTO u VALUES (1); COMMIT}, 'four');
ok(await(q{SELECT log_size = 2 FROM provenance.status}, 't', 'four'), 'extension, setup, tag and changes in one transaction');

# --- no free slot: the server itself takes one for logical replication --------

$node->append_conf('postgresql.conf', "max_worker_processes = 2\n");
$node->restart;
psql(q{INSERT INTO t VALUES (300, 'x')});
ok(await(q{SELECT provenance.worker_pid() IS NOT NULL}, 't'), 'the only slot is taken');
like(fails('SELECT provenance.seal()', 'four'), qr/53400: no worker could be started.*max_worker_processes/s, 'no slot: an error');
psql(q{INSERT INTO u VALUES (2)}, 'four');
like(slurp_file($node->logfile), qr/LOG: .*no worker could be started to seal the log/, 'no slot: a line in the log');

# --- preloaded ----------------------------------------------------------------

$node->append_conf('postgresql.conf', "max_worker_processes = 8\nshared_preload_libraries = 'provenance'\n");
$node->restart;
ok(await(q{SELECT provenance.worker_pid() IS NOT NULL}, 't'), 'preloaded: a worker starts with the server');
ok(await($sealed, 't', 'four'), 'in each database with a log');
ok(await(q{SELECT count(*) FROM pg_stat_activity WHERE backend_type LIKE 'provenance%' AND datname NOT IN ('postgres', 'four')}, '0'),
	'and in no other');
$pid = psql('SELECT provenance.worker_pid()');
crash($pid);
ok(await(qq{SELECT provenance.worker_pid() <> $pid}, 't'), 'preloaded: a worker again after a crash, without any change');

$node->stop;
done_testing();
