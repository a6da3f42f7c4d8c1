# What may go wrong outside of the database: no space for the checkpoints' files or
# the signer's state, a key that cannot be read or is another's, a clock that is set
# back an hour. Each is named in the server log and in status; no entry is lost, no
# second log is signed; and when the cause is gone the worker goes on by itself.
use strict;
use warnings;
use Config;
use Cwd qw(abs_path);
use Digest::SHA qw(sha256_hex);
use File::Basename;
use File::Copy;
use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(usleep);

my $tmp = PostgreSQL::Test::Utils::tempdir();
my $shim = "$tmp/fault_shim.so";
my $source = abs_path(dirname(__FILE__)) . '/../lib/fault_shim.c';

plan skip_all => 'the shim for faults is for Linux' if $^O ne 'linux';
plan skip_all => 'no C compiler' if !IPC::Run::run([ $ENV{CC} // 'cc', '-shared', '-fPIC', '-o', $shim, $source, '-ldl' ], '>', '/dev/null', '2>&1');

my $control = "$tmp/control";
sub control
{
	my ($shift, $full) = @_;
	# in place: it is mapped
	open(my $fh, -e $control ? '+<:raw' : '>:raw', $control) or die $!;
	syswrite $fh, pack('q a256', $shift, $full);
	close $fh;
}
control(0, '');

my $node = PostgreSQL::Test::Cluster->new('faults');
$node->init;
$node->append_conf('postgresql.conf', <<'CONF');
fsync = off
log_line_prefix = '%p %b %d '
provenance.seal_interval = '100 ms'
provenance.publish_interval = '0'
CONF
{
	local $ENV{LD_PRELOAD} = $shim;
	local $ENV{PROVENANCE_SHIM} = $control;
	$node->start;
}

sub psql { return $node->safe_psql('postgres', $_[0]); }

sub fails
{
	my ($rc, $out, $err) = $node->psql('postgres', $_[0], extra_params => [ '-v', 'VERBOSITY=verbose' ]);
	return $rc ? $err : "no error: $out";
}

psql('CREATE EXTENSION provenance');
my $vkey = psql(q{SELECT provenance.setup('faults.example')});
psql(q{CREATE TABLE t (id int PRIMARY KEY); SELECT provenance.tag('t')});
my $dir = psql('SELECT state_directory FROM provenance.status');
my $name = sha256_hex('faults.example');
my $published = "$tmp/published";
mkdir $published or die;
my ($id, $log_read) = (0, 0);

sub change { $id++; psql("INSERT INTO t VALUES ($id)"); return; }
sub log_since { my $new = substr(slurp_file($node->logfile), $log_read); return $new; }
sub mark { $log_read = -s $node->logfile; return; }

sub await_log
{
	my ($pattern, $what) = @_;
	for (1 .. 3600)
	{
		last if log_since() =~ $pattern;
		usleep 50_000;
	}
	like(log_since(), $pattern, $what);
}

# The worker does it, unasked.
sub recovers
{
	my ($what) = @_;
	my $ok = $node->poll_query_until('postgres', q{SELECT pending = 0 AND published_size = log_size AND signer = 'ready' FROM provenance.status});
	ok($ok, "$what: the worker goes on by itself");
	is(psql('SELECT log_size = (SELECT count(*) FROM provenance.entry) FROM provenance.status'), 't', "$what: no entry is lost");
	is(psql('SELECT count(*) FROM provenance.verify()'), '0', "$what: and all verifies");
}

recovers('at the beginning');

# --- no space for the checkpoints' files --------------------------------------------

# a new worker reads the setting when it connects
psql("ALTER DATABASE postgres SET provenance.checkpoint_directory = '$published'; SELECT pg_terminate_backend(provenance.worker_pid(), 5000); SELECT provenance.start_worker()");
change();
recovers('files written');
my $note = slurp_file("$published/latest");
mark();
control(0, $published);
change();
await_log(qr/WARNING:  the checkpoint could not be written to provenance\.checkpoint_directory.*DETAIL:  could not write file "\Q$published\E\/checkpoints-[^"]*": No space left/s, 'no space for checkpoints: the server log says so');
ok($node->poll_query_until('postgres', q{SELECT last_error LIKE 'the checkpoint could not be written to provenance.checkpoint\_directory: %No space left%' FROM provenance.status}), 'and status');
is(psql('CREATE ROLE plain; SET ROLE plain; SELECT last_error IS NULL AND last_error_at IS NOT NULL FROM provenance.status'), 't', 'which does not show everybody the path');
is(psql('GRANT pg_monitor TO plain; SET ROLE plain; SELECT last_error IS NOT NULL FROM provenance.status'), 't', 'but those who monitor');
recovers('no space for checkpoints');
is(slurp_file("$published/latest"), $note, 'the newest file is whole');
is(psql('SELECT max(size) FROM provenance.checkpoints'), psql('SELECT log_size FROM provenance.status'), 'the checkpoint is a row');
control(0, '');
change();
recovers('space again');
is('\x' . unpack('H*', slurp_file("$published/latest")), psql('SELECT provenance.note(note) FROM provenance.checkpoints ORDER BY size DESC LIMIT 1'), 'the files are written again');
my ($day) = reverse sort(glob("$published/checkpoints-*"));
my $notes = slurp_file($day);
like($notes, qr/\A(?:\S+\n\d+\n\S+\n\n\S+ \S+ \S+\n\n)+\z/, 'the day\'s file has whole notes only');
like($notes, qr/\Q${\ slurp_file("$published\/latest")}\E\n\z/, 'the newest is the last');
# as a host that lost its power may leave it
$node->safe_psql('postgres', "SELECT provenance.stop_worker()");
truncate $day, length($notes) - 30;
psql('SELECT provenance.start_worker()');
change();
recovers('a torn note');
like(slurp_file($day), qr/\n\n\Q${\ slurp_file("$published\/latest")}\E\n\z/, 'does not spoil the next one');

# --- no space for the signer's state ----------------------------------------------------

mark();
my $before = psql('SELECT max(size) FROM provenance.checkpoints');
my $state = slurp_file("$dir/$name.state");
control(0, $dir);
change();
await_log(qr/ERROR:  could not write file "\Q$dir\E\/$name\.state\.tmp": No space left/, 'no space for the state: the server log says so');
ok($node->poll_query_until('postgres', q{SELECT pending = 0 AND last_error LIKE '%No space left%' FROM provenance.status}), 'status says so; sealing goes on');
like(fails('SELECT provenance.seal()'), qr/53100: could not write file.*No space left/, 'and seal()');
is(psql('SELECT max(size) FROM provenance.checkpoints'), $before, 'nothing is signed');
is(slurp_file("$dir/$name.state"), $state, 'the state is as it was');
control(0, '');
recovers('space for the state again');

# --- the key -------------------------------------------------------------------------------

my $key = "$dir/$name.key";
IPC::Run::run([ 'openssl', 'genpkey', '-algorithm', 'ed25519', '-out', "$tmp/other.pem" ], '>', '/dev/null', '2>&1') or die;
copy($key, "$tmp/right.pem");
foreach my $case (
	[ 'an unreadable key', sub { chmod 0000, $key }, qr/the signing key "\Q$key\E" cannot be read/ ],
	[ 'no key', sub { chmod 0600, $key; unlink $key }, qr/the signing key "\Q$key\E" cannot be read/ ],
	[ 'half a key', sub { open(my $fh, '>', $key) or die; print $fh substr(slurp_file("$tmp/right.pem"), 0, 60); close $fh; chmod 0600, $key }, qr/no private key was found in "?\Q$key\E|no private key was found/ ],
	[ 'a wrong key', sub { copy("$tmp/other.pem", $key); chmod 0600, $key }, qr/the signing key is not the one of this log/ ])
{
	my ($what, $how, $reason) = @$case;
	$before = psql('SELECT max(size) FROM provenance.checkpoints');
	mark();
	$how->();
	change();
	await_log(qr/LOG:  the signer is stopped: .*$reason/, "$what: the server log says so");
	like(psql('SELECT signer FROM provenance.status'), qr/^stopped: .*$reason/, "$what: status too");
	ok($node->poll_query_until('postgres', 'SELECT pending = 0 FROM provenance.status'), "$what: sealing goes on");
	is(psql('SELECT max(size) FROM provenance.checkpoints'), $before, "$what: nothing is signed");
	copy("$tmp/right.pem", $key);
	chmod 0600, $key;
	recovers($what);
	like(log_since(), qr/LOG:  the signer is ready/, "$what: the server log has its end");
}

# --- the clock -------------------------------------------------------------------------------

my $pid = psql('SELECT provenance.worker_pid()');
mark();
$before = psql('SELECT log_size FROM provenance.status');
control(-3600, '');
cmp_ok(psql('SELECT extract(epoch FROM clock_timestamp())'), '<', time - 3000, 'the clock is set back an hour');
change();
my $began = time;
recovers('clock set back');
cmp_ok(time - $began, '<', 60, 'at once, not in an hour');
is(psql('SELECT provenance.worker_pid()'), $pid, 'the same worker');
like(log_since(), qr/LOG:  the server's clock was set back by 3(59|60)\d s/, 'the server log says so');
is(psql(q{SELECT changed_at < lag FROM (SELECT changed_at, lag(changed_at) OVER (ORDER BY leaf_index) FROM provenance.changes('t', '-infinity', 'infinity')) AS c WHERE lag IS NOT NULL ORDER BY changed_at < lag DESC LIMIT 1}), 't', 'the entry has the clock\'s time, and its place is after older ones');
like(psql('SELECT provenance.seal()'), qr/^faults\.example\n/, 'seal() too');
is(fails(q{SET provenance.wait_timeout = '60 s'; SELECT provenance.size(provenance.seal()) = log_size FROM provenance.status}), 'no error: t', 'in time');

# a worker that comes to a checkpoint signed in the future
psql('SELECT pg_terminate_backend(provenance.worker_pid(), 5000)');
psql(q{ALTER DATABASE postgres SET provenance.publish_interval = '10 min'});
control(-7200, '');
change();
psql('SELECT provenance.start_worker()');
recovers('signed in the future');
psql(q{ALTER DATABASE postgres RESET provenance.publish_interval; SELECT pg_terminate_backend(provenance.worker_pid(), 5000); SELECT provenance.start_worker()});
control(0, '');
change();
recovers('the clock is right again');

# every checkpoint there ever was
is(psql(qq{SELECT bool_and(provenance.verify_consistency(c.note, n.note, ARRAY(SELECT h FROM unnest(provenance.prove_consistency(c.size, n.size)) AS h), '$vkey'))
	FROM provenance.checkpoints AS c, (SELECT * FROM provenance.checkpoints ORDER BY size DESC LIMIT 1) AS n WHERE c.size > 0}), 't', 'the log extends every checkpoint');

$node->stop;
done_testing();
