#!/usr/bin/perl
# Feeds the signed notes, verifier keys and proof files collected elsewhere,
# and Wycheproof's Ed25519 tests, to cli_notes and compares its answers with
# theirs. The vectors are not part of this repository: PROVENANCE_VECTORS names
# their folder, by default ../shared/vectors beside the repository; without it
# the test is skipped.
#
# Where we are stricter than a signed note has to be, the case is named below
# with the reason, and the number of such cases is checked: a new one does not
# slip in.
use strict;
use warnings;
use Cwd qw(abs_path);
use Encode qw(encode_utf8);
use File::Basename qw(dirname);
use IPC::Open2;
use JSON::PP;
use MIME::Base64;
use Test::More;

my $top = abs_path(dirname(abs_path(__FILE__)) . '/../..');
my $vectors = $ENV{PROVENANCE_VECTORS} // "$top/../shared/vectors";
plan skip_all => "no vectors at $vectors (set PROVENANCE_VECTORS)" unless -d $vectors;

my $build = $ENV{BUILD} // "$top/build/core";
my $pid = open2(my $out, my $in, "$build/cli_notes");

# The numbers of pv_status that are looked at here, from its header.
my %status = statuses("$top/src/core/status.h");

sub statuses
{
	my ($file) = @_;
	open(my $fh, '<', $file) or die "$file: $!";
	my ($n, %s) = (0);
	while (<$fh>)
	{
		$s{$1} = $n++ if /^\s+(PV_(?:OK|E_\w+))/;
	}
	return %s;
}

sub ask
{
	my ($what, @bytes) = @_;
	print $in join(' ', $what, map { length($_) ? unpack('H*', $_) : '-' } @bytes), "\n";
	$in->flush;
	my $answer = <$out>;
	die 'cli_notes has ended' unless defined $answer;
	return split ' ', $answer;
}

sub load
{
	my ($name) = @_;
	open(my $fh, '<:raw', "$vectors/$name") or die "$name: $!";
	local $/;
	return JSON::PP->new->utf8->decode(<$fh>);
}

# The type byte that a verifier key claims, 0 if it has none.
sub key_type
{
	my ($vkey) = @_;
	return $vkey =~ /^[^+]*\+[0-9a-f]{8}\+(.+)$/ ? ord(decode_base64($1)) : 0;
}

