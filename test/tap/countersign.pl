# Countersignatures from many sessions at once, on a standby, and after a dump
# and restore into another database.
use strict;
use warnings;
use File::Basename;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

plan skip_all => 'there is no openssl program' unless eval { IPC::Run::run([ 'openssl', 'version' ], '>', \my $v) };

my $node = PostgreSQL::Test::Cluster->new('countersign');
$node->init(allows_streaming => 1);
$node->start;
my $q = sub { $node->safe_psql($_[1] // 'postgres', $_[0]) };

$q->('CREATE EXTENSION provenance');
$q->(q{SELECT provenance.setup('countersign.example')});
$q->(q{CREATE TABLE visit (id int PRIMARY KEY); SELECT provenance.tag('visit', require_countersignature => true)});
$q->('INSERT INTO visit SELECT generate_series(1, 3)');
$q->('SELECT provenance.seal()');

# test 1 of RFC 8032, section 7.1
my $seed = '9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60';
my $key = 'd75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a';
my $sign = dirname(__FILE__) . '/../../sql/include/sign.sh';

sub statement
{
	my ($id, $db) = @_;
	my ($seq, $message) = split /\|/, $q->(
		"SELECT seq, encode(provenance.countersignature_message(seq), 'hex') FROM provenance.history('visit', $id)", $db);
	my $signature = '';
	IPC::Run::run([ $sign, $seed, $message ], '>', \$signature) or die 'sign.sh';
	return "SELECT provenance.countersign($seq, '\\x$key', '\\x$signature')";
}

# The same one from six sessions, none of which has committed when the next comes.
my $statement = statement(1);
my @sessions = map {
	my %s;
	$s{run} = IPC::Run::start([ 'psql', '-XAtq', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr('postgres'),
			'-c', 'BEGIN', '-c', $statement, '-c', 'SELECT pg_sleep(0.3)', '-c', 'COMMIT' ], '>', \$s{out}, '2>', \$s{err});
	\%s;
} 1 .. 6;
is(scalar(grep { !$_->{run}->finish } @sessions), 0, 'six sessions with the same countersignature') or diag(map { $_->{err} } @sessions);
is($q->('SELECT count(*) FROM provenance.countersignature'), '1', 'it is there once');

# A standby shows them, verifies them, and takes none.
$q->('SELECT provenance.seal()');
$node->backup('b');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($node, 'b', has_streaming => 1);
$standby->start;
my $standing = sub { $standby->safe_psql('postgres', $_[0]) };
is($standing->(q{SELECT countersigned_by FROM provenance.history('visit', 1)}), "{\"\\\\x$key\"}", 'a standby shows it');
is($standing->('SELECT code, object FROM provenance.verify() ORDER BY 2'),
	"countersignature_missing|public.visit (2)\ncountersignature_missing|public.visit (3)", 'a standby verifies it');
my (undef, undef, $err) = $standby->psql('postgres', statement(2));
like($err, qr/cannot execute countersign\(\) in a read-only transaction/, 'a standby takes none');
$standby->stop;

# Another database: seqs are the same, and signatures are over leaves.
$q->('CREATE DATABASE restored');
my $dump = "$PostgreSQL::Test::Utils::tmp_check/dump";
$node->command_ok([ 'pg_dump', '-Fc', '-f', $dump, '-d', $node->connstr('postgres') ], 'pg_dump');
$node->command_ok([ 'pg_restore', '-d', $node->connstr('restored'), $dump ], 'pg_restore');
is($q->(q{SELECT countersigned_by FROM provenance.history('visit', 1)}, 'restored'), "{\"\\\\x$key\"}", 'it is restored');
$q->(statement(2, 'restored'), 'restored');
is($q->('SELECT code, object FROM provenance.verify()', 'restored'), 'countersignature_missing|public.visit (3)',
	'the restored ledger verifies, and takes more');

done_testing();
