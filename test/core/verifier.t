#!/usr/bin/perl
# provenance-verify, built with the sanitizers: every subcommand but bundle
# (verifier_bundle.t), every exit code, on the worked examples of doc/format.md
# and on small logs that cli_log makes. What holds is shown first; then each
# byte of it is changed.
use strict;
use warnings;
use Digest::SHA qw(sha256 sha256_hex);
use FindBin;
use lib $FindBin::Bin;
use MIME::Base64;
use Test::More;
use VerifierTest;

my $origin = 'crm.acme.example';

sub make_log
{
	my ($dir, @args) = @_;
	mkdir $dir or die;
	system("$build/cli_log", $dir, @args) == 0 or die "cli_log";
}

# The worked examples.
my $format = slurp("$here/../../doc/format.md");
my ($hex) = $format =~ /^leaf:\n((?:  [0-9a-f]+\n)+)/m;
$hex =~ s/\s//g;
my ($example_proof) = $format =~ /^```text\n(c2sp\.org\/tlog-proof\@v1\n.*?)^```$/ms;
my ($example) = $format =~ /^```text\n(provenance\/disclosure\@v1\n.*?)^```$/ms;
spew('example.proof', $example_proof);
spew('example.disclosure', $example);
spew('leaf', pack('H*', $hex));
spew('leaf.hex', "$hex\n");
spew('leaf.psql', "\\x$hex\r\n");

