-- seal() and wait_sealed(): what they cover, and what they refuse.
\set SHOW_CONTEXT never
CREATE DATABASE regress_provenance_seal;
\c regress_provenance_seal
SET client_min_messages = error;	-- no warning where the state directory must be inside the data directory
CREATE EXTENSION provenance;
SELECT 'seal-' || replace(gen_random_uuid()::text, '-', '') || '.test' AS origin \gset
SELECT provenance.setup(:'origin') AS vkey \gset
CREATE TABLE t (id int PRIMARY KEY, v text);
SELECT provenance.tag('t');

-- What is committed, not the caller's own changes.
INSERT INTO t VALUES (1, 'a'), (2, 'b');
SELECT provenance.size(provenance.seal());
BEGIN;
INSERT INTO t VALUES (3, 'c');
SELECT provenance.size(provenance.seal());
COMMIT;
SELECT provenance.size(provenance.seal());

-- Safe in any transaction: what has left stays.
INSERT INTO t VALUES (4, 'd');
BEGIN;
SELECT provenance.seal() AS kept \gset
ROLLBACK;
SELECT provenance.size(:'kept'), note::text = :'kept' AS still_there
	FROM provenance.checkpoints WHERE size = provenance.size(:'kept');
INSERT INTO t VALUES (5, 'e');
BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;
SELECT provenance.seal() AS newest \gset
COMMIT;
SELECT provenance.size(:'newest'),
	provenance.verify_consistency(:'kept', :'newest', provenance.prove_consistency(5, 6), :'vkey') AS extends;

-- Not while the caller holds what the worker needs; the sealer goes on after.
BEGIN;
INSERT INTO t VALUES (6, 'f');
LOCK TABLE provenance.leaf_run;
SELECT provenance.size(provenance.seal());	-- fails
ROLLBACK;
INSERT INTO t VALUES (7, 'g');
SELECT provenance.size(provenance.seal());

-- wait_sealed() waits for what the session committed.
INSERT INTO t SELECT n, 'x' FROM generate_series(100, 199) n;
SELECT provenance.wait_sealed() IS NOT NULL AS waited;
SELECT pending, log_size FROM provenance.status;
SELECT provenance.stop_worker();
INSERT INTO t VALUES (8, 'h');
CREATE PROCEDURE await_no_worker() LANGUAGE plpgsql AS $$
BEGIN
	FOR i IN 1..300 LOOP
		EXIT WHEN provenance.worker_pid() IS NULL;
		PERFORM pg_sleep(0.1);
		PERFORM pg_stat_clear_snapshot();
	END LOOP;
END $$;
CALL await_no_worker();
INSERT INTO t VALUES (9, 'i');
SELECT provenance.wait_sealed('100 ms');	-- fails
SELECT pending > 0 AS waiting, oldest_pending IS NOT NULL AS since FROM provenance.status;
SELECT provenance.size(provenance.seal());
SELECT provenance.size(provenance.wait_sealed('0'));

-- A head that was made NULL is an error that says so, of the worker too, until
-- it is what it was.
ALTER TABLE provenance.head ALTER heads DROP NOT NULL, DISABLE TRIGGER ALL;
CREATE TEMP TABLE heads AS SELECT * FROM provenance.head;
UPDATE provenance.head SET heads = NULL;
UPDATE t SET v = 'after the heads';
SELECT provenance.seal();	-- fails
UPDATE provenance.head h SET heads = s.heads FROM heads s WHERE s.from_row_id = h.from_row_id;
ALTER TABLE provenance.head ALTER heads SET NOT NULL, ENABLE TRIGGER ALL;
SELECT provenance.size(provenance.seal()) > 0 AS sealed;

-- Nor is a head that is not where it is looked for taken for none, of a row k
-- that changes: in a block that begins later, in another block, twice.
INSERT INTO t SELECT n, 'many' FROM generate_series(1000, 1099) n;
SELECT provenance.size(provenance.seal()) > 0 AS sealed;
DELETE FROM heads;
INSERT INTO heads TABLE provenance.head;
ALTER TABLE provenance.head DISABLE TRIGGER ALL;
CREATE TABLE deed (n int, what text, row_id uuid, statement text);
-- Heads in the order of their row identities, from the first or the last on; their identities.
CREATE FUNCTION nth(heads bytea, n int) RETURNS bytea LANGUAGE sql AS $$
	SELECT (array_agg(h ORDER BY h))[CASE WHEN n > 0 THEN n ELSE count(*) + 1 + n END]
		FROM generate_series(0, length(heads) / 56 - 1) i, substr(heads, 1 + 56 * i, 56) h
