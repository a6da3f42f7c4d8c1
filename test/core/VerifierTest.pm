# What the tests of provenance-verify share: running it, and what it is run on.
package VerifierTest;
use strict;
use warnings;
use Cwd qw(abs_path);
use Exporter qw(import);
use File::Basename qw(dirname);
use File::Temp qw(tempdir);
use JSON::PP;
use Test::More;

our @EXPORT = qw($here $build $key $witness @keys @all slurp spew run gives json each_byte cut);

our $here = dirname(abs_path(__FILE__));
our $build = $ENV{BUILD} // "$here/../../build/core";
my $tmp = tempdir(CLEANUP => 1);
our $key = 'crm.acme.example+5e3d2663+AddamAGCsQq31Uv+08lkBzoO4XLz2qYjJa8CGmj3B1Ea';
our $witness = 'witness.example+67550f4e+BD1AF8PoQ4lakrcKp00bfrycmCzPLsSWjMDNVfEq9GYM';
our @keys = ('--key', $key);
our @all = (@keys, '--witness', $witness);

$ENV{ASAN_OPTIONS} = $ENV{UBSAN_OPTIONS} = 'exitcode=99';
chdir $tmp or die;

sub slurp
{
	my ($path) = @_;
	open(my $fh, '<:raw', $path) or die "$path: $!";
	local $/;
	return scalar(<$fh>) // '';
}

sub spew
{
	my ($path, $content) = @_;
	open(my $fh, '>:raw', $path) or die "$path: $!";
	print $fh $content;
	close $fh or die;
}

# Exit code, stdout, stderr.
sub run
{
	my (@args) = @_;
	my $pid = fork() // die;

	if ($pid == 0)
	{
		open(STDOUT, '>', "$tmp/.out") && open(STDERR, '>', "$tmp/.err") or die;
		exec("$build/provenance-verify", @args) or die;
	}
	waitpid($pid, 0);
	return ($? & 127 ? "signal $?" : $? >> 8, slurp("$tmp/.out"), slurp("$tmp/.err"));
}

sub gives
{
	my ($name, $want, $pattern, @args) = @_;
	my ($rc, $out, $err) = run(@args);

	is($rc, $want, "$name: exit code") or diag "$out$err";
	like($want == 2 && $out eq '' ? $err : $out, $pattern, "$name: what it says");
	unlike($out, qr/[\x00-\x09\x0b-\x1f\x7f]/, "$name: nothing that moves a cursor");
}

# The same, for machines; returns the object.
sub json
{
	my ($name, $want, @args) = @_;
	my ($rc, $out) = run(@args, '--json');
	my $object = eval { decode_json($out) };

	is($rc, $want, "$name, JSON: exit code");
	ok(defined $object && $out =~ /^[^\n]*\n$/, "$name, JSON: one object on one line") or diag $out;
	is($object->{holds} ? 0 : 1, $want == 0 ? 0 : 1, "$name, JSON: says whether it holds");
	return $object // {};
}

# With any byte changed it does not hold, and nothing but 1 or 3 is said.
sub each_byte
{
	my ($name, $file, $step, @args) = @_;
	my $content = slurp($file);
	my @wrong;

	for (my $at = 0; $at < length $content; $at += $step)
	{
		my $changed = $content;

		substr($changed, $at, 1) = chr(ord(substr($changed, $at, 1)) ^ 1 << $at % 8);
		spew($file, $changed);
		my ($rc) = run(@args);
		push @wrong, "byte $at: $rc" unless $rc eq 1 || $rc eq 3;
	}
	spew($file, $content);
	is(join(', ', @wrong), '', "$name: no byte can be changed");
}

sub cut
{
	my ($name, $file, $step, @args) = @_;
	my $content = slurp($file);
	my @wrong;

	for (my $at = 0; $at < length $content; $at += $step)
	{
		spew($file, substr($content, 0, $at));
		my ($rc) = run(@args);
		push @wrong, "$at bytes: $rc" unless $rc eq 1 || $rc eq 3;
	}
	spew($file, $content);
	is(join(', ', @wrong), '', "$name: cut anywhere");
}

1;
