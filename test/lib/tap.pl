#!/usr/bin/perl
#
# tap.pl <summary file> <program>...
#
# Runs test programs that print TAP, shows their names and failures as prove
# does, and writes to the summary file a line with the numbers passed, failed,
# skipped, counted by single tests, then the programs that failed, a line each. A program that is skipped whole counts as one
# skipped; one that dies, or does not run what it planned, without a failed
# test of its own, as one failed. A failing test marked TODO counts as skipped.

use strict;
use warnings;
use TAP::Harness;

my $summary = shift @ARGV;
my %count = (passed => 0, failed => 0, skipped => 0);
my @failing;

my $harness = TAP::Harness->new(
	{
		verbosity => $ENV{VERBOSE} ? 1 : 0,
		lib => [ split /:/, $ENV{TAP_LIB} // '' ],
		errors => 1,
	});

if (@ARGV)
{
	my $aggregate = $harness->runtests(@ARGV);

	foreach my $program ($aggregate->descriptions)
	{
		my ($parser) = $aggregate->parsers($program);
		my %skipped = map { $_ => 1 } $parser->skipped;
		my %actual = map { $_ => 1 } $parser->actual_failed;
		my $failed = () = $parser->failed;

		foreach my $number (1 .. $parser->tests_run)
		{
			next if grep { $_ == $number } $parser->failed;
			$count{ $skipped{$number} || $actual{$number} ? 'skipped' : 'passed' }++;
		}
		$count{skipped}++ if defined $parser->skip_all && !$parser->tests_run;
		$failed = 1 if !$failed && $parser->has_problems;
		$count{failed} += $failed;
		push @failing, $program if $failed;
	}
}

open my $out, '>', $summary or die "$summary: $!\n";
print $out "$count{passed} $count{failed} $count{skipped}\n", map { "$_\n" } @failing;
close $out or die "$summary: $!\n";
exit($count{failed} ? 1 : 0);
