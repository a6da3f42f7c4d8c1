# Verification where a regression test cannot go: a log of more than 65,536
# leaves (a hash of tile level 2), a hot standby, a copy of the database, pages
# that cannot be read, a cancelled verification.
use strict;
use warnings;
use List::Util qw(sum0);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('verify');
$node->init(allows_streaming => 1);
$node->append_conf('postgresql.conf', "fsync = off\nmax_worker_processes = 16\nautovacuum = off\n");
$node->start;

sub sql { return $node->safe_psql('postgres', $_[0]); }

# The codes found, without an error.
sub codes
{
	my ($where, $call, $db) = @_;
	my ($out, $err) = ('', '');
	my $rc = $where->psql($db // 'postgres',
		"SET client_min_messages = warning; SELECT coalesce(string_agg(DISTINCT code, ' ' ORDER BY code), '') FROM provenance.$call",
		stdout => \$out, stderr => \$err);
	return $rc == 0 ? $out : "error: $err";
}

my $origin = 'verify-' . int(rand(1e9)) . '.example';
sql("CREATE EXTENSION provenance; SELECT provenance.setup('$origin');
CREATE TABLE contact (id int PRIMARY KEY, name text, note text);
SELECT provenance.tag('contact'); SELECT provenance.stop_worker();");
sql("INSERT INTO contact SELECT i, 'name ' || i, repeat('x', 200) FROM generate_series(1, 66000) i");
sql("SELECT provenance.seal()");
sql("UPDATE contact SET name = 'x' WHERE id % 20 = 0");
my $kept = sql("SELECT encode(provenance.note(provenance.seal()), 'hex')");
my $kept_call = "verify_checkpoint(convert_from(decode('$kept', 'hex'), 'UTF8')::provenance.checkpoint)";

cmp_ok(sql("SELECT log_size FROM provenance.status"), '>', 65536, 'the log has a hash of tile level 2');
is(sql("SELECT count(*) FROM provenance.tree_node WHERE level = 2"), '1', 'which is stored');
is(codes($node, 'verify()'), '', 'a log of more than 65,536 leaves is intact');

# With little memory, what is gathered of the rows goes to temporary files: one for each of the 64 parts where the log is
# large for that memory (1 MB: more than 37,449 leaves), else one for all (4 MB: up to 149,796), by each process.
foreach my $memory ('1MB', '4MB')
{
	foreach my $workers (0, 2)
	{
		my ($out, $err) = ('', '');
		my $how = "with $memory and $workers workers";
		$node->psql('postgres', "SET maintenance_work_mem = '$memory'; SET max_parallel_maintenance_workers = $workers;
			SET log_temp_files = 0; SET client_min_messages = log; SELECT count(*) FROM provenance.verify()",
			stdout => \$out, stderr => \$err);
		my @sizes = $err =~ /LOG:  temporary file: .*size (\d+)/g;
		is($out, '0', "intact $how");
		is(scalar(@sizes), $memory eq '1MB' ? 64 : 1, "$how: temporary files") if $workers == 0;
		cmp_ok(scalar(@sizes), $memory eq '1MB' ? '>=' : '<', 64, "$how: temporary files of all processes") if $workers > 0;
		cmp_ok(sum0(@sizes), '>', 5000000, "$how: most of it is written");
	}
}
is(codes($node, 'verify_log(65536)'), '', 'and from 65,536 leaves on');
is(codes($node, 'verify_log(66000)'), '', 'and from a size in the middle of a tile on');
is(codes($node, 'verify_log(100000)'), 'checkpoint_beyond_log', 'it has no leaves beyond its size');
is(codes($node, $kept_call), '', 'and extends a kept checkpoint');
is( $node->safe_psql('postgres', "BEGIN; SET LOCAL session_replication_role = replica;
		UPDATE provenance.tree_node SET hash = sha256('x')::provenance.hash WHERE level = 2;
		SELECT string_agg(code || ' ' || object, ', ') FROM provenance.verify_log(); ROLLBACK"),
	'tile_differs tree_node 2/0', 'a changed hash of level 2 is named');

# A budget: a sample, and what share it is.
sub sample
{
	my ($budget) = @_;
	my ($out, $err) = ('', '');
	$node->psql('postgres', "SELECT count(*) FROM provenance.verify(0, '$budget')", stdout => \$out, stderr => \$err);
	return "$out $err";
}
my $began = time;
my ($found, $tiles, $of_tiles, $blocks, $of_blocks) = sample('50 ms') =~
  /^(\d+) .*NOTICE:  verified a sample: (\d+) of (\d+) tiles of leaves \(\d+ %\), .* (\d+) of (\d+) blocks of tables \(\d+ %\)/s;
is($found, '0', 'a sample of an intact log finds nothing');
is($of_tiles, int((sql('SELECT log_size FROM provenance.status') + 255) / 256), 'of the tiles there are');
cmp_ok($tiles + $blocks, '<', $of_tiles + $of_blocks, 'it is a part');
# Only that it ends at all is tested by the clock: names, triggers and shapes of all tables are looked at whatever the
# budget, and a busy machine makes of 50 ms what it likes. That the time decides how much is looked at is seen by what
# was looked at: a part of it here, nothing without any time, all of it with enough.
cmp_ok(time - $began, '<', 10, 'and ends');
like(sample('0'), qr/^0 .*NOTICE:  verified a sample: 0 of $of_tiles tiles of leaves \(0 %\), .* 0 of $of_blocks blocks of tables \(0 %\)/s,
	'without any time nothing is drawn');
my $all = sample('5 min');
like($all, qr/^0 .*NOTICE:  verified a sample: /s, 'with time enough a sample finds nothing either');
foreach my $kind ('tiles of leaves', 'blocks of entries', 'blocks of heads', 'blocks of hashes', 'blocks of checkpoints', 'blocks of tables')
{
	like($all, qr/ (\d+) of \1 $kind \(100 %\)/, "and is all $kind");
}

# One row with a chain of most of the log, and many entries that wait.
sql("INSERT INTO contact VALUES (0, 'often', NULL);
	DO \$\$ BEGIN FOR i IN 1 .. 30000 LOOP UPDATE contact SET note = i WHERE id = 0; END LOOP; END \$\$");
$began = time;
like(sample('200 ms'), qr/^0 .*verified a sample/s, 'a sample where many entries wait');
sql('SELECT provenance.seal()');
like(sample('200 ms'), qr/^0 .*verified a sample/s, 'a sample with a long chain');
cmp_ok(time - $began, '<', 15, 'both end');
like(sample('5 min'), qr/^0 .* (\d+) of \1 blocks of tables \(100 %\)/s, 'and the long chain is intact');

# A standby: the same, though nothing can be written there.
$node->backup('b');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($node, 'b', has_streaming => 1);
$standby->start;
$node->wait_for_catchup($standby, 'replay', $node->lsn('insert'));
is(codes($standby, 'verify()'), '', 'intact on a standby');
is(codes($standby, "verify_row('contact', 20)"), '', 'one row on a standby');
is(codes($standby, $kept_call), '', 'a kept checkpoint on a standby');
is(codes($standby, "verify(0, '1 s')"), '', 'a sample on a standby');
$standby->stop;

# A copy of the database: nothing of it was changed.
sql("SELECT pg_sleep(1.5)");
sql("CREATE DATABASE copy TEMPLATE postgres");
is(codes($node, 'verify()', 'copy'), '', 'a copy of the database is intact');
$node->safe_psql('copy', "UPDATE contact SET name = 'y' WHERE id = 7");
is(codes($node, 'verify()', 'copy'), '', 'and after a change that is not sealed yet');

# A verification can be cancelled.
my ($out, $err) = ('', '');
$node->psql('postgres', "SET statement_timeout = '100 ms'; SELECT * FROM provenance.verify()", stdout => \$out, stderr => \$err);
like($err, qr/canceling statement due to statement timeout/, 'it can be cancelled');

# Pages that cannot be read.
sub damage
{
	my ($relation, $block) = @_;
	my $path = $node->data_dir . '/' . sql("SELECT pg_relation_filepath('$relation')");
	my $good;

	$node->stop;
	open(my $fh, '+<:raw', $path) or die "$path: $!";
	seek($fh, $block * 8192, 0);
	read($fh, $good, 8192) == 8192 or die "$path is too short";
	seek($fh, $block * 8192, 0);
	print $fh "\xff" x 64;
	close $fh;
	$node->start;
	return sub {
		$node->stop;
		open(my $h, '+<:raw', $path) or die "$path: $!";
		seek($h, $block * 8192, 0);
		print $h $good;
		close $h;
		$node->start;
	};
}

foreach my $relation ('provenance.entry', 'provenance.leaf_run', 'provenance.seq_block', 'provenance.checkpoint_note',
	'provenance.context', 'provenance.shape', 'provenance.head', 'provenance.registry', 'provenance.log_identity',
	'provenance.seal_state', 'provenance.tree_node', 'provenance.log_key')
{
	my $repair = damage($relation, 0);
	my $found = codes($node, 'verify()');
	like($found, qr/unreadable|identity_invalid/, "a damaged page of $relation is a finding") or diag($found);
	$found = codes($node, $kept_call);
	unlike($found, qr/error/, "and no error of verify_checkpoint()");
	$found = codes($node, "verify_row('contact', 20)");
	unlike($found, qr/error/, "nor of verify_row()");
	$repair->();
}
my $repair = damage('contact', 3);
is(codes($node, 'verify()'), 'unreadable', 'a damaged page of a tagged table is one finding');
$repair->();
is(codes($node, 'verify()'), '', 'and all is intact again');

done_testing();
