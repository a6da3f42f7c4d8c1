# Keys whose equality is not that of their text: citext, a collation that
# ignores case. history(), verify_row() and as_of() go by the key's own
# equality while the row is there, then by the text that was recorded.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('keys');
$node->init;
$node->append_conf('postgresql.conf', "fsync = off\n");
$node->start;

sub sql { return $node->safe_psql('postgres', $_[0]); }

# The operations of a row's history, and its values.
sub history
{
	my ($table, $key) = @_;
	return sql("SELECT string_agg(concat_ws(' ', op, image->>'k', image->>'v'), ', ') FROM provenance.history('$table', '$key')");
}

sql("CREATE EXTENSION provenance; SELECT provenance.setup('keys.example')");

my %kinds = (
	citext => [ 'CREATE EXTENSION citext', 'citext' ],
	collation => [ q{CREATE COLLATION folded (provider = icu, locale = 'und-u-ks-level2', deterministic = false)}, 'text COLLATE folded' ]);
foreach my $kind (sort keys %kinds)
{
	my ($prepare, $type) = @{ $kinds{$kind} };
	my $t = "t_$kind";

	SKIP:
	{
		skip "no $kind here", 12 if $node->psql('postgres', $prepare, stderr => \my $err) != 0;
		sql("CREATE TABLE $t (k $type PRIMARY KEY, v int); SELECT provenance.tag('$t')");
		sql("INSERT INTO $t VALUES ('Ann', 1), ('Bob', 1)");
		sql("UPDATE $t SET v = 2");
		is(history($t, 'ANN'), 'insert Ann 1, update Ann 2', "$kind: equal by the key's operator");
		sql("SELECT provenance.seal()");
		is(history($t, 'aNN'), 'insert Ann 1, update Ann 2', "$kind: sealed, too");

		sql("UPDATE $t SET k = 'ANN' WHERE k = 'ann'");
		is(sql("SELECT string_agg(op || ' ' || (key->>'k'), ', ' ORDER BY seq) FROM provenance.changes('$t', '-infinity', 'infinity') WHERE key->>'k' ILIKE 'ann'"),
			'insert Ann, update Ann, delete Ann, insert ANN', "$kind: another text is another key");
		is(history($t, 'ann'), 'insert ANN 2', "$kind: the row that is there");
		is(history($t, 'Ann'), 'insert ANN 2', "$kind: even by the text that it had");

		sql("DELETE FROM $t WHERE k = 'ann'");
		is(history($t, 'ANN'), 'insert ANN 2, delete ANN', "$kind: gone, the text decides");
		is(history($t, 'Ann'), 'insert Ann 1, update Ann 2, delete Ann', "$kind: also for the text before");
		is(history($t, 'ann'), '', "$kind: there was none of this text");

		sql("INSERT INTO $t VALUES ('Ann', 3)");
		is(history($t, 'ann'), 'insert Ann 1, update Ann 2, delete Ann, insert Ann 3', "$kind: a re-insert goes on with its chain");
		is(sql("SELECT string_agg(k || v, ' ' ORDER BY v) FROM provenance.as_of(NULL::$t, 'infinity')"), 'Bob2 Ann3', "$kind: as_of");
		is(sql("SELECT provenance.seal() IS NOT NULL, (SELECT count(*) FROM provenance.verify_row('$t', 'aNn'))"), 't|0', "$kind: verify_row");
		is(sql('SELECT count(*) FROM provenance.verify()'), '0', "$kind: verify");
	}
}

$node->stop;
done_testing();
