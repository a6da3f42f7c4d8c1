# Bundles of a table of 70,000 entries: each holds for another database that
# merges it, and for a reader that shares no code with the extension; all of
# them together are the table's history. Memory does not grow with their
# number. From a database of another encoding; not from a standby.
use strict;
use warnings;
use Cwd qw(abs_path);
use File::Basename;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $here = abs_path(dirname(__FILE__));
my $reader = "$here/../independent/bundle.py";
my $tmp = PostgreSQL::Test::Utils::tempdir();

my $node = PostgreSQL::Test::Cluster->new('export');
$node->init(extra => [ '--locale=C', '--encoding=UTF8' ], allows_streaming => 1);
$node->append_conf('postgresql.conf', "fsync = off\nmax_worker_processes = 24\nmax_wal_size = 1GB\n");
$node->start;
my $run = int(rand(1e9));
my %vkey;

sub make_log
{
	my ($db, $encoding) = @_;

	$node->safe_psql('postgres', "CREATE DATABASE $db TEMPLATE template0 ENCODING '$encoding'");
	$vkey{$db} = $node->safe_psql($db, "CREATE EXTENSION provenance; SELECT provenance.setup('$db-$run.example');");
}

# Exports, reads and merges; returns what became of it.
sub round_trip
{
	my ($db, $format, $arguments, $name) = @_;
	my $file = "$tmp/bundle";

	unlink $file;
	$node->safe_psql($db, "SET client_encoding = 'UTF8'; COPY (SELECT * FROM provenance.export_bundle($arguments)) TO '$file' (FORMAT $format, ENCODING 'UTF8')");
	my $count = $node->safe_psql('globex', qq{
		CREATE TEMP TABLE b (line bigint, kind text, content text);
		COPY b FROM '$file' (FORMAT $format, ENCODING 'UTF8');
		SELECT count(*), count(*) FILTER (WHERE kind = 'entry') FROM b});
	my ($lines, $entries) = split /\|/, $count;

	if ($format ne 'binary')
	{
		open(my $fh, '<:raw', $file) or die $!;
		1 while <$fh>;
		is($., $lines, "$name: every row on one line");
		close $fh;
	}
	if ($format eq 'text')
	{
		my ($out, $err) = ('', '');

		ok(IPC::Run::run([ 'python3', $reader, $vkey{$db}, $file ], '>', \$out, '2>', \$err), "$name: the independent reader accepts it")
		  or diag($err);
	}
	my ($rc, $stdout, $stderr) = $node->psql('globex', "COPY provenance.inbox FROM '$file' (FORMAT $format, ENCODING 'UTF8')");
	is($rc, 0, "$name: merged") or diag($stderr);
	return $entries;
}

make_log('acme', 'UTF8');
make_log('latin', 'LATIN1');
make_log('globex', 'UTF8');
$node->safe_psql('globex', "SELECT provenance.add_partner('$_', '$vkey{$_}')") foreach 'acme', 'latin';
$node->safe_psql('globex', "ALTER DATABASE globex SET maintenance_work_mem = '1MB'");	# entries of indexes wait in parts

$node->safe_psql('acme', q{
	CREATE TABLE public.contact (id int PRIMARY KEY, name text, email text, note text);
	CREATE TABLE public.other (id int PRIMARY KEY);
	SELECT provenance.tag('public.contact', subject => 'email');
	SELECT provenance.tag('public.other');
	INSERT INTO contact SELECT n, 'name ' || n, 'c' || n || '@' || repeat('x', 40) || '.example', CASE n % 3 WHEN 0 THEN E'a|b\n\\\\' END FROM generate_series(1, 40000) n;
	SELECT provenance.seal();
});
my $first = $node->safe_psql('acme', 'SELECT published_size FROM provenance.status');
my $entries = round_trip('acme', 'text', "'contact', recipient => 'globex', context => '{db_user}'", 'all rows');
is($entries, 40001, 'all rows: their entries and the table\'s');
is($node->safe_psql('acme', 'SELECT entries, subjects FROM provenance.disclosures'), '40001|40000', 'recorded, with every subject, in several chunks');

# What came after: every change among those of another table, and far apart.
$node->safe_psql('acme', q{
	DO $$ BEGIN
		FOR i IN 1 .. 300 LOOP
			INSERT INTO other SELECT i * 100 + n FROM generate_series(1, i % 7 * 13) n;
			UPDATE contact SET note = 'round ' || i WHERE id > i * 100 AND id <= i * 100 + 100;
			DELETE FROM contact WHERE id = i;
		END LOOP;
	END $$;
	SELECT provenance.seal();
});
my $second = $node->safe_psql('acme', 'SELECT published_size FROM provenance.status');
is(round_trip('acme', 'csv', "'contact', columns => '{id,name,note}', recipient => 'globex', since_size => $first", 'since a size'),
	30300, 'since a size: the entries after it');
is($node->safe_psql('acme', 'SELECT subjects FROM provenance.disclosures ORDER BY disclosure_id DESC LIMIT 1'), '30100',
	'the subjects of deleted rows are recorded, too');
