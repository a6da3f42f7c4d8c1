# What a superuser leaves of the scrubber's row, or of the ledger's tables, past
# the guard: no crash, no loop without a rest, an error or a finding that names
# the table; and sealing goes on where the table is none of its own.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('scrub_altered');
$node->init;
$node->append_conf('postgresql.conf',
	"fsync = off\nautovacuum = off\nmax_worker_processes = 16\nshared_preload_libraries = 'provenance'\nprovenance.seal_interval = '100 ms'\nprovenance.scrub_rate = 1000000\n");
$node->start;

my $db = 'postgres';
my $end;
sub sql { return $node->safe_psql($db, $_[0]); }
sub await { return $node->poll_query_until($db, @_); }
sub awaited { my ($re) = @_; return eval { $node->wait_for_log($re, $end); 1 }; }
my $scrubbers = q{SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'provenance scrubber' AND datname = current_database()};

sub log_here
{
	my $origin = 'scrub-altered-' . int(rand(1e9)) . '.example';
	return sql("SET client_min_messages = error; CREATE EXTENSION provenance; SELECT provenance.setup('$origin');
		CREATE TABLE contact (id int PRIMARY KEY, name text); SELECT provenance.tag('contact');
		INSERT INTO contact SELECT i, 'name ' || i FROM generate_series(1, 500) i; SELECT provenance.seal()");
}

sub past_guard
{
	my $guards = join ';', map { "ALTER EVENT TRIGGER provenance_guard_$_ DISABLE" } qw(start drop end rewrite);
	(my $again = $guards) =~ s/DISABLE/ENABLE ALWAYS/g;
	return "SET LOCAL session_replication_role = replica; $guards; $_[0]; $again; SET LOCAL session_replication_role = origin;";
}

# while the scrubber is away
sub restarted
{
	sql('SELECT provenance.stop_worker()');
	await($scrubbers, '0');
	sql('BEGIN; ' . past_guard($_[0]) . ' COMMIT');
	$end = -s $node->logfile;
	sql('SELECT provenance.start_worker()');
	return await($scrubbers, '1');
}

my $complete = "SELECT last_ended_at >= started_at AND last_ended_at < now() + interval '1 day' FROM provenance.scrubbed()";

log_here();
sql('SELECT provenance.start_worker()');
ok(await($complete, 't'), 'a round');
my $up_since = sql('SELECT pg_postmaster_start_time()');

# --- the scrubber's row -------------------------------------------------------

restarted("UPDATE provenance.scrub_state SET kind = 0, next_piece = 5000000, end_piece = 9223372036854775807, started_at = now() - interval '1 s', last_ended_at = NULL");
ok(await($complete, 't'), 'an end far beyond what there is does not hold up the round');
for my $times ("started_at = 'infinity'", "last_ended_at = 'infinity'", "started_at = now() + interval '1 year', last_ended_at = now() + interval '2 years'")
{
	restarted("UPDATE provenance.scrub_state SET $times");
	ok(await($complete, 't'), "with $times a round comes to its end");
	my $row = sql('SELECT xmin, started_at FROM provenance.scrub_state');
	sleep 2;
	is(sql('SELECT xmin, started_at FROM provenance.scrub_state'), $row, 'and the next one does not begin at once');
}

# --- any table: what reads and writes it ----------------------------------------

# Each query's error.
sql(<<'SQL');
CREATE TABLE other (id int PRIMARY KEY);
CREATE FUNCTION ask() RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	said text := '';
	q text;
BEGIN
	BEGIN
		UPDATE contact SET name = 'changed' WHERE id = 1;
	EXCEPTION WHEN OTHERS THEN
		said := said || format(E'UPDATE: %s\n', SQLERRM);
	END;
	FOREACH q IN ARRAY ARRAY['status', 'checkpoints', 'incarnations', 'verifier_keys', 'tagged_table', 'timestamps', 'partner', 'fork_evidence',
		'disclosures', 'disclosed_subjects', 'merged_entry', 'handovers', 'pending_handovers', 'scrubbed()', 'unsealed()', 'signer()', 'verifier_key()',
		'history(''contact'', 1)', 'changes(''contact'', ''-infinity'')', 'as_of(NULL::contact, ''infinity'')', 'as_of_size(NULL::contact, 300)',
		'leaf(100)', 'prove(100)', 'prove_consistency(100, 300)', 'tile(0, 0)', 'entry_bundle(0)', 'disclose(100)', 'export_bundle(''contact'')',
		'subject_changes(''contact'', ''x'')', 'pedigree(''x'')', 'prove_merged(''p'', 1)', 'verify_log(100)', 'verify_table(''contact'')', 'verify_row(''contact'', 1)',
		'timestamp_request(1)', 'witness_key()', 'cosigned_checkpoint()', 'cosign_request(''x'')', 'set_witness_policy(0, ''{}'')',
		format('add_partner(''p'', %L)', current_setting('test.vkey')), 'cosign(''p'')', 'resolve_fork(''p'', ''x'')', 'remove_partner(''p'')',
		'countersignature_message(100)', 'handover_give(''g'', ''p'')', 'handover_confirm(''g'')', 'start_worker()', 'tag(''other'')', 'untag(''contact'')'] LOOP
		BEGIN
			EXECUTE format('SELECT count(r::text) FROM provenance.%s r', q);
		EXCEPTION WHEN OTHERS THEN
			said := said || format(E'%s: %s\n', q, SQLERRM);
		END;
	END LOOP;
	RETURN said;
END $$;
SQL
my $vkey = sql('SELECT provenance.verifier_key()');
sql('SELECT provenance.stop_worker()');
await($scrubbers, '0');
my $before = sql("SET test.vkey = '$vkey'; BEGIN; SELECT ask(); ROLLBACK");
my @tables = split /\n/, sql(q{SELECT relname FROM pg_class WHERE relnamespace = 'provenance'::regnamespace AND relkind = 'r' ORDER BY 1});
my @wrong;
my $errors = 0;
for my $table (@tables)
{
	my ($finding, @said) = split /\n/, sql("SET test.vkey = '$vkey'; BEGIN; " . past_guard("ALTER TABLE provenance.$table ADD COLUMN x text, ADD COLUMN y text") .
		"SELECT string_agg(code || ' ' || object, ', ') FROM provenance.verify(); SELECT ask(); ROLLBACK");
	push @wrong, "verify: $finding, not ledger_altered $table" if $finding ne "ledger_altered $table";
	$errors += my @refused = grep { /: cannot use ledger table "$table"$/ } @said;
	# some want another process to write, which this transaction's lock keeps out
	@said = grep { !/: cannot use ledger table "$table"$| holds a lock that the worker needs$|: canceling statement due to lock timeout$/ } @said;
	push @wrong, map { "$table: $_" } grep { index("$before\n", "$_\n") < 0 } @said;
}
cmp_ok(scalar @tables, '>=', 37, 'all tables of the ledger');
is(join("\n", @wrong), '', 'with columns more each is a finding, and no other error than one that says so');
cmp_ok($errors, '>', 2 * @tables, 'which there are');
my $retyped = past_guard('ALTER EXTENSION provenance DROP VIEW provenance.verifier_keys; DROP VIEW provenance.verifier_keys; ALTER TABLE provenance.log_key ALTER incarnation TYPE text');
my ($finding, @said) = split /\n/, sql("SET test.vkey = '$vkey'; BEGIN; $retyped SELECT string_agg(code || ' ' || object, ', ') FROM provenance.verify(); SELECT ask(); ROLLBACK");
is($finding, 'ledger_altered log_key', 'so is another type of a column');
ok((grep { $_ eq 'verifier_key(): cannot use ledger table "log_key"' } @said), 'and an error');
like(($node->psql($db, "BEGIN; " . past_guard('CREATE OR REPLACE VIEW provenance.inbox AS SELECT NULL::bigint::provenance.inbox_line AS line, NULL::text AS kind, NULL::text AS content, NULL::text AS x WHERE false') .
	"INSERT INTO provenance.inbox (line, kind, content) VALUES (1, 'x', 'y')"))[2],
	qr/can only be called as a trigger of the view inbox/, 'the inbox with a column more takes nothing');

# --- what workers need -----------------------------------------------------------

for my $change ('ADD COLUMN x text, ADD COLUMN y text', 'DROP CONSTRAINT scrub_state_id_check, ALTER id DROP DEFAULT, ALTER id TYPE text')
{
	if ($change !~ /ADD/)
	{
		$node->safe_psql('postgres', 'CREATE DATABASE second');
		$db = 'second';
		log_here();
	}
	restarted("ALTER TABLE provenance.scrub_state $change");
	ok(awaited(qr/scrubbing: finding ledger_altered \(error\): scrub_state/), "scrub_state: $change is a finding");
	is(sql('SELECT scrubbing IS NULL FROM provenance.status'), 't', 'status does without the row');
	sql('INSERT INTO contact SELECT max(id) + 1, $$y$$ FROM contact');
	ok(await('SELECT pending = 0 FROM provenance.status', 't'), 'entries are sealed');
	is(sql(q{SELECT string_agg(code || ' ' || object, ', ') FROM provenance.verify()}), 'ledger_altered scrub_state', 'verify() says so');
}
my $alter = 'ADD COLUMN x text, ADD COLUMN y text';
sql('BEGIN; ' . past_guard("ALTER TABLE provenance.worker_state $alter") . ' COMMIT');
sql('INSERT INTO contact SELECT max(id) + 1, $$y$$ FROM contact');
ok(await('SELECT pending = 0 FROM provenance.unsealed()', 't'), "worker_state: $alter does not keep from committing and sealing");
$end = -s $node->logfile;
sql('BEGIN; ' . past_guard("ALTER TABLE provenance.seal_state $alter") . ' COMMIT');
sql('INSERT INTO contact SELECT max(id) + 1, $$y$$ FROM contact');
ok(awaited(qr/cannot use ledger table "seal_state"/), "seal_state: $alter is an error in the worker");
like(($node->psql($db, 'SELECT provenance.seal()'))[2], qr/cannot use ledger table "seal_state"/, 'and of seal()');
is(sql('SELECT pg_postmaster_start_time()'), $up_since, 'the server is up');
unlike(slurp_file($node->logfile), qr/was terminated by signal|terminating any other active server processes|PANIC/, 'nothing crashed');

$node->stop;
done_testing();
