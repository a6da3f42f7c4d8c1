# Background verification: it starts with the setting, goes through everything,
# says in the log and in status what it finds, goes on where it was after a
# restart, keeps to its rate, and stands in nobody's way.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('scrub');
$node->init(allows_streaming => 1);
$node->append_conf('postgresql.conf',
	"fsync = off\nautovacuum = off\ntrack_commit_timestamp = on\nmax_worker_processes = 16\nshared_preload_libraries = 'provenance'\nprovenance.seal_interval = '100 ms'\n");
$node->start;

sub sql { return $node->safe_psql($_[1] // 'postgres', $_[0]); }

# the same without the capture trigger and the refusing triggers
sub tamper
{
	return sql("SET client_min_messages = error; SET session_replication_role = replica;
		ALTER TABLE contact DISABLE TRIGGER provenance_capture; $_[0];
		ALTER TABLE contact ENABLE ALWAYS TRIGGER provenance_capture");
}

my $scrubbers = q{SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'provenance scrubber'};
sub await { return $node->poll_query_until($_[2] // 'postgres', $_[0], $_[1]); }

# a round that begins now: a process of the scrubber begins with one, or goes on
sub round
{
	my ($db) = @_;
	my $before = sql('SELECT coalesce(last_ended_at, now()) FROM provenance.scrubbed()', $db);
	sql('SELECT provenance.stop_worker()', $db);
	await($scrubbers, '0');
	sql('SELECT provenance.start_worker()', $db);
	return await("SELECT last_scrub_at > '$before' FROM provenance.status", 't', $db);
}

my $origin = 'scrub-' . int(rand(1e9)) . '.example';
sql("CREATE EXTENSION provenance; SELECT provenance.setup('$origin');
CREATE TABLE contact (id int PRIMARY KEY, name text);
CREATE TABLE other (id int PRIMARY KEY, name text);
SELECT provenance.tag('contact'); SELECT provenance.tag('other');
INSERT INTO contact SELECT i, 'name ' || i FROM generate_series(1, 3000) i;
INSERT INTO other SELECT i, 'x' FROM generate_series(1, 100) i;
UPDATE contact SET name = upper(name) WHERE id <= 500;
DELETE FROM contact WHERE id > 2990;
SELECT provenance.seal()");
sql("INSERT INTO other VALUES (0, 'x'); SELECT provenance.seal()");

# --- off, and on ----------------------------------------------------------

is(sql('SELECT scrubbing IS NULL AND last_scrub_at IS NULL AND scrub_findings IS NULL FROM provenance.status'), 't', 'without the setting status knows of none');
is(sql($scrubbers), '0', 'and none runs');
like(($node->psql('postgres', 'SET provenance.scrub_rate = -1'))[2], qr/outside the valid range/, 'the rate is not negative');

sql(q{ALTER DATABASE postgres SET provenance.scrub_rate = 1000000});
sql('SELECT provenance.stop_worker()');
await(q{SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'provenance worker'}, '0');
my $end = -s $node->logfile;
sql('SELECT provenance.start_worker()');
ok(await($scrubbers, '1'), 'with it the standing worker starts one');
ok(await('SELECT last_scrub_at IS NOT NULL FROM provenance.status', 't'), 'it comes to the end of a round');
is(sql('SELECT scrubbing, scrub_findings, last_scrub_findings FROM provenance.status'), 'waiting for the next round|0|0', 'and finds nothing');
cmp_ok(sql('SELECT last_entries FROM provenance.scrubbed()'), '>', 2 * 3000, 'having looked at entries and rows');
unlike(substr(slurp_file($node->logfile), $end), qr/scrubbing: /, 'nothing in the log');
is(sql('SET ROLE pg_monitor; SELECT last_scrub_findings FROM provenance.status'), '0', 'status says so to everybody');

# --- findings --------------------------------------------------------------

$end = -s $node->logfile;
my $seq = sql('SELECT max(seq) FROM provenance.entry WHERE table_id = (SELECT table_id FROM provenance.registry WHERE table_name = $$contact$$) AND op = 1 AND seq < 1000');
tamper("UPDATE provenance.entry SET changed_at = changed_at - interval '1 year' WHERE seq = $seq;
	UPDATE contact SET name = 'forged' WHERE id = 2000; DELETE FROM contact WHERE id = 2001; INSERT INTO contact VALUES (2995, 'forged');
	UPDATE provenance.checkpoint_note SET root = sha256('x')::provenance.hash WHERE size = (SELECT min(size) FROM provenance.checkpoint_note)");
ok(round(), 'another round');
my $log = substr(slurp_file($node->logfile), $end);
like($log, qr/WARNING:  scrubbing: finding leaf_differs \(error\): entry $seq\n.*DETAIL: .*Entry $seq\. Leaf \d+\./, 'an entry that was changed is found');
my @found = $log =~ /scrubbing: finding (\w+)/g;
is("@{[sort @found]}", 'checkpoint_invalid leaf_differs row_differs row_missing row_unrecorded', 'so are rows and checkpoints, each once');
unlike($log, qr/scrubbing: .*\(2\d\d\d\)/, 'no keys in the log');
is(sql('SELECT last_scrub_findings FROM provenance.status'), scalar(@found), 'status counts them');
like($log, qr/LOG:  scrubbing: a round is complete, with 5 findings/, 'the log has their sum');
tamper("UPDATE provenance.entry SET changed_at = changed_at + interval '1 year' WHERE seq = $seq;
	UPDATE contact SET name = 'name 2000' WHERE id = 2000; INSERT INTO contact VALUES (2001, 'name 2001'); DELETE FROM contact WHERE id = 2995;
	UPDATE provenance.checkpoint_note SET root = provenance.root(note) WHERE size = (SELECT min(size) FROM provenance.checkpoint_note)");
ok(round(), 'a round after all was put right');
is(sql('SELECT last_scrub_findings FROM provenance.status'), '0', 'finds nothing');

# more of them than the log shall have
$end = -s $node->logfile;
tamper("UPDATE provenance.entry SET changed_at = changed_at - interval '1 year' WHERE seq <= $seq");
ok(round(), 'a round with many findings');
$log = substr(slurp_file($node->logfile), $end);
is(scalar(() = $log =~ /scrubbing: finding/g), 100, 'of which a hundred are logged');
like($log, qr/scrubbing: further findings of this round are not logged/, 'and that there are more');
cmp_ok(sql('SELECT last_scrub_findings FROM provenance.status'), '>', 900, 'status counts all');
tamper("UPDATE provenance.entry SET changed_at = changed_at + interval '1 year' WHERE seq <= $seq");

# --- rate, and restart ------------------------------------------------------

my $rate = 300;
sql("ALTER DATABASE postgres SET provenance.scrub_rate = $rate");
sql('SELECT provenance.stop_worker()');
await($scrubbers, '0');
sql('SELECT provenance.start_worker()');

# What a slow round has looked at, each time that it saved where it was, and the seconds since it began, both by
# the server's clock.
sub saved
{
	my ($more_than) = @_;
	await("SELECT entries > $more_than AND last_ended_at < started_at FROM provenance.scrubbed()", 't')
	  or return;
	return split /\|/, sql('SELECT entries, extract(epoch FROM pg_xact_commit_timestamp(xmin) - started_at) FROM provenance.scrub_state');
}
my ($entries1, $time1) = saved(0);
my ($entries2, $time2) = saved($entries1);
ok($entries2, 'a slow round saves where it is');

# At most the rate: each chunk waits, from its beginning on, as long as the rate gives for what it looked at. So by any
# time no more is done than the rate gives since the beginning of the round, and the last chunk: a second's worth, and a
# piece that began before that was full (256 leaves; a block has fewer rows). A slow machine only makes it less. A
# second is for what the scrubber does before it notes when the round began.
my $chunk = $rate + 256;
cmp_ok($entries1, '<=', $rate * ($time1 + 1) + $chunk, 'it keeps to the rate from its beginning');
cmp_ok($entries2, '<=', $rate * ($time2 + 1) + $chunk, 'and from there on');
# Not much less either: the waiting includes the work, of which this rate is a small part (a process does tens of
# thousands a second). Two thirds, less a chunk, allow for a machine that wakes it late or gives it little time: each
# second's chunk may begin half a second late.
cmp_ok($entries2 - $entries1, '>=', $rate * ($time2 - $time1) * 2 / 3 - $chunk, 'and comes on');
my $started = sql('SELECT started_at FROM provenance.scrubbed()');
$node->stop('immediate');
$node->start;
ok(await($scrubbers, '1'), 'after a crash it is there again');
my ($same, $entries) = split /\|/, sql("SELECT started_at = '$started', entries FROM provenance.scrubbed()");
is($same, 't', 'in the same round');
cmp_ok($entries, '>=', $entries2, 'and goes on where it was');
sql(q{ALTER DATABASE postgres SET provenance.scrub_rate = 1000000});
sql('SELECT provenance.stop_worker()');
await($scrubbers, '0');
sql('SELECT provenance.start_worker()');
ok(await("SELECT last_ended_at > started_at AND started_at = '$started' FROM provenance.scrubbed()", 't'), 'to its end');
is(sql('SELECT last_findings FROM provenance.scrubbed()'), '0', 'without a finding');

# --- in nobody's way --------------------------------------------------------

# a table that somebody has locked, with a second one wanted: no deadlock, no error, and the rest goes on
$end = -s $node->logfile;
my $ddl = $node->background_psql('postgres');
$ddl->query_safe('BEGIN; LOCK TABLE contact IN ACCESS EXCLUSIVE MODE');
sql('SELECT provenance.stop_worker()');
await($scrubbers, '0');
sql('SELECT provenance.start_worker()');
ok(await(q{SELECT started_at > last_ended_at AND entries > 0 FROM provenance.scrubbed()}, 't'), 'a round beside DDL');
sleep 3;
$ddl->query_safe('LOCK TABLE other IN ACCESS EXCLUSIVE MODE; COMMIT');
$ddl->quit;
ok(await('SELECT last_ended_at > started_at FROM provenance.scrubbed()', 't'), 'comes to its end all the same');
unlike(substr(slurp_file($node->logfile), $end), qr/ERROR|scrubbing: finding/, 'without an error or a finding');

# a database that is copied and dropped
sql(q{ALTER DATABASE postgres SET provenance.scrub_rate = 500});
sql('SELECT provenance.stop_worker()');
await($scrubbers, '0');
sql('SELECT provenance.start_worker()');
ok(await($scrubbers, '1'), 'it runs');
$node->safe_psql('template1', 'CREATE DATABASE copy TEMPLATE postgres');
pass('a database can be copied beside it');
is(sql('SELECT scrubbing IS NULL AND last_scrub_at IS NULL FROM provenance.status', 'copy'), 't', 'the copy was never scrubbed');
$node->safe_psql('template1', 'ALTER DATABASE copy SET provenance.scrub_rate = 500');
sql('SELECT provenance.start_worker()', 'copy');
ok(await(q{SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'provenance scrubber' AND datname = 'copy'}, '1'), 'it has one of its own');
ok(await(q{SELECT entries > 0 FROM provenance.scrubbed()}, 't', 'copy'), 'which is at work');
$node->safe_psql('template1', 'DROP DATABASE copy');
pass('a database can be dropped beside it');

# the extension
sql('SELECT provenance.start_worker()');
ok(await($scrubbers, '1'), 'it runs');
sql("SET client_min_messages = error; SET provenance.confirm_drop = '$origin'; DROP EXTENSION provenance CASCADE");
pass('the extension can be dropped beside it');
ok(await($scrubbers, '0'), 'and then it leaves');
unlike(substr(slurp_file($node->logfile), $end), qr/PANIC|was terminated by signal/, 'nothing crashed');

$node->stop;
done_testing();
