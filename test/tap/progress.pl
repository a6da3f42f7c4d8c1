# The view progress: a verification shows while it runs, in every database, and
# no longer than that: not after its end, an error, a cancel, a terminated
# backend, a crash of the server. Without preload the view is empty. One that
# takes longer says so to its caller, and in pg_stat_activity.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('progress');
$node->init;
$node->append_conf('postgresql.conf', "fsync = off\nrestart_after_crash = on\n");
$node->start;

sub psql { return $node->safe_psql($_[1] // 'postgres', $_[0]); }
sub await { return $node->poll_query_until($_[2] // 'postgres', $_[0], $_[1]); }

# A session of its own, which takes statements one after the other.
sub session
{
	my %s = (in => '', out => '', err => '');
	$s{run} = IPC::Run::start([ 'psql', '-XAtq', '-h', $node->host, '-p', $node->port, 'postgres' ],
		'<', \$s{in}, '>', \$s{out}, '2>', \$s{err}, IPC::Run::timeout(180));
	$s{pid} = tell_session(\%s, 'SELECT pg_backend_pid()');
	return \%s;
}

# Gives a statement, and waits for its end.
sub tell_session
{
	my ($s, $sql) = @_;
	$s->{out} = '';
	$s->{in} .= "$sql;\n\\echo over\n";
	$s->{run}->pump until $s->{out} =~ /^over$/m;
	(my $out = $s->{out}) =~ s/\s*over\s*$//;
	return $out;
}

# Gives a statement that is going to wait.
sub begin_statement
{
	my ($s, $sql) = @_;
	$s->{out} = '';
	$s->{in} .= "$sql;\n\\echo over\n";
	$s->{run}->pump_nb for 1 .. 3;
}

psql('CREATE EXTENSION provenance');
psql(q{SELECT provenance.setup('progress.example')});
psql(q{CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t SELECT n, 'x' FROM generate_series(1, 500) n});
psql(q{SELECT provenance.tag('t')});
psql('SELECT provenance.seal()');
psql('CREATE DATABASE other');
psql('CREATE EXTENSION provenance', 'other');
psql('CREATE ROLE nobody_special LOGIN');
psql('GRANT USAGE ON SCHEMA provenance TO nobody_special');

# Verification stops where somebody holds the table.
my $holder = session();
tell_session($holder, 'BEGIN; LOCK TABLE t');
my $verifier = session();
my $waits = sub { return qq{SELECT count(*) FROM pg_stat_activity WHERE pid = $_[0] AND wait_event_type = 'Lock'} };
begin_statement($verifier, 'SELECT count(*) FROM provenance.verify()');
ok(await($waits->($verifier->{pid}), '1'), 'a verification under way');
is(psql('SELECT count(*) FROM provenance.progress'), '0', 'without preload, the view is empty');
tell_session($holder, 'ROLLBACK');
$verifier->{run}->pump until $verifier->{out} =~ /^over$/m;
is($verifier->{out}, "0\nover\n", 'without preload, verification runs');
is($verifier->{err}, '', 'and says nothing if it is quick');

# A long one: two tables, each held for some time.
psql(q{CREATE TABLE u (id int PRIMARY KEY); SELECT provenance.tag('u'); INSERT INTO u SELECT generate_series(1, 10)});
my $second = session();
tell_session($holder, 'BEGIN; LOCK TABLE t');
tell_session($second, 'BEGIN; LOCK TABLE u');
begin_statement($verifier, 'SELECT count(*) FROM provenance.verify()');
ok(await($waits->($verifier->{pid}), '1'), 'a verification waits for the first');
sleep 6;
tell_session($holder, 'ROLLBACK');
ok(await("SELECT query ~ '^verification: .*, [0-9]+.*, 0 findings so far\$' AND state = 'active' FROM pg_stat_activity WHERE pid = $verifier->{pid}", 't'),
	'others see in pg_stat_activity how far it is');
tell_session($second, 'ROLLBACK');
$verifier->{run}->pump until $verifier->{out} =~ /^over$/m;
is($verifier->{out}, "0\nover\n", 'it ends well');
like($verifier->{err}, qr/^NOTICE:  verification: [a-z ]+ of public\.t, \d+ of \d+, 0 findings so far\n\z/, 'and has told its caller, once');
is(psql("SELECT query FROM pg_stat_activity WHERE pid = $verifier->{pid}") =~ /^verification/, '', 'afterwards pg_stat_activity has the query');
$_->{run}->kill_kill for $holder, $second, $verifier;

$node->append_conf('postgresql.conf', "shared_preload_libraries = 'provenance'\n");
$node->restart;
is(psql('SELECT count(*) FROM provenance.progress'), '0', 'nothing runs, nothing is shown');
$holder = session();
tell_session($holder, 'BEGIN; LOCK TABLE t');

my @verifiers = map { session() } 1 .. 3;
begin_statement($_, 'SELECT count(*) FROM provenance.verify()') for @verifiers[ 0, 1 ];
begin_statement($verifiers[2], q{SELECT count(*) FROM provenance.verify_table('t')});
ok(await($waits->($_->{pid}), '1'), "verification $_->{pid} waits") for @verifiers;
my $pids = join ',', sort { $a <=> $b } map { $_->{pid} } @verifiers;
my $listed = q{SELECT string_agg(pid::text, ',' ORDER BY pid) FROM provenance.progress};
is(psql($listed), $pids, 'all are shown');
is(psql($listed, 'other'), $pids, 'in another database too');
is(psql(q{SET ROLE nobody_special; SELECT string_agg(DISTINCT database, ',') FROM provenance.progress}), 'postgres',
	'to everybody, with their database');
is(psql(q{SELECT bool_and(what <> '' AND what !~ 't$' AND done >= 0 AND (total IS NULL OR total >= done)
	AND started_at BETWEEN now() - interval '3 minutes' AND now()) FROM provenance.progress}), 't', 'and how far they are');

psql("SELECT pg_cancel_backend($verifiers[0]{pid})");
$verifiers[0]{run}->pump until $verifiers[0]{out} =~ /^over$/m;
is(psql("SELECT count(*) FROM provenance.progress WHERE pid = $verifiers[0]{pid}"), '0', 'a cancelled one is gone');
is(tell_session($verifiers[0], 'SELECT count(*) FROM provenance.progress'), '2', 'the others are not');
psql("SELECT pg_terminate_backend($verifiers[1]{pid})");
ok(await("SELECT count(*) FROM provenance.progress WHERE pid = $verifiers[1]{pid}", '0'), 'a terminated one is gone');

# An error that a block catches, in a transaction that goes on.
tell_session($verifiers[0], q{SET lock_timeout = 100; BEGIN});
my $caught = q{DO $$ BEGIN PERFORM provenance.verify(); EXCEPTION WHEN lock_not_available THEN NULL; END $$};
tell_session($verifiers[0], $caught);
is(tell_session($verifiers[0], 'SELECT count(*) FROM provenance.progress WHERE pid = pg_backend_pid()'), '0',
	'one that failed inside a block is gone');
tell_session($verifiers[0], "ROLLBACK");

# And outside of one: what the session does next is committed as ever.
tell_session($verifiers[0], $caught);
tell_session($verifiers[0], 'CREATE TABLE public.after_one ()');
is(psql(q{SELECT to_regclass('public.after_one')}), 'after_one', 'no transaction is left open by one that a block caught');

# A phase that ends, and its counts.
tell_session($holder, 'ROLLBACK');
$verifiers[2]{run}->pump until $verifiers[2]{out} =~ /^over$/m;
is($verifiers[2]{out}, "0\nover\n", 'a verification that goes on to its end');
is(psql('SELECT count(*) FROM provenance.progress'), '0', 'and is gone then');

# More than there are slots, one after the other: each gives its slot back.
is(psql(q{SELECT count(*) FROM generate_series(1, 200) n, LATERAL provenance.verify_row('t', 1 + n * 0) f}), '0', 'two hundred calls');
is(psql('SELECT count(*) FROM provenance.progress'), '0', 'leave nothing');

# A crash.
tell_session($holder, 'BEGIN; LOCK TABLE t');
begin_statement($verifiers[2], 'SELECT count(*) FROM provenance.verify()');
ok(await($waits->($verifiers[2]{pid}), '1'), 'a verification under way');
my $end = -s $node->logfile;
kill 'KILL', $verifiers[2]{pid};
for (1 .. 600)
{
	last if substr(slurp_file($node->logfile), $end) =~ /ready to accept connections/;
	select undef, undef, undef, 0.1;
}
is(psql('SELECT count(*) FROM provenance.progress'), '0', 'a crash leaves nothing');
$_->{run}->kill_kill for $holder, @verifiers;
$node->stop;
done_testing();
