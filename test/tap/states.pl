# seal() and its kin where no worker can come: each has its error, in time, and none
# hangs. Databases are dropped, copied and made again beside running workers. Where
# the state cannot be kept beside the data directory it is kept inside. A successor,
# <origin>/2, is linked to the log before it, here and at a partner's.
use strict;
use warnings;
use Digest::SHA qw(sha256_hex);
use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time usleep);

my $tmp = PostgreSQL::Test::Utils::tempdir();
my $node = PostgreSQL::Test::Cluster->new('states');
$node->init;
$node->append_conf('postgresql.conf', <<'CONF');
fsync = off
max_worker_processes = 16
shared_preload_libraries = 'provenance'
provenance.publish_interval = '1 h'
CONF
$node->start;

# sql, database, node
sub psql { return ($_[2] // $node)->safe_psql($_[1] // 'postgres', $_[0]); }

# The error of a statement, which must come in time.
sub fails
{
	my ($sql, $db, $n) = @_;
	my $began = time;
	my ($rc, $out, $err) = ($n // $node)->psql($db // 'postgres', $sql, extra_params => [ '-v', 'VERBOSITY=verbose' ]);
	return 'it took ' . int(time - $began) . ' s' if time - $began > 20;
	return $rc ? $err : "no error: $out";
}

sub new_log
{
	my ($db, $origin) = @_;
	psql("CREATE DATABASE $db", 'template1');
	psql('CREATE EXTENSION provenance', $db);
	my $vkey = psql("SELECT provenance.setup('$origin')", $db);
	psql(q{CREATE TABLE t (id int PRIMARY KEY, v text); SELECT provenance.tag('t'); INSERT INTO t VALUES (1, 'one')}, $db);
	return $vkey;
}

my $vkey = new_log('one', 'one.example');
psql('SELECT provenance.seal()', 'one');

# --- no log, a log of this very transaction, one that is being decided about ----------

psql('CREATE DATABASE none', 'template1');
psql('CREATE EXTENSION provenance', 'none');
my @calls = ('seal()', "cosign('x')");
like(fails("SELECT provenance.$_", 'none'), qr/ERROR:  55000: this database has no log/, "$_ without a log") foreach @calls;
like(fails("BEGIN; SELECT provenance.setup('none.example'); SELECT provenance.$_", 'none'), qr/ERROR:  55000: the log was set up by this very transaction/, "$_ in the transaction of setup()") foreach @calls;
foreach my $decision ('rotate_key()', 'adopt()', "new_incarnation('x')")
{
	foreach my $call (@calls, "export_bundle('t', NULL, NULL, 'x')")
	{
		like(fails("BEGIN; SELECT provenance.$decision; SELECT provenance.$call", 'one'), qr/ERROR:  55000: /, "$call in the transaction of $decision");
	}
	# given back by a savepoint, the lock is no obstacle
	like(fails("BEGIN; SAVEPOINT s; SELECT provenance.$decision; ROLLBACK TO s; SELECT provenance.size(provenance.seal()) > 0; COMMIT", 'one'), qr/^no error: .*t$/s, "$decision rolled back to a savepoint");
}
is(psql('SELECT provenance.verifier_key()', 'one'), $vkey, 'and nothing of it is left');
is(psql('SELECT count(*) FROM provenance.verify()', 'one'), '0', 'nothing half done');

# --- blocked --------------------------------------------------------------------------

{
	my $holder = $node->background_psql('one');
	psql("INSERT INTO t VALUES (2, 'two')", 'one');
	$holder->query_safe('BEGIN');
	$holder->query_safe(q{SELECT provenance.rotate_key()});
	like(fails(q{SET provenance.wait_timeout = '1 s'; SELECT provenance.seal()}, 'one'), qr/ERROR:  (57014|55P03): /, 'while another session decides about the key');
	$holder->query_safe('ROLLBACK');
	$holder->quit;
	like(psql('SELECT provenance.size(provenance.seal())', 'one'), qr/^\d+$/, 'and after');
}

# --- single-user mode -------------------------------------------------------------------

$node->stop;
sub single
{
	my ($sql) = @_;
	my ($out, $err) = ('', '');
	IPC::Run::run([ 'postgres', '--single', '-D', $node->data_dir, 'one' ], '<', \$sql, '>', \$out, '2>', \$err, IPC::Run::timeout(60));
	return "$out$err";
}
my $single = single("SELECT provenance.seal();\nINSERT INTO t VALUES (3, 'single');\nSELECT provenance.cosign('x');\n");
like($single, qr/ERROR:  .*single-user mode/, 'seal() in single-user mode');
my $count = () = $single =~ /single-user mode/g;
is($count, 2, 'and cosign()');
unlike($single, qr/server closed|PANIC|FATAL/, 'without harm');
$node->start;
ok($node->poll_query_until('one', 'SELECT pending = 0 FROM provenance.status'), 'what was written there is sealed');
is(psql(q{SELECT image->>'v' FROM provenance.history('t', 3)}, 'one'), 'single', 'and is in the history');

# --- the database is being dropped or copied ------------------------------------------------

# The session that asks keeps the database; whoever wants it waits 5 s for it.
foreach my $command ('DROP DATABASE one', 'CREATE DATABASE copy TEMPLATE one', 'ALTER DATABASE one RENAME TO uno')
{
	my $session = $node->background_psql('one', on_error_stop => 0);
	$session->query('SELECT 1');
	my ($out, $err) = ('', '');
	my $wanting = IPC::Run::start([ 'psql', '-X', '-d', $node->connstr('template1'), '-c', $command ], '<', '/dev/null', '>', \$out, '2>', \$err);
	$node->poll_query_until('template1', q{SELECT count(*) > 0 FROM pg_stat_activity WHERE query ~ '^(DROP|CREATE|ALTER) DATABASE' AND pid <> pg_backend_pid()});
	my $began = time;
	my $answer = $session->query(q{SELECT provenance.size(provenance.seal())});
	cmp_ok(time - $began, '<', 20, "seal() during $command: an answer in time");
	$session->quit;
	$wanting->finish;
	like($answer . $err, qr/^\d+\s*ERROR:.*being accessed by other users|being dropped, renamed or copied|^\d+$/s, 'one or the other');
	psql('DROP DATABASE IF EXISTS copy', 'template1');
	is(psql(q{SELECT count(*) FROM pg_database WHERE datname = 'one'}, 'template1'), '1', 'the database is there');
}
ok($node->poll_query_until('one', q{SELECT provenance.start_worker() IS NOT NULL}), 'a worker again');
psql("INSERT INTO t VALUES (4, 'four')", 'one');
like(psql('SELECT provenance.size(provenance.seal())', 'one'), qr/^\d+$/, 'the log goes on');

# --- make installcheck, twice, beside running workers -------------------------------------------

foreach my $round (1 .. 3)
{
	psql('DROP DATABASE IF EXISTS contrib_regression', 'template1');
	psql('CREATE DATABASE contrib_regression TEMPLATE template0', 'template1');
	psql('CREATE EXTENSION provenance', 'contrib_regression');
	psql("SELECT provenance.setup('round-$round.example')", 'contrib_regression');
	psql(q{CREATE TABLE t (id int PRIMARY KEY); SELECT provenance.tag('t'); INSERT INTO t SELECT generate_series(1, 1000)}, 'contrib_regression');
	ok($node->poll_query_until('contrib_regression', 'SELECT provenance.worker_pid() IS NOT NULL'), "round $round: a worker");
}
my $began = time;
psql('DROP DATABASE contrib_regression', 'template1');
cmp_ok(time - $began, '<', 10, 'and it is dropped at once');
like(fails("SELECT provenance.setup('round-1.example')", 'none'), qr/55000: origin "round-1.example" is another database's.*no longer exists.*HINT:.*"round-1.example\/2"/s, 'an origin of a database that is gone is not used again; the hint says what to do');

# --- where the state is -----------------------------------------------------------------------

# a parent that the server may not write to, as in a container whose volume is the data directory
my $volume = PostgreSQL::Test::Cluster->new('volume');
$volume->init;
$volume->append_conf('postgresql.conf', "fsync = off\n");
$volume->start;
psql('CREATE EXTENSION provenance', 'postgres', $volume);
my $parent = $volume->basedir;
my $inner = $volume->data_dir . '/provenance';
chmod 0500, $parent or die;
my ($rc, $out, $err) = $volume->psql('postgres', q{SELECT provenance.setup('volume.example')});
chmod 0700, $parent;
like($err, qr/WARNING:  the signer's state is kept inside the data directory\n.*"\Q$inner\E".*base backups carry.*\nHINT:  Set provenance\.state_directory/s, 'no room beside the data directory: inside it, with a WARNING');
is(psql('SELECT state_directory FROM provenance.status', 'postgres', $volume), $inner, 'and in status');
psql(q{CREATE TABLE t (id int PRIMARY KEY); SELECT provenance.tag('t')}, 'postgres', $volume);
like(psql('SELECT provenance.seal()', 'postgres', $volume), qr/^volume\.example\n1\n/, 'the signer finds it');
is(sprintf('%o', (stat $inner)[2] & 07777), '700', 'for the server alone');
# a folder beside it that appears later, as in the layer of a container, changes nothing
mkdir $volume->data_dir . '.provenance', 0700 or die;
psql('INSERT INTO t VALUES (1)', 'postgres', $volume);
like(psql('SELECT provenance.seal()', 'postgres', $volume), qr/^volume\.example\n2\n/, 'not even when there is room later');
# a restart is not another owner; a restored base backup is
$volume->restart;
psql('INSERT INTO t VALUES (2)', 'postgres', $volume);
like(psql('SELECT provenance.seal()', 'postgres', $volume), qr/^volume\.example\n3\n/, 'a restart goes on');
$volume->stop;
rename $inner, "$tmp/moved" or die;
mkdir $inner, 0700 or die;
foreach my $file (glob("$tmp/moved/*"))
{
	my ($name) = $file =~ m{([^/]+)$};
	IPC::Run::run([ 'cp', '-p', $file, "$inner/$name" ]) or die;
}
$volume->start;
like(fails('SELECT provenance.seal()', 'postgres', $volume), qr/55000: .*signer is stopped.*another copy of the state directory/s, 'restored files are recognised');
like(psql('SELECT provenance.adopt()', 'postgres', $volume), qr/^volume\.example\+/, 'and adopted, since the log extends what they say');
$volume->stop;

# a folder beside it that lies on another file system
SKIP:
{
	my $other = '/dev/shm';
	skip 'no second file system to write to', 3 unless -d $other && -w $other && (stat $other)[0] != (stat $tmp)[0];
	my $far = "$other/provenance-test-$$";
	my $mounted = PostgreSQL::Test::Cluster->new('mounted');
	$mounted->init;
	$mounted->append_conf('postgresql.conf', "fsync = off\n");
	$mounted->start;
	psql('CREATE EXTENSION provenance', 'postgres', $mounted);
	mkdir $far, 0700 or die;
	symlink $far, $mounted->data_dir . '.provenance' or die;
	($rc, $out, $err) = $mounted->psql('postgres', q{SELECT provenance.setup('mounted.example')});
	like($err, qr/WARNING:  the signer's state is kept inside the data directory/, 'another file system: a WARNING');
	is(psql('SELECT state_directory FROM provenance.status', 'postgres', $mounted), $mounted->data_dir . '/provenance', 'and the folder inside');
	is(scalar(() = glob("$far/*")), 0, 'nothing is where it would be lost');
	$mounted->stop('immediate');
	rmdir $far;
}

# --- the ledger dropped, its state still there; the successor, here and at a partner's ---------------

my $vkey_seller = new_log('seller', 'seller.example');
new_log('buyer', 'buyer.example');
psql("SELECT provenance.add_partner('seller', '$vkey_seller')", 'buyer');
my $cp = psql('SELECT provenance.seal()', 'seller');

sub merge
{
	my ($file) = ("$tmp/bundle");
	my $text = psql(q{COPY (SELECT * FROM provenance.export_bundle('t', NULL, NULL, 'buyer')) TO STDOUT}, 'seller') . "\n";
	open(my $fh, '>', $file) or die;
	print $fh $text;
	close $fh;
	return fails("\\copy provenance.inbox FROM '$file'", 'buyer');
}
like(merge(), qr/^no error/, 'a bundle of the first log');
my $seen = psql('SELECT origin || size FROM provenance.merge', 'buyer');

# restored to a time before: the clone is made before the original goes on
psql('CREATE DATABASE monday TEMPLATE seller', 'template1');
psql("INSERT INTO t VALUES (2, 'lost')", 'seller');
my $lost = psql('SELECT provenance.seal()', 'seller');
like(merge(), qr/^no error/, 'and of what will be lost');
psql('DROP DATABASE seller', 'template1');
psql('ALTER DATABASE monday RENAME TO seller', 'template1');
like(fails('SELECT provenance.seal()', 'seller'), qr/55000: .*signer is stopped.*belongs to the database with OID/s, 'restored: the signer refuses');
like(fails('SELECT provenance.adopt()', 'seller'), qr/55000: the log cannot be adopted.*signer's state has size.*HINT:.*new_incarnation\(reason\)/s, 'adopt() names the way to go on');
psql("INSERT INTO t VALUES (3, 'new')", 'seller');
my $vkey2 = psql(q{SELECT provenance.new_incarnation('restored to Monday')}, 'seller');
like($vkey2, qr{^seller\.example/2\+}, 'the successor');
my $cp2 = psql('SELECT provenance.seal()', 'seller');
is(psql(q{SELECT origin, incarnation, signer FROM provenance.status}, 'seller'), 'seller.example|2|ready', 'visible in status');
is(psql(q{SELECT abandoned_origin || ' ' || abandoned_size || ' ' || (abandoned_note::text LIKE 'seller.example%') FROM provenance.incarnations}, 'seller'),
	'seller.example ' . (split /\n/, $lost)[1] . ' true', 'linked to the head given up');
is(psql("SELECT code FROM provenance.verify_checkpoint('$lost')", 'seller'), 'abandoned_branch', 'which is what a partner may still show');
like(merge(), qr/ERROR:  PB0\d\d: /, 'the partner believes it only when told its key');
psql("SELECT provenance.add_partner('seller', '$vkey_seller', '$vkey2')", 'buyer');
like(merge(), qr/^no error/, 'then it merges');
is(psql(q{SELECT string_agg(DISTINCT origin, ' ' ORDER BY origin) FROM provenance.merge}, 'buyer'), 'seller.example seller.example/2', 'under its own name');
is(psql(q{SELECT state FROM provenance.partner WHERE name = 'seller'}, 'buyer'), 'trusted', 'which is no fork');
is(psql(q{SELECT max(size) FROM provenance.partner_checkpoint c JOIN provenance.partner_log l USING (log_id) WHERE origin = 'seller.example'}, 'buyer'), (split /\n/, $lost)[1], 'what was seen of the one given up stays');
is(psql(q{SELECT count(*) > 0 FROM provenance.merged_entry WHERE fields->>'v' = 'lost'}, 'buyer'), 't', 'and what was merged of it');
is(psql('SELECT count(*) FROM provenance.verify()', 'seller'), '0', 'the successor verifies');
is(psql('SELECT count(*) FROM provenance.verify()', 'buyer'), '0', 'and the partner');

# DROP EXTENSION leaves the state; setup() refuses, and names the way
psql(q{SET provenance.confirm_drop = 'seller.example'; DROP EXTENSION provenance CASCADE}, 'seller');
psql('CREATE EXTENSION provenance', 'seller');
like(fails(q{SELECT provenance.setup('seller.example/2')}, 'seller'), qr/55000: origin "seller\.example\/2" has a log already.*HINT:.*successor, such as "seller\.example\/3"/s, 'the ledger dropped, the state there: refused, with the way to go on');
my $vkey3 = psql(q{SELECT provenance.setup('seller.example/3')}, 'seller');
like($vkey3, qr{^seller\.example/3\+}, 'the successor of a ledger that is gone');
is(psql(q{SELECT n, abandoned_origin, abandoned_size, abandoned_note::text FROM provenance.incarnations}, 'seller'), "3|seller.example/2|" . (split /\n/, $cp2)[1] . "|$cp2", 'linked to what the state knows');
like(psql('SELECT provenance.seal()', 'seller'), qr{^seller\.example/3\n}, 'signs');
is(psql('SELECT incarnation FROM provenance.status', 'seller'), '3', 'and status says so');
is(psql('SELECT count(*) FROM provenance.verify()', 'seller'), '0', 'and verifies');

$node->stop;
done_testing();
