# RFC 3161 time stamps on checkpoints, with a throwaway authority made by the
# openssl program: what it answers is accepted, and kept; what is of another
# checkpoint, changed, refused, without our nonce, or of another authority than
# the one trusted is not. openssl reads our requests and checks what we kept.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

plan skip_all => 'there is no openssl program' unless eval { IPC::Run::run([ 'openssl', 'version' ], '>', \my $v) };

my $tmp = PostgreSQL::Test::Utils::tempdir();
chmod 0755, $tmp;
my $node = PostgreSQL::Test::Cluster->new('timestamp');
$node->init;
$node->append_conf('postgresql.conf', "fsync = off\nmax_worker_processes = 16\n");
$node->start;

sub value { return $node->safe_psql('postgres', $_[0]); }

sub fails
{
	my ($name, $sql, $message) = @_;
	my ($rc, $out, $err) = $node->psql('postgres', $sql, on_error_stop => 1);
	ok($rc != 0, "$name: refused");
	like($err, $message, "$name: message");
}

sub openssl
{
	my $out = '';
	my $ok = IPC::Run::run([ 'openssl', @_ ], '>', \$out, '2>&1');
	return ($ok, $out);
}

sub make
{
	my ($ok, $out) = openssl(@_);
	die "openssl @_: $out" unless $ok;
	return $out;
}

sub slurp_raw
{
	open(my $fh, '<:raw', $_[0]) or die "$_[0]: $!";
	local $/;
	return scalar <$fh>;
}

sub spew
{
	my ($file, $content) = @_;
	open(my $fh, '>:raw', $file) or die "$file: $!";
	print $fh $content;
	close $fh;
	return $file;
}

# A root and an authority below it; usage: what its certificate is for. The
# responses hold the authority's own certificate only.
sub authority
{
	my ($name, $usage) = @_;
	spew("$tmp/$name.cnf", <<"CNF");
[req]
distinguished_name = dn
prompt = no
[dn]
CN = unused
[ca]
basicConstraints = critical,CA:TRUE
keyUsage = critical,keyCertSign
subjectKeyIdentifier = hash
[tsa]
basicConstraints = CA:FALSE
keyUsage = critical,digitalSignature
extendedKeyUsage = $usage
[reply]
serial = $tmp/$name.serial
crypto_device = builtin
signer_cert = $tmp/$name.pem
signer_key = $tmp/$name.key
signer_digest = sha256
default_policy = 1.2.3.4.1
digests = sha256
accuracy = secs:1
clock_precision_digits = 3
ess_cert_id_chain = no
ess_cert_id_alg = sha256
CNF
	spew("$tmp/$name.serial", "0A\n");
	make('req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', 30, '-config', "$tmp/$name.cnf", '-extensions', 'ca',
		'-subj', "/CN=Root of $name", '-keyout', "$tmp/$name-root.key", '-out', "$tmp/$name-root.pem");
	make('req', '-new', '-newkey', 'rsa:2048', '-nodes', '-config', "$tmp/$name.cnf", '-utf8',
		'-subj', "/O=Zeitst\x{c3}\x{a4}mpel/CN=$name", '-keyout', "$tmp/$name.key", '-out', "$tmp/$name.csr");
	make('x509', '-req', '-in', "$tmp/$name.csr", '-CA', "$tmp/$name-root.pem", '-CAkey', "$tmp/$name-root.key",
		'-CAcreateserial', '-days', 30, '-extfile', "$tmp/$name.cnf", '-extensions', 'tsa', '-out', "$tmp/$name.pem");
}

sub reply
{
	my ($name, $query) = @_;
	make('ts', '-reply', '-config', "$tmp/$name.cnf", '-section', 'reply', '-queryfile', $query, '-out', "$query.$name");
	return slurp_raw("$query.$name");
}

sub add { my ($size, $bytes) = @_; return "SELECT provenance.add_timestamp($size, '\\x" . unpack('H*', $bytes) . "')"; }

authority('good', 'critical,timeStamping');
authority('other', 'critical,timeStamping');

