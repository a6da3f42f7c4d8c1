# The extension script and its upgrades. A released version's script is frozen in
# test/upgrade (make freeze), and a dump of what it stored and handed out with it.
# What the parts in src/sql give now is the frozen script of this version, to the
# byte, or else another version; each frozen version, upgraded by the deltas with
# a log in it, has the catalogs of a fresh install, verifies, and goes on; and so
# does each frozen dump, restored under its version, upgraded, and restored under
# this one: what was handed out is handed out again, to the byte, and accepted.
# Whether the old key of the dump's rotation signs too goes by the clock, so it is
# set here: it does in one database, and cannot in the other.
#
# Until a version is frozen, the dump is what freezing it now would keep.
#
# The same is done with a next version made up here, so that the mechanism works
# before it is needed: a delta that says all, and one for each thing that can be
# forgotten, which must be noticed. All of it happens in a private copy of the
# server, since versions are files of its share folder.
#
# There is one library, this version's. So a database of a frozen version, before
# its upgrade, shows that the library serves the catalogs of that version too; and
# one of the next version, what a process that still has an older library does.
use strict;
use warnings;
use Cwd qw(abs_path);
use File::Basename;
use File::Copy;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $top = dirname(dirname(dirname(abs_path($0))));

sub slurp_all { return join '', map { slurp_file($_) } @_; }

sub output
{
	my $text = `@_`;
	$? == 0 or die "@_ failed\n";
	chomp $text;
	return $text;
}

# --- the scripts ------------------------------------------------------------------

my ($version) = slurp_file("$top/provenance.control") =~ /^default_version\s*=\s*'([^']+)'/m;

# What the parts of a tree give; and what has changed of a version that is frozen there.
sub assemble { return slurp_all(sort glob "$_[0]/src/sql/[0-9][0-9]_*.sql"); }
sub changed
{
	my ($tree, $v) = @_;
	my $file = "$tree/test/upgrade/provenance--$v.sql";
	return -e $file && slurp_file($file) ne assemble($tree) ? "src/sql gives another script than $file" : '';
}

my $assembled = assemble($top);
my %frozen = map { basename($_) =~ /^provenance--(.+)\.sql$/ ? ($1 => slurp_file($_)) : () } glob "$top/test/upgrade/provenance--*.sql";
my %delta = map { basename($_) => slurp_file($_) } glob "$top/src/sql/provenance--*--*.sql";

cmp_ok(length $assembled, '>', 50000, 'the script is put together from its parts');
is(changed($top, $version), '', "version $version: what is frozen is what the parts give")
  or diag('name another default_version in provenance.control, and write src/sql/provenance--<from>--<to>.sql');
(my $format = slurp_file("$top/doc/format.md")) =~ s/<!--.*?-->//gs;
like($format,
	%frozen ? qr/^\*\*Status: stable\.\*\*/m : qr/^\*\*Status: not frozen\.\*\*/m,
	'doc/format.md says ' . (%frozen ? 'that version 1 is stable' : 'that nothing is frozen yet'));

# "make freeze", in a copy: writes the script once, and never again.
my $tmp = PostgreSQL::Test::Utils::tempdir_short;
mkdir "$tmp/tree";
system("cd '$top' && cp -r --parents Makefile CHANGELOG.md provenance.control src/sql sql/include test/upgrade doc/format.md test/lib '$tmp/tree'") == 0
  or die "cannot copy\n";
my @files = map { "$tmp/tree/test/upgrade/$_--$version.sql" } qw(provenance data);
unlink @files;

sub heading
{
	my $text = slurp_file("$tmp/tree/CHANGELOG.md");
	$text =~ s/^## .*$/## $_[0]/m or die "no heading\n";
	unlink "$tmp/tree/CHANGELOG.md";
	append_to_file("$tmp/tree/CHANGELOG.md", $text);
}

