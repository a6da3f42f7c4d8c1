# Handing a record from one database to another, as doc/operations.md has it:
# by prepared transactions on both sides, killed at each point in between, and
# through postgres_fdw, killed between the two commits. What is left is in
# pending_handovers and is finished by its rule, and both logs are intact and
# hold each other's commitments.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my %node;
for my $name (qw(acme globex))
{
	my $node = $node{$name} = PostgreSQL::Test::Cluster->new($name);
	$node->init;
	$node->append_conf('postgresql.conf', "max_prepared_transactions = 10\n");
	$node->start;
	$node->safe_psql('postgres', <<SQL);
	CREATE EXTENSION provenance;
	DO \$\$ BEGIN PERFORM provenance.setup('$name.example'); END \$\$;
	CREATE ROLE app LOGIN;
	CREATE SCHEMA crm AUTHORIZATION app;
	GRANT EXECUTE ON FUNCTION provenance.handover_give, provenance.handover_take, provenance.handover_close,
		provenance.handover_confirm, provenance.handover_withdraw, provenance.handover_record TO app;
	GRANT SELECT ON provenance.handovers, provenance.pending_handovers TO app;
	SET ROLE app;
	CREATE TABLE crm.contact (id int PRIMARY KEY, email text);
	SELECT provenance.tag('crm.contact', subject => 'id');
SQL
}
my ($acme, $globex) = @node{qw(acme globex)};

# as the application
sub app
{
	my ($node, $sql) = @_;
	my ($rc, $out, $err) = $node->psql('postgres', $sql, extra_params => [ '-U', 'app' ]);
	die "$sql: $err" if $rc;
	return $out;
}

# a connection, and statements in it
sub connection
{
	my ($node) = @_;
	my %s = (in => '', out => '', err => '');
	$s{run} = IPC::Run::start([ 'psql', '-XAtq', '-v', 'ON_ERROR_STOP=1', '-U', 'app', '-h', $node->host, '-p', $node->port, 'postgres' ],
		'<', \$s{in}, '>', \$s{out}, '2>', \$s{err}, IPC::Run::timeout(180));
	return \%s;
}

sub say_to
{
	my ($s, $sql) = @_;
	$s->{out} = '';
	$s->{in} .= "$sql;\n\\echo over\n";
	$s->{run}->pump until $s->{out} =~ /^over$/m;
	(my $out = $s->{out}) =~ s/\s*over\s*$//;
	return $out;
}

# Kills a server, and starts it again once its processes have noticed.
sub start_again
{
	my ($node) = @_;
	for (1 .. 100)
	{
		return if $node->start(fail_ok => 1);
		$node->{_pid} = undef;	# it has read the file of the one killed
		select undef, undef, undef, 0.1;
	}
	die $node->name . ' does not start';
}

sub crash
{
	my ($node) = @_;
	$node->kill9;
	start_again($node);
}

# The global transaction up to a step, of: prepare_a, prepare_b, commit_a, commit_b, confirm.
sub hand_over
{
	my ($id, $last) = @_;
	my $gid = "handover:$id";
	my ($a, $b) = (connection($acme), connection($globex));

	say_to($a, 'BEGIN');
	my $a1 = say_to($a, "SELECT provenance.handover_give('$gid', 'globex', '$id')");
	say_to($b, 'BEGIN');
	say_to($b, "INSERT INTO crm.contact VALUES ($id, 'from acme')");
	my $b1 = say_to($b, "SELECT provenance.handover_take('$gid', 'acme', '$id', '$a1')");
	say_to($a, "DELETE FROM crm.contact WHERE id = $id");
	say_to($a, "SELECT provenance.handover_close('$gid', '$b1')");

	my @steps = (
		[ prepare_a => $a, "PREPARE TRANSACTION '$gid:give'" ],
		[ prepare_b => $b, "PREPARE TRANSACTION '$gid:take'" ],
		[ commit_a => $a, "COMMIT PREPARED '$gid:give'" ],
		[ commit_b => $b, "COMMIT PREPARED '$gid:take'" ],
		[ confirm => $a, "SELECT provenance.handover_confirm('$gid')" ]);
	for my $step (@steps)
	{
		say_to($step->[1], $step->[2]);
		last if $step->[0] eq $last;
	}
	crash($last =~ /_a$/ ? $acme : $globex) if $last ne 'confirm';
	$_->{in} .= "\\q\n", eval { $_->{run}->finish } for ($a, $b);
	return ($a1, $b1);
}

my $pending = 'SELECT gid, step, prepared FROM provenance.pending_handovers ORDER BY 1, 2';

# What of this handover each side has, by the documented questions.
sub is_closed { return app($acme, "SELECT EXISTS (SELECT FROM provenance.handovers WHERE gid = 'handover:$_[0]' AND step = 'close')") eq 't' }
sub is_prepared { return app($_[0], "SELECT EXISTS (SELECT FROM provenance.pending_handovers WHERE prepared = '$_[1]')") eq 't' }