value("CREATE EXTENSION provenance; SELECT provenance.setup('crm.example'); CREATE TABLE t (id int PRIMARY KEY);
	SELECT provenance.tag('t'); SELECT provenance.seal(); INSERT INTO t VALUES (1), (2); SELECT provenance.seal();");

my (%query, %note);
foreach my $size (1, 3)
{
	$query{$size} = spew("$tmp/query-$size", pack('H*', value("SELECT encode(provenance.timestamp_request($size), 'hex')")));
	$note{$size} = spew("$tmp/note-$size", pack('H*',
		value("SELECT encode(provenance.note(note), 'hex') FROM provenance.checkpoints WHERE size = $size")));
}

# The request, as openssl reads it.
my $text = make('ts', '-query', '-in', $query{3}, '-text');
like($text, qr/Hash Algorithm: sha256/, 'the request is over SHA-256');
like($text, qr/Certificate required: yes/, 'and asks for the certificate');
like($text, qr/Nonce: 0x[0-9A-F]{10,16}\n/, 'and has a nonce');
is(value("SELECT encode(provenance.timestamp_request(3), 'hex')"), unpack('H*', slurp_raw($query{3})), 'asked again, the same request');
isnt(($text =~ /Nonce: (\S+)/)[0], (make('ts', '-query', '-in', $query{1}, '-text') =~ /Nonce: (\S+)/)[0], 'another nonce for another checkpoint');
fails('a size that was never published', 'SELECT provenance.timestamp_request(2)', qr/there is no checkpoint of size 2/);
fails('a negative size', 'SELECT provenance.timestamp_request(-1)', qr/there is no checkpoint of size -1/);

# Without trust anchors: accepted, and said so.
my $good = reply('good', $query{3});
my ($rc, $out, $err) = $node->psql('postgres', add(3, $good));
is("$rc $out", '0 token', 'a good response, without trust anchors');
like($err, qr/WARNING:  nobody vouches for the time stamp's signer/, 'and a warning');

# With them.
value("ALTER DATABASE postgres SET provenance.tsa_ca_file = '$tmp/good-root.pem'");
my $second = reply('good', $query{3});
($rc, $out, $err) = $node->psql('postgres', add(3, $second));
is("$rc $out", '0 tsa_ca_file', 'a good response, with trust anchors');
is($err, '', 'and no warning');
is(value(add(3, $second)), 'tsa_ca_file', 'the same response again');
is(value('SELECT count(*) FROM provenance.timestamps'), '2', 'is kept once');
is(value('SELECT size, tsa, serial, verified_by FROM provenance.timestamps'),
	"3|CN=good,O=Zeitst\xc3\xa4mpel|0B|token\n3|CN=good,O=Zeitst\xc3\xa4mpel|0C|tsa_ca_file", 'what the view shows');
is(value("SELECT bool_and(time BETWEEN c.signed_at - interval '1 s' AND now() AND extract(microseconds FROM time)::int % 1000 = 0)
	FROM provenance.timestamps JOIN provenance.checkpoints c USING (size)"), 't', 'the time is that of the stamp');
like(make('ts', '-reply', '-in', "$query{3}.good", '-text'), qr/Serial number: 0x0C/, 'openssl reads the same serial number');

# What is kept can be checked by others.
my $kept = spew("$tmp/kept", pack('H*', value("SELECT encode(response, 'hex') FROM provenance.timestamps WHERE verified_by = 'tsa_ca_file'")));
my ($ok, $said) = openssl('ts', '-verify', '-data', $note{3}, '-in', $kept, '-CAfile', "$tmp/good-root.pem");
ok($ok, 'openssl ts -verify accepts it over the note') or diag($said);
($ok, $said) = openssl('ts', '-verify', '-queryfile', $query{3}, '-in', $kept, '-CAfile', "$tmp/good-root.pem");
ok($ok, 'and over the request, nonce and all') or diag($said);
($ok) = openssl('ts', '-verify', '-data', $note{1}, '-in', $kept, '-CAfile', "$tmp/good-root.pem");
ok(!$ok, 'and not over another note');

# Everything else is refused, and nothing of it is kept.
fails('a response for another checkpoint', add(1, $good), qr/the time stamp is not on the checkpoint of size 1/);
fails('another authority', add(3, reply('other', $query{3})), qr/the time stamp's signature does not verify/);
fails('a size that was never published', add(2, $good), qr/there is no checkpoint of size 2/);
my $own = spew("$tmp/own", '');
make('ts', '-query', '-data', $note{3}, '-sha256', '-cert', '-out', $own);
fails('another nonce', add(3, reply('good', $own)), qr/does not answer the request.*\n.*nonce is missing, or another one/);
make('ts', '-query', '-data', $note{3}, '-sha256', '-cert', '-no_nonce', '-out', $own);
fails('no nonce', add(3, reply('good', $own)), qr/does not answer the request/);
make('ts', '-query', '-data', $note{3}, '-sha256', '-out', $own);
fails('another nonce, and no certificate', add(3, reply('good', $own)), qr/the time stamp's signature does not verify|does not answer/);
make('ts', '-query', '-data', $note{3}, '-sha512', '-cert', '-out', $own);
my $rejected = reply('good', $own);
fails('not granted', add(3, $rejected), qr/the time stamp was not granted/);
fails('nothing', add(3, ''), qr/not a time-stamp response/);
fails('something else', add(3, slurp_raw($query{3})), qr/not a time-stamp response/);
fails('something after it', add(3, $good . "\0"), qr/not a time-stamp response/);
fails('too long', "SELECT provenance.add_timestamp(3, decode(repeat('30', 70000), 'hex'))", qr/not a time-stamp response/);

# A bit of it changed: refused, wherever, with trust anchors and without. What
# libcrypto lets through is what no signature covers and nobody reads: granted
# or granted with modifications, versions and tags of empty parameters, and the
# name of the signature's algorithm, which is the certificate's key's anyway.
my $name_of_rsa = pack('H*', '2a864886f70d010101');
my $ignored = rindex($good, $name_of_rsa);
foreach my $ca ("$tmp/good-root.pem", '')
{
	my $passed = value("SET provenance.tsa_ca_file = '$ca'; SET client_min_messages = error;
		CREATE OR REPLACE FUNCTION try(r bytea) RETURNS boolean LANGUAGE plpgsql AS \$\$
		BEGIN PERFORM provenance.add_timestamp(3, r); RETURN true; EXCEPTION WHEN OTHERS THEN RETURN false; END \$\$;
		SELECT string_agg(i::text, ' ') FROM (SELECT '\\x" . unpack('H*', $good) . "'::bytea AS r) AS g,
			generate_series(0, length(r) - 1) AS i WHERE try(set_byte(r, i, get_byte(r, i) # 1))");
	my @passed = grep { $_ < $ignored || $_ >= $ignored + length($name_of_rsa) } split / /, $passed;
	cmp_ok(scalar(@passed), '<=', 8, 'bits changed in a response are found' . ($ca ? '' : ' without trust anchors'))
	  or diag("@passed of " . length($good));
}

# The setting.
fails('a file that is not there', "SET provenance.tsa_ca_file = '$tmp/nowhere.pem'; " . add(3, $good), qr/no certificates could be read from/);
fails('a file without certificates', "SET provenance.tsa_ca_file = '$tmp/good.key'; " . add(3, $good), qr/no certificates could be read from/);
fails('a relative path', "LOAD 'provenance'; SET provenance.tsa_ca_file = 'root.pem'", qr/absolute path/);
fails('the other root', "SET provenance.tsa_ca_file = '$tmp/other-root.pem'; " . add(3, $good), qr/certificate verify error/);

# Who may.
value('CREATE ROLE nobody_special; CREATE ROLE extension_owner; CREATE ROLE keeper IN ROLE extension_owner');
fails('a user', 'SET ROLE nobody_special; ' . add(3, $good), qr/permission denied for function add_timestamp/);
value('GRANT EXECUTE ON FUNCTION provenance.add_timestamp(bigint, bytea) TO nobody_special, keeper');
fails('a user who was granted the function', 'SET ROLE nobody_special; ' . add(3, $good), qr/permission denied to add a time stamp/);
fails('a user, the setting', "SET ROLE nobody_special; SELECT provenance.timestamp_request(3); SET provenance.tsa_ca_file = ''", qr/permission denied to set parameter/);
fails('a read-only transaction', 'BEGIN READ ONLY; ' . add(3, $good), qr/cannot execute add_timestamp\(\) in a read-only transaction/);
is(value("SET ROLE nobody_special; SELECT length(provenance.timestamp_request(3)) > 40"), 't', 'any user may ask for a request');
is(value("SET ROLE nobody_special; SELECT count(*) > 0 FROM provenance.timestamps"), 't', 'any user may see the time stamps');

$node->stop;
done_testing();