# With the server and the library of this test.
$ENV{INSTALLED} = 1;
$ENV{PG_CONFIG} = output('echo "$(command -v pg_config)"');
foreach my $heading ("$version (unreleased)", "0.$version - 2026-01-02", "$version - soon")
{
	heading($heading);
	command_fails_like([ 'make', '-s', '-C', "$tmp/tree", 'freeze' ], qr/the newest heading is "## \Q$heading\E"/, "make freeze of $heading is refused");
	is_deeply([ grep { -e } @files ], [], 'and keeps nothing');
}
heading("$version - 2026-01-02");
command_ok([ 'make', '-s', '-C', "$tmp/tree", 'freeze' ], 'make freeze');
my $made = slurp_file($files[1]);
is(slurp_file("$tmp/tree/test/upgrade/provenance--$version.sql"), $assembled, 'writes the assembled script');
is(changed("$tmp/tree", $version), '', 'nothing has changed of it');
like($format = slurp_file("$tmp/tree/doc/format.md"), qr/^\*\*Status: stable\.\*\* (?:[^\n]+\n)+\n## What is final/m, 'doc/format.md says that version 1 is stable');
unlike($format, qr/not frozen|<!--|-->/, 'and nothing of what it said before');
append_to_file("$tmp/tree/src/sql/00_head.sql", "\n-- changed\n");
like(changed("$tmp/tree", $version), qr/gives another script/, 'a part that changes is found out');
command_fails_like([ 'make', '-s', '-C', "$tmp/tree", 'freeze' ], qr/is there, and stays/, 'a second time it refuses');
is(slurp_file("$tmp/tree/test/upgrade/provenance--$version.sql"), $assembled, 'and has not touched it');
unlink $files[0];
command_fails_like([ 'make', '-s', '-C', "$tmp/tree", 'freeze' ], qr/data--\S+ is there, and stays/, 'nor while the data are there');
unlink $files[1];
command_ok([ 'make', '-s', '-C', "$tmp/tree", 'freeze' ], 'once both are removed, make freeze');
is(changed("$tmp/tree", $version), '', 'takes the script as it is now');
is(slurp_file("$tmp/tree/doc/format.md"), $format, 'and leaves doc/format.md as it is');

# What the frozen versions stored.
my %data = map { my $file = "$top/test/upgrade/data--$_.sql"; -e $file ? ($_ => slurp_file($file)) : () } keys %frozen;
is(join(' ', sort keys %data), join(' ', sort keys %frozen), 'of each frozen version the data are kept');
$data{$version} = $made unless %frozen;
unlike($_, qr/^\\(?:un)?restrict/m, 'any psql can read them') foreach values %data;

# --- a server with more versions --------------------------------------------------

my $pg_config = output("$top/test/lib/private-pg.sh \"\$(command -v pg_config)\" $tmp/pg");
my $library = output('pg_config --pkglibdir') . '/provenance.so';
my $extension = output("$pg_config --sharedir") . '/extension';

symlink $library, output("$pg_config --pkglibdir") . '/provenance.so' or die "symlink: $!\n";
copy("$top/provenance.control", "$extension/provenance.control") or die "copy: $!\n";

sub install
{
	my ($name, $text) = @_;
	open my $out, '>', "$extension/provenance--$name.sql" or die "$name: $!\n";
	print $out $text;
	close $out;
}

my $next = "$version.next";
my $addition = slurp_file("$top/test/upgrade/next.sql");
install($_, $frozen{$_}) foreach keys %frozen;
install($version, $assembled);
copy("$top/src/sql/$_", "$extension/$_") or die "copy: $!\n" foreach keys %delta;
install($next, $assembled . $addition);
install("$version--$next", $addition);

my $node = PostgreSQL::Test::Cluster->new('upgrade', install_path => dirname(output("$pg_config --bindir")));
$node->init;
$node->append_conf('postgresql.conf', "fsync = off\nmax_worker_processes = 16\n");
$node->start;

# sql, database
sub psql { return $node->safe_psql($_[1] // 'postgres', $_[0]); }

# what it says when it fails
sub refused { my ($status, $out, $err) = $node->psql($_[1], $_[0]); return $status ? $err : "no error: $out"; }

# setup() and tag() grant what the script does not.
sub database
{
	my ($name, $v, $with_log) = @_;
	psql("CREATE DATABASE \"$name\"");
	psql("CREATE EXTENSION provenance VERSION '$v'", $name);
	psql("SELECT provenance.setup('$name.example'); CREATE TABLE tagged (id int PRIMARY KEY); SELECT provenance.tag('tagged')", $name)
	  if $with_log;
	return $name;
}

my $catalog_query = slurp_file("$top/test/upgrade/catalog.sql");
sub catalog { return psql($catalog_query, @_); }

# Lines of one and not of the other, marked with - and +.
sub differences
{
	my ($from, $to) = @_;
	my %from = map { $_ => 1 } split /\n/, $from;
	my %to = map { $_ => 1 } split /\n/, $to;
	return join "\n", (map { "- $_" } grep { !$to{$_} } sort keys %from), (map { "+ $_" } grep { !$from{$_} } sort keys %to);
}

my %fresh;
sub fresh
{
	my ($v, $with_log) = @_;
	return $fresh{"$v @{[ $with_log ? 'log' : '' ]}"} //= catalog(database('fresh-' . scalar(keys %fresh), $v, $with_log));
}

cmp_ok(scalar(split /\n/, fresh($version)), '>', 1000, 'the description of the catalogs is long');
like(fresh($version), qr/^\Q$_\E/m, "it has: $_")
  foreach ('member table provenance.entry', 'column provenance.entry.changed_at: 3 timestamp with time zone not null',
	'constraint entry_pkey of provenance.entry: PRIMARY KEY (xid, seq)', 'function provenance.seal()',
	'operator provenance.=(provenance.hash,provenance.hash)', 'cast from bytea to provenance.hash',
	'event trigger provenance_guard_end', 'dumped: provenance.entry', 'rule _RETURN of provenance.status',
	'initial privileges of view provenance.status', 'comment on view provenance.status',
	'type provenance.inbox_line', 'sequence provenance.entry_seq');
is(catalog(database('again', $version)), fresh($version), 'it is the same for two installs');

# --- upgrades ---------------------------------------------------------------------

my $n = 0;

# Upgrades a database with a log in it from one version to another.
sub upgrade
{
	my ($from, $to) = @_;
	my $db = database('log-' . ++$n, $from, 1);
	my $what = "from $from to $to";

	psql(<<SQL, $db);
	CREATE SCHEMA crm;
	CREATE TABLE crm.contact (id int PRIMARY KEY, email text, note text);
	CREATE TABLE crm.event (id int PRIMARY KEY, note text) PARTITION BY RANGE (id);
	CREATE TABLE crm.event_0 PARTITION OF crm.event FOR VALUES FROM (0) TO (100);
	INSERT INTO crm.contact SELECT i, 'p' || i || '\@mail.example', 'there before' FROM generate_series(1, 20) i;
	SELECT provenance.tag('crm.contact', subject => 'email'), provenance.tag('crm.event');
	INSERT INTO crm.event SELECT i, 'x' FROM generate_series(1, 30) i;
	UPDATE crm.contact SET note = 'changed' WHERE id % 2 = 0;
	DELETE FROM crm.contact WHERE id % 5 = 0;
	SELECT provenance.seal();
	UPDATE crm.event SET note = 'y' WHERE id < 10;
	SELECT provenance.seal();
SQL
	my $vkey = psql('SELECT provenance.verifier_key()', $db);
	my $kept = psql('SELECT note FROM provenance.checkpoint_note ORDER BY size DESC LIMIT 1', $db);
	my @proofs = map { [ $_, psql("SELECT provenance.prove($_)", $db), psql("SELECT provenance.leaf($_)", $db) ] } (1, 25, 60);
	my $disclosed = psql('SELECT provenance.disclose(25)', $db);
	my $history = psql(q{SELECT * FROM provenance.history('crm.contact', 2)}, $db);
	# rows whose type may get attributes: seen through views, and kept
	(my $false = $kept) =~ s/\n\d+\n/\n1\n/;
	psql(<<SQL, $db);
	CREATE VIEW crm.changed AS SELECT * FROM provenance.changes('crm.contact', '-infinity', 'infinity');
	CREATE VIEW crm.whole AS SELECT c FROM provenance.subject_changes('crm.contact', 'p2\@mail.example') c;
	CREATE MATERIALIZED VIEW crm.kept AS SELECT (c).* FROM crm.whole;
	CREATE TABLE crm.saved (id serial PRIMARY KEY, c provenance.change);
	INSERT INTO crm.saved (c) SELECT c FROM crm.whole;
	SELECT provenance.tag('crm.saved');
	CREATE VIEW crm.damaged AS SELECT * FROM provenance.verify_checkpoint('$false');
	CREATE TABLE crm.typed OF provenance.change;
SQL
	my @users = ('SELECT count(*), sum(seq), max(key::text), count(countersigned_by) FROM crm.changed WHERE image IS NOT NULL',
		'SELECT count(*), sum((c).seq), max((c).key::text) FROM crm.whole', 'SELECT count(*), sum(seq) FROM crm.kept',
		'SELECT count(*), sum((c).seq) FROM crm.saved', 'SELECT code, severity, seq FROM crm.damaged');
	psql("UPDATE crm.contact SET note = 'not sealed when upgraded' WHERE id = 1", $db);

	# the library of now, the catalogs of then
	is(psql('SELECT * FROM provenance.verify()', $db), '', "$what: intact before");
	psql('SELECT provenance.start_worker()', $db);
	ok($node->poll_query_until($db, 'SELECT worker_pid IS NOT NULL AND pending = 0 FROM provenance.status', 't'), "$what: the worker serves it");
	like(refused('ALTER TABLE provenance.entry ADD COLUMN x text', $db), qr/cannot add a column to ledger table "entry"/, "$what: the guard is awake");
	psql('SELECT provenance.stop_worker()', $db);
	psql("UPDATE crm.contact SET note = 'not sealed when upgraded' WHERE id = 3", $db);
	my @seen = map { psql($_, $db) } @users;
	like($seen[-1], qr/\|error\|/, "$what: there is a finding to see");

	psql("ALTER EXTENSION provenance UPDATE TO '$to'", $db);

	is(psql(q{SELECT extversion FROM pg_extension WHERE extname = 'provenance'}, $db), $to, "$what: upgraded");
	is(differences(catalog($db), fresh($to, 1)), '', "$what: the catalogs are those of a fresh install");
	is(psql('SELECT * FROM provenance.verify()', $db), '', "$what: intact");
	is(psql(q{SELECT * FROM provenance.history('crm.contact', 2)}, $db), $history, "$what: history as before");
	is(psql($users[$_], $db), $seen[$_], "$what: $users[$_]") foreach 0 .. $#users;
	psql('REFRESH MATERIALIZED VIEW crm.kept; SELECT * FROM crm.typed; SELECT * FROM crm.whole, crm.saved, provenance.verify()', $db);
	foreach (@proofs)
	{
		my ($seq, $proof, $leaf) = @$_;
		is(psql("SELECT provenance.verify_inclusion('$proof', '$leaf', '$vkey')", $db), 't', "$what: the proof of $seq from before verifies");
		is(psql("SELECT provenance.leaf($seq)", $db), $leaf, "$what: the leaf of $seq is the same");
	}
	cmp_ok(psql("SELECT count(*) FROM provenance.verify_disclosure('$disclosed', '$vkey')", $db), '>', 3, "$what: a disclosure from before verifies");
	psql(q{INSERT INTO crm.contact VALUES (100, 'new@mail.example', 'after'); UPDATE crm.event SET note = 'z' WHERE id = 7; SELECT provenance.seal()}, $db);
	is(psql('SELECT pending FROM provenance.status', $db), 0, "$what: sealing goes on");
	is(psql("SELECT * FROM provenance.verify_checkpoint('$kept')", $db), '', "$what: a checkpoint kept from before holds");
	is(psql('SELECT * FROM provenance.verify()', $db), '', "$what: intact with what was written after");
	return $db;
}

upgrade($_, $version) foreach grep { $_ ne $version } sort keys %frozen;
my $upgraded = upgrade($version, $next);
is(psql('SELECT provenance.next_function(41)', $upgraded), 42, 'what the next version added works');
is(psql(q{SELECT count(*) FROM provenance.next_table}, $upgraded), 0, 'so does its table');

# --- what was stored --------------------------------------------------------------

# tests 1 and 2 of RFC 8032, section 7.1
my @seeds = qw(9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60 4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb);
my ($old_key, $new_key) = map
{
	my $file = "$tmp/key-" . substr($_, 0, 4);
	my $der = pack 'H*', "302e020100300506032b657004220420$_";
	IPC::Run::run([ qw(openssl pkey -inform DER -out), $file ], '<', \$der) or die "openssl\n";
	chmod 0600, $file;
	$file;
} @seeds;

# The dumps of a version: of the databases acme and initech.
sub dumps { return split /^-- initech\n/m, $data{$_[0]}; }

# One of them in a database of version $as, with the signer's state. The old key
# has 68 years to sign too, or is not to be had: neither goes by the day.
sub restore
{
	my ($of, $dump, $as, $old_key_too) = @_;
	my $db = 'data-' . ++$n;
	my ($overlap, $previous) = $old_key_too ? ('24855 d', $old_key) : ('0', '');
	$dump =~ s/^(CREATE EXTENSION IF NOT EXISTS provenance WITH SCHEMA provenance);$/$1 VERSION '$as';/m or die "no CREATE EXTENSION\n";

	append_to_file("$tmp/$db.sql", $dump);
	mkdir "$tmp/$db.state", 0700;
	psql(<<SQL);
	CREATE DATABASE "$db";
	ALTER DATABASE "$db" SET provenance.signing_key = '$new_key';
	ALTER DATABASE "$db" SET provenance.previous_signing_key = '$previous';
	ALTER DATABASE "$db" SET provenance.key_overlap = '$overlap';
	ALTER DATABASE "$db" SET provenance.state_directory = '$tmp/$db.state';
	ALTER DATABASE "$db" SET TimeZone = 'UTC';
	DO \$\$ BEGIN CREATE ROLE postgres; EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END \$\$;
SQL
	$node->command_ok([ 'psql', '-Xq', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr($db), '-f', "$tmp/$db.sql" ], "the data of $of are restored under $as");
	is(psql(q{SELECT extversion FROM pg_extension WHERE extname = 'provenance'}, $db), $as, 'of that version');
	foreach my $file (split /\n/, psql(q{SELECT substr(name, 6) FROM kept WHERE name LIKE 'file %'}, $db))
	{
		kept_file("file $file", "$tmp/$db.state/$file", $db);
		chmod 0600, "$tmp/$db.state/$file";
	}
	return $db;
}

# A value that was kept, in SQL; and as a file.
sub kept { return "(SELECT content FROM public.kept WHERE name = '$_[0]')"; }
sub kept_file
{
	my ($name, $file, $db) = @_;
	open my $out, '>:raw', $file or die "$file: $!\n";
	print $out pack 'H*', psql('SELECT encode(convert_to(' . kept($name) . q{, 'UTF8'), 'hex')}, $db);
	close $out or die "$file: $!\n";
	return $file;
}

sub numbers { my ($kind, $db) = @_; return split /\n/, psql("SELECT split_part(name, ' ', 2) FROM kept WHERE name ~ '^$kind \\d+\$' ORDER BY name", $db); }

# Rows of a query that differ from those kept, in the columns that those had.
sub differing
{
	my ($name, $query, $db) = @_;
	return psql("SELECT k, j FROM jsonb_array_elements(@{[ kept($name) ]}::jsonb) WITH ORDINALITY AS o (k, n)
		FULL JOIN (SELECT to_jsonb(q) AS j, row_number() OVER () AS n FROM ($query) AS q) AS now USING (n)
		WHERE k IS NULL OR j IS NULL OR (SELECT jsonb_object_agg(key, j -> key) FROM jsonb_object_keys(k) AS key) IS DISTINCT FROM k", $db);
}

# What the queries that were kept give.
sub check_again
{
	my ($db, $what) = @_;
	my @again = split /\n/, psql(q{SELECT name || E'\t' || query FROM kept WHERE query IS NOT NULL ORDER BY name}, $db);

	cmp_ok(scalar @again, '>', 5, "$what: there are queries");
	foreach (@again)
	{
		my ($name, $query) = split /\t/;
		is(psql("SELECT ($query)::text = @{[ kept($name) ]}", $db), 't', "$what: $name");
	}
}

sub check_data
{
	my ($db, $v, $what) = @_;
	my $vkeys = 'VARIADIC string_to_array(' . kept('vkeys') . q{, ' ')};
	my $size = kept('size') . '::bigint';
	my @key = map { ('--key', $_) } split / /, psql('SELECT ' . kept('vkeys'), $db);
	my $f = "$tmp/$db.kept";

	is(psql('SELECT DISTINCT code, severity FROM provenance.verify()', $db), 'baseline_pending|notice', "$what: intact, but for a table that is not recorded to its end");
	check_again($db, $what);
	is(differing('forks', 'SELECT * FROM provenance.fork_evidence ORDER BY fork_id', $db), '', "$what: the evidence of a fork");
	is(differing('timestamps', 'SELECT * FROM provenance.timestamps ORDER BY size, serial', $db), '', "$what: the time stamp");
	is(psql("SELECT log_size - $size, (SELECT count(*) FROM provenance.entry) > log_size FROM provenance.seal_state", $db), '0|t', "$what: of the size that it had, and some not sealed");
	is(psql("SELECT * FROM provenance.verify_checkpoint(@{[ kept('checkpoint') ]}::provenance.checkpoint)", $db), '', "$what: the kept checkpoint holds");
	is(psql("SELECT provenance.cosigned_checkpoint($size)::text = @{[ kept('checkpoint') ]}", $db), 't', "$what: it is stored");
	foreach my $seq (numbers('proof', $db))
	{
		my ($proof, $leaf) = (kept("proof $seq"), kept("leaf $seq"));
		is(psql("SELECT encode(provenance.leaf($seq), 'hex') = $leaf, provenance.prove($seq, $size)::text = $proof,
			provenance.verify_inclusion($proof\::provenance.proof, decode($leaf, 'hex'), $vkeys)", $db), 't|t|t', "$what: leaf and proof of $seq");
		$node->command_ok([ 'provenance-verify', 'proof', @key, '--leaf', kept_file("leaf $seq", "$f.leaf", $db), kept_file("proof $seq", "$f.proof", $db) ],
			"$what: provenance-verify takes the proof");
	}
	foreach my $id (numbers('disclosure', $db))
	{
		is(psql("SELECT provenance.disclose(max(seq), '{id,name}', '{actor,purpose}') = @{[ kept(qq{disclosure $id}) ]} FROM provenance.history('crm.contact', $id)", $db),
			't', "$what: the disclosure of $id");
		is(psql("SELECT value FROM provenance.verify_disclosure(@{[ kept(qq{disclosure $id}) ]}, $vkeys) WHERE field = 'id'", $db), $id, "$what: verifies");
		$node->command_ok([ 'provenance-verify', 'disclosure', @key, kept_file("disclosure $id", "$f.disclosure", $db) ], "$what: also without a database");
	}
	foreach my $id (numbers('history', $db))
	{
		is(differing("history $id", "SELECT * FROM provenance.history('crm.contact', $id) ORDER BY seq", $db), '', "$what: history of $id");
	}
	is(differing('merged', 'SELECT * FROM provenance.merged_entry ORDER BY leaf_index', $db), '', "$what: what was merged");
	is(psql("SELECT provenance.prove_merged('globex', max(leaf_index))::text = @{[ kept('merged proof') ]} FROM provenance.merged_entry", $db), 't', "$what: is proven");

	$node->command_ok([ 'provenance-verify', 'bundle', @key, '--since', kept_file('signed', "$f.note", $db), kept_file('bundle', "$f.bundle", $db) ],
		"$what: provenance-verify takes the bundle");
	my $other = database('recipient-' . ++$n, $v, 1);
	psql("SELECT provenance.add_partner('acme', @{[ join ', ', map { qq{'$_'} } grep { !/^--/ } @key ]}); COPY provenance.inbox FROM '$f.bundle'", $other);
	is(psql('SELECT count(*) FROM provenance.merged_entry', $other), scalar(() = slurp_file("$f.bundle") =~ /^\d+\tentry\t/mg), "$what: another database merges it");
	is(psql('SELECT * FROM provenance.verify()', $other), '', "$what: and verifies");
	psql("DROP DATABASE \"$other\" WITH (FORCE)");
}

# The signer's state is taken over; a table that was half recorded is, to its end
# (three rows have no entry yet); what was not sealed is, and more is written.
sub go_on
{
	my ($db, $what, $signatures) = @_;
	my ($size, $all) = split /\|/, psql("SELECT @{[ kept('size') ]}, count(*) FROM provenance.entry", $db);

	is(psql(q{SELECT provenance.adopt()}, $db), (split / /, psql('SELECT ' . kept('vkeys'), $db))[1], "$what: with its state adopted");
	psql('SELECT provenance.start_worker()', $db);
	ok($node->poll_query_until($db, q{SELECT baseline FROM provenance.tagged_table WHERE "table" = 'crm.later'::regclass}, 'done'), "$what: the rows from before are recorded");
	is(psql('SELECT provenance.size(provenance.seal())', $db), $all += 3, "$what: it seals the rest");
	is(psql(q{SELECT string_agg(h.op, ' ' ORDER BY l.id, h.seq) FROM crm.later AS l, LATERAL provenance.history('crm.later', l.id) AS h}, $db),
		'baseline baseline baseline baseline baseline update baseline baseline', "$what: each once");
	psql(q{INSERT INTO crm.contact (id, name) VALUES (200, 'new'); UPDATE crm.contact SET name = 'after' WHERE id IN (2, 6);
		UPDATE crm.event SET note = 'after' WHERE id < 10; DELETE FROM crm.stock; INSERT INTO crm.old VALUES (2, 'not recorded'); SELECT provenance.seal()}, $db);
	is(psql('SELECT published_size FROM provenance.status', $db), $all + 13, "$what: and goes on");
	my $newest = psql('SELECT note FROM provenance.checkpoints ORDER BY size DESC LIMIT 1', $db);
	is(scalar(() = $newest =~ /^\xe2\x80\x94 acme\.example /mg), $signatures, "$what: signed by $signatures key(s)");
	is(psql("SELECT * FROM provenance.verify_checkpoint(@{[ kept('checkpoint') ]}::provenance.checkpoint)", $db), '', "$what: from the kept checkpoint");
	is(psql(q{SELECT string_agg(op, ' ' ORDER BY seq) FROM provenance.history('crm.contact', 6)}, $db), 'insert baseline update update', "$what: in the chains that were there");
	is(psql('SELECT * FROM provenance.verify()', $db), '', "$what: intact");
	is(psql("SELECT note FROM provenance.checkpoints WHERE size = $size", $db), psql('SELECT ' . kept('signed'), $db), "$what: with the note signed then");
	psql("DROP DATABASE \"$db\" WITH (FORCE)");
}

# The same of the log that goes on under another origin.
sub check_successor
{
	my ($db, $what) = @_;

	is(psql('SELECT * FROM provenance.verify()', $db), '', "$what: intact");
	is(psql("SELECT log_size - @{[ kept('size') ]}::bigint FROM provenance.seal_state", $db), 0, "$what: of the size that it had");
	check_again($db, $what);
	foreach my $proof ('proof', 'proof of before')
	{
		is(psql("SELECT provenance.verify_inclusion(@{[ kept($proof) ]}::provenance.proof, @{[ kept('leaf') ]}::bytea,
			VARIADIC string_to_array(@{[ kept('vkeys') ]}, ' '))", $db), 't', "$what: the $proof verifies");
	}
	is(psql("SELECT * FROM provenance.verify_checkpoint(@{[ kept('before') ]}::provenance.checkpoint)", $db), '', "$what: it extends the one given up");
}

sub successor_goes_on
{
	my ($db, $what) = @_;
	my $size = psql('SELECT ' . kept('size'), $db);

	is(psql(q{SELECT provenance.adopt()}, $db), (split / /, psql('SELECT ' . kept('vkeys'), $db))[1], "$what: with its state adopted");
	psql("UPDATE item SET v = 'restored'", $db);
	is(psql('SELECT provenance.origin(c), provenance.size(c) FROM (SELECT provenance.seal() AS c OFFSET 0) AS s', $db), 'initech.example/2|' . ($size + 6), "$what: it goes on");
	is(psql("SELECT * FROM provenance.verify_checkpoint(@{[ kept('before') ]}::provenance.checkpoint)", $db), '', "$what: from the checkpoint of the one given up");
	is(psql('SELECT * FROM provenance.verify()', $db), '', "$what: intact");
	psql("DROP DATABASE \"$db\" WITH (FORCE)");
}

foreach my $of (sort keys %data)
{
	my ($acme, $initech) = dumps($of);
	my $db = restore($of, $acme, $of, 1);
	check_data($db, $of, "data of $of");
	foreach my $to (($of ne $version ? $version : ()), $next)
	{
		psql("ALTER EXTENSION provenance UPDATE TO '$to'", $db);
		check_data($db, $to, "data of $of, upgraded to $to");
	}
	go_on($db, "data of $of, upgraded to $next", 2);

	# as pg_restore does it, under the version that is installed
	$db = restore($of, $acme, $version);
	check_data($db, $version, "data of $of under $version") if $of ne $version;
	go_on($db, "data of $of under $version", 1);

	$db = restore($of, $initech, $of);
	check_successor($db, "successor of $of");
	psql("ALTER EXTENSION provenance UPDATE TO '$next'", $db);
	check_successor($db, "successor of $of, upgraded to $next");
	successor_goes_on($db, "successor of $of, upgraded to $next");
	$db = restore($of, $initech, $version);
	successor_goes_on($db, "successor of $of under $version");
}

# --- what a delta forgets ----------------------------------------------------------

isnt(fresh($version), fresh($next), 'the next version differs from this one');
my @forgotten = (
	[ 'nothing', qr/^$/, sub { } ],
	[ 'a function', qr/^\+ member function provenance\.next_function/m, sub { s/^CREATE FUNCTION next_function.*?;$//ms; s/^.* FUNCTION next_function.*$//mg } ],
	[ 'a line of a function', qr/^\+ function provenance\.next_function.*SELECT a \+ 1/m, sub { s/\+ 1/+ 2/ } ],
	[ 'a REVOKE', qr/^\+ function provenance\.next_function/m, sub { s/^REVOKE.*$//m } ],
	[ 'a comment', qr/^\+ comment on function provenance\.next_function/m, sub { s/^COMMENT ON FUNCTION next.*$//m } ],
	[ 'PARALLEL SAFE', qr/^\+ function provenance\.next_function/m, sub { s/PARALLEL SAFE// } ],
	[ 'search_path', qr/^\+ function provenance\.next_function/m, sub { s/SET search_path = \S+// } ],
	[ 'a column', qr/^\+ column provenance\.next_table\.b/m, sub { s/b text [^\n]*\n// ; s/^CREATE INDEX.*$//m } ],
	[ 'a NOT NULL', qr/^\+ column provenance\.next_table\.b: 2 text not null/m, sub { s/b text NOT NULL/b text/ } ],
	[ 'a default', qr/^\+ column provenance\.next_table\.b.*default/m, sub { s/DEFAULT 'x'// } ],
	[ 'a constraint', qr/^\+ constraint next_table_b_check/m, sub { s/CHECK \(b <> ''\)// } ],
	[ 'an index', qr/^\+ index provenance\.next_table_b_idx/m, sub { s/^CREATE INDEX.*$//m } ],
	[ 'a fillfactor', qr/^\+ relation provenance\.next_table.*fillfactor/m, sub { s/WITH \(fillfactor = 70\)// } ],
	[ 'what pg_dump takes', qr/^\+ dumped: provenance\.next_table/m, sub { s/^SELECT pg_catalog.pg_extension_config_dump.*$//m } ],
	[ 'which rows pg_dump takes', qr/^\+ dumped: provenance\.next_table WHERE a > 1/m, sub { s/WHERE a > 1// } ],
	[ 'a trigger', qr/^\+ trigger next_trigger/m, sub { s/^CREATE TRIGGER.*$//m; s/^ALTER TABLE next_table ENABLE.*$//m } ],
	[ 'when a trigger fires', qr/^\+ trigger next_trigger.*A$/m, sub { s/^ALTER TABLE next_table ENABLE.*$//m } ],
	[ 'a condition of a view', qr/^\+ rule _RETURN of provenance\.next_view/m, sub { s/ WHERE t\.a > 0// } ],
	[ 'a GRANT', qr/^\+ relation provenance\.next_view/m, sub { s/^GRANT.*$//m } ],
	[ 'a value of an enum', qr/^\+ type provenance\.next_state/m, sub { s/, 'third'// } ],
	[ 'an operator', qr/^\+ member operator provenance\.~~~/m, sub { s/^CREATE OPERATOR ~~~.*$//m } ],
	[ 'a commutator', qr/^\+ operator provenance\.~~~/m, sub { s/, COMMUTATOR = ~~~// } ],
	[ 'a cast', qr/^\+ cast from/m, sub { s/^CREATE CAST.*$//m } ],
	[ 'to change what was there', qr/^\+ function provenance\.verify_table\(regclass\)/m, sub { s/^ALTER FUNCTION verify_table.*$//m } ],
	[ 'an attribute', qr/^\+ attribute provenance\.change\.next_attribute: 18 integer/m, sub { s/^ALTER TYPE change.*$//m } ],
	[ 'to change a comment', qr/^\+ comment on view provenance\.status/m, sub { s/^COMMENT ON VIEW status.*$//m } ],
	[ 'to drop what is not there any more', qr/^- member function provenance\.next_leftover/m, sub { $_ .= "CREATE FUNCTION next_leftover() RETURNS int LANGUAGE sql AS 'SELECT 1';\n" } ],
);
foreach my $case (@forgotten)
{
	my ($what, $expected, $spoil) = @$case;
	my $v = "$version.forgets" . ++$n;
	my $same = $what eq 'nothing';

	local $_ = $addition;
	$spoil->();
	cmp_ok($_, $same ? 'eq' : 'ne', $addition, "a delta that forgets $what");
	install("$version--$v", $_);
	my $db = database("forgets-$n", $version);
	psql("ALTER EXTENSION provenance UPDATE TO '$v'", $db);
	like(differences(catalog($db), fresh($next)), $expected, $same ? 'is complete' : 'is found out');
	psql("DROP DATABASE \"$db\" WITH (FORCE)");
}

# --- a process with the library of before --------------------------------------------

# A column more of a ledger table: nothing is written or judged, and it says why.
install("$version--$next-column", "ALTER TABLE shape ADD COLUMN next_column text;\n");
my $column = database('column', $version, 1);
psql('INSERT INTO tagged VALUES (1); SELECT provenance.seal(); SELECT provenance.stop_worker()', $column);
my $recorded = psql('SELECT count(*), max(seq) FROM provenance.entry', $column);
psql("ALTER EXTENSION provenance UPDATE TO '$next-column'", $column);
like(refused('INSERT INTO tagged VALUES (2)', $column),
	qr/cannot use ledger table "shape"\n.*of version \Q$next\E-column, this process has the library of version \Q$version\E\.\n.*Connect anew/,
	'with a column more, the older library records nothing and says what to do');
is(psql('SELECT count(*) FROM tagged', $column) . '|' . psql('SELECT count(*), max(seq) FROM provenance.entry', $column), "1|$recorded", 'and nothing is changed unrecorded');
like(psql('SELECT code, object, message FROM provenance.verify()', $column), qr/^ledger_altered\|shape\|.* library of version \Q$version\E\.$/, 'verification says it too');

# A C function that the library lacks: the update fails as a whole, so a delta that
# names one before anything else cannot be run by such a process.
install("$version--$next-function",
	"CREATE FUNCTION next_c() RETURNS int LANGUAGE c AS 'MODULE_PATHNAME', 'provenance_next_c';\nALTER TABLE shape ADD COLUMN next_column text;\n");
my $function = database('function', $version, 1);
like(refused("ALTER EXTENSION provenance UPDATE TO '$next-function'", $function), qr/could not find function "provenance_next_c"/, 'an update that names a function that the library lacks fails');
is(psql(q{SELECT extversion FROM pg_extension WHERE extname = 'provenance'}, $function), $version, 'as a whole');
psql('INSERT INTO tagged VALUES (2); SELECT provenance.seal()', $function);
is(psql('SELECT * FROM provenance.verify()', $function), '', 'and the log goes on');

$node->stop('fast');
done_testing();
