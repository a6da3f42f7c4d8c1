#!/usr/bin/perl
# provenance-verify bundle, built with the sanitizers, on the worked example of
# doc/format.md in all that COPY makes of it. What holds is shown first; then
# each byte of it is changed, lines are, and the file is cut.
use strict;
use warnings;
use Digest::SHA qw(sha256 sha256_hex);
use FindBin;
use lib $FindBin::Bin;
use JSON::PP;
use MIME::Base64;
use Test::More;
use VerifierTest;

my ($text) = slurp("$here/../../doc/format.md") =~ /^## Worked example of a bundle\n.*?^```text\n(1\tbundle\t.*?)^```$/ms;
ok(defined $text, 'doc/format.md has the worked example') or BAIL_OUT('no example');
my @rows = map { [ split /\t/ ] } split /\n/, $text;

# The rows as COPY writes them.
sub as_text { return join '', map { join("\t", map { s/\\/\\\\/gr } @$_) . "\n" } @_; }
sub as_csv { return join '', map { my @r = @$_; join(',', map { /[",\n]/ ? '"' . s/"/""/gr . '"' : $_ } @r) . "\n" } @_; }

sub as_binary
{
	return "PGCOPY\n\377\r\n\0" . pack('NN', 0, 0) .
	  join('', map { pack('nNQ>', 3, 8, $_->[0]) . join '', map { pack('N/a*', $_) } @$_[ 1, 2 ] } @_) . pack('n', 0xFFFF);
}

# The lines with one changed: a digest over them that is right again.
sub with_digest
{
	my @r = map { [@$_] } @_;
	my $digest = encode_base64(sha256("\x08" . join '', map { join("\t", @$_) . "\n" } @r[ 0 .. $#r - 1 ]), '');
	$r[-1][2] =~ s/[^|]*$/$digest/;
	return @r;
}

sub changed
{
	my ($i, $from, $to) = @_;
	my @r = map { [@$_] } @rows;
	$r[$i][2] =~ s/$from/$to/ or die "line $i has no $from";
	return with_digest(@r);
}

my @bundle = ('bundle', @all);
my $holds = qr/holds\.\nThe log crm\.acme\.example had 6 entries .*The bundle has 3 entries of table crm\.contact, .*1 insert, 1 update, 1 tag\.\n/s;

subtest 'formats' => sub {
	my $header = [ 'line', 'kind', 'content' ];
	my %formats = (
		text => as_text(@rows),
		'text with a header' => as_text($header, @rows),
		'text with an end marker' => as_text(@rows) . "\\.\n",
		'text from Windows' => as_text(@rows) =~ s/\n/\r\n/gr,
		csv => as_csv(@rows),
		'csv with a header' => as_csv($header, @rows),
		'csv, all quoted' => join('', map { join(',', map { qq("$_") } @$_) . "\n" } @rows),
		'csv from Windows' => as_csv(@rows) =~ s/\n/\r\n/gr,
		binary => as_binary(@rows));
	foreach my $name (sort keys %formats)
	{
		spew('b', $formats{$name});
		gives($name, 0, $holds, @bundle, 'b');
		is(json($name, 0, @bundle, 'b')->{format}, (split / |,/, $name)[0], "$name, JSON: format");
	}
	spew('b', as_text(@rows));
	my $out = `cat b | "$build/provenance-verify" @bundle -`;
	is($?, 0, 'from a pipe');
	like($out, qr/^standard input $holds/, 'from a pipe: what it says');
	$out = `cat b | "$build/provenance-verify" @bundle --values -`;
	is($? >> 8, 3, 'values from a pipe: not without having proven them');
	$out = `"$build/provenance-verify" @bundle --values - <b`;
	is($? >> 8, 0, 'values from a file as standard input');
};

spew('b', as_text(@rows));

subtest 'what it says' => sub {
	my ($rc, $out) = run(@bundle, 'b');
	like($out, qr/^Disclosed: schema, table, subject, mode, exclude, id, name, phone\.\nWithheld: balance\.$/m, 'fields');
	like($out, qr/^Disclosed of who made them and why: purpose \(of 2 of 3\)\.$/m, 'contexts');
	like($out, qr/^With 1 countersignature, which is good\.$/m, 'countersignature');
	like($out, qr/^Not proven, .*: these are all rows; pseudonyms; recipient globex; purpose support\.$/m, 'claims');
	like($out, qr/cosigned by witness\.example \(2026-01-01 00:01:00 UTC\): 1 of 1/, 'witness');
	unlike($out, qr/7946/, 'no values unless asked for');
	($rc, $out) = run(@bundle, '--values', 'b');
	like($out, qr/^Entry 4, update, made 2026-01-01 00:01:00\.123456 UTC in transaction 732, after entry 2, under context 0:\n    id = 42\n    name = Zo.* N.*ez\n    phone = \+44 20 7946 0000\|12\n    countersigned with the key fc51cd8e/m, 'values');

	($rc, $out) = run(@bundle, '--values', '--json', 'b');
	my @objects = map { decode_json($_) } split /\n/, $out;
	is(join(' ', map { $_->{type} } @objects), 'bundle context entry entry entry countersignature', 'JSON: objects');
	is(join(' ', map { "$_->{name}=$_->{disclosed}/$_->{withheld}" } @{ $objects[0]{fields} }),
		'schema=1/0 table=1/0 subject=1/0 mode=1/0 exclude=1/0 id=2/0 name=2/0 phone=2/0 balance=0/2', 'JSON: fields');
	is($objects[4]{fields}[2]{value}, '+44 20 7946 0000|12', 'JSON: value');
	is($objects[3]{previous} // 'none', 'none', 'JSON: no previous entry');
	is($objects[4]{previous}, 2, 'JSON: previous entry');
	is($objects[0]{digest}, unpack('H*', decode_base64((split /\|/, $rows[-1][2])[2])), 'JSON: digest');
	spew('other', as_csv(@rows));
	gives('two files', 0, qr/^b $holds.*^other $holds/ms, @bundle, 'b', 'other');
	gives('one of two', 3, qr/^b $holds.*^nowhere cannot be verified/ms, @bundle, 'b', 'nowhere');
};

subtest 'changed' => sub {
	each_byte('text', 'b', 11, @bundle, 'b');
	spew('binary', as_binary(@rows));
	each_byte('binary', 'binary', 23, @bundle, 'binary');
	cut('text', 'b', 97, @bundle, 'b');
	cut('binary', 'binary', 131, @bundle, 'binary');
	my $n = length(as_text(@rows));
	spew('c', substr(as_text(@rows), 0, $n - 1));
	gives('without its last line end', 3, qr/Line 10: it ends within a row/, @bundle, 'c');
	foreach (
		[ 'the last line missing', 3, qr/it is not complete/, as_text(@rows[ 0 .. 8 ]) ],
		[ 'only the first line', 3, qr/it is not complete/, as_text($rows[0]) ],
		[ 'empty', 3, qr/it is empty/, '' ],
		[ 'a line too many', 1, qr/Line 11: /, as_text(@rows, [ 11, 'end', '' ]) ],
		[ 'two bundles', 1, qr/Line 11: /, as_text(@rows, @rows) ],
		[ 'a line missing', 1, qr/Line 7: /, as_text(@rows[ 0 .. 5, 7 .. 9 ]) ],
		[ 'a line twice', 1, qr/Line 8: /, as_text(@rows[ 0 .. 6, 6 .. 9 ]) ],
		[ 'two lines exchanged', 1, qr/Line 7: /, as_text(@rows[ 0 .. 5, 7, 6, 8, 9 ]) ],
		[ 'two columns', 1, qr/Line 1: less than three columns/, "1\tbundle\n" ],
		[ 'four columns', 1, qr/Line 1: more than three columns/, "1\tbundle\tx\ty\n" ],
		[ 'NULL', 1, qr/Line 1: a column is NULL/, "1\tbundle\t\\N\n" ],
		[ 'no number', 1, qr/Line 1: the first column is no line number/, "01\tbundle\tx\n" ],
		[ 'no kind', 1, qr/Line 1: the second column is no kind of line/, "1\t" . 'x' x 33 . "\tx\n" ],
		[ 'an escape', 1, qr/Line 1: an escape that COPY does not write/, "1\tbundle\t\\x41\n" ],
		[ 'a carriage return', 1, qr/Line 1: a carriage return that ends no line/, "1\tbundle\ta\rb\n" ],
		[ 'a line break', 1, qr/Line 1: a line break/, qq(1,bundle,"a\nb"\n) ],
		[ 'an open quote', 3, qr/Line 1: it ends within a row/, qq(1,bundle,"a) ],
		[ 'UTF-16', 1, qr/Line 1: it is not what COPY writes/, "\xff\xfe1\0" ],
		[ 'garbage', 1, qr/Line 1: it is not what COPY writes/, 'garbage ' x 1000 ],
		[ 'a million lines of garbage', 1, qr/Line 1: /, "1\tgarbage\n" x 1_000_000 ],
		[ 'binary with OIDs', 1, qr/flags that are not known/, "PGCOPY\n\377\r\n\0" . pack('NN', 0x10000, 0) ],
		[ 'binary of two columns', 1, qr/not three columns/, "PGCOPY\n\377\r\n\0" . pack('NNn', 0, 0, 2) ],
		[ 'binary, a length of 2 GB', 1, qr/longer than the format allows/,
			"PGCOPY\n\377\r\n\0" . pack('NNnNQ>N/a*N', 0, 0, 3, 8, 1, 'bundle', 0x7FFFFFFF) ])
	{
		my ($name, $want, $pattern, $content) = @$_;
		spew('c', $content);
		gives($name, $want, $pattern, @bundle, 'c');
	}

	# Lines that say something else, under a digest that is right.
	foreach (
		[ 'another value', 7, qr/==42\|/, '==43|', qr/Line 8: .*commitment/ ],
		[ 'another table', 0, qr/=contact/, '=account', qr/Line 10: the table's name/ ],
		[ 'another size', 0, qr/\|6\|/, '|7|', qr/Line 2: the checkpoint's size/ ],
		[ 'another log', 0, qr/acme/, 'acmf', qr/Line 2: the checkpoint's origin/ ],
		[ 'no successor', 6, qr/\|-\|1\|0\|/, '|-|0|0|', qr/Line 10: / ],
		[ 'another predecessor', 7, qr/\|2\|0\|0\|0/, '|0|0|0|0', qr/Line (?:8|10): / ],
		[ 'another hash in a gap', 6, qr/tBP0/, 'tBP1', qr/Line 10: / ],
		[ 'another countersignature', 8, qr/W0b2/, 'W0b3', qr/Line 9: / ])
	{
		my ($name, $line, $from, $to, $pattern) = @$_;
		spew('c', as_text(changed($line, $from, $to)));
		gives($name, 1, $pattern, @bundle, 'c');
	}
	spew('c', as_text(with_digest(@rows)));
	gives('the same digest', 0, $holds, @bundle, 'c');
};

subtest 'longer than the format allows' => sub {
	# 300 MB in one line, from a pipe: refused before it has been read whole.
	pipe(my $in, my $out) or die;
	my $pid = fork() // die;
	if ($pid == 0)
	{
		close $out;
		open(STDIN, '<&', $in) && open(STDOUT, '>', '.out') or die;
		exec("$build/provenance-verify", @bundle, '-') or die;
	}
	close $in;
	local $SIG{PIPE} = 'IGNORE';
	my $piece = 'x' x (1 << 20);
	my $written = 0;
	syswrite($out, "1\tbundle\t");
	for (1 .. 300)
	{
		my $n = syswrite($out, $piece);
		last unless defined $n;
		$written += $n;
	}
	close $out;
	waitpid($pid, 0);
	is($? >> 8, 1, 'exit code');
	like(slurp('.out'), qr/Line 1: a content is longer than the format allows/, 'what it says');
	cmp_ok($written, '<', 270 << 20, 'no more read than may be');
};

subtest 'since' => sub {
	my ($entry0, $entry2) = map { sha256("\0" . decode_base64((split /\|/, $rows[$_][2])[2])) } 5, 6;
	my $root3 = sha256_hex("\1" . sha256("\1$entry0" . sha256("\0\1")) . $entry2);
	my ($size6) = map { decode_base64($_->[2]) } $rows[1];
	spew('kept3', scalar `"$build/cli_sign" crm.acme.example 3 $root3`);
	spew('other3', scalar `"$build/cli_sign" crm.acme.example 3 ${\('ab' x 32)}`);
	spew('kept2', scalar `"$build/cli_sign" crm.acme.example 2 ${\('ab' x 32)}`);
	spew('kept7', scalar `"$build/cli_sign" crm.acme.example 7 ${\('ab' x 32)}`);
	spew('other6', scalar `"$build/cli_sign" crm.acme.example 6 ${\('ab' x 32)}`);
	spew('kept6', $size6);
	gives('a path from there', 0, qr/The log extends the kept checkpoint of 3 entries/, @bundle, '--since', 'kept3', 'b');
	is(json('a path from there', 0, @bundle, '--since', 'kept3', 'b')->{extends}, 3, 'JSON: extends');
	gives('the same head', 0, qr/The log extends the kept checkpoint of 6 entries/, @bundle, '--since', 'kept6', 'b');
	gives('another past', 1, qr/the path from the kept checkpoint of size 3: /, @bundle, '--since', 'other3', 'b');
	gives('a fork', 1, qr/same size and another root: together they prove a fork/, @bundle, '--since', 'other6', 'b');
	gives('fork', 0, qr/is forked/, 'fork', @keys, 'kept6', 'other6');
	gives('no path from there', 3, qr/extends the kept checkpoint of size 2 is not shown/, @bundle, '--since', 'kept2', 'b');
	gives('an older bundle', 1, qr/it is older than the kept checkpoint: 6 entries instead of 7/, @bundle, '--since', 'kept7', 'b');
};

done_testing();
