# Three companies, acme, globex and initech, exchange bundles round-robin in
# every COPY format, witness each other two of three, demand the cosignatures,
# follow one customer through all of them, and catch initech when a restored
# copy of its database goes on beside the original: with evidence that
# provenance-verify confirms without any database.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my @names = qw(acme globex initech);
my $dir = PostgreSQL::Test::Utils::tempdir_short;

# acme and globex in one server, initech in another, which is copied later
my $hub = PostgreSQL::Test::Cluster->new('hub');
my $own = PostgreSQL::Test::Cluster->new('own');
for my $node ($hub, $own)
{
	$node->init;
	$node->start;
}
my $verify = $hub->config_data('--bindir') . '/provenance-verify';
my %node = (acme => $hub, globex => $hub, initech => $own);
my (%key, %witness);

sub sql
{
	my ($name, $sql) = @_;
	return $node{$name}->safe_psql($name, $sql);
}

# the SQLSTATE of an error, or 'none'
sub state_of
{
	my ($node, $db, $sql) = @_;
	my ($rc, $out, $err) = $node->psql($db, "\\set VERBOSITY verbose\n$sql");
	return $err =~ /ERROR:\s+(\w{5}):/ ? $1 : $rc ? "failed: $err" : 'none';
}

for my $name (@names)
{
	$node{$name}->safe_psql('postgres', "CREATE DATABASE $name");
	sql($name, 'CREATE EXTENSION provenance');
	$key{$name} = sql($name, "SELECT provenance.setup('$name.example')");
	$witness{$name} = sql($name, 'SELECT provenance.setup_witness()');
	sql($name, <<SQL);
	CREATE SCHEMA crm;
	CREATE TABLE crm.contact (id int, branch text, email text, phone text, note text, PRIMARY KEY (id, branch));
	SELECT provenance.tag('crm.contact', subject => 'email');
	INSERT INTO crm.contact SELECT i, 'north', 'person' || i || '\@mail.example', '+49 30 ' || i, '$name' FROM generate_series(1, 20) i;
SQL
}

# each believes the others, demands nothing yet, and asks both to witness it
for my $name (@names)
{
	my @others = grep { $_ ne $name } @names;
	sql($name, "SELECT provenance.add_partner('$_', '$key{$_}')") for @others;
	sql($name, "SELECT provenance.set_witness_policy(2, '{$witness{$others[0]},$witness{$others[1]}}')");
}
my $secret = 'ab' x 32;
sql('acme', "SELECT provenance.set_pseudonym_key('globex', '\\x$secret')");
sql('globex', "SELECT provenance.set_pseudonym_key('acme', '\\x$secret')");

my @formats = ('text', 'csv', 'csv, HEADER', 'binary');
my $turn = 0;
my %file;

sub give
{
	my ($from, $to, $columns) = @_;
	my $format = $formats[ $turn++ % @formats ];
	my $file = $file{"$from $to"} = "$dir/$from-$to-$turn.bundle";
	my $since = sql($to, "SELECT coalesce(size, 0) FROM provenance.partner WHERE name = '$from'");
	my $size = $since eq '' || $since == 0 ? 'NULL' : $since;

	sql($from, "COPY (SELECT * FROM provenance.export_bundle('crm.contact', columns => $columns, recipient => '$to',
		since_size => $size, purpose => 'joint campaign')) TO '$file' (FORMAT $format)");
	return "COPY provenance.inbox FROM '$file' (FORMAT $format)";
}

for my $round (1 .. 3)
{
	for my $name (@names)
	{
		sql($name, <<SQL);
		UPDATE crm.contact SET note = note || ' $round' WHERE id % 3 = $round % 3;
		DELETE FROM crm.contact WHERE id = $round;
		INSERT INTO crm.contact VALUES (100 + $round, 'south, "east"', 'new$round\@mail.example', NULL, E'two\\nlines');
SQL
		sql($name, 'SELECT provenance.seal()');
	}
	for my $from (@names)
	{
		for my $to (grep { $_ ne $from } @names)
		{
			is(state_of($node{$to}, $to, give($from, $to, $to eq 'globex' ? "'{email,note}'" : "'{id,branch,note}'")),
				'none', "round $round: $from to $to");
		}
	}
	for my $name (@names)
	{
		my @others = grep { $_ ne $name } @names;
		my $size = sql($name, 'SELECT published_size FROM provenance.status');

		for my $other (@others)
		{
			my $line = sql($other, "SELECT provenance.cosign('$name')");
			(my $quoted = $line) =~ s/'/''/g;
			sql($name, "SELECT provenance.add_cosignature('$quoted')");
			is(sql($name, "SELECT provenance.witnessed($size)"), $other eq $others[1] ? 't' : 'f',
				"round $round: $name witnessed once $other has cosigned");
		}
	}
}

