#!/usr/bin/perl
# Runs every fuzz target over its corpus and a bounded number of mutations of
# it, the same ones each time; FUZZ_FACTOR=100 runs a hundred times as many,
# and FUZZ_SEED others. That the driver finds faults at all is shown first, on
# planted ones.
use strict;
use warnings;
use Cwd qw(abs_path);
use File::Basename qw(dirname basename);
use Test::More;

my $here = dirname(abs_path(__FILE__));
my $build = $ENV{BUILD} // "$here/../../build/core";
my $factor = $ENV{FUZZ_FACTOR} // 1;
my $seed = $ENV{FUZZ_SEED} // 1;

# Mutations, by what one costs: those that verify signatures cost the most.
my %runs = (
	note => 60000, checkpoint => 60000, cosignature => 60000, proof => 150000,
	disclosure => 40000, copy => 40000, vkey => 60000, shape => 150000, values => 100000, leaf => 200000, bytes => 100000,
	bundle => 60000,
);

sub run
{
	my ($target, $n) = @_;
	my $output = `"$build/fuzz_$target" "$here/corpus/$target" $n $seed 2>&1`;
	return ($?, $output);
}

for my $plant (['property', qr/property broken/], ['read', qr/heap-buffer-overflow/])
{
	local $ENV{FUZZ_PLANT} = $plant->[0];
	my ($rc, $output) = run('driver', 20000);
	isnt($rc, 0, "planted fault '$plant->[0]': found");
	like($output, $plant->[1], "planted fault '$plant->[0]': reported");
	like($output, qr/^input \d+, \d+ bytes$/m, "planted fault '$plant->[0]': the input is told");
}
my ($rc, $output) = run('driver', 20000);
is($rc, 0, 'without a planted fault there is none') or diag $output;

my @targets = sort grep { $_ ne 'driver' } map { basename($_) =~ /^fuzz_(\w+)\.c$/ } glob("$here/fuzz_*.c");
is_deeply(\@targets, [ sort keys %runs ], 'the targets are those with a number of runs here');
for my $target (@targets)
{
	my @corpus = glob("$here/corpus/$target/*");
	my $n = ($runs{$target} // 1000) * $factor;
	($rc, $output) = run($target, $n);
	is($rc, 0, "$target: no fault") or diag $output;
	my ($files, $mutations, $reached) = $output =~ /^(\d+) files, (\d+) mutations, (\d+) things reached$/m;
	is($files, scalar @corpus, "$target: every file of the corpus was run");
	is($mutations, $n, "$target: $n mutations");
	cmp_ok($reached // 0, '>=', 5, "$target: not all inputs end at once") and note "$reached things reached";
}
done_testing();
