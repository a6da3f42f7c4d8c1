# Two-phase commit: a prepared transaction is sealed when it commits, in its
# place, once, also when the server was restarted, or crashed, in between; one
# that is rolled back leaves nothing; neither holds up the others. One global
# transaction over two databases, each with its log.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('prepared');
$node->init;
$node->append_conf('postgresql.conf', "fsync = off\nmax_worker_processes = 16\nmax_prepared_transactions = 10\n");
$node->start;

sub q1 { my ($sql, $db) = @_; return $node->safe_psql($db // 'one', $sql); }

foreach my $db ('one', 'two')
{
	q1("CREATE DATABASE $db", 'postgres');
	q1('CREATE EXTENSION provenance', $db);
	q1("SELECT provenance.setup('prepared-$db-" . int(rand(1e9)) . ".example')", $db);
	q1(q{CREATE TABLE t (id int PRIMARY KEY, v int); SELECT provenance.tag('t'); INSERT INTO t SELECT i, 0 FROM generate_series(1, 9) i;
		CREATE FUNCTION chain(i int) RETURNS text LANGUAGE sql AS $$
			SELECT string_agg(op || coalesce(' ' || (image->>'v'), ''), ', ' ORDER BY leaf_index) FROM provenance.history('t', i) $$;
		CREATE FUNCTION again() RETURNS trigger LANGUAGE plpgsql AS
			$$ BEGIN UPDATE t SET v = v + 100 WHERE id = NEW.id; RETURN NULL; END $$;
		CREATE CONSTRAINT TRIGGER again AFTER UPDATE ON t DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN (NEW.v = 5) EXECUTE FUNCTION again()}, $db);
}

sub size { return q1('SELECT provenance.size(provenance.seal())', @_); }

# Sealed, nothing waits, each entry has a leaf, verification finds nothing.
sub intact
{
	my ($name, $db) = @_;
	size($db);
	is(q1('SELECT code, object, message FROM provenance.verify()', $db), '', "$name: intact");
	is(q1(q{SELECT count(*) - (SELECT log_size FROM provenance.seal_state), (SELECT pending FROM provenance.status),
			(SELECT count(*) - count(DISTINCT leaf_index) FROM provenance.changes('t', '-infinity', 'infinity')) FROM provenance.entry}, $db),
		'0|0|0', "$name: each entry in one place");
}

# --- commit and rollback, others going on ---------------------------------

my $size = size();
q1(q{BEGIN; UPDATE t SET v = 1 WHERE id = 1; SAVEPOINT s; UPDATE t SET v = 2 WHERE id = 1; ROLLBACK TO s;
	UPDATE t SET v = 5 WHERE id = 1; DELETE FROM t WHERE id = 2; INSERT INTO t VALUES (2, 1); PREPARE TRANSACTION 'kept'});
q1(q{BEGIN; UPDATE t SET v = 1 WHERE id = 3; INSERT INTO t VALUES (30, 1); PREPARE TRANSACTION 'dropped'});
q1('UPDATE t SET v = 1 WHERE id IN (4, 5)');
is(size(), $size + 2, 'prepared transactions hold up nobody');
is(q1('SELECT pending FROM provenance.status'), '0', 'and do not count as waiting');
q1(q{COMMIT PREPARED 'kept'; ROLLBACK PREPARED 'dropped'; UPDATE t SET v = v + 1 WHERE id IN (1, 2, 3)});
intact('committed and rolled back');
is(q1('SELECT chain(1)'), 'insert 0, update 1, update 5, update 105, update 106', 'with what a deferred trigger did at PREPARE');
is(q1('SELECT chain(2)'), 'insert 0, delete, insert 1, update 2', 'a key that came back');
is(q1('SELECT chain(3)'), 'insert 0, update 1', 'nothing of what was rolled back');
is(q1('SELECT chain(30) IS NULL'), 't', 'nor of a new row');

# --- across a restart, and a crash -----------------------------------------

foreach my $mode ('fast', 'immediate')
{
	$size = size();
	q1(qq{BEGIN; UPDATE t SET v = v + 1 WHERE id = 6; PREPARE TRANSACTION 'kept $mode'});
	q1(qq{BEGIN; UPDATE t SET v = v + 50 WHERE id = 7; PREPARE TRANSACTION 'dropped $mode'});
	q1('UPDATE t SET v = v + 1 WHERE id = 8');
	is(size(), $size + 1, "$mode: others are sealed before");
	$node->stop($mode);
	$node->start;
	q1('UPDATE t SET v = v + 1 WHERE id = 8');
	is(size(), $size + 2, "$mode: and after");
	q1(qq{COMMIT PREPARED 'kept $mode'});
	is(size(), $size + 3, "$mode: committed, it is sealed");
	q1(qq{ROLLBACK PREPARED 'dropped $mode'});
	is(size(), $size + 3, "$mode: rolled back, it is not");
	q1('UPDATE t SET v = v + 1 WHERE id IN (6, 7)');
	intact($mode);
}
is(q1('SELECT chain(6)'), 'insert 0, update 1, update 2, update 3, update 4', 'the row kept');
is(q1('SELECT chain(7)'), 'insert 0, update 1, update 2', 'the row not');
is(q1('SELECT chain(8)'), 'insert 0, update 1, update 2, update 3, update 4', 'the row of the others');

# --- one global transaction over two databases -------------------------------

my %size = map { $_ => size($_) } ('one', 'two');
foreach my $global ([ 'first', 'COMMIT' ], [ 'second', 'ROLLBACK' ])
{
	my ($name, $end) = @$global;
	q1("BEGIN; UPDATE t SET v = v + 1000 WHERE id = 9; PREPARE TRANSACTION '$name $_'", $_) foreach ('one', 'two');
	is(size($_), $size{$_}, "$name: prepared in $_, not sealed") foreach ('one', 'two');
	$node->restart;
	# one side ends long before the other, whose log goes on
	q1("$end PREPARED '$name one'", 'one');
	q1('UPDATE t SET v = v + 1 WHERE id = 9', 'one');
	q1('UPDATE t SET v = v + 1 WHERE id = 1', 'two');
	size($_) foreach ('one', 'two');
	q1("$end PREPARED '$name two'", 'two');
	q1('UPDATE t SET v = v + 1 WHERE id = 9', 'two');
	intact("$name in $_", $_) foreach ('one', 'two');
	%size = map { $_ => size($_) } ('one', 'two');
}
is(q1('SELECT chain(9)', $_), 'insert 0, update 1000, update 1001, update 1002', "the row in $_") foreach ('one', 'two');

$node->stop;
done_testing();
