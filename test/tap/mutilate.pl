# Any value of any ledger table changed at random, by a superuser: verification
# says what it finds and never fails, crashes or runs on; what reads the ledger
# gives an answer or an error that names the damage, never an internal one.
# MUTILATE_SEED and MUTILATE_ROUNDS repeat a run, or make a longer one.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $seed = $ENV{MUTILATE_SEED} // 1;
my $rounds = $ENV{MUTILATE_ROUNDS} // 200;
my $node = PostgreSQL::Test::Cluster->new('mutilate');
$node->init;
$node->append_conf('postgresql.conf', "fsync = off\nautovacuum = off\n");
$node->start;

sub sql { return $node->safe_psql('postgres', $_[0]); }

sql(q{CREATE EXTENSION provenance; SELECT provenance.setup('mutilate.example');
CREATE TABLE contact (id int PRIMARY KEY, name text, score numeric);
CREATE TABLE event (region text, n int, what text, PRIMARY KEY (region, n)) PARTITION BY LIST (region);
CREATE TABLE event_eu PARTITION OF event FOR VALUES IN ('eu');
INSERT INTO contact SELECT i, 'name ' || i, i FROM generate_series(1, 60) i;
SELECT provenance.tag('contact'), provenance.tag('event', exclude => '{what}')});
sql(q{INSERT INTO event SELECT 'eu', i, 'x' FROM generate_series(1, 200) i; UPDATE contact SET score = 0; SELECT provenance.rotate_key()});
my $kept = sql('SELECT provenance.note(provenance.seal())');
sql(q{DELETE FROM contact WHERE id > 50; INSERT INTO contact VALUES (55, 'back'); TRUNCATE event; INSERT INTO event VALUES ('eu', 1, 'y');
	ALTER TABLE contact ADD COLUMN more text});
sql('SELECT provenance.seal()');
sql(q{UPDATE contact SET name = 'unsealed' WHERE id < 10; SELECT provenance.stop_worker()});
is(sql('SELECT count(*) FROM provenance.verify()'), '0', 'intact');

