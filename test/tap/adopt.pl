# adopt() and new_incarnation(): after a restore, a failover, a clone or a copy
# the signer refuses, says why, and goes on when told how. At the end: of all
# heads that were ever published, no two differ at one origin and size.
use strict;
use warnings;
use File::Copy;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::RecursiveCopy;
use PostgreSQL::Test::Utils;
use Test::More;

my @nodes;

sub new_node
{
	my ($name) = @_;
	my $n = PostgreSQL::Test::Cluster->new($name);
	push @nodes, $n;
	return $n;
}

my $node = new_node('first');
$node->init(has_archiving => 1, allows_streaming => 1);
$node->append_conf('postgresql.conf', "fsync = off\nprovenance.publish_interval = '1 h'\n");
$node->start;

# sql, node, database
sub psql { return ($_[1] // $node)->safe_psql($_[2] // 'postgres', $_[0]); }

sub fails
{
	my ($sql, $n, $db) = @_;
	my ($rc, $out, $err) = ($n // $node)->psql($db // 'postgres', $sql, extra_params => [ '-v', 'VERBOSITY=verbose' ]);
	return $rc ? $err : "no error: $out";
}

sub findings { return psql("SELECT code, object FROM provenance.verify() ORDER BY 1, 2", @_); }
sub hex_name { my ($origin) = @_; return psql("SELECT encode(sha256('$origin'), 'hex')"); }

sub copy_folder
{
	my ($from, $to) = @_;
	mkdir $to, 0700 or die "$to: $!";
	foreach (glob("$from/*"))
	{
		my ($f) = m{([^/]+)$};
		copy($_, "$to/$f") or die "$_: $!";
		chmod 0600, "$to/$f";
	}
}

psql('CREATE EXTENSION provenance');
like(fails('SELECT provenance.adopt()'), qr/55000: this database has no log/, 'nothing to adopt');
like(fails(q{SELECT provenance.new_incarnation('x')}), qr/55000: this database has no log/, 'nothing to succeed');
my $vkey = psql(q{SELECT provenance.setup('crm.example')});
my $dir = psql('SELECT state_directory FROM provenance.status');
my $name = hex_name('crm.example');
psql(q{CREATE TABLE t (id int PRIMARY KEY); SELECT provenance.tag('t'); INSERT INTO t VALUES (1)});
my $cp2 = psql('SELECT provenance.seal()');
psql('INSERT INTO t VALUES (2)');
my $cp3 = psql('SELECT provenance.seal()');

# --- who may, and what a rollback leaves ------------------------------------

psql('CREATE ROLE somebody; GRANT EXECUTE ON FUNCTION provenance.adopt(provenance.checkpoint), provenance.new_incarnation(text, int) TO somebody; GRANT USAGE ON SCHEMA provenance TO somebody');
like(fails('SET ROLE somebody; SELECT provenance.adopt()'), qr/42501/, 'adopt() is for superusers');
like(fails(q{SET ROLE somebody; SELECT provenance.new_incarnation('x')}), qr/42501/, 'new_incarnation() too');
is(psql('BEGIN; SELECT provenance.adopt(); ROLLBACK; SELECT provenance.adopt()'), "$vkey\n$vkey", 'adopting what is one\'s own changes nothing');
is(psql('SELECT provenance.seal()'), $cp3, 'and it still signs the same');
like(fails('BEGIN; SELECT provenance.adopt(); SELECT provenance.seal()'), qr/55000: this very transaction decides/, 'seal() has to wait for the commit');
like(fails("SELECT provenance.adopt('$cp2')"), qr/22023: the checkpoint is not the newest.*size 2.*size 3/s, 'an older checkpoint');

# --- a clone in the same cluster ---------------------------------------------

psql('SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_type LIKE \'provenance%\'');
psql('CREATE DATABASE clone TEMPLATE postgres', $node, 'template1');
like(fails('SELECT provenance.seal()', $node, 'clone'), qr/55000.*belongs to the database with OID/s, 'a clone is refused');
like(psql('SELECT signer FROM provenance.status', $node, 'clone'), qr/^stopped: the signer's state belongs to the database with OID/, 'status says why');
like(slurp_file($node->logfile), qr/the signer is stopped: the signer's state belongs to the database/, 'and the server log');
foreach my $arg ('', "'$cp3'")
{
	like(fails("SELECT provenance.adopt($arg)", $node, 'clone'), qr/55000: the log cannot be adopted.*still exists in this cluster.*new_incarnation/s, "not to be adopted while the original lives ($arg)");
}
like(fails("SELECT provenance.new_incarnation('')", $node, 'clone'), qr/22023: a reason must be given/, 'a reason is needed');
like(fails("SELECT provenance.new_incarnation('x', 1)", $node, 'clone'), qr/22023: the successor's number/, 'the number must rise');
my $rolled_back = psql(q{BEGIN; SELECT provenance.new_incarnation('clone for tests'); ROLLBACK}, $node, 'clone');
my $vkey2 = psql(q{SELECT provenance.new_incarnation('clone for tests')}, $node, 'clone');
is($vkey2, $rolled_back, 'a rolled back new_incarnation() is repeated with the same key');
like($vkey2, qr{^crm\.example/2\+}, 'under the successor\'s origin');
is(psql('SELECT provenance.verifier_key()', $node, 'clone'), $vkey2, 'verifier_key() gives the new key');
is(psql('SELECT incarnation, signer FROM provenance.status', $node, 'clone'), '2|ready', 'status shows the incarnation');
my $clone5 = psql('SELECT provenance.seal()', $node, 'clone');
like($clone5, qr{^crm\.example/2\n5\n}, 'its first checkpoint covers the entry of the incarnation');
is(psql("SELECT n, since_size, reason, abandoned_origin, abandoned_size, abandoned_note::text = '$cp3' FROM provenance.incarnation", $node, 'clone'),
	"2|3|clone for tests|crm.example|3|t", 'the row holds the head given up');
is(psql(q{SELECT op FROM provenance.history('provenance.incarnation', 2)}, $node, 'clone'), 'insert', 'which is an entry');
is(findings($node, 'clone'), '', 'the clone verifies');
is(psql("SELECT * FROM provenance.verify_checkpoint('$cp3')", $node, 'clone'), '', 'it extends what the original signed before');
psql('INSERT INTO t VALUES (3)');
my $cp4 = psql('SELECT provenance.seal()');
like($cp4, qr/^crm\.example\n4\n/, 'the original goes on');
like(psql("SELECT code FROM provenance.verify_checkpoint('$cp4')", $node, 'clone'), qr/^checkpoint_contradicted$/, 'the clone does not contain what came later');
like(fails("SELECT provenance.adopt('$cp4')", $node, 'clone'), qr/22023: the checkpoint is not one of origin "crm.example\/2"/, 'and has another origin');
like(fails(q{DELETE FROM provenance.incarnation}, $node, 'clone'), qr/55000: cannot delete from ledger table/, 'the row stays');
like(fails(q{SELECT provenance.untag('provenance.incarnation')}, $node, 'clone'), qr/42501/, 'and stays tagged');

# a second clone takes the next number, as far as that can be seen here
psql('SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_type LIKE \'provenance%\'');
psql('CREATE DATABASE clone2 TEMPLATE postgres', $node, 'template1');
like(psql(q{SELECT provenance.new_incarnation('another clone')}, $node, 'clone2'), qr{^crm\.example/3\+}, 'a second clone gets another number');
is(psql('SELECT signer FROM provenance.status', $node, 'clone2'), 'ready', 'is ready, though nothing was sealed yet');
like(psql('SELECT provenance.seal()', $node, 'clone2'), qr{^crm\.example/3\n6\n}, 'and signs');

# --- a copy of the data directory, started beside the original -----------------

$node->backup('early');
$node->stop;
my $copy = new_node('copy');
mkdir $copy->basedir;
PostgreSQL::Test::RecursiveCopy::copypath($node->data_dir, $copy->data_dir);
chmod 0700, $copy->data_dir;
$copy->append_conf('postgresql.conf', 'port = ' . $copy->port . "\narchive_mode = off\n");
$node->start;
$copy->start;
like(fails('SELECT provenance.seal()', $copy), qr/55000.*there is no state directory.*\(it was in "\Q$dir\E"\)/s, 'a copy without state is refused; the reason names the old folder');
like(fails('SELECT provenance.adopt()', $copy), qr/55000.*The signer's state is still in "\Q$dir\E"/s, 'not to be adopted without its state');
like(fails("SELECT provenance.adopt('$cp4')", $copy), qr/55000.*The signer's state is still in "\Q$dir\E".*new_incarnation/s, 'nor with a checkpoint while the state is where it was');
my $copy_dir = $copy->data_dir . '.provenance';
copy_folder($dir, $copy_dir);
like(fails('SELECT provenance.seal()', $copy), qr/55000.*belongs to the server with data directory/s, 'a copied state is refused');
like(fails('SELECT provenance.adopt()', $copy), qr/55000.*which is running/s, 'not to be adopted while the original runs');
like(psql(q{SELECT provenance.new_incarnation('copy', 10)}, $copy), qr{^crm\.example/10\+}, 'a number of one\'s own choice');
like(psql('SELECT provenance.seal()', $copy), qr{^crm\.example/10\n6\n}, 'the copy goes on under it');
is(findings($copy), '', 'and verifies');
$copy->stop;

# --- a standby is promoted; the state folder follows by hand -------------------

psql('INSERT INTO t VALUES (4)');
psql('SELECT provenance.seal()');
my $standby = new_node('standby');
$standby->init_from_backup($node, 'early', has_streaming => 1);
$standby->start;
$node->wait_for_catchup($standby);
like(fails('SELECT provenance.adopt()', $standby), qr/25006/, 'not on a standby');
$node->stop;
$standby->promote;
my $standby_dir = $standby->data_dir . '.provenance';
like(fails('SELECT provenance.seal()', $standby), qr/55000.*it was in "\Q$dir\E"/s, 'a promoted standby is refused');
rename $dir, $standby_dir or die $!;
like(fails('SELECT provenance.seal()', $standby), qr/55000.*belongs to the server with data directory/s, 'with the folder moved too');
rename "$standby_dir/$name.key", "$standby_dir/away" or die $!;
like(fails('SELECT provenance.adopt()', $standby), qr/55000.*signing key.*Copy the key file to "\Q$standby_dir\E\/$name\.key".*provenance\.signing_key.*new_incarnation/s, 'without the key: what to do');
rename "$standby_dir/away", "$standby_dir/$name.key" or die $!;
is(psql('SELECT provenance.adopt()', $standby), $vkey, 'adopted');
is(psql('SELECT signer, incarnation FROM provenance.status', $standby), 'ready|1', 'ready');
is(psql('SELECT state_directory FROM provenance.status', $standby), $standby_dir, 'the new folder is remembered');
psql('INSERT INTO t VALUES (5)', $standby);
my $cp6 = psql('SELECT provenance.seal()', $standby);
like($cp6, qr/^crm\.example\n6\n/, 'it goes on');
like(slurp_file("$standby_dir/$name.state"), qr/^timeline 2$/m, 'on the new timeline');
is(findings($standby), '', 'and verifies');

# the old primary comes back
$node->start;
like(fails('SELECT provenance.seal()'), qr/55000.*there is no state directory/s, 'the old primary does not sign');
like(fails('SELECT provenance.adopt()'), qr/55000.*There is no signer's state/s, 'nor adopts without a state');
copy_folder($standby_dir, $dir);
like(fails('SELECT provenance.adopt()'), qr/55000.*which is running/s, 'nor with a copy of it');
$node->stop;
PostgreSQL::Test::RecursiveCopy::copypath($dir, "$dir.unused");
unlink glob("$dir/*");
rmdir $dir or die $!;

# --- restored to an earlier time; the state stays -------------------------------

psql('INSERT INTO t VALUES (6)', $standby);
my $cp7 = psql('SELECT provenance.seal()', $standby);
$standby->stop;
my $restored = new_node('restored');
$restored->init_from_backup($node, 'early', has_restoring => 0);
$restored->append_conf('postgresql.conf', "provenance.state_directory = '$standby_dir'\n");
$restored->start;
is(psql('SELECT max(id) FROM t', $restored), '3', 'restored to an earlier time');
like(fails('SELECT provenance.seal()', $restored), qr/55000.*belongs to the server with data directory/s, 'a restored database is refused');
like(fails('SELECT provenance.adopt()', $restored), qr/55000.*The log holds 4 entries, and the signer's state has size 7.*new_incarnation/s, 'it lacks what was signed');
psql('INSERT INTO t VALUES (7), (8), (9)', $restored);
like(fails('SELECT provenance.seal()', $restored), qr/sealed up to size 7, but the signer is stopped/, 'sealing goes on');
like(fails('SELECT provenance.adopt()', $restored), qr/55000.*does not extend the signer's state of size 7/s, 'as long, but another log');
like(fails("SELECT provenance.adopt('$cp4')", $restored), qr/55000.*does not extend/s, 'an old checkpoint does not help');
like(psql(q{SELECT provenance.new_incarnation('restored to Monday')}, $restored), qr{^crm\.example/4\+}, 'the successor; 2 and 3 are taken');
my $next = psql('SELECT provenance.seal()', $restored);
like($next, qr{^crm\.example/4\n9\n}, 'it goes on');
is(psql("SELECT abandoned_size, abandoned_note::text = '$cp7' FROM provenance.incarnations WHERE n = 4", $restored), '7|t', 'the head given up');
is(findings($restored), '', 'it verifies');
is(psql("SELECT * FROM provenance.verify_checkpoint('$cp4')", $restored), '', 'what was kept before the break holds');
is(psql("SELECT code, severity FROM provenance.verify_checkpoint('$cp7')", $restored), 'abandoned_branch|warning', 'what was kept after is of the branch given up');
is(psql("SELECT code FROM provenance.verify_checkpoint('$cp6')", $restored), 'abandoned_branch', 'likewise');
is(psql("SELECT * FROM provenance.verify_checkpoint('$next')", $restored), '', 'the successor\'s own');

# --- a dump, restored in another cluster -----------------------------------------

my $dump = PostgreSQL::Test::Utils::tempdir() . '/dump';
$restored->command_ok([ 'pg_dump', '-Fc', '-f', "$dump.4", '-d', $restored->connstr('postgres') ], 'a successor dumped');
$restored->stop;
$standby->start;
$standby->command_ok([ 'pg_dump', '-Fc', '-f', $dump, '-d', $standby->connstr('postgres') ], 'dumped');
$standby->stop;
my $other = new_node('other');
$other->init;
$other->append_conf('postgresql.conf', "fsync = off\n");
$other->start;
$other->safe_psql('postgres', 'CREATE DATABASE crm; CREATE ROLE somebody');
$other->command_ok([ 'pg_restore', '-d', $other->connstr('crm'), $dump ], 'restored');
like(psql('SELECT signer FROM provenance.status', $other, 'crm'), qr/^stopped: this database was restored or copied/, 'a restored dump: status says so at once');
like(fails('SELECT provenance.seal()', $other, 'crm'), qr/55000.*it was in "\Q$standby_dir\E"/s, 'a restored dump is refused');
like(fails('SELECT provenance.adopt()', $other, 'crm'), qr/55000.*still in "\Q$standby_dir\E"/s, 'the state is elsewhere');
rename $standby_dir, "$standby_dir.lost" or die $!;
like(fails('SELECT provenance.adopt()', $other, 'crm'), qr/55000.*There is no signer's state.*give adopt\(\) the newest checkpoint/s, 'the state is lost');
(my $forged = $cp7) =~ s/\n7\n/\n8\n/;
like(fails("SELECT provenance.adopt('$forged')", $other, 'crm'), qr/22023: the checkpoint has no good signature/, 'a checkpoint that was never signed');
like(fails("SELECT provenance.adopt('$clone5')", $other, 'crm'), qr/22023: the checkpoint is not one of origin/, 'another log\'s checkpoint');
my $other_dir = $other->data_dir . '.provenance';
like(fails("SELECT provenance.adopt('$cp7')", $other, 'crm'), qr/55000.*Copy the key file/s, 'the key is needed too');
ok(!-e "$other_dir/$name.state", 'nothing is written by a refusal');
copy("$standby_dir.lost/$name.key", "$other_dir/$name.key");
chmod 0600, "$other_dir/$name.key";
is(psql("SELECT provenance.adopt('$cp7')", $other, 'crm'), $vkey, 'adopted from a kept checkpoint');
is(psql('SELECT provenance.seal()', $other, 'crm'), $cp7, 'which is the newest');
psql('INSERT INTO t VALUES (70)', $other, 'crm');
like(psql('SELECT provenance.seal()', $other, 'crm'), qr/^crm\.example\n8\n/, 'it goes on');
is(findings($other, 'crm'), '', 'and verifies');

# one that has rows of the extension's own tagged tables
$other->safe_psql('postgres', 'CREATE DATABASE crm4');
$other->command_ok([ 'pg_restore', '-d', $other->connstr('crm4'), "$dump.4" ], 'a successor restored');
is(findings($other, 'crm4'), '', 'it verifies: its incarnation was not recorded a second time');
like(psql(q{SELECT provenance.new_incarnation('test copy', 20)}, $other, 'crm4'), qr{^crm\.example/20\+}, 'and has a successor');
like(psql('SELECT provenance.seal()', $other, 'crm4'), qr{^crm\.example/20\n10\n}, 'which signs');
is(psql('SELECT n, abandoned_origin, abandoned_size FROM provenance.incarnations WHERE n = 20', $other, 'crm4'), '20|crm.example/4|9', 'what it gave up');
is(findings($other, 'crm4'), '', 'it verifies');

# --- the data directory is moved -------------------------------------------------

$other->stop;
rename $other->data_dir, $other->data_dir . '2' or die $!;
rename $other_dir, $other_dir . '.here' or die $!;
symlink $other->data_dir . '2', $other->data_dir or die $!;
$other->start;
like(fails('SELECT provenance.seal()', $other, 'crm'), qr/55000.*it was in "\Q$other_dir\E"/s, 'the data directory has moved, the state has not');
rename "$other_dir.here", $other->data_dir . '2.provenance' or die $!;
like(fails('SELECT provenance.seal()', $other, 'crm'), qr/55000.*belongs to the server with data directory/s, 'both have moved');
is(psql('SELECT provenance.adopt()', $other, 'crm'), $vkey, 'adopted');
psql('INSERT INTO t VALUES (71)', $other, 'crm');
like(psql('SELECT provenance.seal()', $other, 'crm'), qr/^crm\.example\n9\n/, 'it goes on');

# --- the ledger is dropped ---------------------------------------------------------

psql(q{SET provenance.confirm_drop = 'crm.example'; DROP EXTENSION provenance CASCADE; CREATE EXTENSION provenance}, $other, 'crm');
like(fails(q{SELECT provenance.setup('crm.example')}, $other, 'crm'), qr/55000: origin "crm.example" has a log already.*crm\.example\/2/s, 'the origin is used; the hint names the successor');
like(psql(q{SELECT provenance.setup('crm.example/11')}, $other, 'crm'), qr{^crm\.example/11\+}, 'set up as the successor');
is(psql(q{SELECT provenance.setup('crm.example') = provenance.setup('crm.example/11')}, $other, 'crm'), 't', 'again, by either name');
like(psql('SELECT provenance.seal()', $other, 'crm'), qr{^crm\.example/11\n2\n}, 'it signs');
is(psql('SELECT n, since_size, abandoned_origin, abandoned_size FROM provenance.incarnation', $other, 'crm'), '11|0|crm.example|9', 'and names the head that is lost');
is(findings($other, 'crm'), '', 'it verifies');
$other->stop;

# --- failover to a standby that lacks the last entries -------------------------------

my $north = new_node('north');
$north->init(allows_streaming => 1);
$north->append_conf('postgresql.conf', "fsync = off\nprovenance.publish_interval = '1 h'\n");
$north->start;
psql(q{CREATE EXTENSION provenance; SELECT provenance.setup('north.example')}, $north);
psql(q{CREATE TABLE t (id int PRIMARY KEY); SELECT provenance.tag('t'); INSERT INTO t VALUES (1)}, $north);
$north->backup('b');
my $south = new_node('south');
$south->init_from_backup($north, 'b', has_streaming => 1);
$south->start;
my $shared2 = psql('SELECT provenance.seal()', $north);
my ($north_dir, $south_dir) = map { $_->data_dir . '.provenance' } $north, $south;
copy_folder($north_dir, "$north_dir.old");
$north->wait_for_catchup($south);
psql(q{ALTER SYSTEM SET primary_conninfo = ''}, $south);
$south->reload;
ok($south->poll_query_until('postgres', 'SELECT count(*) = 0 FROM pg_stat_wal_receiver'), 'the standby receives no more');
psql('INSERT INTO t VALUES (2), (3)', $north);
my $lost4 = psql('SELECT provenance.seal()', $north);
$north->stop('immediate');
$south->promote;

rename "$north_dir.old", $south_dir or die $!;
like(fails('SELECT provenance.seal()', $south), qr/55000.*belongs to the server with data directory/s, 'promoted, an old state beside it: refused');
like(fails("SELECT provenance.adopt('$lost4')", $south), qr/55000.*The log holds 2 entries, and the checkpoint has size 4.*new_incarnation/s, 'it lacks what the newest checkpoint that somebody has covers');
rename $south_dir, "$south_dir.old" or die $!;
rename $north_dir, $south_dir or die $!;
like(fails('SELECT provenance.seal()', $south), qr/55000.*belongs to the server with data directory/s, 'the newest state beside it: refused');
like(fails('SELECT provenance.adopt()', $south), qr/55000.*The log holds 2 entries, and the signer's state has size 4.*new_incarnation/s, 'it lacks what was signed');
psql('INSERT INTO t VALUES (4), (5)', $south);
like(fails('SELECT provenance.seal()', $south), qr/sealed up to size 4, but the signer is stopped/, 'it seals as many others');
like(fails('SELECT provenance.adopt()', $south), qr/55000.*does not extend the signer's state of size 4.*new_incarnation/s, 'and is as long, but another log');
like(psql('SELECT signer FROM provenance.status', $south), qr/^stopped/, 'status says so');
psql(q{SELECT provenance.new_incarnation('the last entries were lost with north')}, $south);
my $next6 = psql('SELECT provenance.seal()', $south);
like($next6, qr{^north\.example/2\n6\n}, 'the successor goes on');
is(psql("SELECT abandoned_size, abandoned_note::text = '$lost4' FROM provenance.incarnations WHERE n = 2", $south), '4|t', 'it names the head given up');
is(psql("SELECT * FROM provenance.verify_checkpoint('$shared2')", $south), '', 'what was signed before the standby fell behind holds');
is(psql("SELECT code FROM provenance.verify_checkpoint('$lost4')", $south), 'abandoned_branch', 'what was signed after is of the branch given up');
is(findings($south), '', 'it verifies');
$south->stop;

# --- all heads that were published -------------------------------------------------

my %root;
my $published = 0;
my @conflicts;
foreach my $n (@nodes)
{
	my $log = slurp_file($n->logfile);
	while ($log =~ /published checkpoint of size (\d+), root ([0-9a-f]{64}), origin (\S+)/g)
	{
		my ($size, $r, $origin) = ($1, $2, $3);
		$published++;
		push @conflicts, "$origin $size" if exists $root{$origin}{$size} && $root{$origin}{$size} ne $r;
		$root{$origin}{$size} = $r;
	}
}
cmp_ok($published, '>=', 17, "$published heads were published");
is_deeply(\@conflicts, [], 'no two heads of one origin and size differ');

done_testing();
