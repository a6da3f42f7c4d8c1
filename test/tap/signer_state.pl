# The signer's state: whoever brings the database back to an earlier time, or
# copies it, does not get a second log signed.
use strict;
use warnings;
use File::Copy;
use MIME::Base64;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::RecursiveCopy;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('signer');
$node->init(has_archiving => 0, allows_streaming => 1);
$node->append_conf('postgresql.conf', "fsync = off\n");
$node->start;

sub psql { return ($_[1] // $node)->safe_psql('postgres', $_[0]); }

sub fails
{
	my ($sql, $n) = @_;
	my ($rc, $out, $err) = ($n // $node)->psql('postgres', $sql, extra_params => [ '-v', 'VERBOSITY=verbose' ]);
	return $rc ? $err : "no error: $out";
}

psql('CREATE EXTENSION provenance');
my $vkey = psql(q{SELECT provenance.setup('crm.example')});
my $dir = psql('SELECT state_directory FROM provenance.status');
is($dir, $node->data_dir . '.provenance', 'the state is beside the data directory');
my $name = psql(q{SELECT encode(sha256('crm.example'), 'hex')});
my ($state, $key) = ("$dir/$name.state", "$dir/$name.key");

sub content { return slurp_file($_[0]); }

sub set_content
{
	my ($file, $text) = @_;
	open(my $fh, '>:raw', $file) or die "$file: $!";
	print $fh $text;
	close $fh;
}

psql(q{CREATE TABLE t (id int PRIMARY KEY); SELECT provenance.tag('t'); INSERT INTO t VALUES (1)});
my $cp2 = psql('SELECT provenance.seal()');
my $saved = content($state);
like($saved, qr/\Aprovenance signer state 1\norigin crm\.example\nsize 2\nroot [0-9a-f]{64}\nsystem \d+\ntimeline 1\ndatabase \d+\ninode \d+\ndata_directory [^\n]+\nhost [^\n]+\n\ncrm\.example\n2\n/, 'the state file');
psql('INSERT INTO t VALUES (2)');
my $cp3 = psql('SELECT provenance.seal()');
my $newest = content($state);

# --- a crash between any two steps signs the same head again ---------------

# after the state was written, before it was signed
(my $unsigned = $newest) =~ s/\n\n.*/\n\n/s;
$unsigned .= (split /\n\n/, $saved, 2)[1];
set_content($state, $unsigned);
is(psql('SELECT provenance.seal()'), $cp3, 'state written, not signed: the same note');
is(content($state), $newest, 'and the same state');
is(psql('SELECT max(size) FROM provenance.checkpoints'), '3', 'and one row');

# after it was signed, before its row was committed
psql(q{SET session_replication_role = replica; DELETE FROM provenance.checkpoint_note WHERE size = 3});
is(psql('SELECT provenance.seal()'), $cp3, 'signed, no row: the same note');
is(psql('SELECT max(size) FROM provenance.checkpoints'), '3', 'and its row');
psql(q{SET session_replication_role = replica; DELETE FROM provenance.checkpoint_note WHERE size = 3});
set_content($state, $unsigned);
psql('INSERT INTO t VALUES (20)');
like(psql('SELECT provenance.seal()'), qr/^crm\.example\n4\n/, 'the log has grown since: the next checkpoint');
is(psql('SELECT note FROM provenance.checkpoints WHERE size = 3'), $cp3, 'but the unfinished one first');
$newest = content($state);
my $cp4 = psql('SELECT note FROM provenance.checkpoints WHERE size = 4');

# --- what is refused -------------------------------------------------------

my @damaged = (
	[ 'another version',      sub { s/state 1/state 2/ },             qr/its version line is unknown/ ],
	[ 'a size with a zero',   sub { s/size 4/size 04/ },              qr/its size is malformed/ ],
	[ 'a root in capitals',   sub { s/root ([0-9a-f]+)/"root " . uc $1/e }, qr/its root is malformed/ ],
	[ 'another origin',       sub { s/origin crm.example/origin crn.example/ }, qr/its note is malformed/ ],
	[ 'no owner',             sub { s/timeline.*\n// },               qr/its owner is malformed/ ],
	[ 'a note of more',       sub { s/size 4/size 3/ },               qr/its note is malformed/ ],
	[ 'an empty file',        sub { $_ = '' },                        qr/its version line is unknown/ ],
	[ 'a longer file',        sub { $_ .= 'x' x 100000 },             qr/it is too long/ ],
	[ 'a greater size',       sub { s/size 4/size 5/ },               qr/holds 4 entries, but was signed at size 5/ ],
	[ 'another root',         sub { s/root ./root g/; s/root g([0-9a-f])/"root " . ($1 eq '0' ? '11' : '00')/e }, qr/does not extend/ ],
	[ 'another cluster',      sub { s/system \d/system 1/ },          qr/belongs to the cluster with system identifier/ ],
	[ 'another timeline',     sub { s/timeline 1/timeline 7/ },       qr/belongs to timeline 7/ ],
	[ 'another database',     sub { s/database \d+/database 4242/ },  qr/belongs to the database with OID 4242/ ],
	[ 'another data directory', sub { s{data_directory .*}{data_directory /elsewhere} }, qr{belongs to the server with data directory "/elsewhere"} ],
	[ 'another folder',       sub { s/inode \d+/inode 1/ },           qr/belongs to another copy of the state directory/ ],
);
foreach my $case (@damaged)
{
	my ($what, $how, $want) = @$case;
	local $_ = $newest;
	$how->();
	isnt($_, $newest, "$what: damaged");
	set_content($state, $_);
	my $err = fails('SELECT provenance.seal()');
	like($err, qr/55000: the log is sealed up to size 4, but the signer is stopped/, "$what: stopped");
	like($err, $want, "$what: the reason");
	is(content($state), $_, "$what: the file is left alone");
}
set_content($state, $newest);
is(psql('SELECT provenance.seal()'), $cp4, 'the right state again: ready');
is(psql('SELECT signer FROM provenance.status'), 'ready', 'and the status says so');

# while stopped, sealing goes on
unlink $state;
psql('INSERT INTO t VALUES (3)');
like(fails('SELECT provenance.seal()'), qr/sealed up to size 5.*there is no signer's state/s, 'no state: stopped, sealed');
like(psql('SELECT signer FROM provenance.status'), qr/^stopped: there is no signer's state/, 'status says why');
set_content($state, $newest);
chmod 0600, $state;
like(psql('SELECT provenance.seal()'), qr/^crm\.example\n5\n/, 'published once it is back');

# --- permissions -----------------------------------------------------------

$newest = content($state);
chmod 0644, $state;
like(fails('SELECT provenance.seal()'), qr/another user has rights to it/, 'a state file that others may read');
chmod 0600, $state;
chmod 0750, $dir;
like(fails('SELECT provenance.seal()'), qr/is accessible to group or others/, 'a state directory that others may read');
chmod 0700, $dir;
chmod 0640, $key;
like(fails('SELECT provenance.seal()'), qr/signing key ".*" is accessible to group or others/, 'a key that others may read');
chmod 0600, $key;

# --- other keys --------------------------------------------------------------

my $pem = content($key);
my $tmp = PostgreSQL::Test::Utils::tempdir();
sub with_key
{
	my ($where) = @_;
	psql("ALTER DATABASE postgres SET provenance.signing_key = '$where'");
	my $err = fails('SELECT provenance.seal()');
	psql('ALTER DATABASE postgres RESET provenance.signing_key');
	return $err;
}
sub openssl
{
	IPC::Run::run([ 'openssl', @_ ], '>', '/dev/null', '2>', '/dev/null') or die "openssl @_";
	chmod 0600, $_[-1];
}
copy($key, "$tmp/copy.pem");
chmod 0600, "$tmp/copy.pem";
like(with_key("$tmp/copy.pem"), qr/no error/, 'the key at another path');
like(with_key("file:$tmp/copy.pem"), qr/no error/, 'and as a URI');
openssl('genpkey', '-algorithm', 'ed25519', '-out', "$tmp/other.pem");
like(with_key("$tmp/other.pem"), qr/the signing key is not the one of this log/, 'another key');
openssl('genpkey', '-algorithm', 'x25519', '-out', "$tmp/x.pem");
like(with_key("$tmp/x.pem"), qr/is not an Ed25519 key/, 'a key of another kind');
openssl('pkey', '-in', $key, '-aes256', '-passout', 'pass:secret', '-out', "$tmp/encrypted.pem");
like(with_key("$tmp/encrypted.pem"), qr/is encrypted, and the server has no passphrase/, 'an encrypted key');
like(with_key($tmp), qr/is a directory/, 'a directory');
like(with_key("$tmp/missing.pem"), qr/cannot be read/, 'no such file');
like(with_key('other.pem'), qr/is not absolute/, 'a relative path');
set_content("$tmp/empty.pem", '');
chmod 0600, "$tmp/empty.pem";
like(with_key("$tmp/empty.pem"), qr/no private key was found/, 'an empty file');
openssl('pkey', '-in', $key, '-pubout', '-out', "$tmp/public.pem");
like(with_key("$tmp/public.pem"), qr/no private key was found/, 'a public key only');
like(with_key('pkcs11:token=none;pin-value=geheim'), qr/no private key was found in the key store/, 'a token that is not there');
unlike(slurp_file($node->logfile) =~ s/^.*(?:STATEMENT|statement):.*$//mgr, qr/geheim/, 'its URI is in no message');
my ($secret) = $pem =~ /\n(.*)\n-----END/;
unlike(slurp_file($node->logfile), qr/\Q$secret\E/, 'no key in the log');
is(psql('SELECT provenance.verifier_key()'), $vkey, 'the verifier key stands');

# --- a copy of the whole data directory, and of the state beside it -----------

psql('SELECT provenance.seal()');
$node->stop;
my $copy = PostgreSQL::Test::Cluster->new('copy');
mkdir $copy->basedir;
PostgreSQL::Test::RecursiveCopy::copypath($node->data_dir, $copy->data_dir);
chmod 0700, $copy->data_dir;
$copy->append_conf('postgresql.conf', 'port = ' . $copy->port . "\n");
$node->start;
$copy->start;
like(fails('SELECT provenance.seal()', $copy), qr/55000: .*there is no state directory .*\(it was in "\Q$dir\E"\)/s, 'a copy without state does not sign');
my $copy_dir = $copy->data_dir . '.provenance';
mkdir $copy_dir, 0700;
for (glob("$dir/*"))
{
	my ($f) = m{([^/]+)$};
	copy($_, "$copy_dir/$f");
	chmod 0600, "$copy_dir/$f";
}
like(fails('SELECT provenance.seal()', $copy), qr/55000: .*the signer's state belongs to the server with data directory/s, 'nor one with a copied state');
psql('INSERT INTO t VALUES (100)', $copy);
ok($copy->poll_query_until('postgres', 'SELECT pending = 0 FROM provenance.status'), 'it seals');
psql('INSERT INTO t VALUES (101)');
like(psql('SELECT provenance.seal()'), qr/^crm\.example\n6\n/, 'the original goes on');
$copy->stop;

# --- a standby, and its promotion ----------------------------------------------

$node->backup('b');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($node, 'b', has_streaming => 1);
$standby->start;
$node->wait_for_catchup($standby);
like(fails('SELECT provenance.seal()', $standby), qr/25006: cannot seal the log on a standby/, 'seal() on a standby');
like(fails(q{SELECT provenance.setup('x.example')}, $standby), qr/25006: a log cannot be set up on a standby/, 'setup() on a standby');
like(psql('SELECT provenance.wait_sealed()', $standby), qr/^crm\.example\n6\n/, 'wait_sealed() has nothing to wait for');
is(psql('SELECT log_size, pending FROM provenance.status', $standby), '6|0', 'status on a standby');
$standby->promote;
like(fails('SELECT provenance.seal()', $standby), qr/55000: .*there is no state directory/s, 'a promoted standby does not sign');
psql('INSERT INTO t VALUES (300)', $standby);
ok($standby->poll_query_until('postgres', 'SELECT pending = 0 FROM provenance.status'), 'it seals');
$standby->stop;

# --- DROP EXTENSION and again -----------------------------------------------------

like(fails('DROP EXTENSION provenance CASCADE'), qr/55000: .*would destroy the history of log "crm.example"/, 'the history is not dropped unasked');
psql(q{SET provenance.confirm_drop = 'crm.example'; DROP EXTENSION provenance CASCADE; CREATE EXTENSION provenance});
like(fails(q{SELECT provenance.setup('crm.example')}), qr/55000: origin "crm.example" has a log already.*new_incarnation/s, 'the old log is not forgotten');
psql(q{SELECT provenance.setup('other.example')});
like(psql('SELECT provenance.seal()'), qr/^other\.example\n0\n/, 'another origin');
psql('DROP EXTENSION provenance CASCADE; CREATE EXTENSION provenance');
psql(q{SELECT provenance.setup('other.example')});
pass('an origin that never signed an entry can be set up again');

# a key whose state is gone
my $other = psql(q{SELECT encode(sha256('other.example'), 'hex')});
psql('DROP EXTENSION provenance CASCADE; CREATE EXTENSION provenance');
unlink "$dir/$other.state";
like(fails(q{SELECT provenance.setup('other.example')}), qr/55000: there is a key of origin "other.example", but no state/, 'a key without a state');

# --- the state directory elsewhere -----------------------------------------------------

psql(qq{ALTER DATABASE postgres SET provenance.state_directory = '$tmp/state';
	SELECT provenance.setup('third.example')});
is(psql('SELECT state_directory FROM provenance.status'), "$tmp/state", 'a directory set in the same session');
like(psql('SELECT provenance.seal()'), qr/^third\.example\n0\n/, 'the worker finds it');
psql('DROP EXTENSION provenance CASCADE; CREATE EXTENSION provenance');
mkdir "$tmp/open", 0755;
chmod 0755, "$tmp/open";
psql("ALTER DATABASE postgres SET provenance.state_directory = '$tmp/open'");
like(fails(q{SELECT provenance.setup('fourth.example')}), qr/55000: .*is accessible to group or others/s, 'a directory that others may read');
mkdir "$tmp/space" or die;
psql("CREATE TABLESPACE space LOCATION '$tmp/space'");
mkdir "$tmp/space/state", 0700;
psql("ALTER DATABASE postgres SET provenance.state_directory = '$tmp/space/state'");
like(fails(q{SELECT provenance.setup('fourth.example')}), qr/55000: .*lies in a tablespace/s, 'a directory in a tablespace');
my $inner = $node->data_dir . '/provenance';
psql("ALTER DATABASE postgres SET provenance.state_directory = '$inner'");
my ($rc, $out, $err) = $node->psql('postgres', q{SELECT provenance.setup('fourth.example')});
like($err, qr/WARNING:  the signer's state is kept inside the data directory/, 'a directory inside the data directory: a warning');

# --- a key of the administrator's own, named before setup() --------------------------------

psql('DROP EXTENSION provenance CASCADE; CREATE EXTENSION provenance');
psql(qq{ALTER DATABASE postgres SET provenance.state_directory = '$tmp/state'; ALTER DATABASE postgres SET provenance.signing_key = '$tmp/missing.pem'});
like(fails(q{SELECT provenance.setup('own.example')}), qr/55000: .*cannot be read/s, 'no such key: no log');
is(psql('SELECT origin IS NULL FROM provenance.status'), 't', 'at all');
psql("ALTER DATABASE postgres SET provenance.signing_key = '$tmp/other.pem'");
my $own = psql(q{SELECT provenance.setup('own.example')});
IPC::Run::run([ 'openssl', 'pkey', '-in', "$tmp/other.pem", '-pubout', '-outform', 'DER' ], '>', \my $der) or die;
is((split /\+/, $own, 3)[2], encode_base64("\x01" . substr($der, -32), ''), 'the verifier key is that key\'s');
my $own_name = psql(q{SELECT encode(sha256('own.example'), 'hex')});
is(join(' ', map { s/.*\.//r } glob("$tmp/state/$own_name.*")), 'state', 'no other key was made');
is(psql("SELECT provenance.verify_consistency(c, c, '{}', '$own') FROM provenance.seal() c"), 't', 'it signs');
psql('ALTER DATABASE postgres RESET provenance.signing_key');

$node->stop;
done_testing();
