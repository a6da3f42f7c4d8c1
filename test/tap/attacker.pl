# What others prepare for the extension's code to run into: a schema of its
# name that is theirs, links in a folder that they may write to.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('attacker');
$node->init;
$node->append_conf('postgresql.conf', "fsync = off\n");
$node->start;

sub psql { return $node->safe_psql($_[1] // 'postgres', $_[0]); }

sub fails
{
	my ($sql) = @_;
	my ($rc, $out, $err) = $node->psql('postgres', $sql, extra_params => [ '-v', 'VERBOSITY=verbose' ]);
	return $rc ? $err : "no error: $out";
}

# --- the schema ---------------------------------------------------------

psql('CREATE ROLE mallory; GRANT CREATE ON DATABASE postgres TO mallory');
psql('SET ROLE mallory; CREATE SCHEMA provenance');
like(fails('CREATE EXTENSION provenance'), qr/42501: schema "provenance" is not the superuser's alone/,
	"no extension in another role's schema");
psql('ALTER SCHEMA provenance OWNER TO postgres; GRANT CREATE ON SCHEMA provenance TO mallory');
like(fails('CREATE EXTENSION provenance'), qr/42501: schema "provenance" is not the superuser's alone/,
	'nor in one where another role may create objects');
psql('REVOKE CREATE ON SCHEMA provenance FROM mallory; CREATE FUNCTION provenance.f() RETURNS int LANGUAGE sql AS $$SELECT 1$$');
like(fails('CREATE EXTENSION provenance'), qr/55000: schema "provenance" is not empty/, 'nor beside what is there');
psql('DROP FUNCTION provenance.f()');
psql('CREATE EXTENSION provenance');
psql('DROP EXTENSION provenance; CREATE EXTENSION provenance');
pass('an empty schema of the superuser does');

# --- the folder of the checkpoints --------------------------------------

my $dir = PostgreSQL::Test::Utils::tempdir;
my $victim = "$dir/victim";
mkdir "$dir/out";
append_to_file($victim, "secret\n");
chmod 0600, $victim;
psql("ALTER DATABASE postgres SET provenance.checkpoint_directory = '$dir/out'");

# today's and, around midnight, tomorrow's
for my $time (time, time + 86400)
{
	my (undef, undef, undef, $d, $m, $y) = gmtime $time;
	symlink $victim, sprintf('%s/out/checkpoints-%04d-%02d-%02d', $dir, $y + 1900, $m + 1, $d);
}
symlink $victim, "$dir/out/latest.tmp";
psql(q{SELECT provenance.setup('attacker.example')});
psql(q{CREATE TABLE t (id int PRIMARY KEY); SELECT provenance.tag('t')});
is(psql('SELECT provenance.size(provenance.seal())'), '1', 'the log is signed all the same');
is(slurp_file($victim), "secret\n", 'a link is not followed, nothing is written through it');
is((stat $victim)[2] & 0777, 0600, 'nor are its rights changed');
like(slurp_file($node->logfile), qr/could not be written to provenance\.checkpoint_directory/, 'the server log says so');

unlink glob "$dir/out/*";
link $victim, "$dir/out/latest.tmp";
psql('INSERT INTO t VALUES (1)');
my $note = psql('SELECT provenance.note(provenance.seal())');
is(slurp_file($victim), "secret\n", 'nor is a hard link');
like(slurp_file("$dir/out/latest"), qr/^attacker\.example\n2\n/, 'and the files are written where nothing is in the way');

$node->stop;
done_testing();
