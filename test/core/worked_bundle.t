# The bundle in doc/format.md holds by an independent implementation of the
# document (test/independent/bundle.py), which refuses it with any bit changed:
# by the digest, and without the digest too wherever the bit is part of what a
# bundle proves. t_bundle.c makes the same bundle with the core.
use strict;
use warnings;

use File::Basename qw(dirname);
use File::Spec;
use File::Temp qw(tempdir);
use Test::More;

my $top = File::Spec->rel2abs(File::Spec->catdir(dirname(__FILE__), '..', '..'));
my $program = "$top/test/independent/bundle.py";
my $dir = tempdir(CLEANUP => 1);

sub slurp
{
	my ($path) = @_;
	open(my $fh, '<:raw', $path) or die "$path: $!";
	local $/;
	return scalar <$fh>;
}

sub file
{
	my ($name, $content) = @_;
	open(my $fh, '>:raw', "$dir/$name") or die $!;
	print $fh $content;
	close $fh;
	return "$dir/$name";
}

# Exit status and everything printed.
sub run
{
	my (@args) = @_;
	my $command = join(' ', map { "'$_'" } 'python3', $program, @args);
	my $out = `$command 2>&1`;
	return ($? >> 8, $out);
}

if (system("python3 -c '' >/dev/null 2>&1") != 0)
{
	plan skip_all => 'python3 not found';
}

my $doc = slurp("$top/doc/format.md");
my ($vkey) = $doc =~ /^log: (\S+)$/m;
my ($block) = $doc =~ /^## Worked example of a bundle\n.*?^```text\n(.*?)^```$/ms;
ok(defined $vkey && defined $block, 'doc/format.md has the key and the bundle');
is($block, slurp(dirname(__FILE__) . '/corpus/bundle/example'), 'and the fuzz target starts from it');

my ($rc, $out) = run($vkey, file('bundle', $block));
is($rc, 0, 'it holds') or diag $out;
like($out, qr/"phone": "\+44 20 7946 0000\|12"/, 'what is disclosed is shown');
like($out, qr/"withheld": \["balance"\]/, 'what is withheld is named');

($rc, $out) = run('bits', $vkey, "$dir/bundle", 5);
is($rc, 0, 'a changed bit is noticed') or diag $out;
cmp_ok($out, '>', 800, 'many were tried');

# The program can refuse, and says where.
my @lines = split /^/, $block;
for my $bad (
	[ 'cut short', join('', @lines[ 0 .. $#lines - 1 ]), qr/last line is missing/ ],
	[ 'a line left out', join('', @lines[ 0 .. 5, 7 .. $#lines ]), qr/not line 7/ ],
	[ 'a line doubled', join('', @lines[ 0 .. 6, 6 .. $#lines ]), qr/not line 8/ ],
	[ 'lines exchanged', join('', @lines[ 0 .. 5, 7, 6, 8 .. $#lines ]), qr/not line 7/ ],
	[ 'a value changed', $block =~ s/==42\|/==43|/r, qr/line 7: record commitment/ ],
	[ 'a text in base64', $block =~ s/\|=globex\|/|:Z2xvYmV4|/r, qr/line 1: base64 of what is plain/ ])
{
	my ($name, $text, $reason) = @$bad;
	($rc, $out) = run($vkey, file('bad', $text));
	is($rc, 1, "$name: refused");
	like($out, qr/^refused: .*$reason/, "$name: the reason");
}
done_testing();
