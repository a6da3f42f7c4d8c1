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