# The rule: A first; where A has closed, B commits.
sub finish_by_rule
{
	my ($id) = @_;
	my ($give, $take) = ("handover:$id:give", "handover:$id:take");

	app($acme, (is_prepared($globex, $take) ? 'COMMIT' : 'ROLLBACK') . " PREPARED '$give'") if is_prepared($acme, $give);
	app($globex, (is_closed($id) ? 'COMMIT' : 'ROLLBACK') . " PREPARED '$take'") if is_prepared($globex, $take);
	app($acme, "SELECT provenance.handover_confirm('handover:$id')") if is_closed($id);
}

# Where the record is, and whether that is all.
sub finished
{
	my ($id, $where, $name) = @_;
	is(join(' ', map { app($node{$_}, "SELECT count(*) FROM crm.contact WHERE id = $id") } qw(acme globex)),
		$where eq 'globex' ? '0 1' : '1 0', "$name: the record is in $where alone");
	is(app($acme, $pending) . app($globex, $pending), '', "$name: nothing is pending");
}

sub crossed
{
	my ($id, $name) = @_;
	my $gid = "handover:$id";
	is(app($globex, "SELECT record FROM provenance.handovers WHERE gid = '$gid' AND step = 'take'"),
		app($acme, "SELECT provenance.handover_record('$gid', 'give')"), "$name: b1 holds a1's commitment");
	is(app($acme, "SELECT record FROM provenance.handovers WHERE gid = '$gid' AND step = 'close'"),
		app($globex, "SELECT provenance.handover_record('$gid', 'take')"), "$name: a2 holds b1's");
}

app($acme, "INSERT INTO crm.contact SELECT n, 'c' || n FROM generate_series(1, 20) n");

# --- to the end, and killed on the way ----------------------------------------

my ($a1, $b1) = hand_over(1, 'confirm');
finished(1, 'globex', 'undisturbed');
crossed(1, 'undisturbed');
is(app($acme, "SELECT provenance.handover_record('handover:1', 'give')"), $a1, 'a1 is what was given');
is(app($globex, "SELECT provenance.handover_record('handover:1', 'take')"), $b1, 'b1 is what was taken');

hand_over(2, 'prepare_a');
is(app($acme, $pending), 'handover:2|give|handover:2:give', 'A prepared: it is found');
is(app($globex, $pending), '', 'B knows nothing of it');
finish_by_rule(2);
finished(2, 'acme', 'A prepared');

hand_over(3, 'prepare_b');
is(app($acme, $pending), 'handover:3|give|handover:3:give', 'both prepared: A finds it');
is(app($globex, $pending), 'handover:3|take|handover:3:take', 'both prepared: B finds it');
like(app($globex, 'SELECT finish FROM provenance.pending_handovers'),
	qr/^COMMIT PREPARED 'handover:3:take' when the other database has closed 'handover:3'; ROLLBACK PREPARED 'handover:3:take' when it has neither closed it nor 'handover:3:give' prepared$/,
	'and is told how to finish it');

# One that waits is in nobody's way.
app($acme, "SET lock_timeout = '10s'; SELECT provenance.handover_give('handover:other', 'globex'); SELECT provenance.handover_withdraw('handover:other')");
app($globex, "SET lock_timeout = '10s'; SELECT provenance.handover_take('handover:other', 'acme', NULL, repeat('00', 32)::provenance.hash)");
my (undef, undef, $err) = $globex->psql('postgres', "SET lock_timeout = '1s'; SELECT provenance.handover_take('handover:3', 'acme', NULL, repeat('00', 32)::provenance.hash)");
like($err, qr/lock timeout/, 'but in that of the same one');
finish_by_rule(3);
finished(3, 'globex', 'both prepared');
crossed(3, 'both prepared');

hand_over(4, 'commit_a');
is(app($acme, $pending), 'handover:4|close|', 'between the two commits: A has closed, and does not know of B');
is(app($globex, $pending), 'handover:4|take|handover:4:take', 'between the two commits: B finds what it must commit');
finish_by_rule(4);
finished(4, 'globex', 'between the two commits');
crossed(4, 'between the two commits');

# The same with B killed instead: it is B's commit that did not come.
hand_over(5, 'prepare_b');
app($acme, q{COMMIT PREPARED 'handover:5:give'});
crash($globex);
is(app($globex, $pending), 'handover:5|take|handover:5:take', 'B killed before its commit: it finds it');
finish_by_rule(5);
finished(5, 'globex', 'B killed before its commit');

hand_over(6, 'commit_b');
is(app($acme, $pending), 'handover:6|close|', 'both committed: A has yet to confirm');
is(app($globex, $pending), '', 'both committed: B has nothing to do');
finish_by_rule(6);
finished(6, 'globex', 'both committed');

# A decided against it while B was prepared.
hand_over(7, 'prepare_b');
app($acme, q{ROLLBACK PREPARED 'handover:7:give'});
finish_by_rule(7);
finished(7, 'acme', 'A rolled back');