$$;
CREATE FUNCTION nth_id(heads bytea, n int) RETURNS uuid LANGUAGE sql AS $$SELECT encode(substr(nth(heads, n), 1, 16), 'hex')::uuid$$;
CREATE FUNCTION without(heads bytea, n int) RETURNS bytea LANGUAGE sql AS $$
	SELECT overlay(heads PLACING '' FROM position(nth(heads, n) IN heads) FOR 56)
$$;
WITH b AS (SELECT *, lag(heads) OVER w AS before, lag(from_row_id) OVER w AS from_before,
		row_number() OVER w AS i FROM heads WINDOW w AS (ORDER BY from_row_id))
INSERT INTO deed SELECT 1, 'begins later', from_row_id,
		format('UPDATE provenance.head SET from_row_id = %L WHERE from_row_id = %L', nth_id(heads, 2), from_row_id) FROM b WHERE i = 4
	UNION ALL SELECT 2, 'begins later, the first', nth_id(heads, 1),
		format('UPDATE provenance.head SET from_row_id = %L WHERE from_row_id = %L', nth_id(heads, 2), from_row_id)
		FROM b WHERE i = 1
	UNION ALL SELECT 3, 'in the next block', nth_id(before, -1),
		format('UPDATE provenance.head SET heads = CASE WHEN from_row_id = %1$L THEN %2$L::bytea ELSE %3$L END WHERE from_row_id IN (%1$L, %4$L)', from_before,
			without(before, -1), nth(before, -1) || heads, from_row_id) FROM b WHERE i = 6
	UNION ALL SELECT 4, 'in the block before', from_row_id,
		format('UPDATE provenance.head SET heads = CASE WHEN from_row_id = %1$L THEN %2$L::bytea ELSE %3$L END WHERE from_row_id IN (%1$L, %4$L)', from_before,
			nth(heads, 1) || before, without(heads, 1), from_row_id) FROM b WHERE i = 8
	UNION ALL SELECT 5, 'twice', nth_id(heads, 2),
		format('UPDATE provenance.head SET heads = %L WHERE from_row_id = %L',
			nth(heads, 2) || heads, from_row_id) FROM b WHERE i = 10;
CREATE PROCEDURE misplace() LANGUAGE plpgsql AS $$
DECLARE
	d deed;
	k int;
BEGIN
	FOR d IN SELECT * FROM deed ORDER BY n LOOP
		SELECT t.id INTO STRICT k FROM t, provenance.history('t', t.id) h JOIN provenance.entry e USING (seq) WHERE e.row_id = d.row_id LIMIT 1;
		EXECUTE d.statement;
		RAISE INFO '%: verify: %, verify_row: %', d.what, (SELECT string_agg(DISTINCT code, ' ') FROM provenance.verify()),
			(SELECT coalesce(string_agg(DISTINCT code, ' '), 'nothing') FROM provenance.verify_row('t', k));
		UPDATE t SET v = v || ', changed' WHERE id = k;
		COMMIT;
		BEGIN
			PERFORM provenance.seal();
			RAISE INFO 'sealed';
		EXCEPTION WHEN OTHERS THEN
			RAISE INFO '%', SQLERRM;
		END;
		DELETE FROM provenance.head;
		INSERT INTO provenance.head TABLE heads;
		COMMIT;
		PERFORM provenance.seal();
		DELETE FROM heads;
		INSERT INTO heads TABLE provenance.head;
		COMMIT;
	END LOOP;
END $$;
CALL misplace();
ALTER TABLE provenance.head ENABLE TRIGGER ALL;
SELECT * FROM provenance.verify();

-- Whom it is granted.
CREATE ROLE regress_seal;
SET ROLE regress_seal;
SELECT provenance.seal();	-- fails
RESET ROLE;
GRANT EXECUTE ON FUNCTION provenance.seal() TO regress_seal;
SET ROLE regress_seal;
SELECT provenance.size(provenance.seal());
RESET ROLE;
REVOKE EXECUTE ON FUNCTION provenance.seal() FROM regress_seal;
DROP ROLE regress_seal;

SELECT state_directory FROM provenance.status \gset
SELECT format('COPY (SELECT) TO PROGRAM %L', format('cat >/dev/null; rm -f %s/%s.*', :'state_directory',
	encode(sha256(convert_to(:'origin', 'UTF8')), 'hex'))) AS command \gset
:command;
\c template1
DROP DATABASE regress_provenance_seal;