# --- verifier keys ---
my %keys = (accept => 0, reject => 0, 'parse-only' => 0);
my $n = 0;
for my $v (@{ load('notes/vkeys.json') })
{
	my $vkey = encode_utf8($v->{vkey});
	my ($s, $type, $again) = ask('vkey', $vkey);
	my $name = 'vkey ' . ++$n . ' ' . substr($v->{vkey}, 0, 40);
	$keys{ $v->{expect} }++;
	if ($v->{expect} eq 'accept')
	{
		is($s, $status{PV_OK}, "$name: accepted");
		is(pack('H*', $again // ''), $vkey, "$name: written again");
	}
	elsif ($v->{expect} eq 'parse-only')
	{
		is(key_type($vkey), 6, "$name: of ML-DSA-44");
		is($s, $status{PV_E_KEY_TYPE}, "$name: recognised, not supported");
	}
	else
	{
		isnt($s, $status{PV_OK}, "$name: refused");
	}
}
is_deeply(\%keys, { accept => 7, reject => 70, 'parse-only' => 1 }, 'number of verifier keys of each kind')
  or diag explain \%keys;

# --- notes ---
my %notes;
for my $v (@{ load('notes/notes.json') })
{
	my $id = $v->{id};
	my $note = defined $v->{note_hex} ? pack('H*', $v->{note_hex}) : encode_utf8($v->{note} // '');
	my @keys = map { encode_utf8($_) } @{ $v->{keys} };
	my @types = map { key_type($_) } @keys;

	if ($v->{kind} eq 'policy')
	{
		# Two spellings of one root: only the canonical one is a checkpoint's.
		my @s = map { (ask('checkpoint', "o\n1\n$_\n\n\xE2\x80\x94 o AAAAAAA=\n"))[0] } @{ $v->{roots} };
		is($s[0], $status{PV_E_ORIGIN}, "$id: the first root is read (and no key asked about)");
		is($s[1], $status{PV_E_BASE64}, "$id: the second is refused");
		$notes{policy}++;
		next;
	}
	if (@keys && !grep { $_ != 6 } @types)
	{
		my ($s) = ask('note', $note, @keys);
		isnt($s, $status{PV_OK}, "$id: not accepted by keys of ML-DSA-44 alone");
		$notes{unsupported}++;
		next;
	}

	# A cosigner's key makes it a cosignature; the rest are signatures.
	my $cosigned = grep { $_ == 4 } @types;
	my @kinds =
	    $cosigned && $v->{kind} eq 'note' ? ('cosignature')
	  : $v->{kind} eq 'checkpoint' ? ('note', 'checkpoint')
	  : ('note');
	my %s = map { $_ => [ask($_, $note, @keys)] } @kinds;

	if ($v->{expect} eq 'accept')
	{
		$notes{accept}++;
		is($s{$_}[0], $status{PV_OK}, "$id: accepted as $_") for grep { $_ ne 'checkpoint' } @kinds;
		is($s{cosignature}[1], $v->{timestamp}, "$id: time") if defined $v->{timestamp} && $s{cosignature};
		if (my $c = $s{checkpoint})
		{
			my ($origin, $size, $root) = split /\n/, $note;
			my $named = grep { /^\Q$origin\E\+/ } @keys;
			$notes{'name is not origin'}++ unless $named;
			is($c->[0], $named ? $status{PV_OK} : $status{PV_E_ORIGIN},
				"$id: " . ($named ? 'a checkpoint' : "no checkpoint of ours, the key's name is not the origin"));
			is_deeply([ pack('H*', $c->[1]), $c->[2], encode_base64(pack('H*', $c->[3]), '') ],
				[ $origin, $size, $root ], "$id: origin, size and root");
			is($origin, encode_utf8($v->{origin}), "$id: the origin that the vector names");
		}
	}
	elsif ($v->{kind} eq 'checkpoint')
	{
		$notes{reject}++;
		isnt($s{checkpoint}[0], $status{PV_OK}, "$id: refused as a checkpoint");
	}
	else
	{
		$notes{reject}++;
		isnt($s{$_}[0], $status{PV_OK}, "$id: refused as $_") for @kinds;
	}
}

# Three heads of sum.golang.org have the origin "go.sum database tree". None of
# these notes has only keys of ML-DSA-44.
is_deeply(\%notes, { accept => 17, reject => 23, policy => 1, 'name is not origin' => 3 }, 'number of notes of each kind')
  or diag explain \%notes;

# What the collection lacks: a note whose one known key is not supported.
my ($mldsa) = map { encode_utf8($_->{vkey}) } grep { $_->{expect} eq 'parse-only' } @{ load('notes/vkeys.json') };
my ($mname, $mid) = $mldsa =~ /^([^+]+)\+([0-9a-f]{8})\+/;
my $mnote = "text\n\n\xE2\x80\x94 $mname " . encode_base64(pack('H*', $mid) . "\0" x 2428, '') . "\n";
my @m = ask('note', $mnote, $mldsa);
is($m[0], $status{PV_E_UNKNOWN_KEY}, 'a note signed by a key of ML-DSA-44 alone is not accepted');
is("@m[2,3]", 'refused 1', 'and the key is reported as not usable');

# --- proof files ---
my %proofs;
for my $v (@{ load('notes/tlog-proof-syntax.json') })
{
	my ($s, $index, $hashes) = ask('proof', encode_utf8($v->{doc}));
	$proofs{ $v->{expect} }++;
	if ($v->{expect} eq 'parse')
	{
		is($s, $status{PV_OK}, "proof $v->{id}: read");
		is("$index $hashes", "$v->{index} $v->{hashes}", "proof $v->{id}: index and number of hashes");
	}
	else
	{
		isnt($s, $status{PV_OK}, "proof $v->{id}: refused");
	}
}
is_deeply(\%proofs, { parse => 3, reject => 16 }, 'number of proof files of each kind');

# --- Wycheproof ---
my %wyche;
for my $g (@{ load('wycheproof/ed25519_test.json')->{testGroups} })
{
	for my $t (@{ $g->{tests} })
	{
		my ($s) = ask('ed25519', map { pack('H*', $_) } $g->{publicKey}{pk}, $t->{msg}, $t->{sig});
		is($s == $status{PV_OK} ? 'valid' : 'invalid', $t->{result}, "Wycheproof Ed25519 $t->{tcId}");
		is($s, $status{PV_E_SIGNATURE}, "Wycheproof Ed25519 $t->{tcId}: for its signature") if $t->{result} ne 'valid';
		$wyche{ $t->{result} }++;
	}
}
is_deeply(\%wyche, { valid => 88, invalid => 63 }, 'number of Wycheproof tests of each kind');

close $in;
waitpid $pid, 0;
is($?, 0, 'cli_notes ends without a complaint');
done_testing();
