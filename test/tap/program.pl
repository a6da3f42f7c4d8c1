# provenance-verify, as installed, on what a database hands out: bundles in
# every format of COPY and from a database of another encoding, disclosures,
# proofs, tiles, checkpoints. The same refused after a change.
use strict;
use warnings;
use IO::Handle;
use JSON::PP;
use POSIX ();
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

$ENV{PGCLIENTENCODING} = 'UTF8';
my $tmp = PostgreSQL::Test::Utils::tempdir();
my $node = PostgreSQL::Test::Cluster->new('program');
$node->init;
$node->append_conf('postgresql.conf', "fsync = off\nmax_worker_processes = 16\n");
$node->start;

my $program = $node->config_data('--bindir') . '/provenance-verify';
chmod 0777, $tmp;

sub run_program
{
	my (@args) = @_;
	my ($out, $err) = ('', '');
	IPC::Run::run([ $program, @args ], '>', \$out, '2>', \$err);
	return ($? >> 8, $out . $err);
}

sub gives
{
	my ($name, $want, $pattern, @args) = @_;
	my ($rc, $out) = run_program(@args);
	is($rc, $want, "$name: exit code") or diag($out);
	like($out, $pattern, "$name: what it says");
	return $out;
}

sub slurp_raw
{
	open(my $fh, '<:raw', $_[0]) or die "$_[0]: $!";
	local $/;
	return scalar <$fh>;
}

sub spew
{
	my ($file, $content) = @_;
	open(my $fh, '>:raw', $file) or die "$file: $!";
	print $fh $content;
	close $fh;
}

gives('the installed program', 0, qr/^provenance-verify \d+\.\d+$/, '--version');