is(sql('globex', 'SELECT count(*), count(DISTINCT partner) FROM provenance.merged_entry WHERE key IS NULL AND op = \'insert\''),
	'46|2', 'keys are withheld from globex');
is(sql('acme', q{SELECT p.name, p.state FROM provenance.partner p
	WHERE p.entries = (SELECT count(*) FROM provenance.merged_entry m WHERE m.partner = p.name) ORDER BY 1}),
	"globex|trusted\ninitech|trusted", 'what acme has of them');

# --- a quorum demanded -----------------------------------------------------------------

sql('globex', "SELECT provenance.add_partner('acme', '{$key{acme}}', '{$witness{globex},$witness{initech}}', 2)");
sql('acme', "UPDATE crm.contact SET note = 'unwitnessed' WHERE id = 7");
sql('acme', 'SELECT provenance.seal()');
is(state_of($hub, 'globex', give('acme', 'globex', "'{note}'")), 'PB008', 'a checkpoint without cosignatures is refused');

# witnesses see the new head by other bundles: initech by one of its own, globex by trusting the log alone for a moment
is(state_of($own, 'initech', give('acme', 'initech', "'{note}'")), 'none', 'initech sees the new head');
my $line = sql('initech', "SELECT provenance.cosign('acme')");
sql('acme', "SELECT provenance.add_cosignature('$line')");
sql('globex', "SELECT provenance.add_partner('acme', '{$key{acme}}', '{$witness{initech}}', 1)");
is(state_of($hub, 'globex', give('acme', 'globex', "'{note}'")), 'none', 'with as many as demanded it is merged');

SKIP:
{
	my $bundle = $file{'acme globex'};
	skip 'provenance-verify is not installed', 3 unless -x $verify;
	command_like([ $verify, 'bundle', '--key', $key{acme}, '--witness', $witness{initech}, '--quorum', 1, $bundle ],
		qr/crm\.contact/, 'the program verifies the same file');
	command_fails([ $verify, 'bundle', '--key', $key{acme}, '--witness', $witness{globex}, '--quorum', 1, $bundle ],
		'not with a witness that has not cosigned');
	command_fails([ $verify, 'bundle', '--key', $key{globex}, $bundle ], 'not with another key');
}

# --- one customer ----------------------------------------------------------------------

is(sql('acme', q{SELECT string_agg(DISTINCT coalesce(partner, 'here') || ': ' || proof, ', ' ORDER BY coalesce(partner, 'here') || ': ' || proof)
	FROM provenance.pedigree('person9@mail.example')}),
	'globex: merged, verified, here: own, sealed', 'a customer at acme and, by pseudonym, at globex');
is(sql('acme', q{SELECT count(*) FROM provenance.pedigree('person9@mail.example') WHERE partner = 'globex' AND 'email' <> ALL (withheld)}),
	'0', '… whose address globex never disclosed');
is(sql('globex', q{SELECT count(*) > 0 FROM provenance.pedigree('person9@mail.example') WHERE partner = 'initech'}),
	't', 'without a pseudonym key by the disclosed subject');
sql('initech', q{ALTER TABLE crm.contact RENAME TO person; UPDATE crm.person SET note = 'renamed' WHERE email = 'person9@mail.example'});
sql('initech', 'SELECT provenance.seal()');
my $renamed = sql('globex', q{SELECT size FROM provenance.partner WHERE name = 'initech'});
sql('initech', "COPY (SELECT * FROM provenance.export_bundle('crm.person', columns => '{email,note}', since_size => $renamed)) TO '$dir/renamed'");
is(state_of($hub, 'globex', "COPY provenance.inbox FROM '$dir/renamed'"), 'none', 'a table that was renamed');
is(sql('globex', q{SELECT DISTINCT "table" FROM provenance.pedigree('person9@mail.example') WHERE image ->> 'note' = 'renamed'}),
	'crm.person', '… has the same subjects');
sql('initech', 'ALTER TABLE crm.person RENAME TO contact');

