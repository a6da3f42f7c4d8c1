# The worked example of doc/format.md and the file of commitment vectors are
# what the independent program prints today. t_example.c and t_commitment.c
# compare the same numbers with the core's.
use strict;
use warnings;

use File::Basename qw(dirname);
use File::Spec;
use Test::More;

my $top = File::Spec->rel2abs(File::Spec->catdir(dirname(__FILE__), '..', '..'));
my $program = "$top/test/vectors/make_commitment.py";

sub slurp
{
	my ($path) = @_;
	open(my $fh, '<:raw', $path) or die "$path: $!";
	local $/;
	return scalar <$fh>;
}

sub printed_by_program
{
	my ($what) = @_;
	open(my $fh, '-|:raw', 'python3', $program, $what) or die "python3: $!";
	local $/;
	my $text = <$fh>;
	close($fh) or die "$program $what failed";
	return $text;
}

if (system("python3 -c '' >/dev/null 2>&1") != 0)
{
	plan skip_all => 'python3 not found';
}

my ($block) = slurp("$top/doc/format.md") =~ /^## Worked example\n.*?^```text\n(.*?)^```$/ms;
ok(defined $block, 'doc/format.md has the worked example');

# Line by line, so that a difference is shown and not two pages of numbers.
my @in_doc = split /\n/, $block // '';
my @printed = split /\n/, printed_by_program('example');
cmp_ok(scalar @printed, '>', 50, 'the program prints an example');
is_deeply(\@in_doc, \@printed, 'the example in the document is what the program prints');

is_deeply([ split /\n/, slurp("$top/test/vectors/commitment.txt") ],
	[ split /\n/, printed_by_program('vectors') ],
	'the vectors are what the program prints');

done_testing();
