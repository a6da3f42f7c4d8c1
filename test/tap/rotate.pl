# rotate_key(): both keys sign during the overlap, then only the new one; what
# was proven before stays so. Encrypted keys and their passphrase command.
use strict;
use warnings;
use Cwd qw(abs_path);
use File::Basename;
use File::Copy;
use MIME::Base64;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $tlog = abs_path(dirname(__FILE__)) . '/../independent/tlog.py';
my $node = PostgreSQL::Test::Cluster->new('rotate');
$node->init;
$node->append_conf('postgresql.conf', "fsync = off\nprovenance.publish_interval = '1 h'\nlog_statement = none\nlog_min_error_statement = panic\n");
$node->start;

sub psql { return $node->safe_psql('postgres', $_[0]); }

sub fails
{
	my ($rc, $out, $err) = $node->psql('postgres', $_[0], extra_params => [ '-v', 'VERBOSITY=verbose' ]);
	return $rc ? $err : "no error: $out";
}

my $tmp = PostgreSQL::Test::Utils::tempdir();

sub write_file
{
	my ($file, $text) = @_;
	open(my $fh, '>:raw', $file) or die "$file: $!";
	print $fh $text;
	close $fh;
	return $file;
}

# A reader that shares no code with the extension.
sub independent
{
	my ($vkey, $note) = @_;
	my $file = write_file("$tmp/note", $note =~ /\n\z/ ? $note : "$note\n");
	my $ok = IPC::Run::run([ 'python3', $tlog, 'checkpoint', $vkey, $file ], '>', \my $out, '2>', \my $err);
	return $ok ? 'accepted' : 'refused';
}

sub signatures { return scalar(() = $_[0] =~ /^\x{e2}\x{80}\x{94} /mg); }

sub openssl
{
	IPC::Run::run([ 'openssl', @_ ], '>', \my $out, '2>', '/dev/null') or die "openssl @_";
	return $out;
}

psql('CREATE EXTENSION provenance');
my $vkey1 = psql(q{SELECT provenance.setup('crm.example')});
my $dir = psql('SELECT state_directory FROM provenance.status');
my $name = psql(q{SELECT encode(sha256('crm.example'), 'hex')});
my $key = "$dir/$name.key";
psql(q{CREATE TABLE t (id int PRIMARY KEY); SELECT provenance.tag('t'); INSERT INTO t VALUES (1)});
my $cp2 = psql('SELECT provenance.seal()');
my $proof = psql('SELECT provenance.prove(2)');
my $leaf = psql('SELECT provenance.leaf(2)');

# --- a rotation --------------------------------------------------------------

psql('CREATE ROLE somebody; GRANT USAGE ON SCHEMA provenance TO somebody; GRANT EXECUTE ON FUNCTION provenance.rotate_key() TO somebody');
like(fails('SET ROLE somebody; SELECT provenance.rotate_key()'), qr/42501/, 'rotate_key() is for superusers');
is(psql(q{LOAD 'provenance'; SHOW provenance.key_overlap}), '7d', 'the overlap is a week');
my $rolled_back = psql('BEGIN; SELECT provenance.rotate_key(); ROLLBACK');
is(psql('SELECT provenance.verifier_key()'), $vkey1, 'rolled back: the old key');
is(psql('SELECT provenance.seal()'), $cp2, 'which signs');
like(fails('BEGIN; SELECT provenance.rotate_key(); SELECT provenance.rotate_key()'), qr/55000: the key cannot be rotated.*this very transaction/s, 'not twice in a transaction');
my $vkey2 = psql('SELECT provenance.rotate_key()');
is($vkey2, $rolled_back, 'the key of the rolled back call is taken');
isnt($vkey2, $vkey1, 'it is another');
is(psql('SELECT provenance.verifier_key()'), $vkey2, 'verifier_key() gives the new one');
like(fails('SELECT provenance.rotate_key()'), qr/55000.*has not signed anything yet/s, 'one at a time');

