# Bundles from one database to another: what is good is merged, in every way in;
# everything else is refused, each with its SQLSTATE, and nothing of it stays.
# Forks of a partner's log are caught with evidence, and nobody else is.
use strict;
use warnings;
use Digest::SHA qw(sha256);
use IPC::Run;
use MIME::Base64;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('inbox');
$node->init(extra => [ '--locale=C', '--encoding=UTF8' ]);
$node->append_conf('postgresql.conf', "fsync = off\nmax_worker_processes = 24\nmax_prepared_transactions = 2\nprovenance.publish_interval = '1 h'\n");
$node->start;
my $log_start = -s $node->logfile;		# an earlier run's may be before it
my $tmp = PostgreSQL::Test::Utils::tempdir();
my $run = int(rand(1e9));

sub sql { my ($db, $sql) = @_; return $node->safe_psql($db, $sql); }

# Error output with SQLSTATEs, or 'no error'.
sub fails
{
	my ($db, $sql, %params) = @_;
	my ($rc, $out, $err) = $node->psql($db, $sql, extra_params => [ '-v', 'VERBOSITY=verbose' ], %params);
	return $rc ? $err : "no error: $out";
}

sub new_log
{
	my ($db) = @_;
	sql('postgres', "CREATE DATABASE $db");
	sql($db, 'CREATE EXTENSION provenance');
	return sql($db, "SELECT provenance.setup('$db-$run.example')");
}

# A bundle as a list of [line, kind, content], from what COPY wrote in text format.
sub export
{
	my ($db, $args) = @_;
	my $text = sql($db, "COPY (SELECT * FROM provenance.export_bundle($args)) TO STDOUT");
	my @lines;
	foreach (split /\n/, $text)
	{
		my ($line, $kind, $content) = split /\t/, $_, 3;
		$content =~ s/\\\\/\\/g;
		push @lines, [ $line, $kind, $content ];
	}
	return \@lines;
}

sub text
{
	my ($lines) = @_;
	return join '', map { my ($l, $k, $c) = @$_; $c =~ s/\\/\\\\/g; "$l\t$k\t$c\n" } @$lines;
}

# Puts a text into the inbox; the NOTICE, or the error with its SQLSTATE.
sub put
{
	my ($db, $text, $options, $pre) = @_;
	$options //= '';
	$pre //= '';
	my ($out, $err) = ('', '');
	IPC::Run::run([ 'psql', '-XAqt', '-v', 'ON_ERROR_STOP=1', '-v', 'VERBOSITY=verbose', '-d', $node->connstr($db),
			'-c', "${pre}COPY provenance.inbox FROM STDIN $options" ], '<', \$text, '>', \$out, '2>', \$err);
	return $err;
}

sub copy_lines { return [ map { [@$_] } @{ $_[0] } ]; }

# Numbers, count and digest made right again, so that only what was changed is wrong.
sub mend
{
	my ($lines) = @_;
	my $all = "\x08";
	my $n = 0;
	my $entries = grep { $_->[1] eq 'entry' } @$lines;

	$_->[0] = ++$n foreach @$lines;
	$all .= "$_->[0]\t$_->[1]\t$_->[2]\n" foreach grep { $_->[1] ne 'end' } @$lines;
	foreach (grep { $_->[1] eq 'end' } @$lines)
	{
		my (undef, $gap) = split /\|/, $_->[2], -1;
		$_->[2] = join '|', $entries, $gap, encode_base64(sha256($all), '');
	}
	return $lines;
}

my $counts = join ' UNION ALL ', map { "SELECT '$_', count(*) FROM provenance.$_" }
  qw(partner_registry partner_log partner_checkpoint fork_record merge merged_shape merged_context merged_leaf
  merged_path merged_countersignature entry registry shape);
sub state_of { return sql($_[0], "SELECT * FROM ($counts) c ORDER BY 1"); }

sub refused
{
	my ($db, $text, $sqlstate, $name, @more) = @_;
	my $before = state_of($db);
	my $err = put($db, $text, @more);

	like($err, qr/ERROR:  $sqlstate: /, "$name: $sqlstate") or diag(substr($err, 0, 2000));
	is(state_of($db), $before, "$name: nothing stays");
	return $err;
}

# --- two databases ------------------------------------------------------------

my $key_a = new_log('a');
my $key_b = new_log('b');
my $empty = sql('a', 'SELECT provenance.seal()');
sql('a', q{
	CREATE TABLE contact (id int PRIMARY KEY, name text, email text, status text);
	CREATE TABLE other (id int PRIMARY KEY, v text);
	SELECT provenance.tag('contact', subject => 'id');
	SELECT provenance.tag('other');
	SET provenance.purpose = 'support';
	INSERT INTO contact SELECT i, 'name ' || i, 'é|\\' || i, NULL FROM generate_series(1, 40) i;
	INSERT INTO other SELECT i, 'v' FROM generate_series(1, 5) i;
	UPDATE contact SET status = 'über' WHERE id = 2;
	UPDATE contact SET status = 'x' WHERE id % 3 = 0;
	UPDATE contact SET status = 'y' WHERE id = 3;
	DELETE FROM contact WHERE id = 7;
	SELECT provenance.seal();
});
sql('b', qq{SELECT provenance.add_partner('acme', '$key_a')});

my $all = export('a', q{'contact', NULL, NULL, 'b', NULL, NULL, '{purpose}'});
my $some = export('a', q{'contact', '{3,7}', '{id,email}', 'b'});
my $more = export('a', q{'contact', '{3,7}', '{id,email}', 'b', NULL, NULL, '{purpose}'});
my $others = export('a', q{'other'});
my $size1 = (split /\|/, $all->[0][2])[2];

# --- what is refused, before anything was merged -------------------------------

my @entries = grep { $all->[$_][1] eq 'entry' } 0 .. $#$all;
my $mid = $entries[ @entries / 2 ];