# --- postgres_fdw ---------------------------------------------------------------

SKIP:
{
	my $available = $acme->safe_psql('postgres', q{SELECT count(*) FROM pg_available_extensions WHERE name = 'postgres_fdw'});
	skip 'postgres_fdw is not installed', 11 if !$available;

	$globex->safe_psql('postgres', <<'SQL');
	CREATE ROLE acme LOGIN;
	GRANT USAGE ON SCHEMA crm TO acme;
	SET ROLE app;
	CREATE TABLE crm.arrival (gid text PRIMARY KEY, given provenance.hash NOT NULL, id int NOT NULL, email text, taken provenance.hash);
	CREATE FUNCTION crm.arrive() RETURNS trigger LANGUAGE plpgsql
		SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
	BEGIN
		INSERT INTO crm.contact VALUES (NEW.id, NEW.email);
		NEW.taken := provenance.handover_take(NEW.gid, 'acme', NEW.id::text, NEW.given);
		RETURN NEW;
	END $$;
	CREATE TRIGGER arrive BEFORE INSERT ON crm.arrival FOR EACH ROW EXECUTE FUNCTION crm.arrive();
	GRANT SELECT, INSERT ON crm.arrival TO acme;
SQL
	my $options = "host '" . $globex->host . "', port '" . $globex->port . "', dbname 'postgres'";
	$acme->safe_psql('postgres', <<SQL);
	CREATE EXTENSION postgres_fdw;
	CREATE SERVER globex FOREIGN DATA WRAPPER postgres_fdw OPTIONS ($options);
	CREATE USER MAPPING FOR app SERVER globex OPTIONS (user 'acme', password_required 'false');
	CREATE FOREIGN TABLE crm.globex_arrival (gid text, given provenance.hash, id int, email text, taken provenance.hash)
		SERVER globex OPTIONS (schema_name 'crm', table_name 'arrival');
	GRANT SELECT, INSERT ON crm.globex_arrival TO app;
SQL

	my $deliver = sub {
		my ($id) = @_;
		return <<SQL;
BEGIN;
WITH arrival AS (
	INSERT INTO crm.globex_arrival (gid, given, id, email)
	SELECT 'handover:$id', provenance.handover_record('handover:$id', 'give'), id, email FROM crm.contact WHERE id = $id
	RETURNING taken)
SELECT provenance.handover_close('handover:$id', taken) FROM arrival;
DELETE FROM crm.contact WHERE id = $id;
SELECT provenance.handover_confirm('handover:$id');
COMMIT;
SQL
	};

	app($acme, q{SELECT provenance.handover_give('handover:11', 'globex', '11')});
	app($acme, $deliver->(11));
	finished(11, 'globex', 'postgres_fdw');
	crossed(11, 'postgres_fdw');

	# B's commit takes a while, and A dies waiting for it: B has committed, A has not.
	$globex->safe_psql('postgres', <<'SQL');
	CREATE FUNCTION crm.slowly() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(8); RETURN NULL; END $$;
	CREATE CONSTRAINT TRIGGER slowly AFTER INSERT ON crm.arrival DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION crm.slowly();
SQL
	app($acme, q{SELECT provenance.handover_give('handover:12', 'globex', '12')});
	my $dying = IPC::Run::start([ 'psql', '-XAtq', '-U', 'app', '-h', $acme->host, '-p', $acme->port, '-c', $deliver->(12), 'postgres' ],
		'>', \my $out, '2>', \my $err);
	$globex->poll_query_until('postgres', q{SELECT count(*) = 1 FROM pg_stat_activity WHERE wait_event = 'PgSleep'});
	$acme->kill9;
	$dying->finish;
	$globex->poll_query_until('postgres', q{SELECT count(*) = 1 FROM crm.arrival WHERE gid = 'handover:12'});
	start_again($acme);
	is(app($acme, $pending), 'handover:12|give|', 'postgres_fdw, killed between the commits: it is found');
	is(app($acme, 'SELECT count(*) FROM crm.contact WHERE id = 12'), '1', 'and nothing is lost');
	is(app($acme, <<'SQL'), '1', 'what B has says how it ends');
	WITH closed AS (SELECT provenance.handover_close(gid, taken) FROM crm.globex_arrival WHERE gid = 'handover:12')
	SELECT count(*) FROM closed;
	DELETE FROM crm.contact WHERE id = 12;
	DO $$ BEGIN PERFORM provenance.handover_confirm('handover:12'); END $$;
SQL
	finished(12, 'globex', 'postgres_fdw, killed between the commits');
	crossed(12, 'postgres_fdw, killed between the commits');
}

# --- the logs --------------------------------------------------------------------

for my $name (qw(acme globex))
{
	$node{$name}->safe_psql('postgres', 'SELECT provenance.seal()');
	is($node{$name}->safe_psql('postgres', 'SELECT * FROM provenance.verify()'), '', "$name: the log is intact");
}

done_testing();