sql(q{CREATE SCHEMA forger;
CREATE FUNCTION forger.one_of(VARIADIC a text[]) RETURNS text LANGUAGE sql VOLATILE AS 'SELECT a[1 + (random() * 1000)::int % cardinality(a)]';

-- Some statement that changes one value, or removes or doubles a row.
CREATE FUNCTION forger.mutilation() RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	c record;
	id tid;
	value text;
BEGIN
	SELECT r.relname, a.attname, format_type(a.atttypid, -1) AS type INTO c
	FROM pg_class r JOIN pg_attribute a ON a.attrelid = r.oid AND a.attnum > 0 AND NOT a.attisdropped
	WHERE r.relnamespace = 'provenance'::regnamespace AND r.relkind = 'r' AND pg_relation_size(r.oid) > 0
	ORDER BY random() LIMIT 1;
	EXECUTE format('SELECT ctid FROM provenance.%I ORDER BY random() LIMIT 1', c.relname) INTO id;
	IF random() < 0.1 THEN
		RETURN format('DELETE FROM provenance.%I WHERE ctid = %L', c.relname, id);
	ELSIF random() < 0.1 THEN
		RETURN format('ALTER TABLE provenance.%I ALTER COLUMN %I DROP NOT NULL; UPDATE provenance.%1$I SET %2$I = NULL WHERE ctid = %L', c.relname, c.attname, id);
	END IF;
	value := CASE c.type
		WHEN 'bytea' THEN forger.one_of('set_byte(%1$I, (random() * (length(%1$I) - 1))::int, (random() * 255)::int)', 'set_byte(%1$I, 0, 255)',
			'set_bit(%1$I, (random() * (8 * length(%1$I) - 1))::bigint, 1)', '''''', 'substr(%1$I, 1, length(%1$I) / 2)', '%1$I || ''\x00''', '%1$I || %1$I',
			'''\x01fe7fffffff''', 'decode(repeat(''ff'', 3000), ''hex'')')
		WHEN 'provenance.hash' THEN 'sha256(%1$I)::provenance.hash'
		WHEN 'provenance.checkpoint' THEN forger.one_of('(SELECT note FROM provenance.checkpoint_note ORDER BY random() LIMIT 1)',
			'regexp_replace(%1$I::text, ''\n[0-9]+\n'', E''\n9223372036854775807\n'')::provenance.checkpoint', 'replace(%1$I::text, ''mutilate'', ''other'')::provenance.checkpoint')
		WHEN 'uuid' THEN forger.one_of('gen_random_uuid()', '(SELECT row_id FROM provenance.entry ORDER BY random() LIMIT 1)')
		WHEN 'timestamp with time zone' THEN forger.one_of('''infinity''', '''-infinity''', '''4000-01-01 BC''', '''294276-12-31''', '%1$I + interval ''1 us''')
		WHEN 'xid8' THEN forger.one_of('''0''', '''18446744073709551615''', '''3''', '(SELECT xid FROM provenance.entry ORDER BY random() LIMIT 1)')
		WHEN 'pg_snapshot' THEN forger.one_of('''1:1:''', '''10:20:10,14,15''', '''9223372036854775806:9223372036854775806:''')
		WHEN 'boolean' THEN 'NOT %1$I'
		WHEN 'name[]' THEN forger.one_of('''{}''', '''{id}''', '''{NULL}''', '''{{name},{more}}''', '''{nobody}''')
		WHEN 'text' THEN forger.one_of('''''', '''x''', 'repeat(%1$I || ''x'', 1000)', '%1$I || chr(1)', '''../''', '''mutilate.example+00000000+AAAA''')
		WHEN 'name' THEN forger.one_of('''''', '''x''', '''pg_class''', '''event''', '''information_schema''')
		WHEN 'smallint' THEN forger.one_of('-1', '0', '1', '32767', '-32768', '%1$I + 1', '256')
		WHEN 'integer' THEN forger.one_of('-1', '0', '1', '2', '2147483647', '-2147483648', '%1$I + 1', '2000000001')
		WHEN 'oid' THEN forger.one_of('0', '1', '1259', '4294967295')
		ELSE forger.one_of('-1', '0', '1', '9223372036854775807', '-9223372036854775808', '%1$I + 1', '%1$I - 1', '%1$I + 256', '9223372036854775552')
	END;
	RETURN format('UPDATE provenance.%I SET %I = %s WHERE ctid = %L', c.relname, c.attname, format(value, c.attname), id);
END $$;

-- Does it; then asks everybody. What went wrong, NULL if nothing did.
CREATE FUNCTION forger.ask(mutilation text, kept text, codes OUT text, wrong OUT text) LANGUAGE plpgsql AS $$
DECLARE
	q text;
	phase text := 'mutilate';
BEGIN
	BEGIN
		SET LOCAL session_replication_role = replica;
		SET LOCAL client_min_messages = error;
		EXECUTE mutilation;
		SET LOCAL session_replication_role = origin;
		phase := 'verify';
		SELECT coalesce(string_agg(DISTINCT code, ' ' ORDER BY code), '-') INTO codes FROM provenance.verify();
		FOREACH q IN ARRAY ARRAY['verify(0, ''10 ms'')', 'verify_log(100)', 'verify_log(500)', 'verify_table(''contact'')', 'verify_row(''contact'', 5)',
			'verify_row(''event'', ''eu'', 1)', format('verify_checkpoint(%L)', kept)] LOOP
			phase := q;
			EXECUTE format('SELECT count(*) FROM provenance.%s', q);
		END LOOP;
		RAISE 'undo' USING ERRCODE = 'ZZ999';
	EXCEPTION
		WHEN SQLSTATE 'ZZ999' THEN NULL;
		WHEN query_canceled THEN wrong := phase || ': ran on';
		WHEN OTHERS THEN
			IF phase <> 'mutilate' THEN
				wrong := format('%s: %s %s', phase, SQLSTATE, SQLERRM);
			END IF;
	END;
	IF codes IS NULL OR wrong IS NOT NULL THEN
		RETURN;
	END IF;
	FOREACH q IN ARRAY ARRAY['history(''contact'', 5)', 'history(''contact'', 55)', 'changes(''event'', ''-infinity'')', 'as_of(NULL::contact, ''infinity'')',
		'as_of_size(NULL::event, 400)', 'prove(70)', 'leaf(70)', 'prove_consistency(10, 300)', 'tile(0, 0)', 'entry_bundle(0)', 'disclose(70)',
		'status', 'checkpoints', 'tagged_table', 'verifier_key()'] LOOP
		BEGIN
			SET LOCAL session_replication_role = replica;
			EXECUTE mutilation;
			SET LOCAL session_replication_role = origin;
			EXECUTE format('SELECT count(r::text) FROM provenance.%s r', q);
			RAISE 'undo' USING ERRCODE = 'ZZ999';
		EXCEPTION
			WHEN query_canceled THEN wrong := q || ': ran on';
			WHEN OTHERS THEN
				IF SQLSTATE IN ('XX000', '53200', '54000') THEN
					wrong := concat(wrong, ' ') || format('%s: %s %s', q, SQLSTATE, SQLERRM);
				END IF;
		END;
	END LOOP;
END $$;});

my $result = sql(qq{SET client_min_messages = warning; SET statement_timeout = '10 min'; DO \$\$BEGIN PERFORM setseed($seed / 1000.0); END\$\$;
	CREATE TABLE forger.result AS SELECT n, m.mutilation, a.* FROM (SELECT n, forger.mutilation() FROM generate_series(1, $rounds) n OFFSET 0) m,
		LATERAL forger.ask(m.mutilation, convert_from('$kept', 'UTF8')) a;
	SELECT string_agg(n || ': ' || mutilation || E'\\n    ' || wrong, E'\\n' ORDER BY n) FROM forger.result WHERE wrong IS NOT NULL});
is($result, '', "nothing goes wrong (seed $seed)");
cmp_ok(sql(q{SELECT count(*) FROM forger.result WHERE codes <> '-'}), '>', $rounds / 4, 'and much is found');
diag(sql(q{SELECT string_agg(n || ': ' || mutilation, E'\n' ORDER BY n) FROM forger.result WHERE codes = '-'})) if $ENV{MUTILATE_UNFOUND};
is(sql('SELECT count(*) FROM provenance.verify()'), '0', 'intact again');

$node->stop;
done_testing();