my $leaf = sql('globex', q{SELECT leaf_hash FROM provenance.merged_entry WHERE partner = 'acme' AND op = 'update' AND fields ->> 'email' = 'person9@mail.example' ORDER BY leaf_index DESC LIMIT 1});
sql('globex', "BEGIN; SET LOCAL provenance.source_leaf = '$leaf';
	INSERT INTO crm.contact VALUES (900, 'copied', 'p9\@globex.example', NULL, 'from acme'); COMMIT");
is(sql('globex', q{SELECT string_agg(DISTINCT coalesce(partner, 'here'), ', ' ORDER BY coalesce(partner, 'here')) FROM provenance.pedigree('p9@globex.example')}),
	'acme, here', 'a row that says where it came from brings that row along');
is(sql('globex', q{SELECT count(DISTINCT leaf_index) > 1 FROM provenance.pedigree('p9@globex.example') WHERE partner = 'acme'}),
	't', '… with what was before');
sql('globex', 'CREATE ROLE somebody; GRANT USAGE ON SCHEMA crm TO somebody; GRANT SELECT ON crm.contact TO somebody');
is(sql('globex', q{SET ROLE somebody; SELECT string_agg(DISTINCT coalesce(partner, 'here'), ', ') FROM provenance.pedigree('p9@globex.example')}),
	'here', 'who may not see merged entries sees the own part');
sql('globex', 'REVOKE SELECT ON crm.contact FROM somebody');
is(sql('globex', q{SET ROLE somebody; SELECT count(*) FROM provenance.pedigree('p9@globex.example')}),
	'0', 'who may not see the table sees nothing');
sql('globex', 'SELECT provenance.seal()');
is(state_of($own, 'initech', give('globex', 'initech', "'{note}'")), 'none', 'the link travels on');
is(sql('initech', q{SELECT count(*) FROM provenance.merged_entry WHERE partner = 'globex' AND source_leaf IS NOT NULL}), '1', '… to initech');
is(sql('initech', "SELECT source_leaf = '$leaf' FROM provenance.merged_entry WHERE partner = 'globex' AND source_leaf IS NOT NULL"), 't', '… unchanged');

# --- a fork ----------------------------------------------------------------------------

$own->stop;
$own->backup_fs_cold('cold');
my $copy = PostgreSQL::Test::Cluster->new('copy');
$copy->init_from_backup($own, 'cold');
system_or_bail('cp', '-rp', $own->data_dir . '.provenance', $copy->data_dir . '.provenance');
$copy->start;

# adopt() finds no original running, and nobody gives it the newest checkpoint:
# both sign a head of one size
my $false = "$dir/false.bundle";
my $since = sql('globex', q{SELECT size FROM provenance.partner WHERE name = 'initech'});
$copy->safe_psql('initech', 'SELECT provenance.adopt()');
$copy->safe_psql('initech', "UPDATE crm.contact SET note = 'false' WHERE id = 8");
$copy->safe_psql('initech', 'SELECT provenance.seal()');
$copy->safe_psql('initech', "COPY (SELECT * FROM provenance.export_bundle('crm.contact', '{\"(8,north)\"}', since_size => $since)) TO '$false'");
$copy->stop;
$own->start;
sql('initech', "UPDATE crm.contact SET note = 'true' WHERE id = 8");
sql('initech', 'SELECT provenance.seal()');
is(state_of($hub, 'globex', give('initech', 'globex', "'{note}'")), 'none', 'globex merges the true one');
my $before = sql('globex', 'SELECT count(*) FROM provenance.merged_entry');
is(state_of($hub, 'globex', "COPY provenance.inbox FROM '$false'"), 'PB012', 'the false one is a fork');
is(sql('globex', q{SELECT state FROM provenance.partner WHERE name = 'initech'}), 'forked', 'initech is forked');
is(sql('globex', 'SELECT count(*) FROM provenance.merged_entry'), $before, 'nothing of it is merged');
is(sql('globex', 'SELECT partner, kind FROM provenance.fork_evidence'), 'initech|checkpoint', 'the evidence is kept, though the COPY failed');
sql('initech', "UPDATE crm.contact SET note = 'more' WHERE id = 8");
sql('initech', 'SELECT provenance.seal()');
is(state_of($hub, 'globex', give('initech', 'globex', "'{note}'")), 'PB005', 'nothing more is merged of it');
is(state_of($hub, 'globex', q{SELECT provenance.cosign('initech')}) eq 'none' ? 'cosigned' : 'refused', 'refused', 'nor cosigned');

SKIP:
{
	skip 'provenance-verify is not installed', 2 unless -x $verify;
	for my $which (qw(note_a note_b))
	{
		open my $out, '>', "$dir/$which" or die;
		binmode $out;
		print $out pack('H*', sql('globex', "SELECT encode(provenance.note($which), 'hex') FROM provenance.fork_evidence"));
		close $out;
	}
	command_like([ $verify, 'fork', '--key', $key{initech}, "$dir/note_a", "$dir/note_b" ], qr/fork/i, 'the program confirms the evidence');
	command_fails([ $verify, 'fork', '--key', $key{initech}, "$dir/note_a", "$dir/note_a" ], 'one note alone is none');
}
sql('globex', q{SELECT provenance.resolve_fork('initech', 'their copy was switched off')});
is(state_of($hub, 'globex', give('initech', 'globex', "'{note}'")), 'none', 'an administrator decides to go on with the true one');
is(sql('globex', 'SELECT count(*) FROM provenance.fork_evidence'), '1', 'the evidence stays');

is(sql($_, 'SELECT * FROM provenance.verify()'), '', "$_ is intact") for @names;
done_testing();
