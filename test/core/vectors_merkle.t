#!/usr/bin/perl
# Feeds the Merkle proofs and tile layouts made elsewhere to cli_merkle and
# compares its answers with theirs. The vectors are not part of this
# repository: PROVENANCE_VECTORS names their folder, by default
# ../shared/vectors beside the repository; without it the test is skipped.
use strict;
use warnings;
use Cwd qw(abs_path);
use File::Basename qw(dirname);
use File::Find;
use IPC::Open2;
use JSON::PP;
use MIME::Base64;
use Test::More;

my $top = abs_path(dirname(abs_path(__FILE__)) . '/../..');
my $vectors = $ENV{PROVENANCE_VECTORS} // "$top/../shared/vectors";
plan skip_all => "no vectors at $vectors (set PROVENANCE_VECTORS)" unless -d $vectors;

my $build = $ENV{BUILD} // "$top/build/core";
my $json = JSON::PP->new->utf8->allow_bignum;    # integers up to 2^64-1
my $pid = open2(my $out, my $in, "$build/cli_merkle");

sub ask
{
	print $in join(' ', @_), "\n";
	$in->flush;
	my $answer = <$out>;
	die "cli_merkle has ended" unless defined $answer;
	chomp $answer;
	return $answer;
}

sub load
{
	my ($file) = @_;
	open(my $fh, '<:raw', $file) or die "$file: $!";
	local $/;
	return $json->decode(<$fh>);
}

sub hex_of
{
	my $raw = decode_base64($_[0] // '');
	return length($raw) ? unpack('H*', $raw) : '-';
}

# Roots of 12 bytes, which a verifier that does not look at roots of equal
# sizes accepts. Ours knows roots of 32 bytes only.
my %short_roots = ('consistency/additional/sizes-are-equal-one-and-proof-is-empty.json' => 1);

for my $kind (qw(inclusion consistency))
{
	my @files;
	find({ no_chdir => 1, wanted => sub { push @files, $_ if /\.json$/ } }, "$vectors/merkle/$kind");
	is(scalar @files, 98, "98 vectors of $kind");
	my $accepted = 0;
	for my $file (sort @files)
	{
		my $v = load($file);
		(my $name = $file) =~ s!^\Q$vectors\E/merkle/!!;
		my @proof = map { hex_of($_) } @{ $v->{proof} // [] };
		my $answer = $kind eq 'inclusion'
		  ? ask($kind, $v->{leafIdx}, $v->{treeSize}, hex_of($v->{leafHash}), hex_of($v->{root}), @proof)
		  : ask($kind, $v->{size1}, $v->{size2}, hex_of($v->{root1}), hex_of($v->{root2}), @proof);
		$accepted++ if $answer eq 'ok';
		if ($short_roots{$name})
		{
			is($answer, 'no hash length', "$name: refused, its roots are not hashes");
		}
		elsif ($v->{wantErr})
		{
			like($answer, qr/^no /, "$name: refused");
		}
		else
		{
			is($answer, 'ok', "$name: accepted");
		}
	}
	is($accepted, $kind eq 'inclusion' ? 6 : 5, "$kind: number accepted");
}

my $layout = load("$vectors/notes/tile-layout.json");
my $paths = 0;
for my $n (sort keys %{ $layout->{paths} })
{
	for my $level (0, -1)
	{
		my $name = $level < 0 ? 'entries' : $level;
		is(ask('path', $level, $n, 3), "tile/$name/$layout->{paths}{$n}.p/3", "path of partial tile $n, level $name");
	}
	$paths++;
}
is($paths, 10, 'number of tile paths');

my $sizes = 0;
for my $size (sort keys %{ $layout->{inventory} })
{
	my @levels = @{ $layout->{inventory}{$size} };
	is(ask('tiles', $size), join(' ', map { "$_->{level}:$_->{full}+$_->{partial}" } @levels), "tiles of a tree of $size");
	for my $l (@levels)
	{
		is(ask('path', $l->{level}, $l->{full} - 1, 256), $l->{last_full}, "tree of $size, level $l->{level}: last full tile")
		  if defined $l->{last_full};
		is(ask('path', $l->{level}, $l->{full}, $l->{partial}), $l->{partial_path}, "tree of $size, level $l->{level}: partial tile")
		  if defined $l->{partial_path};
	}
	$sizes++;
}
is($sizes, 18, 'number of trees');

is(ask('inclusion', 0), 'what', 'a question that is none has no answer that means yes or no');
close $in;
waitpid $pid, 0;
is($?, 0, 'cli_merkle ends without a complaint');
done_testing();