sub with
{
	my ($change, $lines) = @_;
	my $copy = copy_lines($lines // $all);
	$change->($copy);
	isnt(text($copy), text($lines // $all), 'something was changed');
	return text(mend($copy));
}

# Changes the tokens of one line.
sub tokens
{
	my ($lines, $i, $change) = @_;
	my @t = split /\|/, $lines->[$i][2], -1;
	$change->(\@t);
	$lines->[$i][2] = join '|', @t;
}

sub flip { my ($b64) = @_; my $raw = decode_base64($b64); substr($raw, 3, 1) ^= "\x01"; return encode_base64($raw, ''); }

refused('b', '', 'PB002', 'nothing at all');
refused('b', text([ @$all[ 0 .. $#$all - 1 ] ]), 'PB002', 'without the last line');
refused('b', text([ @$all[ 0 .. 10 ] ]), 'PB002', 'the first lines only');
refused('b', substr(text($all), 0, 3000), '(22P04|PB001|PB016)', 'cut within a line');
refused('b', text([ @$all[ 0 .. 9 ], $all->[11], $all->[10], @$all[ 12 .. $#$all ] ]), 'PB003', 'two lines exchanged');
refused('b', text([ @$all[ 0 .. 10 ], @$all[ 10 .. $#$all ] ]), 'PB003', 'a line twice');
refused('b', text([ @$all[ 0 .. 9 ], @$all[ 11 .. $#$all ] ]), 'PB003', 'a line missing');
refused('b', text([ @$all, @$all ]), 'PB003', 'two bundles in one file');
refused('b', text([ reverse @$all ]), 'PB003', 'the other way round');
{
	my $mixed = copy_lines($all);
	$mixed->[0] = [ @{ $some->[0] } ];
	refused('b', text($mixed), 'PB003', 'the header of another bundle');
	$mixed = copy_lines($all);
	$mixed->[$mid][2] = (grep { $_->[1] eq 'entry' } @$others)[1][2];
	refused('b', text($mixed), '(PB003|PB014|PB001|PB016)', 'an entry of another bundle');
}
refused('b', text($all), 'PB014', 'read as LATIN1', "(ENCODING 'LATIN1')");
refused('b', text($all) =~ s/w6l8X/w6l8\xff/r, '22021', 'bytes that are not UTF-8') if text($all) =~ /w6l8X/;
refused('b', text($all), 'PB019', 'session_replication_role', '', 'SET session_replication_role = replica; ');
refused('b', "\\N\tbundle\tx\n", 'PB001', 'no number');
refused('b', "1\t\\N\tx\n", 'PB001', 'no kind');
refused('b', "1\tbundle\t\\N\n", 'PB001', 'no content');
refused('b', "-1\tbundle\tx\n", 'PB003', 'a negative number');
refused('b', "1\tgarbage\tx\n", '(PB001|PB003)', 'a kind that is none');
refused('a', text($all), 'PB006', 'the own log');

# whose it is
refused('b', with(sub { $_[0][0][2] =~ s/a-$run/nobody-$run/ }), 'PB004', 'nobody known');
like(refused('b', with(sub { $_[0][0][2] =~ s/a-$run\.example/a-$run.example\/2/ }), 'PB013', 'another incarnation'),
	qr/partner "acme"/, 'the refusal names the partner');
my ($name_a, undef, $b64_a) = split /\+/, $key_a, 3;
my $wrong = sql('b', q{SELECT provenance.verifier_key()});
sub vkey
{
	my ($name, $type, $public) = @_;
	my $key = chr($type) . $public;
	return "$name+" . unpack('H8', sha256("$name\n$key")) . '+' . encode_base64($key, '');
}
my $other_key = vkey("a-$run.example", 1, sha256('another'));
my $other_incarnation = vkey("a-$run.example/2", 1, sha256('another'));
sql('b', "SELECT provenance.add_partner('acme', '$other_key')");
refused('b', text($all), 'PB007', 'another key of that name');
sql('b', "SELECT provenance.add_partner('acme', '$other_incarnation')");
refused('b', text($all), 'PB007', 'a key of another incarnation');
my $w1 = vkey('w1.example', 4, sha256('w1'));
sql('b', "SELECT provenance.add_partner('acme', '{$key_a}', '{$w1}', 1)");
refused('b', text($all), 'PB008', 'no witness');
refused('b', with(sub {
	my $note = decode_base64($_[0][1][2]);
	my (undef, $id) = split /\+/, $w1;
	$note .= "\xe2\x80\x94 w1.example " . encode_base64(pack('H8', $id) . "\0" x 72, '') . "\n";
	$_[0][1][2] = encode_base64($note, '');
}), 'PB008', 'a wrong cosignature');
sql('b', "SELECT provenance.add_partner('acme', '{$key_a}', '{}', 0); SELECT provenance.remove_partner('acme')");
refused('b', text($all), 'PB005', 'a partner that was removed');
sql('b', "SELECT provenance.add_partner('acme', '$key_a')");

# the head
refused('b', with(sub {
	$_[0][0][2] =~ s/\|$size1\|0\|/|0|0|/;
	$_[0][1][2] = encode_base64($empty . "\n", '');
	@{ $_[0] } = (@{ $_[0] }[ 0, 1 ], [ 3, 'end', '0||' ]);
}), 'PB001', 'size 0');
refused('b', with(sub { $_[0][0][2] =~ s/\|$size1\|0\|/|9223372036854775808|0|/ }), 'PB001', 'size 2^63');
refused('b', with(sub { $_[0][0][2] =~ s/\|$size1\|0\|/|9223372036854775807|0|/ }), 'PB001', 'another size');
refused('b', with(sub { $_[0][0][2] =~ s/\|$size1\|0\|/|$size1|5|/ }), 'PB010', 'a since size that was never seen');
refused('b', with(sub { splice @{ $_[0] }, 2, 0, [ 3, 'consistency', '1|' . encode_base64("\0" x (32 * 65), '') ] }),
	'(PB001|PB016)', 'a path too long');
refused('b', with(sub { $_[0][1][2] = flip($_[0][1][2]) }), '(PB001|PB007|PB013)', 'a bit of the note');
refused('b', with(sub {
	my $note = decode_base64($_[0][1][2]);
	$note =~ s/^([^\n]*\n[^\n]*\n)([^\n]*)/$1 . flip($2)/e;
	$_[0][1][2] = encode_base64($note, '');
}), 'PB007', 'another root under the signature');

# entries
my ($update) = grep { $all->[$_][2] =~ /\|=[^|]{24}x$/ } @entries;
my ($insert) = grep { $all->[$_][2] =~ /\|=[^|]{24}name 20\|/ } @entries;
refused('b', with(sub { $_[0][$insert][2] =~ s/name 20/name 21/ }), 'PB014', 'a value');
refused('b', with(sub { $_[0][$insert][2] =~ s/\|=([^|]{24})name 20/'|=' . flip($1) . 'name 20'/e }), 'PB014', 'a salt');
refused('b', with(sub { tokens($_[0], $insert, sub { my $t = $_[0]; @$t[ -4, -3 ] = @$t[ -3, -4 ] }) }), 'PB014', 'two fields under each other\'s names');
refused('b', with(sub { tokens($_[0], $insert, sub { pop @{ $_[0] } }) }), '(PB001|PB014)', 'a field less');
refused('b', with(sub { tokens($_[0], $insert, sub { push @{ $_[0] }, $_[0][-1] }) }), '(PB001|PB014)', 'a field more');
my ($withheld) = grep { $some->[$_][2] =~ /\|-[^|]{44}\|[:=]/ } grep { $some->[$_][1] eq 'entry' } 0 .. $#$some;
refused('b', with(sub { $_[0][$withheld][2] =~ s/\|-([^|]{44})\|(?=[:=])/'|-' . flip($1) . '|'/e }, $some), 'PB014', 'a digest of a withheld field');
refused('b', with(sub { $_->[2] =~ s/support/selling/ foreach grep { $_->[1] eq 'context' } @{ $_[0] } }), 'PB014', 'a field of the context');
refused('b', with(sub { tokens($_[0], $insert, sub { $_[0][2] = flip($_[0][2]) }) }), '(PB001|PB014|PB016)', 'a bit of a leaf');
refused('b', with(sub { tokens($_[0], $mid, sub { $_[0][0]++ }) }), '(PB001|PB003|PB016)', 'another leaf index');
my ($gap) = grep { $some->[$_][1] eq 'entry' && $some->[$_][2] =~ /^\d+\|[^|]/ } 0 .. $#$some;
refused('b', with(sub { tokens($_[0], $gap, sub { $_[0][1] = flip($_[0][1]) }) }, $some), 'PB016', 'a hash of a gap');
refused('b', with(sub { splice @{ $_[0] }, $update, 1 }), '(PB015|PB016)', 'a row chain with a gap');
refused('b', with(sub { tokens($_[0], $update, sub { $_[0][3]++ }) }), 'PB015', 'another entry named as previous');
refused('b', with(sub { tokens($_[0], $insert, sub { $_[0][4] = 1 - $_[0][4] }) }), 'PB015', 'a next entry that there is not');
{
	# entries of another table, another log, a shape with two columns of a name
	my ($shape) = grep { $all->[$_][1] eq 'shape' } 0 .. $#$all;
	my ($foreign) = grep { $_->[1] eq 'shape' } @$others;

	refused('b', with(sub { $_[0][$shape][2] = $foreign->[2] }), 'PB013', 'the shape of another table');
	refused('b', with(sub { $_[0][$mid][2] = (grep { $_->[1] eq 'entry' } @$others)[2][2]; }), '(PB001|PB003|PB014|PB016)', 'an entry of another table');
	new_log('c');
	sql('c', q{CREATE TABLE contact (id int PRIMARY KEY, name text, email text, status text); SELECT provenance.tag('contact', subject => 'id');
		INSERT INTO contact SELECT i, 'name ' || i, 'c', NULL FROM generate_series(1, 40) i; SELECT provenance.seal()});
	my ($elsewhere) = grep { $_->[2] =~ /\|=[^|]{24}name 20\|/ } @{ export('c', q{'contact'}) };
	my @elsewhere = split /\|/, $elsewhere->[2], -1;
	refused('b', with(sub { tokens($_[0], $insert, sub { $_[0][2] = $elsewhere[2] }) }), 'PB01[46]', 'the leaf of another log');
	refused('b', with(sub { tokens($_[0], $insert, sub { my $t = $_[0]; @$t[ 2, 5 .. $#$t ] = @elsewhere[ 2, 5 .. $#$t ] }) }), 'PB01[46]', 'leaf and fields of another log');
	refused('b', with(sub {
		my ($slot, $raw) = split /\|/, $_[0][$shape][2];
		$raw = decode_base64($raw);
		$raw =~ s/a-$run/c-$run/;
		$_[0][$shape][2] = "$slot|" . encode_base64($raw, '');
	}), 'PB013', 'the shape of another log');
	refused('b', with(sub {
		my ($slot, $raw) = split /\|/, $_[0][$shape][2];
		$raw = decode_base64($raw);
		$raw =~ s/\0\x05email/\0\x04name/;
		$_[0][$shape][2] = "$slot|" . encode_base64($raw, '');
	}), 'PB001', 'two columns of one name');
}
like(fails('b', q{INSERT INTO provenance.inbox SELECT i, 'x', 'y' FROM generate_series(1, 1000000) i}), qr/ERROR:  PB00[13]: bundle refused at line 1/, 'a million lines of garbage');
{
	my $file = PostgreSQL::Test::Utils::tempdir . '/long';

	open my $h, '>', $file or die "$file: $!";
	print $h "1\tbundle\t";
	print $h 'x' x 1_000_000 foreach 1 .. 500;
	print $h "\n";
	close $h or die "$file: $!";
	like(fails('b', "COPY provenance.inbox FROM '$file'"), qr/ERROR:  PB001: bundle refused at line 1: /, '500 MB in one field');
	unlink $file;
}
my $log = substr(slurp_file($node->logfile), $log_start);
unlike($log, qr/name 2[01]/, 'no value in the server log');
like($log, qr/LOG:  bundle of partner "acme" refused at line \d+: /, 'the refusals are');

# --- killed and cancelled midway -------------------------------------------------

sub half
{
	my ($end) = @_;
	my ($in, $out, $err) = (text([ @$all[ 0 .. $#$all - 3 ] ]), "", "");	# more than psql keeps back
	my $before = state_of('b');
	my $h = IPC::Run::start([ 'psql', '-XAqt', '-d', $node->connstr('b'), '-c', 'COPY provenance.inbox FROM STDIN' ],
		'<', \$in, '>', \$out, '2>', \$err, IPC::Run::timeout(60));

	$h->pump while length $in;
	$node->poll_query_until('b', q{SELECT count(*) = 1 FROM pg_locks WHERE locktype = 'advisory' AND objsubid NOT IN (1, 2) AND mode = 'ExclusiveLock'
		AND pid IN (SELECT pid FROM pg_stat_activity WHERE query LIKE 'COPY provenance.inbox%')});
	$end->();
	eval { $h->kill_kill };
	$node->poll_query_until('b', q{SELECT count(*) = 0 FROM pg_stat_activity WHERE query LIKE 'COPY provenance.inbox%' AND pid <> pg_backend_pid()});
	is(state_of('b'), $before, 'nothing stays of a COPY that ended midway');
	return $err;
}
half(sub { sql('b', q{SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE query LIKE 'COPY provenance.inbox%'}) });
half(sub { sql('b', q{SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'COPY provenance.inbox%'}) });
half(sub { $node->stop('immediate'); $node->start; });

# --- what is good ------------------------------------------------------------------

my $n = @entries;
like(put('b', text($all)), qr/NOTICE:.*partner "acme": $n entries, $n of them new, at log size $size1/, 'merged');
my $after = sql('b', 'SELECT count(*) FROM provenance.merged_leaf');
like(put('b', text($all)), qr/NOTICE:.*had been merged; nothing was done/, 'the same again');
is(sql('b', 'SELECT count(*) FROM provenance.merge'), 1, 'is one merge');
is(sql('b', 'SELECT count(DISTINCT merge_id) FROM provenance.merged_path'), 1, 'and has no paths twice');
like(put('b', text($some)), qr/NOTICE:.*partner "acme": \d+ entries, 0 of them new/, 'a part of it');
is(sql('b', q{SET search_path = public, provenance; SELECT bool_and(verify_inclusion(prove_merged('acme', leaf_index), leaf, vkeys[1])), count(*)
	FROM merged_leaf, partner}), "t|$after", 'every merged entry can be proven');
is(sql('b', q{SELECT key, op, fields, withheld, context FROM provenance.merged_entry WHERE fields ->> 'name' = 'name 20'}),
	'{"id": 20}|insert|{"id": 20, "name": "name 20", "email": "é|\\\\20", "status": null}|{}|{"purpose": "support"}', 'and read');
is(sql('b', q{SELECT count(*) FROM provenance.history('provenance.merge', (SELECT min(merge_id) FROM provenance.merge))}), 1, 'the merge is an entry');
is(sql('b', 'SELECT provenance.seal() IS NOT NULL; SELECT count(*) FROM provenance.verify()'), "t\n0", 'the own log verifies');

# every format, and INSERT
foreach my $format ('text', 'csv', 'binary')
{
	my $new = new_log("b$format");
	sql("b$format", "SELECT provenance.add_partner('acme', '$key_a')");
	sql('a', "COPY (SELECT * FROM provenance.export_bundle('contact')) TO '$tmp/$format' (FORMAT $format)");
	sql("b$format", "COPY provenance.inbox FROM '$tmp/$format' (FORMAT $format)");
	is(sql("b$format", 'SELECT count(*) FROM provenance.merged_leaf'), $n, "COPY in format $format");
	sql("b$format", "CREATE TABLE bundle (line bigint, kind text, content text); COPY bundle FROM '$tmp/$format' (FORMAT $format)");
}
like(fails('bcsv', q{INSERT INTO provenance.inbox SELECT * FROM bundle ORDER BY line DESC}), qr/PB003/, 'INSERT in another order');
like(fails('bcsv', q{SET session_replication_role = replica; INSERT INTO provenance.inbox SELECT * FROM bundle ORDER BY line}), qr/PB019/, 'INSERT in replica mode');
is(sql('bcsv', q{INSERT INTO provenance.inbox SELECT * FROM bundle ORDER BY line; SELECT count(*) FROM provenance.merge}), 1, 'INSERT of what was merged');
like(fails('bcsv', q{INSERT INTO provenance.inbox SELECT * FROM bundle WHERE false}), qr/PB002/, 'INSERT of nothing');

# rows wider than a page's quarter, more paths than fit one row: written, found, proven
sql('a', q{
	CREATE TABLE wide (id int PRIMARY KEY, doc text);
	SELECT provenance.tag('wide');
	INSERT INTO wide SELECT i, (SELECT string_agg(md5(i || ' ' || j), '') FROM generate_series(1, 200) j) FROM generate_series(1, 1100) i;
	SELECT provenance.seal();
});
sql('a', "COPY (SELECT * FROM provenance.export_bundle('wide')) TO '$tmp/wide'");
new_log('wide');
sql('wide', "SELECT provenance.add_partner('acme', '$key_a')");
my $memory = q{SELECT substring(pg_read_file('/proc/self/status') from 'RssAnon:\\s+(\\d+) kB')};
if (-r '/proc/self/status')
{
	my ($less, $more) = split /\n/, sql('wide', "$memory; COPY provenance.inbox FROM '$tmp/wide'; $memory");
	cmp_ok($more - $less, '<', 0.6 * (-s "$tmp/wide") / 1024, 'memory does not grow with the bundle');
}
sql('wide', "COPY provenance.inbox FROM '$tmp/wide'") foreach 1, 2;
is(sql('wide', q{SET enable_seqscan = off; SET enable_bitmapscan = off;
	SELECT (SELECT count(*) FROM provenance.merged_leaf WHERE leaf_index >= 0 AND log_id > 0), (SELECT count(DISTINCT merge_id) FROM provenance.merged_path WHERE merge_id > 0),
		(SELECT count(*) > 3 FROM provenance.merged_path WHERE first_leaf >= 0 AND merge_id > 0)}), '1101|1|t', 'wide entries: all are in the index');
is(sql('wide', q{SET search_path = public, provenance; SELECT bool_and(verify_inclusion(prove_merged('acme', leaf_index), leaf, vkeys[1])), count(*)
	FROM merged_leaf, partner WHERE leaf_index % 100 = 7}), 't|11', 'wide entries: proven');
is(sql('wide', q{SELECT count(*) FROM provenance.merged_entry WHERE fields ->> 'doc' LIKE md5((key ->> 'id') || ' 1') || '%'}), 1100, 'wide entries: read');

# a database that lacks characters: refused, also where they stand in base64
sql('a', q{INSERT INTO other VALUES (50, 'a|日本'); SELECT provenance.seal()});
sql('postgres', q{CREATE DATABASE latin ENCODING 'LATIN1' TEMPLATE template0});
sql('latin', q{CREATE EXTENSION provenance});
sql('latin', "SELECT provenance.setup('latin-$run.example'); SELECT provenance.add_partner('acme', '$key_a')");
{
	my $mine = export('a', q{'other', '{50}'});
	like(refused('latin', text($mine), '22P05', 'a character that LATIN1 lacks', "(ENCODING 'UTF8')"), qr/bundle of partner "acme" refused at line \d+: a text has/, 'and it says where');
	like(put('latin', text(export('a', q{'contact'})), "(ENCODING 'UTF8')"), qr/NOTICE:.*partner "acme"/, 'those that it has are merged');
	is(sql('latin', q{SELECT encode(convert_to(fields ->> 'email', 'UTF8'), 'hex') FROM provenance.merged_entry WHERE key ->> 'id' = '20' AND op = 'insert'}),
		unpack('H*', 'é|\\20'), 'and read');
}
sql('a', q{DELETE FROM other WHERE id = 50; SELECT provenance.seal()});

# nested statements, and errors that are caught
new_log('d');
sql('d', "SELECT provenance.add_partner('acme', '$key_a')");
sql('d', "CREATE TABLE bundle (line bigint, kind text, content text); COPY bundle FROM '$tmp/csv' (FORMAT csv)");
sql('d', q{CREATE FUNCTION nested(line bigint, broken bool) RETURNS bigint LANGUAGE plpgsql AS $$ BEGIN
	IF line = 9 THEN
		BEGIN
			INSERT INTO provenance.inbox SELECT b.line, b.kind, CASE WHEN broken AND b.line = 8 THEN 'x' ELSE b.content END FROM bundle b ORDER BY 1;
		EXCEPTION WHEN SQLSTATE 'PB001' OR SQLSTATE 'PB003' THEN
			RAISE NOTICE 'refused';
		END;
	END IF;
	RETURN line;
END $$});
is(sql('d', q{INSERT INTO provenance.inbox SELECT nested(line, true), kind, content FROM (SELECT * FROM bundle ORDER BY line) b; SELECT count(*) FROM provenance.merge}),
	1, 'a refused bundle within a good one');
like((sub { my (undef, undef, $err) = $node->psql('d', q{INSERT INTO provenance.inbox SELECT nested(line, false), kind, content FROM (SELECT * FROM bundle ORDER BY line) b}); $err })->(),
	qr/NOTICE:  refused/, 'two bundles of one partner, one within the other: the inner one is not taken, since neither is known to extend the other');
is(sql('d', q{DO $$ BEGIN
		INSERT INTO provenance.inbox VALUES (1, 'x', 'y');
	EXCEPTION WHEN SQLSTATE 'PB001' OR SQLSTATE 'PB003' THEN
		INSERT INTO provenance.inbox SELECT * FROM bundle ORDER BY line;
	END $$; SELECT count(*) FROM provenance.merge}), 1, 'and before one');

# what several bundles disclose of one entry is united
new_log('u');
sql('u', "SELECT provenance.add_partner('acme', '$key_a')");
sub shown { return sql('u', q{SELECT fields, withheld, context FROM provenance.merged_entry WHERE key ->> 'id' = '21' AND op = 'insert'}); }
sql('a', 'SELECT provenance.seal()');
my @parts = map { export('a', "'contact', '{21}', $_") } q('{id,email}'), q('{id,name}', NULL, NULL, NULL, '{purpose}'), q('{id}', NULL, NULL, NULL, '{db_user}'), q('{id,email}');
my $one_size = (split /\|/, $parts[0][0][2])[2];
is((split /\|/, $_->[0][2])[2], $one_size, 'one checkpoint') foreach @parts;
put('u', text($parts[0]));
is(shown(), '{"id": 21, "email": "é|\\\\21"}|{name,status}|', 'disclosed first');
put('u', text($parts[1]));
is(shown(), '{"id": 21, "name": "name 21", "email": "é|\\\\21"}|{status}|{"purpose": "support"}', 'then another field, and one of the context');
put('u', text($parts[2]));
is(sql('u', q{SELECT context ->> 'purpose', context ? 'db_user' FROM provenance.merged_entry WHERE key ->> 'id' = '21' AND op = 'insert'}), 'support|t', 'then another one of the context');
like(put('u', text($parts[3])), qr/(nothing was done|0 of them new)/, 'and nothing more');
is(sql('u', 'SELECT count(*) = count(DISTINCT (log_id, leaf_index)) FROM provenance.merged_leaf'), 't', 'each entry once');
is(sql('u', q{SET search_path = public, provenance; SELECT bool_and(verify_inclusion(prove_merged('acme', leaf_index), leaf, vkeys[1])) FROM merged_leaf, partner}), 't', 'and all proven');

# a witness that is demanded, and has cosigned
my $witness = sql('u', 'SELECT provenance.setup_witness()');
my $line = sql('u', q{SELECT provenance.cosign('acme')});
sql('a', "SELECT provenance.set_witness_policy(1, '{$witness}'); SELECT provenance.add_cosignature(\$cosignature\$$line\$cosignature\$) IS NOT NULL");
new_log('strict');
sql('strict', "SELECT provenance.add_partner('acme', '{$key_a}', '{$witness,$w1}', 1)");
refused('strict', text($parts[0]), 'PB008', 'exported before the witness cosigned');
like(put('strict', text(export('a', q{'contact', '{21}'}))), qr/entries, \d+ of them new/, 'one of two witnesses, as demanded');
sql('strict', "SELECT provenance.add_partner('acme', '{$key_a}', '{$witness,$w1}', 2)");
refused('strict', text(export('a', q{'contact', '{22}'})), 'PB008', 'one of two, where two are demanded');

# two sessions with one bundle: one merge
{
	new_log('two');
	sql('two', "SELECT provenance.add_partner('acme', '$key_a')");
	my $first = $node->background_psql('two', on_error_stop => 0);
	$first->query_safe("SET client_min_messages = error; BEGIN; COPY provenance.inbox FROM '$tmp/text'");
	my $second = $node->background_psql('two', on_error_stop => 0);
	$second->query_until(qr/started/, "\\echo started\nSET client_min_messages = error;\nCOPY provenance.inbox FROM '$tmp/text';\n");
	ok($node->poll_query_until('two', q{SELECT count(*) = 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted}), 'the second waits');
	$first->query_safe('COMMIT');
	$_->quit foreach $second, $first;
	is(sql('two', 'SELECT count(*), min(entries) = max(new_entries) FROM provenance.merge'), '1|t', 'and has nothing to do');
}

# transactions: what is rolled back is as if it had not been, the rest is there at once
{
	my $new = new_log('tx');
	my $good = 'INSERT INTO provenance.inbox SELECT * FROM bundle ORDER BY line';
	my $bad = "COPY provenance.inbox FROM '$tmp/csv' (FORMAT csv) WHERE line < 30";
	my $merges = 'SELECT count(*) FROM provenance.merge';

	sql('tx', "SELECT provenance.add_partner('acme', '$key_a')");
	sql('tx', "CREATE TABLE bundle (line bigint, kind text, content text); COPY bundle FROM '$tmp/csv' (FORMAT csv)");
	like(fails('tx', "WITH x AS ($good RETURNING line), y AS ($good RETURNING line) SELECT count(*) FROM x, y"), qr/ERROR:  PB003/, 'two bundles in one statement');
	my (undef, $out, $err) = $node->psql('tx', "BEGIN; SAVEPOINT s; $bad; ROLLBACK TO s; $good; SAVEPOINT t; $good; ROLLBACK TO s; $merges; $good; $good; $merges;
		PREPARE TRANSACTION 'tx'; SET lock_timeout = '100ms'; $good", on_error_stop => 0);
	is($out, "0\n1", 'back to a savepoint, and once more');
	like($err, qr/refused at line 30: the last line is missing.*lock timeout/s, 'a prepared merge holds others up');
	is(sql('tx', "ROLLBACK PREPARED 'tx'; $merges"), '0', 'and is rolled back');
	is(sql('tx', "BEGIN; $good; PREPARE TRANSACTION 'tx'; COMMIT PREPARED 'tx'; $merges"), '1', 'or committed');
	is(sql('tx', "BEGIN ISOLATION LEVEL SERIALIZABLE; $merges; $good; $merges; COMMIT"), "1\n1", 'SERIALIZABLE');

	# a snapshot older than what another session has merged meanwhile
	my $later = new_log('tx2');
	sql('tx2', "SELECT provenance.add_partner('acme', '$key_a')");
	sql('tx2', "CREATE TABLE bundle (line bigint, kind text, content text); COPY bundle FROM '$tmp/csv' (FORMAT csv)");
	my $h = $node->background_psql('tx2');
	$h->query_safe("BEGIN ISOLATION LEVEL REPEATABLE READ; $merges");
	sql('tx2', $good);
	is($h->query_safe("SET client_min_messages = error; $good; COMMIT; $merges"), '1', 'REPEATABLE READ: what another session has merged is known');
	$h->quit;
}

# indexes of merged entries that are built meanwhile: not ready, then ready beside those that they will replace
{
	new_log('re');
	sql('re', "CREATE EXTENSION amcheck; SELECT provenance.add_partner('acme', '$key_a')");
	my $holds = 'SET client_min_messages = error; BEGIN; LOCK TABLE provenance.merged_leaf IN ROW EXCLUSIVE MODE';
	my $waits = q{SELECT count(*) = 1 FROM pg_stat_progress_create_index p JOIN pg_locks l USING (pid) WHERE NOT l.granted AND p.phase = 'waiting for %s'};
	my $ready = q{SELECT count(*) - count(*) FILTER (WHERE indisready), count(*) FILTER (WHERE indisready) FROM pg_index WHERE indrelid = 'provenance.merged_leaf'::regclass};
	my ($first, $second, $third) = map { $node->background_psql('re') } 1 .. 3;
	$first->query_safe($holds);
	my $reindex = IPC::Run::start([ 'psql', '-XAqt', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr('re'), '-c', 'REINDEX TABLE CONCURRENTLY provenance.merged_leaf' ],
		'<', \undef, '>', \my $out, '2>', \my $err);
	ok($node->poll_query_until('re', sprintf($waits, 'writers before build')), 'indexes that are being built');
	is(sql('re', $ready), '3|3', 'and are not ready');
	like(put('re', text($some)), qr/NOTICE:.*partner "acme"/, 'a merge beside them');
	$second->query_safe($holds);
	$first->query_safe('COMMIT');
	ok($node->poll_query_until('re', sprintf($waits, 'writers before validation')), 'built');
	is(sql('re', $ready), '0|6', 'and ready');
	append_to_file("$tmp/all", text($all));
	$third->query_safe("SET client_min_messages = error; BEGIN; COPY provenance.inbox FROM '$tmp/all'");
	$second->query_safe('COMMIT');
	ok($node->poll_query_until('re', sprintf($waits, 'readers before marking dead')), 'and valid, without having seen a merge that goes on');
	$third->query_safe('COMMIT');
	$_->quit foreach $first, $second, $third;
	ok($reindex->finish, 'REINDEX CONCURRENTLY') or diag($err);
	is(sql('re', $ready), '0|3', 'took the place of the others');
	is(sql('re', 'SELECT count(*) FROM provenance.merged_leaf'), $n, 'all entries are merged');
	like(fails('re', q{SELECT bt_index_check(indexrelid, true) FROM pg_index WHERE indrelid = 'provenance.merged_leaf'::regclass}), qr/^no error/, 'and each once in each index');

	# what a row gets later, where only an index that summarizes needs to know (16)
	new_log('later');
	sql('later', "SELECT provenance.add_partner('acme', '$key_a')");
	like(put('later', text($some)), qr/NOTICE:.*partner "acme"/, 'entries without their context');
	sql('later', 'CREATE INDEX ON provenance.merged_leaf USING brin (context_id)');
	like(put('later', text($more)), qr/entries, 0 of them new/, 'their context');
	is(sql('later', q{SET enable_seqscan = off; SELECT count(*) FROM provenance.merged_leaf WHERE context_id > 0}),
		sql('later', 'SELECT count(*) FROM provenance.merged_leaf'), 'is found');
}

# unprivileged roles
sql('b', q{CREATE ROLE nobody LOGIN; CREATE ROLE courier LOGIN; GRANT INSERT ON provenance.inbox TO courier});
like(put('b', text($all), '', 'SET ROLE nobody; '), qr/42501/, 'without INSERT on the inbox');
like(put('b', text($all), '', 'SET ROLE courier; '), qr/nothing was done/, 'with it');
foreach my $what ('merged_leaf', 'merged_entry', 'partner', 'partner_registry', 'merge')
{
	like(fails('b', "SET ROLE courier; SELECT * FROM provenance.$what"), qr/42501/, "who may insert may not read $what");
}
like(fails('b', q{SET ROLE courier; SELECT provenance.prove_merged('acme', 1)}), qr/42501/, 'nor have proofs');

# --- the log grows --------------------------------------------------------------------

sql('a', q{UPDATE contact SET status = 'z' WHERE id = 9; INSERT INTO contact VALUES (100, 'new', 'new', 'new'); SELECT provenance.seal()});
my $size2 = sql('a', 'SELECT max(size) FROM provenance.checkpoints');
my $full2 = export('a', q{'contact'});
my $since2 = export('a', qq{'contact', NULL, NULL, 'b', $size1});
like(refused('b', text($full2), 'PB010', 'nothing connects it'), qr/HINT:.*since_size => $size1/, 'and what to ask for');
refused('b', with(sub { $_[0][2][2] =~ s/\|(.*)/'|' . flip($1)/e }, $since2), 'PB011', 'a wrong path');
refused('b', with(sub { tokens($_[0], (grep { $since2->[$_][2] =~ /^\d+\|[^|]*\|[^|]*\|\d/ } grep { $since2->[$_][1] eq 'entry' } 0 .. $#$since2)[0],
	sub { $_[0][3]-- }) }, $since2), 'PB015', 'a previous entry that was merged as another one');
like(put('b', text($since2)), qr/NOTICE:.*at log size $size2/, 'what came after the last one');
is(sql('b', 'SELECT size FROM provenance.partner'), $size2, 'the newest checkpoint seen');
refused('b', text($some), 'PB009', 'an older one');
like(put('b', text($full2)), qr/NOTICE:.*at log size $size2/, 'the full history at a known size');
is(sql('b', q{SET search_path = public, provenance; SELECT bool_and(verify_inclusion(prove_merged('acme', leaf_index), leaf, vkeys[1])) FROM merged_leaf, partner}), 't', 'and proofs of all');
is(sql('b', 'SELECT state FROM provenance.partner'), 'trusted', 'nobody was condemned');
is(sql('b', 'SELECT count(*) FROM provenance.fork_evidence'), 0, 'and there is no evidence');

# --- forks --------------------------------------------------------------------------------

# A log restored with its key: the clone goes on from a copy of the state directory.
sub fork_of
{
	my ($db, $clone) = @_;
	my $dir = sql($db, 'SELECT state_directory FROM provenance.status');
	my $name = sql($db, 'SELECT origin FROM provenance.status');
	$name = sql($db, "SELECT encode(sha256('$name'), 'hex')");

	sql('postgres', "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '$db' AND pid <> pg_backend_pid()");
	$node->poll_query_until('postgres', "SELECT count(*) = 0 FROM pg_stat_activity WHERE datname = '$db'");
	sql('postgres', "CREATE DATABASE $clone TEMPLATE $db");
	mkdir "$tmp/$clone", 0700 or die $!;
	my $inode = (stat "$tmp/$clone")[1];
	my $oid = sql('postgres', "SELECT oid FROM pg_database WHERE datname = '$clone'");
	my $state = slurp_file("$dir/$name.state");
	$state =~ s/^database \d+$/database $oid/m;
	$state =~ s/^inode \d+$/inode $inode/m;
	foreach ([ 'state', $state ], [ 'key', slurp_file("$dir/$name.key") ])
	{
		open(my $fh, '>', "$tmp/$clone/$name.$_->[0]") or die $!;
		print $fh $_->[1];
		close $fh;
		chmod 0600, "$tmp/$clone/$name.$_->[0]";
	}
	sql('postgres', "ALTER DATABASE $clone SET provenance.state_directory = '$tmp/$clone'");
	sql($clone, "SELECT provenance.stop_worker(); SELECT provenance.start_worker()");
}

fork_of('a', 'evil');
sql($_, "UPDATE contact SET status = '$_' WHERE id = 20; SELECT provenance.seal()") foreach 'a', 'evil';
my $size3 = sql('a', 'SELECT max(size) FROM provenance.checkpoints');
is(sql('evil', 'SELECT max(size) FROM provenance.checkpoints'), $size3, 'two logs of one size');
my $honest = export('a', qq{'contact', NULL, NULL, 'b', $size2});
my $forked = export('evil', qq{'contact', NULL, NULL, 'b', $size2});
# … with a line for a key that will be the partner's: what it is worth shows when it is registered
like(put('b', with(sub {
	my (undef, $id) = split /\+/, $other_key;
	$_[0][1][2] = encode_base64(decode_base64($_[0][1][2]) . "\xe2\x80\x94 a-$run.example " . encode_base64(pack('H8', $id) . "\0" x 64, '') . "\n", '');
}, $honest)), qr/NOTICE:.*at log size $size3/, 'the first of them is merged');
my $before = sql('b', 'SELECT count(*), max(merge_id) FROM provenance.merged_leaf');

# a checkpoint that is not signed is no evidence
refused('b', with(sub {
	my $note = decode_base64($_[0][1][2]);
	$note =~ s/^([^\n]*\n[^\n]*\n)([^\n]*)/$1 . flip($2)/e;
	$_[0][1][2] = encode_base64($note, '');
}, $forked), 'PB007', 'another root that nobody signed');
is(sql('b', 'SELECT state FROM provenance.partner'), 'trusted', 'which condemns nobody');

sql('b', "SELECT provenance.add_partner('acme', '{$key_a,$other_key}', '{$w1}', 1)");	# whoever else signed it
like(put('b', text($forked), '', "SELECT provenance.set_pseudonym_key('acme', NULL); "), qr/ERROR:  PB020: bundle of partner "acme" refused at line 2.*\n.*DETAIL:.*this very transaction.*\nHINT:  Commit/i,
	'a fork in a transaction that has changed the registry');
is(sql('b', 'SELECT state, (SELECT count(*) FROM provenance.fork_record) FROM provenance.partner'), 'trusted|0', 'is refused, and not recorded');
like(put('b', text($forked)), qr/ERROR:  PB012: .*refused at line 2.*\n.*DETAIL:.*same size, $size3.*\nHINT:.*until an administrator decides/, 'a second log of the same size');
is(sql('b', 'SELECT state FROM provenance.partner'), 'forked', 'the partner is forked');
is(sql('b', 'SELECT count(*), max(merge_id) FROM provenance.merged_leaf'), $before, 'nothing was merged');
is(sql('b', q{SET search_path = public, provenance; SELECT kind, partner, size(note_a) = size(note_b), root(note_a) <> root(note_b), origin(note_a) = origin(note_b), resolved_at FROM fork_evidence}),
	'checkpoint|acme|t|t|t|', 'the evidence');
refused('b', text($honest), 'PB005', 'nothing more is merged');
sql('b', q{SELECT provenance.add_partner('acme', vkeys[:1], '{}', 0) FROM provenance.partner; SELECT provenance.remove_partner('acme'); SELECT provenance.add_partner('acme', (SELECT vkeys[1] FROM provenance.partner))});
is(sql('b', 'SELECT state FROM provenance.partner'), 'forked', 'not even after it was added again');
is(sql('b', q{SELECT provenance.resolve_fork('acme', 'a restored copy; the real one goes on'); SELECT state FROM provenance.partner}), "\ntrusted", 'until an administrator decides');
like(put('b', text($forked)), qr/ERROR:  PB012: .*\n.*\nHINT:  An administrator has decided about this evidence/, 'the same evidence again');
is(sql('b', 'SELECT state, (SELECT count(*) FROM provenance.fork_evidence WHERE resolved_by IS NOT NULL) FROM provenance.partner'), 'trusted|1', 'changes nothing');

# two leaves at one index, sizes differing
sql('evil', q{UPDATE contact SET status = 'more' WHERE id = 21; SELECT provenance.seal()});
my $leaf_fork = export('evil', q{'contact', NULL, NULL, 'b'});
my ($other_leaf) = grep { $leaf_fork->[$_][1] eq 'entry' && $leaf_fork->[$_][2] =~ /evil$/ } 0 .. $#$leaf_fork;
foreach my $try (1 .. 12)
{
	# every hash and leaf after the head: spoiled, it proves nothing
	my $copy = copy_lines($leaf_fork);
	my $i = $try == 1 ? $#$copy : $other_leaf - 6 + $try;
	next if $i > $#$copy;
	my @t = split /\|/, $copy->[$i][2], -1;
	$t[ $copy->[$i][1] eq 'end' ? 1 : 2 ] = flip($t[ $copy->[$i][1] eq 'end' ? 1 : 2 ]) if ($copy->[$i][1] ne 'end' || $t[1] ne '');
	$copy->[$i][2] = join '|', @t;
	next if text($copy) eq text($leaf_fork);
	refused('b', text(mend($copy)), 'PB01[01]', "a spoiled line $i of a fork");
}
refused('b', text([ @$leaf_fork[ 0 .. $#$leaf_fork - 1 ] ]), 'PB01[01]', 'a fork without its end');
is(sql('b', 'SELECT state FROM provenance.partner'), 'trusted', 'that condemns nobody');
like(put('b', text($leaf_fork)), qr/ERROR:  PB012: .*\n.*DETAIL:  Another entry was merged at leaf index/, 'another leaf at an index');
is(sql('b', 'SELECT state FROM provenance.partner'), 'forked', 'is a fork');
is(sql('b', q{SET search_path = public, provenance; SELECT verify_inclusion(proof_a, leaf_a, p.vkeys[1]), verify_inclusion(proof_b, leaf_b, p.vkeys[1]), leaf_a <> leaf_b,
	leaf_index(proof_a) = leaf_index(proof_b) FROM fork_evidence f, partner p WHERE kind = 'leaf'}), 't|t|t|t', 'with evidence that stands alone');
sql('b', q{SELECT provenance.seal()});
is(sql('b', 'SELECT count(*) FROM provenance.verify()'), 0, 'the own log verifies');

# --- what was merged, edited afterwards --------------------------------------------

# each in a transaction that is rolled back: verify() names it by its code
my ($edit_log, $edit_leaf) = split /\|/, sql('b', q{SELECT log_id, leaf_index FROM provenance.merged_leaf
	WHERE context_id IS NOT NULL AND fields LIKE '%=%' ORDER BY 1, 2 LIMIT 1});
my $there = "log_id = $edit_log AND leaf_index = $edit_leaf";
my $its_shape = "shape_id = (SELECT shape_id FROM provenance.merged_leaf WHERE $there)";
my $its_context = "context_id = (SELECT context_id FROM provenance.merged_leaf WHERE $there)";
my $flip_first = sub { "set_byte($_[0], $_[1], get_byte($_[0], $_[1]) # 1)" };
sub edited
{
	my ($edit, $code, $name) = @_;
	my $found = sql('b', "BEGIN; SET LOCAL session_replication_role = replica; $edit;
		SELECT string_agg(DISTINCT code || ' ' || severity || ' ' || (object LIKE 'acme/a-$run.example%' OR object LIKE 'log %'), ',') FROM provenance.verify(); ROLLBACK");
	is($found, $code, "$name: $code");
	is(sql('b', "BEGIN; SET LOCAL session_replication_role = replica; SET LOCAL client_min_messages = warning; $edit;
		SELECT string_agg(DISTINCT code || ' error true', ',') FROM provenance.verify(budget => '1 min'); ROLLBACK"), $code =~ s/^merge_incomplete error true,//r, "$name: in a sample");
}
sub unproven
{
	my ($edit, $name) = @_;
	like(fails('b', "BEGIN; SET LOCAL session_replication_role = replica; $edit; SELECT provenance.prove_merged('acme', $edit_leaf)"),
		qr/ERROR:  XX001: /, "$name: not proven");
}
foreach (
	[ "UPDATE provenance.merged_leaf SET fields = regexp_replace(fields, '(=.{24})', '\\1forged') WHERE $there", 'a value' ],
	[ "UPDATE provenance.merged_leaf SET fields = fields || '|' WHERE $there", 'fields that do not parse' ],
	[ "UPDATE provenance.merged_leaf SET fields = '!' WHERE $there", 'fields taken away' ],
	[ "UPDATE provenance.merged_leaf SET leaf = " . $flip_first->('leaf', 5) . " WHERE $there", 'the time in the leaf' ],
	[ "UPDATE provenance.merged_leaf SET leaf = '' WHERE $there", 'no leaf' ],
	[ "UPDATE provenance.merged_leaf SET op = op + 1 WHERE $there", 'the operation' ],
	[ "UPDATE provenance.merged_leaf SET leaf_hash = provenance.leaf_hash('') WHERE $there", 'the leaf hash' ],
	[ "UPDATE provenance.merged_leaf SET context_salt = " . $flip_first->('context_salt', 0) . " WHERE $there", 'the salt of the context' ],
	[ "UPDATE provenance.merged_leaf SET context_id = NULL WHERE $there", 'the context taken away' ],
	[ "UPDATE provenance.merged_shape SET definition = " . $flip_first->('definition', 'length(definition) - 1') . " WHERE $its_shape", 'the shape' ],
	[ "DELETE FROM provenance.merged_shape WHERE $its_shape", 'a shape deleted' ],
	[ "UPDATE provenance.merged_context SET fields = regexp_replace(fields, '(=.{24})', '\\1forged') WHERE $its_context", 'a field of the context' ],
	[ "UPDATE provenance.merged_context SET commitment = provenance.leaf_hash('') WHERE $its_context", 'the commitment of the context' ],
	[ "DELETE FROM provenance.merged_context WHERE $its_context", 'a context deleted' ],
	[ "UPDATE provenance.partner_log SET origin = 'else.example' WHERE log_id = $edit_log", 'the origin of the log', 'log' ],
	[ "DELETE FROM provenance.partner_log WHERE log_id = $edit_log", 'the log deleted', 'log' ])
{
	my ($edit, $name, $log) = @$_;

	if (defined $log)
	{
		like(sql('b', "BEGIN; SET LOCAL session_replication_role = replica; $edit;
			SELECT string_agg(DISTINCT code, ',' ORDER BY code) FROM provenance.verify(); ROLLBACK"),
			qr/^merged_invalid,partner_checkpoint_missing$/, $name);
		next;
	}
	# another hash gives another root, too
	edited($edit, $name eq 'the leaf hash' ? 'merge_incomplete error true,merged_invalid error true' : 'merged_invalid error true', $name);
	unproven($edit, $name);
}
edited("DELETE FROM provenance.partner_checkpoint WHERE log_id = $edit_log", 'partner_checkpoint_missing error true', 'a checkpoint deleted');
edited("UPDATE provenance.partner_checkpoint SET root = provenance.leaf_hash('')", 'partner_checkpoint_missing error true', 'a root');

# what is gone, or was put in: each merge says what it brought
sub missed
{
	my ($edit, $codes, $name) = @_;
	is(sql('b', "BEGIN; SET LOCAL session_replication_role = replica; $edit;
		SELECT string_agg(DISTINCT code || ' ' || severity, ',' ORDER BY code || ' ' || severity) FROM provenance.verify(); ROLLBACK"), $codes, $name);
}
missed("DELETE FROM provenance.merged_leaf WHERE $there", 'merge_incomplete error', 'a merged entry that is gone');
missed('DELETE FROM provenance.merged_leaf', 'merge_incomplete error', 'all of them');
missed("INSERT INTO provenance.merged_leaf SELECT log_id, shape_id, (SELECT max(leaf_index) + 1 FROM provenance.merged_leaf), merge_id, previous, context_id, op,
	pseudonym, leaf_hash, leaf, context_salt, context_digest, fields FROM provenance.merged_leaf WHERE $there", 'merge_incomplete error', 'one that was put in');
missed("UPDATE provenance.merged_leaf SET merge_id = (SELECT max(merge_id) FROM provenance.merge) WHERE $there", 'merge_incomplete error', 'one of another merge');
missed('DELETE FROM provenance.merged_path WHERE merge_id = (SELECT max(merge_id) FROM provenance.merge)', 'merge_incomplete error', 'no hashes between entries');
missed("UPDATE provenance.merged_path SET path = " . $flip_first->('path', 'length(path) - 1'), 'merge_incomplete error', 'another hash between them');
missed("UPDATE provenance.merged_path SET path = ''", 'merge_incomplete error', 'a chunk that is empty');
missed("UPDATE provenance.merged_path SET path = substr(path, 1, 8)", 'merge_incomplete error', 'one that is cut off');
missed('DELETE FROM provenance.partner_registry', 'partner_differs error', 'a partner that is gone');
missed("UPDATE provenance.partner_registry SET name = 'globex'", 'partner_differs error', 'by another name');
missed("UPDATE provenance.partner_registry SET origin = 'else.example'", 'partner_differs error', 'of another origin');
missed('DELETE FROM provenance.merge WHERE merge_id = (SELECT max(merge_id) FROM provenance.merge WHERE new_entries > 0)', 'merged_invalid error,row_missing error', 'a merge that is gone');
is(sql('b', 'SELECT count(*) FROM provenance.verify()'), 0, 'and nothing of it stayed');

$node->stop;
done_testing();