subtest 'help and arguments' => sub {
	gives('--help', 0, qr/^Usage:.*Exit codes/ms, '--help');
	gives('help of a subcommand', 0, qr/^Usage:/m, 'tiles', '--help');
	gives('--version', 0, qr/^provenance-verify \S+\n$/, '--version');
	my $other = $key =~ s/^crm/crn/r;
	foreach (
		[ 'nothing', qr/a subcommand is missing/ ],
		[ 'no subcommand', qr/there is no such subcommand: nonsense/, 'nonsense' ],
		[ 'no key', qr/--key is missing/, 'tiles', 'x' ],
		[ 'no file', qr/a file is missing/, 'disclosure', @keys ],
		[ 'two folders', qr/too many arguments: b/, 'tiles', @keys, 'a', 'b' ],
		[ 'no value', qr/a value is missing: --key/, 'tiles', 'x', '--key' ],
		[ 'no such option', qr/there is no such option here: --nonsense/, 'tiles', '--nonsense', 'x' ],
		[ 'an option of another subcommand', qr/no such option here: --since/, 'fork', @keys, '--since', 'x' ],
		[ 'half an option', qr/no such option here: --ke=/, 'tiles', "--ke=$key", 'x' ],
		[ 'no verifier key', qr/nonsense is not a verifier key/, 'tiles', '--key', 'nonsense', 'x' ],
		[ 'a wrong key ID', qr/is not a verifier key: /, 'tiles', '--key', $other, 'x' ],
		[ 'a key with escapes', qr/"\\u001b\[2J" is not a verifier key/, 'tiles', '--key', "\e[2J", 'x' ],
		[ 'a key twice', qr/is given twice/, 'tiles', @keys, @keys, 'x' ],
		[ 'a witness as a log', qr/is a witness's key/, 'tiles', '--key', $witness, 'x' ],
		[ 'a log as a witness', qr/is a log's key/, 'tiles', '--witness', $key, 'x' ],
		[ 'a quorum of none', qr/--quorum is a number from 1 on: 0/, 'tiles', @all, '--quorum', '0', 'x' ],
		[ 'a quorum of more', qr/the quorum is greater/, 'tiles', @all, '--quorum', '2', 'x' ],
		[ 'a proof alone', qr/a proof needs the leaf/, 'proof', @keys, 'example.proof' ],
		[ 'a leaf too many', qr/--leaf is for proofs/, 'proof', @keys, '--leaf', 'leaf', 'example.disclosure' ],
		[ 'one note', qr/two notes are needed/, 'fork', @keys, 'a' ],
		[ 'one proof', qr/two notes are needed/, 'fork', @keys, '--proof', 'a', '--leaf', 'b' ],
		[ 'both', qr/two notes are needed/, 'fork', @keys, 'a', 'b', '--proof', 'a', '--leaf', 'b' ],
		[ 'three proofs', qr/more than two proofs/, 'fork', @keys, ('--proof', 'a') x 3 ])
	{
		my ($name, $pattern, @args) = @$_;
		gives($name, 2, $pattern, @args);
	}
	gives('=', 0, qr/holds/, 'disclosure', "--key=$key", '--', 'example.disclosure');
};

subtest 'proof' => sub {
	foreach my $leaf ('leaf', 'leaf.hex', 'leaf.psql')
	{
		gives($leaf, 0, qr/^example\.proof holds\.\n.*crm\.acme\.example had 1 entry .*Entry 0 .* operation insert, made 2026-01-01 00:00:00\.123456 UTC in transaction 731/s,
			'proof', @all, '--leaf', $leaf, 'example.proof');
	}
	gives('a disclosure', 0, qr/^example\.disclosure holds\./, 'proof', @all, 'example.disclosure');
	my ($rc, $out) = run('proof', @all, 'example.disclosure');
	unlike($out, qr/Zo/, 'values only when asked for');
	($rc, $out) = run('proof', @all, '--values', 'example.disclosure');
	like($out, qr/^    name = Zo\xc3\xab N\xc3\xba\xc3\xb1ez\n    phone is NULL\n/m, 'values when asked for');
	my $j = json('proof', 0, 'proof', @all, '--leaf', 'leaf', 'example.proof');
	is("$j->{origin} $j->{size} $j->{leaf_index} $j->{op} $j->{time} $j->{xid}",
		'crm.acme.example 1 0 insert 2026-01-01T00:00:00.123456Z 731', 'JSON: entry');
	is("@{$j->{signed_by}} $j->{cosigned_by}[0]{witness} $j->{cosigned_by}[0]{time} $j->{quorum}",
		"$key witness.example 2026-01-01T00:01:00Z 1", 'JSON: signatures');
	is($j->{leaf_hash}, '589c800ec957f4f59c7bfaaaf0d5b120e1b241d70933cb32252975031a00c217', 'JSON: leaf hash');

	spew('psql.proof', "$example_proof\n");
	gives('as psql writes it', 0, qr/holds/, 'proof', @all, '--leaf', 'leaf', 'psql.proof');
	spew('psql.proof', "$example_proof\n\n");
	gives('a line end too many', 1, qr/does not hold/, 'proof', @all, '--leaf', 'leaf', 'psql.proof');
	each_byte('proof', 'example.proof', 2, 'proof', @all, '--leaf', 'leaf', 'example.proof');
	each_byte('leaf', 'leaf', 2, 'proof', @all, '--leaf', 'leaf', 'example.proof');
	cut('proof', 'example.proof', 7, 'proof', @all, '--leaf', 'leaf', 'example.proof');
	spew('short', 'x');
	spew('long', 'x' x 1000);
	gives('no leaf', 1, qr/short holds no leaf/, 'proof', @all, '--leaf', 'short', 'example.proof');
	gives('a long leaf', 1, qr/the leaf in long: it is longer/, 'proof', @all, '--leaf', 'long', 'example.proof');
	gives('a leaf that is not there', 3, qr/the leaf in nowhere: No such file/, 'proof', @all, '--leaf', 'nowhere', 'example.proof');
	gives('a proof that is not there', 3, qr/nowhere cannot be verified\.\nReason: No such file/, 'proof', @all, '--leaf', 'leaf', 'nowhere');
	gives('a folder', 3, qr/Is a directory/, 'proof', @all, '--leaf', 'leaf', '.');
	gives('not a proof', 1, qr/it is not a proof/, 'proof', @all, '--leaf', 'leaf', 'leaf.hex');
	is(json('refused', 1, 'proof', @all, '--leaf', 'leaf', 'leaf.hex')->{verdict}, 'does not hold', 'JSON: verdict');
};

subtest 'trust' => sub {
	my @proof = ('--leaf', 'leaf', 'example.proof');
	my $public = decode_base64('AT1AF8PoQ4lakrcKp00bfrycmCzPLsSWjMDNVfEq9GYM');
	my $wrong = "$origin+" . substr(sha256_hex("$origin\n$public"), 0, 8) . '+' . encode_base64($public, '');
	gives('another key of that name', 1, qr/the checkpoint's signature: /, 'proof', '--key', $wrong, @proof);
	gives('both keys of that name', 0, qr/signed with the key crm\.acme\.example\+5e3d2663;/, 'proof', '--key', $wrong, @keys, @proof);
	gives('another log', 1, qr/of crm\.acme\.example, of which no key was given/, 'proof', '--key',
		'PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW', @proof);
	my $stranger = 'PeterNeumann+00000000+BD1AF8PoQ4lakrcKp00bfrycmCzPLsSWjMDNVfEq9GYM';
	like((run('proof', @keys, '--witness', $stranger, @proof))[2], qr/is not a verifier key/, 'a witness with a wrong ID');
	my $unsigned = $example_proof =~ s/^\xe2\x80\x94 witness.*\n//mr;
	spew('unwitnessed', $unsigned);
	gives('not cosigned', 1, qr/0 of the witnesses cosigned, 1 are needed/, 'proof', @all, '--leaf', 'leaf', 'unwitnessed');
	gives('not cosigned, and not needed', 0, qr/no witness was asked for/, 'proof', @keys, '--leaf', 'leaf', 'unwitnessed');
	my ($note) = $example_proof =~ /\n\n(.*)/s;
	spew('kept', $note);
	gives('the same head kept', 0, qr/the head of the log that was kept before/, 'proof', @all, '--since', 'kept', @proof);
	spew('bad', $note =~ s/Xj0mY2O9/Xj0mY2O8/r);
	gives('a kept head that is not signed', 1, qr/the kept checkpoint: /, 'proof', @all, '--since', 'bad', @proof);
	gives('a kept head that is none', 1, qr/leaf\.hex is not a checkpoint/, 'proof', @all, '--since', 'leaf.hex', @proof);
	gives('a kept head that is not there', 3, qr/nowhere: No such file/, 'proof', @all, '--since', 'nowhere', @proof);
};

subtest 'disclosure' => sub {
	gives('disclosure', 0, qr/table crm\.contact\.\nDisclosed: id, name, phone\.\n    id = 42\n.*Withheld: balance\./s, 'disclosure', @all, 'example.disclosure');
	my $j = json('disclosure', 0, 'disclosure', @all, 'example.disclosure');
	is(join(' ', map { $_->{name} . ($_->{withheld} ? '-' : '=' . ($_->{value} // 'null')) } @{ $j->{fields} }),
		"id=42 name=Zo\x{eb} N\x{fa}\x{f1}ez phone=null balance-", 'JSON: fields');
	is($j->{context}[1]{value}, 'support', 'JSON: context');
	each_byte('disclosure', 'example.disclosure', 5, 'disclosure', @all, 'example.disclosure');
	cut('disclosure', 'example.disclosure', 41, 'disclosure', @all, 'example.disclosure');
	spew('broken', $example =~ s/text 42/text 43/r);
	gives('two files, one wrong', 1, qr/^example\.disclosure holds\..*broken does not hold\.\nReason: the record commitment: /s,
		'disclosure', @all, 'example.disclosure', 'broken');
	spew('broken', $example =~ s/^text 42/txt 42/mr);
	gives('a wrong line', 1, qr/Line 27: value: /, 'disclosure', @all, 'broken');
	is(json('a wrong line', 1, 'disclosure', @all, 'broken')->{line}, 27, 'JSON: line');
	gives('a proof is none', 1, qr/does not hold/, 'disclosure', @all, 'example.proof');
	my $file = "e\e[2J\xff\n";
	spew($file, 'x');
	gives('a file name with escapes', 1, qr/^"e\\u001b\[2J\\ufffd\\n" does not hold\./, 'disclosure', @all, $file);
	is(json('a file name with escapes', 1, 'disclosure', @all, $file)->{file}, "e\e[2J\x{fffd}\n", 'JSON: file name');
};

subtest 'tiles' => sub {
	foreach my $size (0, 1, 255, 256, 257, 600, 66000)
	{
		make_log("log$size", $size, 1, 'none', $size > 0 ? ($size - 1) : ());
		my $n = $size == 66000 ? '66,000' : $size;
		my $entries = $size == 1 ? 'entry' : 'entries';
		gives("$size leaves", 0, qr/^log$size holds\.\nThe log crm\.acme\.example had $n $entries /, 'tiles', @all, "log$size");
		gives("proof of the last of $size", 0, qr/holds/, 'proof', @all, '--leaf', "log$size.leaf", "log$size.proof") if $size > 0;
	}
	my $j = json('tiles', 0, 'tiles', @all, '--since', 'log257/checkpoint', 'log600');
	is("$j->{size} $j->{extends} $j->{ops}{insert} $j->{ops}{update} $j->{first_time} $j->{last_time}",
		'600 257 16 584 2026-01-01T00:00:00Z 2026-01-01T00:09:59Z', 'JSON: log');

	# A kept checkpoint: of that log, of another past, of a longer one.
	gives("since $_", 0, qr/It extends the kept checkpoint of $_ /, 'tiles', @all, '--since', "log$_/checkpoint", 'log600')
	  foreach (0, 1, 255, 256, 257, 600);
	make_log('other257', 257, 2, 'none', 0);
	gives('another past', 1, qr/does not extend the kept checkpoint of size 257/, 'tiles', @all, '--since', 'other257/checkpoint', 'log600');
	gives('an older log', 1, qr/older than the kept checkpoint/, 'tiles', @all, '--since', 'log600/checkpoint', 'log257');

	# Logs that were signed, and are wrong all the same.
	foreach (
		[ 'unknown', qr/leaf 299 names a predecessor that is no earlier leaf/ ],
		[ 'used', qr/leaf 299 names a predecessor that another leaf has named/ ],
		[ 'twice', qr/leaf 299 is the copy of an earlier one|leaf 299 names a predecessor that another/ ],
		[ 'self', qr/leaf 20 names a predecessor that is no earlier leaf/ ],
		[ 'form', qr/leaf 299 in tile\/entries\/001\.p\/44: / ])
	{
		my ($fault, $pattern) = @$_;
		make_log("wrong-$fault", 300, 1, $fault);
		gives("fault $fault", 1, $pattern, 'tiles', @all, "wrong-$fault");
	}

	# Any file: a byte, the length, gone, one too many.
	my @files = qw(checkpoint tile/0/000 tile/0/001 tile/0/002.p/88 tile/1/000.p/2 tile/entries/000 tile/entries/002.p/88);
	foreach my $file (@files)
	{
		my $content = slurp("log600/$file");
		each_byte($file, "log600/$file", int(length($content) / 9) + 1, 'tiles', @all, 'log600');
		spew("log600/$file", $content . "x");
		gives("$file too long", 1, qr/does not hold/, 'tiles', @all, 'log600');
		spew("log600/$file", substr($content, 0, -1));
		gives("$file too short", 1, qr/does not hold/, 'tiles', @all, 'log600');
		unlink "log600/$file";
		gives("$file gone", 3, qr/\Q$file\E.*(?:is missing|No such file)|checkpoint: No such file/, 'tiles', @all, 'log600');
		spew("log600/$file", $content);
	}
	foreach my $file (qw(tile/0/999 tile/0/003 tile/0/002.p/89 tile/0/2 tile/0/x000/000 tile/x tile/8/000 tile/entries/000.p/256 tile/entries/000.p/01))
	{
		my $folder = "log600/$file" =~ s{/[^/]*$}{}r;
		my $made = !-d $folder && mkdir $folder;
		spew("log600/$file", 'x');
		gives("$file", 1, qr/\Q$file\E is no file of a log/, 'tiles', @all, 'log600');
		unlink "log600/$file";
		rmdir $folder if $made;
	}
	mkdir 'log600/tile/0/000.p';
	spew('log600/tile/0/000.p/3', substr(slurp('log600/tile/0/000'), 0, 96));
	gives('a partial tile of an older size', 0, qr/holds/, 'tiles', @all, 'log600');
	each_byte('that tile', 'log600/tile/0/000.p/3', 10, 'tiles', @all, 'log600');
	gives('the log is as it was', 0, qr/holds/, 'tiles', @all, 'log600');
	gives('no folder', 3, qr/the file checkpoint: No such file/, 'tiles', @all, 'nowhere');
};

subtest 'fork' => sub {
	my @proofs = map { ('--proof', "$_.proof", '--leaf', "$_.leaf") } 'here', 'there';
	make_log('here', 257, 1, 'none', 5);
	make_log('there', 600, 2, 'none', 5);
	make_log('there257', 257, 2, 'none', 6);
	gives('two notes', 0, qr/^The log crm\.acme\.example is forked.*roots.*first 257 entries/s, 'fork', @keys, 'here/checkpoint', 'there257/checkpoint');
	gives('two proofs, of two sizes', 0, qr/is forked.*leaves.*entry 5 of it/s, 'fork', @keys, @proofs);
	is(json('two proofs', 0, 'fork', @keys, @proofs)->{leaf_index}, 5, 'JSON: index');
	is(scalar @{ json('two notes', 0, 'fork', @keys, 'here/checkpoint', 'there257/checkpoint')->{statements} }, 2, 'JSON: statements');
	gives('the same note', 1, qr/no fork is shown: both have the same size and root/, 'fork', @keys, 'here/checkpoint', 'log257/checkpoint');
	gives('two sizes', 1, qr/no fork is shown: the sizes are 257 and 600/, 'fork', @keys, 'here/checkpoint', 'there/checkpoint');
	gives('one leaf', 1, qr/no fork is shown: both are of the same leaf/, 'fork', @keys, @proofs[0 .. 3], @proofs[0 .. 3]);
	gives('two indexes', 1, qr/no fork is shown: the indexes are 5 and 6/, 'fork', @keys, @proofs[0 .. 3], '--proof', 'there257.proof', '--leaf', 'there257.leaf');
	gives('another leaf', 1, qr/here\.proof: the path from this leaf/, 'fork', @keys, '--proof', 'here.proof', '--leaf', 'there.leaf', @proofs[4 .. 7]);
	gives('a file that is not there', 3, qr/nowhere: No such file/, 'fork', @keys, 'here/checkpoint', 'nowhere');
	my $note = slurp('there257/checkpoint');
	spew('forged', $note =~ s/(\n[A-Za-z0-9+\/]{10})A?(.)/$1 . ($2 eq 'B' ? 'C' : 'B')/er);
	gives('a forged note', 1, qr/forged: /, 'fork', @keys, 'here/checkpoint', 'forged');
	# a line for another of the log's keys, put there so that nothing should come of this
	my $second = "\x01" . sha256('another key');
	my $id = substr(sha256("$origin\n$second"), 0, 4);
	spew('spoilt', $note . "\xe2\x80\x94 $origin " . encode_base64($id . "\0" x 64, '') . "\n");
	gives('a wrong line for another key', 0, qr/is forked/, 'fork', @keys, '--key', "$origin+" . unpack('H8', $id) . '+' . encode_base64($second, ''),
		'here/checkpoint', 'spoilt');
	gives('notes of nobody', 1, qr/no key was given/, 'fork', '--key', 'PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW', 'here/checkpoint', 'there257/checkpoint');
};

# A pipe that never ends: how much of it is taken before it is refused.
sub taken
{
	my ($head, @args) = @_;
	my ($bytes, $piece) = (0, '0' x 65536);

	local $SIG{PIPE} = 'IGNORE';
	open(my $to, '|-', "exec $build/provenance-verify @args >.out 2>.err") or die;
	syswrite $to, $head;
	while ($bytes < 20_000_000)
	{
		my $n = syswrite $to, $piece;
		last if !defined $n;
		$bytes += $n;
	}
	close $to;
	return ($? >> 8, $bytes);
}

subtest 'input without an end' => sub {
	foreach (
		[ 'a proof', 'proof', "@keys --leaf leaf -" ],
		[ 'one that begins like one', 'proof', "@keys --leaf leaf -", "c2sp.org/tlog-proof\@v1\n" ],
		[ 'no disclosure', 'disclosure', "@keys -" ],
		[ 'a note', 'fork', "@keys - here/checkpoint" ],
		[ 'a kept checkpoint', 'disclosure', "@keys --since - example.disclosure" ],
		[ 'a leaf', 'proof', "@keys --leaf - example.proof" ],
		[ 'a bundle', 'bundle', "@keys -" ])
	{
		my ($name, $command, $args, $head) = @$_;
		my ($rc, $bytes) = taken($head // '', $command, $args);

		is($rc, 1, "$name is refused") or diag slurp('.out') . slurp('.err');
		cmp_ok($bytes, '<', 1_000_000, 'before much of it was read');
	}
};

subtest 'nowhere to write' => sub {
	plan skip_all => 'no /dev/full' unless -c '/dev/full';
	my $rc = system("$build/provenance-verify disclosure --key $key example.disclosure >/dev/full 2>.err") >> 8;
	is($rc, 3, 'a full disk is not "holds"');
	like(slurp('.err'), qr/the report could not be written/, 'and it is said');
};

done_testing();
