# The tour in README.md, typed as it stands there: what psql answers is what
# README.md shows, but for hashes, keys and signatures.
use strict;
use warnings;
use Cwd qw(abs_path);
use File::Basename;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $readme = slurp_file(abs_path(dirname(__FILE__)) . '/../../README.md');
my ($tour) = $readme =~ /^## A tour of ten minutes\n(.*?)^## Reference/ms;

# Commands, and what stands below each.
my @steps;
foreach my $block ($tour =~ /^```\n(.*?)^```$/msg)
{
	foreach (split /\n/, $block)
	{
		if (s/^\w+=# //) { push @steps, [ $_, '' ]; }
		elsif (@steps) { $steps[-1][1] .= "$_\n"; }
	}
}
cmp_ok(scalar(@steps), '>', 20, 'there is a tour');

my $node = PostgreSQL::Test::Cluster->new('readme');
$node->init;
$node->append_conf('postgresql.conf', "fsync = off\n");
$node->start;
$node->safe_psql('postgres', 'CREATE DATABASE crm');

my $in = join '', map { "\\echo \@\@$_\n$steps[$_][0]\n" } 0 .. $#steps;
my $out = '';
chdir PostgreSQL::Test::Utils::tempdir;
IPC::Run::run([ 'psql', '-Xq', '-d', $node->connstr('crm') ], '<', \$in, '>', \$out, '2>&1');

sub mask
{
	my ($text) = @_;
	$text =~ s/\+[0-9a-f]{8}\+[A-Za-z0-9+\/]{43,44}=*/+KEY/g;
	$text =~ s/[A-Za-z0-9+\/]{42,}=*/BASE64/g;
	$text =~ s/\+[0-9a-f]{8}\b/+ID/g;
	$text =~ s/\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?:\.\d+)?/TIME/g;
	$text =~ s/[ \t]+$//mg;
	$text =~ s/\n+\z/\n/;
	$text =~ s/\A\n\z//;
	return $text;
}

my @answers = split /^\@\@\d+\n/m, $out;
shift @answers;
is(scalar(@answers), scalar(@steps), 'every command was run') or diag($out);
is(mask($answers[$_] // ''), mask($steps[$_][1]), $steps[$_][0]) foreach 0 .. $#steps;

$node->stop;
done_testing();