my $cp4 = psql('SELECT provenance.seal()');
like($cp4, qr/^crm\.example\n4\n/, 'the handover is an entry');
is(signatures($cp4), 2, 'two signatures');
is(independent($vkey1, $cp4), 'accepted', 'good by the old key');
is(independent($vkey2, $cp4), 'accepted', 'good by the new key');
my ($first) = $cp4 =~ /\n\n\S+ \S+ (\S+)/;
is(unpack('H8', decode_base64($first)), (split /\+/, $vkey1)[1], 'the old key\'s comes first');
is(psql('SELECT incarnation, since_size FROM provenance.key_handover WHERE old_vkey = ' . "'$vkey1' AND new_vkey = '$vkey2'"), '1|2', 'the handover');
is(psql("SELECT op FROM provenance.history('provenance.key_handover', '$vkey2')"), 'insert', 'is recorded');
is(psql('SELECT string_agg(since_size::text, \',\') FROM provenance.verifier_keys'), '0,2', 'the keys and their sizes');
is(psql('SELECT count(*) FROM provenance.verify()'), '0', 'it verifies');
is(psql("SELECT tagged_tables FROM provenance.status"), '1', 'the extension\'s own tables are not counted');
is_deeply([ map { s/.*\.//r } sort glob("$dir/$name.*") ], [ 'key', 'old', 'state' ], 'files: key, key.old, state');
like(fails('SELECT provenance.rotate_key()'), qr/55000.*still signs.*key_overlap/s, 'not again during the overlap');

# proofs
is(psql("SELECT provenance.verify_inclusion('$proof', '$leaf', '$vkey1')"), 't', 'a proof from before verifies with the old verifier key');
is(psql("SELECT provenance.verify_inclusion('$proof', '$leaf', '$vkey2')"), 'f', 'not with the new one alone');
is(psql("SELECT provenance.verify_inclusion(provenance.prove(2), '$leaf', '$vkey1')"), 't', 'a new proof with the old one');
is(psql("SELECT provenance.verify_inclusion(provenance.prove(2), '$leaf', '$vkey2')"), 't', 'and with the new one');

# --- a crash between the renamings ----------------------------------------------

psql(q{ALTER DATABASE postgres SET provenance.key_overlap = '0 s'});
psql('INSERT INTO t VALUES (2)');
copy($key, "$tmp/key2");
copy("$key.old", "$tmp/key1");
my $cp5 = psql('SELECT provenance.seal()');
is(signatures($cp5), 1, 'the overlap is over: one signature');
is(independent($vkey1, $cp5), 'refused', 'not the old key\'s');
is(independent($vkey2, $cp5), 'accepted', 'the new key\'s');
ok(!-e "$key.old", 'the old key is destroyed');
like(slurp_file($node->logfile), qr/destroyed the key file "\Q$key\E\.old"/, 'and the log says so');

my $vkey3 = psql('SELECT provenance.rotate_key()');
psql(q{ALTER DATABASE postgres SET provenance.key_overlap = '1 h'});
rename $key, "$key.old" or die $!;
my $cp6 = psql('SELECT provenance.seal()');
is(signatures($cp6), 2, 'between the renamings: both keys are found');
is(independent($vkey2, $cp6) . independent($vkey3, $cp6), 'acceptedaccepted', 'and sign');
ok(-e $key && -e "$key.old" && !-e "$key.next", 'the second renaming is made up for');

# --- a key whose time is over -----------------------------------------------------

sub forge
{
	my ($pem, $vkey, $text) = @_;
	my $sig = openssl('pkeyutl', '-sign', '-rawin', '-inkey', $pem, '-in', write_file("$tmp/text", $text));
	return "$text\n\x{e2}\x{80}\x{94} crm.example " . encode_base64(pack('H8', (split /\+/, $vkey)[1]) . $sig, '') . "\n";
}

my ($text) = $cp6 =~ /\A(.*?\n)\n/s;
my $forged = forge("$tmp/key1", $vkey1, $text);
is(independent($vkey1, $forged), 'accepted', 'a thief of the old key signs a new head');
is(psql("SELECT code FROM provenance.verify_checkpoint('$forged')"), 'key_ended', 'which is found');
my ($text5) = $cp5 =~ /\A(.*?\n)\n/s;
is(psql("SELECT code FROM provenance.verify_checkpoint('" . forge("$tmp/key1", $vkey1, $text5) . "')"), 'key_ended', 'also of a size at which the second key had begun');
is(psql("SELECT count(*) FROM provenance.verify_checkpoint('$cp2')"), '0', 'what it signed in its time holds');
is(psql("SELECT count(*) FROM provenance.verify_checkpoint('$cp5')"), '0', 'and what the second signed in its');
is(psql('SELECT count(*) FROM provenance.verify()'), '0', 'it verifies');

psql("INSERT INTO provenance.log_key VALUES (1, 3, 'crm.example+00000000+AAAA', now())");
is(psql('SELECT code FROM provenance.verify_log()'), 'key_unrecorded', 'a key that no entry speaks of');
is(psql(q{BEGIN; SET LOCAL session_replication_role = replica; UPDATE provenance.log_key SET since_size = since_size + 100 WHERE since_size > 3;
	SELECT DISTINCT code FROM provenance.verify_log(); ROLLBACK}), 'key_unrecorded', 'a key whose beginning was put off');
is(psql(q{BEGIN; SET LOCAL session_replication_role = replica; DELETE FROM provenance.log_key WHERE vkey = provenance.verifier_key();
	SELECT string_agg(DISTINCT code, ' ' ORDER BY code) FROM provenance.verify_log(); ROLLBACK}) =~ /key_missing/, 1, 'a key removed');
psql(q{ALTER TABLE provenance.log_key DISABLE TRIGGER ALL; DELETE FROM provenance.log_key WHERE since_size = 3;
	ALTER TABLE provenance.log_key ENABLE TRIGGER provenance_refuse, ENABLE REPLICA TRIGGER provenance_foreign, ENABLE REPLICA TRIGGER provenance_foreign_truncate});

# --- keys of the administrator's own -------------------------------------------------

openssl('genpkey', '-algorithm', 'ed25519', '-out', "$tmp/own.pem");
chmod 0600, "$tmp/own.pem", "$tmp/key1", "$tmp/key2";
psql(q{ALTER DATABASE postgres SET provenance.key_overlap = '0 s'});
psql('INSERT INTO t VALUES (3)');
psql('SELECT provenance.seal()');
psql("ALTER DATABASE postgres SET provenance.signing_key = '$key'");
like(fails('SELECT provenance.rotate_key()'), qr/55000.*names a key that the log has, or had, already.*previous_signing_key/s, 'the setting still names the old key');
psql("ALTER DATABASE postgres SET provenance.signing_key = '$tmp/own.pem'");
psql('INSERT INTO t VALUES (4)');
like(fails('SELECT provenance.seal()'), qr/55000.*the signing key is not the one of this log/s, 'stopped until it is taken over');
psql("ALTER DATABASE postgres SET provenance.previous_signing_key = '$key'");
my $vkey4 = psql('SELECT provenance.rotate_key()');
psql(q{ALTER DATABASE postgres SET provenance.key_overlap = '1 h'});
my $cp = psql('SELECT provenance.seal()');
is(signatures($cp), 2, 'both sign');
is(independent($vkey3, $cp) . independent($vkey4, $cp), 'acceptedaccepted', 'the old and the new');
psql(q{ALTER DATABASE postgres SET provenance.key_overlap = '0 s'; INSERT INTO t VALUES (5)});
is(signatures(psql('SELECT provenance.seal()')), 1, 'then the new one');
ok(!-e $key, 'the file that the extension made is destroyed');
ok(-e "$tmp/own.pem", 'the administrator\'s is not');

# --- an encrypted key -----------------------------------------------------------------

my $passphrase = 'correct horse battery staple';
openssl('pkey', '-in', "$tmp/own.pem", '-aes256', '-passout', "pass:$passphrase", '-out', "$tmp/encrypted.pem");
chmod 0600, "$tmp/encrypted.pem";
write_file("$tmp/passphrase", "$passphrase\nanother line\n");
write_file("$tmp/wrong", "no $passphrase\n");
psql("ALTER DATABASE postgres SET provenance.signing_key = '$tmp/encrypted.pem'; INSERT INTO t VALUES (6)");
my @cases = (
	[ '', qr/is encrypted, and the server has no passphrase for it/, 'no command' ],
	[ "cat $tmp/wrong", qr/the passphrase that the command gave does not open the signing key "\Q$tmp\E\/encrypted\.pem"/, 'a wrong passphrase' ],
	[ 'echo', qr/the passphrase that the command gave does not open/, 'an empty one' ],
	[ 'true', qr/the passphrase command gave no passphrase/, 'no output' ],
	[ "cat $tmp/passphrase; exit 3", qr/the passphrase command failed: child process exited with exit code 3/, 'a command that fails' ],
	[ "$tmp/missing", qr/the passphrase command failed/, 'no such command' ]);
foreach my $case (@cases)
{
	my ($command, $want, $what) = @$case;
	psql("ALTER DATABASE postgres SET provenance.signing_key_passphrase_command = '$command'");
	like(fails('SELECT provenance.seal()'), qr/55000.*the signer is stopped.*$want/s, "$what: stopped");
	like(psql('SELECT signer FROM provenance.status'), $want, "$what: status says why");
}
psql("ALTER DATABASE postgres SET provenance.signing_key_passphrase_command = 'cat $tmp/passphrase'");
$cp = psql('SELECT provenance.seal()');
is(independent($vkey4, $cp), 'accepted', 'the right one');
is(psql('SELECT signer FROM provenance.status'), 'ready', 'ready');
write_file("$tmp/ask", "#!/bin/sh\ntest \"\$1\" = 'Passphrase of the signing key: ' && test ! -t 0 && cat $tmp/passphrase\n");
chmod 0700, "$tmp/ask";
psql("ALTER DATABASE postgres SET provenance.signing_key_passphrase_command = '$tmp/ask \"%p\"'; INSERT INTO t VALUES (7)");
is(independent($vkey4, psql('SELECT provenance.seal()')), 'accepted', 'a prompt stands for %p');

# a command that hangs; its processes leave with it
my $pids = "$tmp/pids";
sub survivors	# a zombie only waits to be reaped
{
	return scalar(grep { my $state = `ps -o stat= -p $_`; $state =~ /^[^Z]/ } split ' ', slurp_file($pids));
}

sub await_file
{
	for (1 .. 1800) { last if -s $pids; select undef, undef, undef, 0.1; }
	return -s $pids;
}
$node->stop;
$node->start;
psql("ALTER DATABASE postgres SET provenance.signing_key_passphrase_command = 'sleep 600 & echo \$\$ \$! >> $pids; wait'");
unlink $pids;
my $began = time;
like(fails('INSERT INTO t VALUES (71); SELECT provenance.seal()'), qr/55000.*the signer is stopped.*the passphrase command took longer than 10 s, and was killed/s, 'a command that hangs: stopped');
cmp_ok(time - $began, '<', 40, 'in time');
unlink $pids;
psql('SELECT provenance.stop_worker(); INSERT INTO t VALUES (72)');
my ($psql_out, $psql_err) = ('', '');
my $session = IPC::Run::start([ 'psql', '-X', '-d', $node->connstr('postgres'), '-c', 'SELECT provenance.seal()' ], '>', \$psql_out, '2>', \$psql_err);
ok(await_file(), 'again');
my $from = -s $node->logfile;
$node->stop('fast');
unlike(substr(slurp_file($node->logfile), $from), qr/took longer than 10 s/, 'a fast shutdown does not wait for it');
$session->finish;
for (1 .. 50) { last if !survivors(); select undef, undef, undef, 0.1; }
is(survivors(), 0, 'and none of its processes is left');
$node->start;
psql('CREATE DATABASE second');
$node->safe_psql('second', "CREATE EXTENSION provenance; SELECT provenance.setup('second.example')");
$node->safe_psql('second', 'SELECT provenance.seal(); SELECT pg_terminate_backend(provenance.worker_pid(), 5000)');
psql("ALTER DATABASE second SET provenance.signing_key = '$tmp/encrypted.pem'");
psql("ALTER DATABASE second SET provenance.signing_key_passphrase_command = 'sleep 600 & echo \$\$ \$! >> $pids; wait'");
unlink $pids;
$node->safe_psql('second', 'CREATE TABLE u (id int PRIMARY KEY); SELECT provenance.tag(\'u\'); INSERT INTO u VALUES (1)');
ok(await_file(), 'a standing worker waits for a command');
is(fails('DROP DATABASE second'), 'no error: ', 'DROP DATABASE does not');
psql('SELECT provenance.start_worker()');
psql("ALTER DATABASE postgres SET provenance.signing_key_passphrase_command = '$tmp/ask \"%p\"'");
is(independent($vkey4, psql('SELECT provenance.seal()')), 'accepted', 'the next try signs');
unlike(slurp_file($node->logfile), qr/\Q$passphrase\E/, 'no passphrase in the server log');
my ($rc, $out, $err) = $node->psql('postgres', q{LOAD 'provenance'; SET ROLE somebody; SHOW provenance.signing_key_passphrase_command});
like($err, qr/must be superuser|permission denied to examine/, 'the command is hidden from others');

# --- a key in a token --------------------------------------------------------------------

SKIP:
{
	my $modules = `openssl version -m 2>/dev/null` =~ /"(.*)"/ ? $1 : '';

	skip 'OpenSSL\'s pkcs11 provider and SoftHSM are not installed', 2
	  unless -e "$modules/pkcs11.so" && grep { -x "$_/softhsm2-util" } split(/:/, $ENV{PATH});
	my ($softhsm) = grep { -e } glob('/usr/lib/softhsm/libsofthsm2.so /usr/lib/*/softhsm/libsofthsm2.so /usr/lib64/softhsm/libsofthsm2.so');

	skip 'SoftHSM\'s library was not found', 2 unless $softhsm;
	mkdir "$tmp/tokens";
	write_file("$tmp/softhsm.conf", "directories.tokendir = $tmp/tokens\n");
	write_file("$tmp/openssl.cnf", <<CNF);
openssl_conf = init
[init]
providers = providers
[providers]
default = default
pkcs11 = pkcs11
[default]
activate = 1
[pkcs11]
module = $modules/pkcs11.so
pkcs11-module-path = $softhsm
activate = 1
CNF
	local $ENV{SOFTHSM2_CONF} = "$tmp/softhsm.conf";
	system('softhsm2-util', '--init-token', '--free', '--label', 'crm', '--pin', '1234', '--so-pin', '5678') == 0
	  && system('softhsm2-util', '--import', "$tmp/own.pem", '--token', 'crm', '--label', 'log', '--id', '01', '--pin', '1234') == 0
	  or skip 'SoftHSM takes no Ed25519 key', 2;
	local $ENV{OPENSSL_CONF} = "$tmp/openssl.cnf";
	write_file("$tmp/pin", "1234\n");
	$node->restart;
	psql("ALTER DATABASE postgres SET provenance.signing_key = 'pkcs11:token=crm;object=log;type=private'");
	psql("ALTER DATABASE postgres SET provenance.signing_key_passphrase_command = 'cat $tmp/pin'; INSERT INTO t VALUES (8)");
	is(independent($vkey4, psql('SELECT provenance.seal()')), 'accepted', 'a key in a token signs');
	unlike(slurp_file($node->logfile), qr/token=crm/, 'its URI is in no message');
}

is(psql('SELECT count(*) FROM provenance.verify()'), '0', 'all in all it verifies');
$node->stop;
done_testing();
