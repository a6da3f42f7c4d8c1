# An independent reader (test/independent/disclosure.py, written from
# doc/format.md) accepts the disclosures that the extension makes, finds in them
# what was written to the table, and refuses what the extension refuses; also
# in a database whose encoding lacks characters of the text.
use strict;
use warnings;
use utf8;
use Cwd qw(abs_path);
use File::Basename;
use JSON::PP;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $here = abs_path(dirname(__FILE__));
my $reader = "$here/../independent/disclosure.py";
my $tmp = PostgreSQL::Test::Utils::tempdir();
my $number = 0;

sub reader
{
	my ($vkey, $text) = @_;
	my ($out, $err) = ('', '');
	open(my $fh, '>:raw', "$tmp/d") or die $!;
	print $fh $text;
	close $fh;
	my $ok = IPC::Run::run([ 'python3', $reader, $vkey, "$tmp/d" ], '>', \$out, '2>', \$err);
	return $ok ? decode_json($out) : $err;
}

# The example of the document.
my ($format) = do { local $/; open(my $fh, '<:raw', "$here/../../doc/format.md") or die $!; <$fh> };
my ($example) = $format =~ /^## Worked example of a disclosure\n.*?^```text\n(.*?)^```$/ms;
my ($example_key) = $format =~ /^log: (\S+)$/m;
is_deeply(reader($example_key, $example)->{fields}, { id => '42', name => 'Zoë Núñez', phone => undef },
	'the example in doc/format.md');
is_deeply(reader($example_key, $example)->{context}, { purpose => 'support' }, 'its context');

my $node = PostgreSQL::Test::Cluster->new('disclosure');
$node->init(extra => [ '--locale=C', '--encoding=UTF8' ]);
$node->append_conf('postgresql.conf', "fsync = off\nmax_worker_processes = 16\n");
$node->start;
my $origin = 'crm-' . int(rand(1e9)) . '.example';

sub try_database
{
	my ($db, $name) = @_;
	my $vkey = $node->safe_psql($db, "CREATE EXTENSION provenance; SELECT provenance.setup('$db-$origin');");

	$node->safe_psql($db, qq{
		SET client_encoding = 'UTF8';
		CREATE TABLE public.contact (id int, "na me" text, note text, at timestamptz, PRIMARY KEY (id, at));
		SELECT provenance.tag('public.contact', subject => 'na me');
		SET provenance.actor = '$name';
		INSERT INTO public.contact VALUES (1, '$name', E' a\\tb\\n', '2026-01-01 12:00+02'), (2, '', NULL, 'infinity');
		UPDATE public.contact SET note = 'new' WHERE id = 1;
		ALTER TABLE public.contact ADD COLUMN x int;
		DELETE FROM public.contact WHERE id = 2;
		TRUNCATE public.contact;
		SELECT provenance.seal();
	});
	my @entries = map { [ split /\|/ ] } split /\n/, $node->safe_psql($db,
		q{SELECT seq, op, leaf_index, leaf_hash, extract(epoch FROM changed_at) * 1000000, txid FROM provenance.changes('public.contact', '-infinity') ORDER BY leaf_index});

	my %found;
	foreach my $e (@entries)
	{
		my ($seq, $op, $index, $hash, $time, $xid) = @$e;
		foreach my $args ('', ", '{}'", ", NULL, '{actor,source_leaf}'", ", '{}', '{db_user}'")
		{
			# its UTF-8: the text itself, or, where that is not possible, in hexadecimal
			my $hex = $node->safe_psql($db, qq{
				SELECT CASE WHEN d LIKE '\\\\x%' THEN substr(d, 3) ELSE encode(convert_to(d, 'UTF8'), 'hex') END
				FROM provenance.disclose($seq$args) d});
			my $text = pack('H*', $hex);
			my $read = reader($vkey, $text);

			ok(ref $read, "$db: $op$args: accepted") or diag($read), next;
			is(join(' ', @$read{qw(origin schema table operation index leaf_hash time_us xid)}),
				"$db-$origin public contact $op $index $hash " . int($time) . " $xid", "$db: $op$args: the entry");
			is_deeply($read->{context},
				$args =~ /actor/ ? { actor => $op eq 'tag' ? undef : $name, source_leaf => undef } :
				$args =~ /db_user/ ? { db_user => $ENV{PGUSER} // (getpwuid($<))[0] } : {}, "$db: $op$args: the context")
				unless $op eq 'tag' && $args =~ /actor/;
			is(scalar(keys %{ $read->{fields} }) == 0, $args =~ /\{\}/ ? 1 : '', "$db: $op$args: fields");
			push @{ $found{$op} }, $read->{fields} if $args eq '';

			my $same = $node->safe_psql($db, qq{
				SELECT count(*) FROM provenance.verify_disclosure('\\x$hex', '$vkey') WHERE NOT withheld AND field !~ '^(\@|context)'});
			is($same, scalar(keys %{ $read->{fields} }), "$db: $op$args: verify_disclosure()");

			# a character changed somewhere
			foreach (1 .. 3)
			{
				my $at = int(rand(length $text));
				my $changed = $text;
				substr($changed, $at, 1) = chr(ord(substr($text, $at, 1)) ^ 1);
				my $refused = reader($vkey, $changed);
				like($refused, qr/^refused: /, "$db: $op$args: character $at changed");
				my ($rc) = $node->psql($db, "SELECT * FROM provenance.verify_disclosure('\\x" . unpack('H*', $changed) . "', '$vkey')");
				isnt($rc, 0, "$db: $op$args: character $at changed, for verify_disclosure() too");
			}
		}
	}
	is_deeply($found{insert}, [
			{ id => '1', 'na me' => $name, note => " a\tb\n", at => '2026-01-01 10:00:00+00' },
			{ id => '2', 'na me' => '', note => undef, at => 'infinity' } ], "$db: inserts");
	is_deeply($found{update}, [ { id => '1', 'na me' => $name, note => 'new', at => '2026-01-01 10:00:00+00' } ], "$db: update");
	is_deeply($found{delete}, [ { id => '2', at => 'infinity' } ], "$db: delete");
	is($found{tag}[0]{subject}, 'na me', "$db: tag");
	is_deeply($found{truncate}, [ { schema => 'public', table => 'contact' } ], "$db: truncate");
	return;
}

try_database('postgres', 'Zoë 日本');
$node->safe_psql('postgres', "CREATE DATABASE latin ENCODING 'LATIN1' TEMPLATE template0");
try_database('latin', 'Zoë');

$node->stop;
done_testing();
