# An independent implementation of the specifications (test/independent/tlog.py,
# Python's standard library, no code shared) accepts what the extension emits:
# checkpoint, inclusion proofs, consistency paths and the root over all leaves,
# for logs of 1, 255, 256, 257 and 70,000 entries; and refuses each once a bit
# of it is changed.
use strict;
use warnings;
use Cwd qw(abs_path);
use File::Basename;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $tlog = abs_path(dirname(__FILE__)) . '/../independent/tlog.py';
my $tmp = PostgreSQL::Test::Utils::tempdir();
my $node = PostgreSQL::Test::Cluster->new('independent');
$node->init;
$node->append_conf('postgresql.conf', "fsync = off\nmax_worker_processes = 16\n");
$node->start;

my $origin = 'crm-' . int(rand(1e9)) . '.example';
my $vkey = $node->safe_psql('postgres', "CREATE EXTENSION provenance; SELECT provenance.setup('$origin');");

sub file
{
	my ($name, $content) = @_;
	open(my $fh, '>:raw', "$tmp/$name") or die $!;
	print $fh $content;
	close $fh;
	return "$tmp/$name";
}

# psql strips the final newline that a note must end with.
sub value
{
	my ($query) = @_;
	return $node->safe_psql('postgres', $query);
}

sub bytes
{
	my ($query) = @_;
	my $hex = value("SELECT encode(convert_to(($query)::text, 'UTF8'), 'hex')");
	return pack('H*', $hex);
}

sub tlog_accepts
{
	my ($name, @args) = @_;
	my $out = '';
	my $ok = IPC::Run::run([ 'python3', $tlog, @args ], '>', \$out, '2>&1');
	ok($ok, $name) or diag($out);
}

sub tlog_refuses
{
	my ($name, @args) = @_;
	my $out = '';
	my $ok = IPC::Run::run([ 'python3', $tlog, @args ], '>', \$out, '2>&1');
	ok(!$ok && $out =~ /^refused: /, $name) or diag($out);
}

value(q{CREATE TABLE public.t (id int PRIMARY KEY, v text);});
my $tag = value("SELECT provenance.tag('public.t')");
is($tag, '0', 'an empty table has no baselines');

# The tag entry is the first leaf.
my $rows = 0;
my ($old_file, $old_size);
foreach my $size (1, 255, 256, 257, 70000)
{
	my $more = $size - 1 - $rows;
	value("INSERT INTO public.t SELECT n, 'row ' || n FROM generate_series($rows + 1, $rows + $more) n") if $more > 0;
	$rows += $more;

	my $note = bytes('SELECT provenance.seal()');
	my $cp = file("checkpoint-$size", $note);
	my $out = '';
	IPC::Run::run([ 'python3', $tlog, 'checkpoint', $vkey, $cp ], '>', \$out, '2>&1');
	like($out, qr/^\Q$origin\E $size [0-9a-f]{64}$/, "checkpoint of size $size");

	my $mutilated = $note;
	$mutilated =~ s/\n$size\n/"\n" . ($size + 1) . "\n"/e;
	tlog_refuses("checkpoint of size $size with its size changed", 'checkpoint', $vkey, file('mutilated', $mutilated));

	my $leaves = value('SELECT encode(provenance.leaf(seq), $$hex$$) FROM provenance.changes($$public.t$$, $$-infinity$$) ORDER BY leaf_index');
	tlog_accepts("root over all $size leaves", 'leaves', $vkey, $cp, file('leaves', "$leaves\n"));
	my $swapped = $leaves;
	substr($swapped, 10, 1) = substr($swapped, 10, 1) eq '0' ? '1' : '0';
	tlog_refuses("a bit changed in a leaf of $size", 'leaves', $vkey, $cp, file('leaves', "$swapped\n"));

	my @leaves = split /\n/, $leaves;
	my %seen;
	foreach my $index (grep { $_ >= 0 && $_ < $size && !$seen{$_}++ } (0, 1, 127, 254, 255, 256, int($size / 2), $size - 1))
	{
		my $proof = bytes("SELECT provenance.prove((SELECT seq FROM provenance.changes('public.t', '-infinity') WHERE leaf_index = $index))");
		tlog_accepts("inclusion of leaf $index in $size", 'proof', $vkey, $leaves[$index], file('proof', $proof));
		my $other = $leaves[$index];
		substr($other, -1) = substr($other, -1) eq '0' ? '1' : '0';
		tlog_refuses("a bit changed in leaf $index of $size", 'proof', $vkey, $other, file('proof', $proof));
	}

	if (defined $old_file)
	{
		my $path = value("SELECT unnest(provenance.prove_consistency($old_size, $size))");
		tlog_accepts("consistency from $old_size to $size", 'consistency', $vkey, $old_file, $cp, file('path', "$path\n"));
		substr($path, 0, 1) = substr($path, 0, 1) eq '0' ? '1' : '0';
		tlog_refuses("a bit changed in the path from $old_size to $size", 'consistency', $vkey, $old_file, $cp, file('path', "$path\n"));
	}
	($old_file, $old_size) = ($cp, $size);
}

$node->stop;
done_testing();