$node->safe_psql('acme', q{INSERT INTO contact SELECT n, 'late', 'c', '' FROM generate_series(50001, 50100) n; SELECT provenance.seal()});
is(round_trip('acme', 'binary', "'contact', recipient => 'globex', since_size => $second", 'binary'), 100, 'binary: the rest');
is(round_trip('acme', 'text', "'contact', '{1,2,39999,50007}', '{}', 'globex'", 'some rows'), 7, 'some rows, nothing of them disclosed');
is(round_trip('acme', 'csv', "'contact', columns => '{email}', recipient => 'globex'", 'all again'), 70401, 'everything once more');
is($node->safe_psql('globex', q{SELECT count(*) FROM provenance.merged_leaf}), '70401', 'together: every entry of the table');

# More shapes and contexts than a bundle has slots, in turns; columns that
# come and go; partitions; a subject too long to be indexed.
$node->safe_psql('acme', q{
	CREATE TABLE public.wide (id int PRIMARY KEY, who text) PARTITION BY RANGE (id);
	CREATE TABLE public.wide_1 PARTITION OF wide FOR VALUES FROM (0) TO (500);
	CREATE TABLE public.wide_2 PARTITION OF wide FOR VALUES FROM (500) TO (1000);
	SELECT provenance.tag('public.wide', subject => 'who');
	SET provenance.source = 'turns';
	DO $$ BEGIN
		FOR i IN 1 .. 600 LOOP
			PERFORM set_config('provenance.actor', 'actor ' || i % 300, true);
			INSERT INTO wide (id, who) VALUES (i, CASE WHEN i < 3 THEN repeat('long', 1000) ELSE 'subject ' || i % 7 END);
			IF i % 25 = 0 THEN
				EXECUTE format('ALTER TABLE wide ADD COLUMN c%s text DEFAULT %L', i, i);
			END IF;
			UPDATE wide SET who = who WHERE id = i - 50;
		END LOOP;
	END $$;
	ALTER TABLE wide DROP COLUMN c100;
	DELETE FROM wide WHERE id = 400;
	UPDATE wide SET id = id + 399 WHERE id IN (1, 401);
	SELECT provenance.seal();
});
my $wide = $node->safe_psql('acme', q{SELECT count(*) FROM provenance.changes('wide', '-infinity')});
is(round_trip('acme', 'text', "'wide_2', recipient => 'globex', context => '{actor,source}'", 'many shapes and contexts'), $wide, 'many shapes: every entry');
is(round_trip('acme', 'text', "'wide', '{1,400,800}', '{c100,who}', 'globex'", 'dropped column'),
	$node->safe_psql('acme', q{SELECT (SELECT count(*) FROM unnest('{1,400,800}'::int[]) k, provenance.history('wide', k))
		+ (SELECT count(*) FROM provenance.changes('wide', '-infinity') WHERE op IN ('tag', 'schema'))}),
	'a row that moved: both its histories');
is($node->safe_psql('acme', q{SELECT subject = 'sha256:' || encode(sha256(convert_to(repeat('long', 1000), 'UTF8')), 'hex')
	FROM provenance.disclosed_subjects WHERE table_name = 'wide' ORDER BY disclosure_id DESC, length(subject) DESC LIMIT 1}), 't', 'a long subject, by its hash');

# A line that would be too long.
$node->safe_psql('acme', q{
	CREATE TABLE public.big (id int PRIMARY KEY, v text);
	SELECT provenance.tag('public.big');
	INSERT INTO big VALUES (1, repeat('x', 270000000));
	SELECT provenance.seal()});
my (undef, undef, $too_long) = $node->psql('acme', "\\set VERBOSITY verbose\nSELECT count(*) FROM provenance.export_bundle('big')");
like($too_long, qr/54000: a line of the bundle would be too long.*of table "big".*Leave a column out/s, 'a line too long');
is(round_trip('acme', 'text', "'big', columns => '{id}', recipient => 'globex'", 'without that column'), 2, 'without that column');

# Another encoding.
$node->safe_psql('latin', qq{
	SET client_encoding = 'UTF8';
	CREATE TABLE public."Kündigung" (id int PRIMARY KEY, "straße" text);
	SELECT provenance.tag('public."Kündigung"', subject => 'straße');
	INSERT INTO public."Kündigung" VALUES (1, 'Zoë'), (2, 'ÄÖ|Ü');
	SELECT provenance.seal();
});
is(round_trip('latin', 'text', q{'public."Kündigung"', recipient => 'Zürich'}, 'LATIN1'), 3, 'LATIN1: all entries');
is($node->safe_psql('latin', q{SET client_encoding = 'UTF8'; SELECT recipient, table_name, columns, subjects FROM provenance.disclosures}),
	'Zürich|Kündigung|{id,straße}|2', 'LATIN1: the record');