sub try_database
{
	my ($db, $name) = @_;
	my $sql = sub { return $node->safe_psql($db, $_[0]); };
	my $origin = 'crm-' . int(rand(1e9)) . '.example';
	my $vkey = $sql->("CREATE EXTENSION provenance; SELECT provenance.setup('$origin');");
	my @key = ('--key', $vkey);

	$sql->(qq{
		CREATE TABLE public.contact (id int PRIMARY KEY, "na me" text, note text, at timestamptz);
		SELECT provenance.tag('public.contact', subject => 'na me');
		SET provenance.purpose = 'support';
		INSERT INTO public.contact SELECT n, '$name ' || n, E' a\\\\b\\t|"\\n' || repeat('x', n), '2026-01-01 10:00Z' FROM generate_series(1, 700) n;
		UPDATE public.contact SET note = NULL WHERE id % 2 = 0;});
	my $old = $sql->('SELECT provenance.size(provenance.seal())');
	spew("$tmp/$db.kept", pack('H*', $sql->("SELECT encode(provenance.note(note), 'hex') FROM provenance.checkpoints WHERE size = $old")));
	$sql->(q{DELETE FROM public.contact WHERE id = 7; ALTER TABLE public.contact ADD COLUMN more text DEFAULT 'new';});
	my $size = $sql->('SELECT provenance.size(provenance.seal())');

	# Bundles.
	foreach my $format ('text', 'csv', 'csv, header', 'csv, force_quote *', 'binary')
	{
		my $file = "$tmp/$db." . ($format =~ s/\W//gr);
		$sql->(qq{COPY (SELECT * FROM provenance.export_bundle('public.contact', columns => '{id,na me,note}', recipient => 'globex',
			since_size => 0, context => '{purpose}')) TO '$file' (FORMAT $format)});
		gives("$db, $format", 0, qr/holds\.\nThe log $origin had .*entries of table public\.contact, .*700 insert, 350 update, 1 delete, 699 baseline, 1 tag, 1 schema\.\n.*Disclosed: .*id, "na me", note.*\nWithheld: .*at.*\n.*purpose.*all rows; recipient globex/s,
			'bundle', @key, $file);
		my ($rc, $out) = run_program('bundle', @key, '--values', '--json', $file);
		my @objects = map { decode_json($_) } split /\n/, $out;
		is(scalar(grep { $_->{type} eq 'entry' } @objects), $objects[0]{entries}, "$db, $format: every entry is printed");
		my ($insert) = grep { $_->{type} eq 'entry' && $_->{op} eq 'insert' && $_->{fields}[0]{value} eq '3' } @objects;
		utf8::decode(my $want = "$name 3");
		is_deeply([ map { $_->{value} } @{ $insert->{fields} } ], [ '3', $want, qq{ a\\b\t|"\nxxx}, undef ], "$db, $format: values");
		ok($insert->{fields}[3]{withheld}, "$db, $format: a withheld value");
		my $content = slurp_raw($file);
		foreach (1 .. 5)
		{
			my $at = int(rand(length $content));
			my $changed = $content;
			substr($changed, $at, 1) = chr(ord(substr($content, $at, 1)) ^ 1);
			spew("$file.changed", $changed);
			($rc) = run_program('bundle', @key, "$file.changed");
			ok($rc == 1 || $rc == 3, "$db, $format: byte $at changed");
		}
	}
	# How far it has come, to a terminal: of a file that is a while in coming.
	my $pipe = "$tmp/$db.pipe";
	my $content = slurp_raw("$tmp/$db.text");
	my $shown = '';
	POSIX::mkfifo($pipe, 0600) or die "$pipe: $!";
	my $reading = IPC::Run::start([ 'script', '-qec', "'$program' bundle --key '$vkey' '$pipe'", '/dev/null' ], '<', \undef, '>', \$shown, '2>&1');
	open(my $writing, '>:raw', $pipe) or die "$pipe: $!";
	$writing->autoflush;
	print $writing substr($content, 0, length($content) / 2);
	sleep 2;
	print $writing substr($content, length($content) / 2);
	close $writing;
	ok($reading->finish, "$db: from a pipe");
	like($shown, qr/\r[\d,]+ bytes read.*holds\./s, "$db: how far it has come");

	my $since = "$tmp/$db.since";
	$sql->(qq{COPY (SELECT * FROM provenance.export_bundle('public.contact', since_size => $old)) TO '$since'});
	gives("$db: since", 0, qr/nothing is missing .*, counting from the first .* of the log on\.\nThe log extends the kept checkpoint/,
		'bundle', @key, '--since', "$tmp/$db.kept", $since);
	$sql->(qq{COPY (SELECT * FROM provenance.export_bundle('public.contact', '{7}')) TO '$tmp/$db.row'});
	gives("$db: a row", 0, qr/1 insert, 1 delete, .*some rows/s, 'bundle', @key, "$tmp/$db.row");

	# One entry.
	my $seq = $sql->(q{SELECT seq FROM provenance.history('public.contact', '3') ORDER BY seq LIMIT 1});
	# what an encoding cannot write is given in hexadecimal
	my $bytes = sub { return $_[0] =~ /^\\x/ ? pack('H*', substr($_[0], 2)) : $_[0]; };
	spew("$tmp/$db.disclosure", $bytes->($sql->("SELECT provenance.disclose($seq, '{id}')")));
	gives("$db: disclosure", 0, qr/table public\.contact\.\nDisclosed: id\.\n    id = 3\nWithheld: /, 'disclosure', @key, "$tmp/$db.disclosure");
	spew("$tmp/$db.proof", $bytes->($sql->("SELECT provenance.prove($seq)")));
	spew("$tmp/$db.leaf", $sql->("SELECT provenance.leaf($seq)"));
	gives("$db: proof", 0, qr/is of operation insert/, 'proof', @key, '--leaf', "$tmp/$db.leaf", "$tmp/$db.proof");

	# The log.
	mkdir "$tmp/$db.tiles" or die;
	chmod 0777, "$tmp/$db.tiles";
	$sql->("SELECT provenance.export_tiles('$tmp/$db.tiles')");
	gives("$db: tiles", 0, qr/holds\..*It extends the kept checkpoint/s, 'tiles', @key, '--since', "$tmp/$db.kept", "$tmp/$db.tiles");
	gives("$db: no fork", 1, qr/no fork is shown/, 'fork', @key, "$tmp/$db.kept", "$tmp/$db.tiles/checkpoint");
	my ($old_tile) = glob("$tmp/$db.tiles/tile/entries/000");
	$content = slurp_raw($old_tile);
	substr($content, 5000, 1) ^= "\1";
	spew($old_tile, $content);
	gives("$db: tiles changed", 1, qr/does not hold/, 'tiles', @key, "$tmp/$db.tiles");
	return;
}

try_database('postgres', 'Zoë 日本');
$node->safe_psql('postgres', "CREATE DATABASE latin ENCODING 'LATIN1' TEMPLATE template0 LC_COLLATE 'C' LC_CTYPE 'C'");
try_database('latin', 'Zoë');

$node->stop;
done_testing();