# Leaves that are filed under another table, beside their entries.
my (undef, undef, $misfiled) = $node->psql('acme', q{\set VERBOSITY verbose
	BEGIN;
	SET LOCAL session_replication_role = replica;
	UPDATE provenance.leaf_run SET map = substr(map, 1, length(map) - 1) || '\x0402' WHERE get_byte(map, length(map) - 1) = 0;
	SELECT count(*) FROM provenance.export_bundle('contact') WHERE kind = 'entry'});
like($misfiled, qr/XX001: the stored log is damaged at leaf \d+/, 'leaves that are filed under another table');

# The order in which the entries lie is of no matter: more of them than an export remembers, no two beside each other.
my $everything = q{SELECT count(*), md5(string_agg(content, E'\n' ORDER BY line)) FROM provenance.export_bundle('contact') WHERE kind = 'entry'};
my $in_order = $node->safe_psql('acme', $everything);
like($in_order, qr/^70401\|/, 'all entries');
$node->safe_psql('acme', q{SET session_replication_role = replica;
	WITH moved AS (DELETE FROM provenance.entry RETURNING *) INSERT INTO provenance.entry SELECT * FROM moved ORDER BY md5(seq::text)});
is($node->safe_psql('acme', $everything), $in_order, 'the same in any order');
$node->safe_psql('acme', q{SET session_replication_role = replica;
	WITH moved AS (DELETE FROM provenance.leaf_run WHERE first_leaf > 30000 RETURNING *) INSERT INTO provenance.leaf_run SELECT * FROM moved ORDER BY md5(first_leaf::text)});
is($node->safe_psql('acme', $everything), $in_order, 'and of the runs of the log');
my (undef, undef, $gone) = $node->psql('acme', qq{\\set VERBOSITY verbose
	BEGIN;
	SET LOCAL session_replication_role = replica;
	DELETE FROM provenance.entry WHERE seq = (SELECT min(seq) FROM provenance.history('contact', 40000));
	$everything});
like($gone, qr/XX001: the stored log is damaged at leaf \d+/, 'an entry that is alone in its chain is gone');

my (undef, undef, $elsewhere) = $node->psql('acme', qq{\\set VERBOSITY verbose
	BEGIN;
	SET LOCAL session_replication_role = replica;
	UPDATE provenance.entry SET table_id = 2 WHERE seq = (SELECT min(seq) FROM provenance.history('contact', 40000));
	$everything});
like($elsewhere, qr/XX001: the stored log is damaged at leaf \d+/, 'an entry that is filed under another table');

# What nobody sees does not count: a row's dead version behind it, of another table.
my $alone = $node->safe_psql('acme', q{INSERT INTO contact VALUES (60000, 'alone', 'a', ''); SELECT provenance.seal(); SELECT max(seq) FROM provenance.history('contact', 60000)});
$alone =~ s/.*\n//s;
$in_order = $node->safe_psql('acme', $everything);
$node->safe_psql('acme', qq{SET session_replication_role = replica;
	BEGIN; UPDATE provenance.entry SET table_id = 2 WHERE seq = $alone; ROLLBACK});
is($node->safe_psql('acme', $everything), $in_order, 'a change that was rolled back');

# Memory: as much for 70,000 entries as for a hundred.
SKIP:
{
	skip 'no /proc', 4 unless -r '/proc/self/status';
	my %most;

	foreach my $size ($second, 0)
	{
		my $out = '';
		my $psql = IPC::Run::start(
			[
				'psql', '-XAtq', '-d', $node->connstr('acme'),
				'-c', 'SELECT pg_backend_pid()',
				'-c', "SET work_mem = '256kB'",
				'-c', "SELECT count(*) FROM provenance.export_bundle('contact', since_size => $size)",
				'-c', 'SELECT pg_sleep(1)'	# so that it is seen at least once
			],
			'>', \$out);

		$most{$size} = 0;
		while ($psql->pumpable)
		{
			$psql->pump_nb;
			select(undef, undef, undef, 0.005);
			my ($pid) = $out =~ /^(\d+)/ or next;
			open(my $fh, '<', "/proc/$pid/status") or next;
			my ($anon) = join('', <$fh>) =~ /^RssAnon:\s+(\d+)/m;
			$most{$size} = $anon if defined $anon && $anon > $most{$size};
		}
		ok($psql->finish, "exported since $size");
	}
	cmp_ok($most{$second}, '>', 0, 'memory was seen');
	cmp_ok($most{0} - $most{$second}, '<', 3.5 * 1024, "kB more for 70,000 entries ($most{$second}, $most{0})");
}

foreach my $db ('acme', 'latin', 'globex')
{
	$node->safe_psql($db, 'SELECT provenance.seal()');
	is($node->safe_psql($db, 'SELECT * FROM provenance.verify()'), '', "$db: intact");
}

# A standby has nowhere to record it.
$node->backup('copy');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($node, 'copy', has_streaming => 1);
$standby->start;
my ($rc, $out, $err) = $standby->psql('acme', "\\set VERBOSITY verbose\nSELECT * FROM provenance.export_bundle('contact', '{}')");
like($err, qr/25006: a bundle cannot be exported on a standby/, 'not on a standby');
$standby->stop;

$node->stop;
done_testing();
