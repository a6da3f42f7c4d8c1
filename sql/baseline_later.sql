-- tag(…, baseline => 'later'): the rows' baselines come after, whatever happens
-- to the rows meanwhile. The worker runs only where the test says so.
\getenv srcdir PG_ABS_SRCDIR
\set fresh_log :srcdir '/sql/include/fresh_log.sql'
\set drop_log :srcdir '/sql/include/drop_log.sql'
\i :fresh_log
SET search_path = crm;
SET client_min_messages = warning;

CREATE PROCEDURE worker_off() LANGUAGE plpgsql AS $$ BEGIN
	PERFORM provenance.stop_worker();
	COMMIT;
	WHILE (SELECT worker_pid IS NOT NULL FROM provenance.status) LOOP
		PERFORM pg_sleep(0.02);
		COMMIT;
	END LOOP;
END $$;
-- Has the worker write all baselines, or those of one table, then stops it.
CREATE PROCEDURE worker_writes(which regclass DEFAULT NULL) LANGUAGE plpgsql AS $$
DECLARE
	until timestamptz := clock_timestamp() + '40 s';
BEGIN
	PERFORM provenance.start_worker();
	COMMIT;
	WHILE (SELECT bool_or(baseline = 'running') FROM provenance.tagged_table WHERE "table" = coalesce(which, "table")) LOOP
		IF clock_timestamp() > until THEN
			RAISE 'the worker does not come to an end: %', (SELECT last_error FROM provenance.status);
		END IF;
		PERFORM pg_sleep(0.02);
		COMMIT;
	END LOOP;
	CALL worker_off();
END $$;
-- The entries of a table in the order of the log, sealed or not.
CREATE FUNCTION entries(t regclass) RETURNS TABLE (op text, key jsonb, image jsonb, sealed boolean) LANGUAGE sql AS $$
	SELECT c.op, c.key, c.image, c.leaf_index IS NOT NULL FROM provenance.changes(t, '-infinity') c
		WHERE c.op NOT IN ('tag', 'schema')
$$;
CALL worker_off();

-- Changed before its turn, by every way; the rest is the worker's.
CREATE TABLE contact (id int PRIMARY KEY, email text, note text);
INSERT INTO contact SELECT n, 'e' || n, 'n' FROM generate_series(1, 8) n;
SELECT provenance.tag('contact', exclude => '{note}', baseline => 'later');
SELECT baseline, baseline_rows FROM provenance.tagged_table WHERE "table" = 'contact'::regclass;
UPDATE contact SET email = 'E' || id WHERE id IN (1, 2);
UPDATE contact SET email = 'once more' WHERE id = 1;
DELETE FROM contact WHERE id = 3;
UPDATE contact SET id = 40 WHERE id = 4;
UPDATE contact SET email = email WHERE id = 5;	-- no entry but the baseline
UPDATE contact SET note = 'not covered' WHERE id = 6;
INSERT INTO contact VALUES (9, 'new', '');
UPDATE contact SET email = 'newer' WHERE id = 9;
INSERT INTO contact VALUES (3, 'again', '') ON CONFLICT (id) DO UPDATE SET email = 'never';
INSERT INTO contact VALUES (7, 'again', '') ON CONFLICT (id) DO UPDATE SET email = 'upserted';
BEGIN;
SAVEPOINT s;
DELETE FROM contact WHERE id = 8;
ROLLBACK TO s;
UPDATE contact SET email = 'after a rollback' WHERE id = 8;
UPDATE contact SET email = 'and again' WHERE id = 8;
COMMIT;
INSERT INTO contact VALUES (10, 'x', ''), (11, 'y', '');
SELECT * FROM entries('contact');
SELECT op, image FROM provenance.history('contact', 8);
-- The sealer comes to the same.
SELECT provenance.seal() IS NOT NULL AS sealed;
SELECT log_size = (SELECT count(*) FROM provenance.entry) AS all_sealed FROM provenance.status;
SELECT * FROM entries('contact');
-- Candidates alone are a batch too: sealed state goes on, and nothing is left over.
UPDATE contact SET note = 'not covered either' WHERE id < 8;
SELECT count(*) FROM entries('contact') WHERE NOT sealed;
SELECT pending > 0 AS pending FROM provenance.status;
SELECT provenance.seal() IS NOT NULL AS sealed;
SELECT log_size = (SELECT count(*) FROM provenance.entry) AS all_sealed FROM provenance.status;
SELECT pending FROM provenance.status;
CALL worker_writes();
SELECT baseline, baseline_rows FROM provenance.tagged_table WHERE "table" = 'contact'::regclass;
SELECT provenance.seal() IS NOT NULL AS sealed;
SELECT log_size = (SELECT count(*) FROM provenance.entry) AS all_sealed FROM provenance.status;
SELECT count(*) FROM entries('contact');	-- all of them had one
SELECT code, object FROM provenance.verify();
SELECT count(*) FROM ((SELECT id, email FROM contact EXCEPT SELECT id, email FROM provenance.as_of(NULL::contact, 'infinity'))
	UNION ALL (SELECT id, email FROM provenance.as_of(NULL::contact, 'infinity') EXCEPT SELECT id, email FROM contact)) d;
-- Out of the phase, no candidates.
UPDATE contact SET email = 'plain' WHERE id = 5;
SELECT count(*) FROM provenance.entry e WHERE order_number & 3 = 3 AND seq > (SELECT max(seq) - 1 FROM provenance.entry);
SELECT provenance.untag('contact');

-- Rows that this very transaction wrote before it tagged the table.
BEGIN;
CREATE TABLE own (id int PRIMARY KEY, v text);
INSERT INTO own SELECT n, 'inserted' FROM generate_series(1, 5) n;
UPDATE own SET v = 'updated' WHERE id = 2;
SELECT provenance.tag('own', baseline => 'later');
INSERT INTO own VALUES (6, 'inserted after');
UPDATE own SET v = 'changed' WHERE id IN (1, 2, 6);
UPDATE own SET v = 'changed twice' WHERE id = 1;
DELETE FROM own WHERE id IN (1, 3);
COMMIT;
SELECT * FROM entries('own');
CALL worker_writes();
SELECT code, object FROM provenance.verify_table('own');
SELECT provenance.seal() IS NOT NULL AS sealed;
SELECT op, key, image FROM entries('own') ORDER BY (key->>'id')::int, op <> 'baseline';

-- A row deleted by a BEFORE trigger of the insert that brings it back.
CREATE FUNCTION make_room() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
	DELETE FROM crm.own WHERE id = NEW.id;
	RETURN NEW;
END $$;
SELECT provenance.untag('own');
CREATE TRIGGER make_room BEFORE INSERT ON own FOR EACH ROW EXECUTE FUNCTION make_room();
SELECT provenance.tag('own', baseline => 'later');
INSERT INTO own VALUES (4, 'one'), (4, 'two');
SELECT op, image FROM provenance.history('own', 4);
CALL worker_writes();
SELECT provenance.seal() IS NOT NULL AS sealed;
SELECT op, image FROM provenance.history('own', 4);
SELECT code, object FROM provenance.verify();

-- A tag that is rolled back; one that is begun again.
CREATE TABLE again (id int PRIMARY KEY, v text);
INSERT INTO again SELECT n, 'old' FROM generate_series(1, 4) n;
BEGIN;
SELECT provenance.tag('again', baseline => 'later');
UPDATE again SET v = 'undone' WHERE id = 1;
ROLLBACK;
SELECT count(*) FROM provenance.baseline_phase;
SELECT provenance.tag('again', baseline => 'later');
UPDATE again SET v = 'first tag' WHERE id = 1;
SELECT provenance.untag('again');
SELECT count(*) FROM provenance.baseline_phase;
UPDATE again SET v = 'nobody saw' WHERE id = 1;
DELETE FROM again WHERE id = 2;
SELECT provenance.tag('again', baseline => 'later');
SELECT code, object FROM provenance.verify_row('again', 1);
UPDATE again SET v = 'second tag' WHERE id = 1;
SELECT * FROM entries('again');
SELECT provenance.seal() IS NOT NULL AS sealed;
SELECT code, object FROM provenance.verify_row('again', 1);
SELECT code, severity, object FROM provenance.verify_row('again', 3);
CALL worker_writes();
SELECT provenance.seal() IS NOT NULL AS sealed;
SELECT * FROM entries('again');
SELECT code, object FROM provenance.verify();
SELECT provenance.untag('again');
SELECT provenance.tag('again');	-- at once
SELECT provenance.untag('again');

-- TRUNCATE ends it, unless it is undone.
SELECT provenance.tag('again', baseline => 'later');
BEGIN;
SAVEPOINT s;
TRUNCATE again;
INSERT INTO again VALUES (1, 'undone');
ROLLBACK TO s;
UPDATE again SET v = 'after the rollback' WHERE id = 3;
COMMIT;
SELECT baseline FROM provenance.tagged_table WHERE "table" = 'again'::regclass;
TRUNCATE again;
SELECT baseline FROM provenance.tagged_table WHERE "table" = 'again'::regclass;
INSERT INTO again VALUES (1, 'after the truncate');
UPDATE again SET v = 'and changed';
SELECT op, image FROM provenance.history('again', 1);
SELECT op, image FROM provenance.history('again', 3);
SELECT provenance.seal() IS NOT NULL AS sealed;
SELECT code, object FROM provenance.verify();

-- Partitions: emptied, taken away, brought, and rows moved between them.
CREATE TABLE part (id int, v text, PRIMARY KEY (id)) PARTITION BY RANGE (id);
CREATE TABLE part1 PARTITION OF part FOR VALUES FROM (0) TO (10);
CREATE TABLE part2 PARTITION OF part FOR VALUES FROM (10) TO (20);
CREATE TABLE part3 PARTITION OF part FOR VALUES FROM (20) TO (30);
CREATE TABLE part4 PARTITION OF part FOR VALUES FROM (30) TO (40);
CREATE TABLE part5 (id int PRIMARY KEY, v text);
INSERT INTO part SELECT n, 'old' FROM generate_series(1, 31, 5) n;
INSERT INTO part5 VALUES (41, 'attached');
SELECT provenance.tag('part', baseline => 'later');
UPDATE part SET v = 'changed' WHERE id = 6;
UPDATE part SET id = 12 WHERE id = 1;
UPDATE part SET v = 'moved, changed' WHERE id = 12;
TRUNCATE part2;
ALTER TABLE part DETACH PARTITION part3;
DROP TABLE part4;
ALTER TABLE part ATTACH PARTITION part5 FOR VALUES FROM (40) TO (50);
UPDATE part SET v = 'attached, changed' WHERE id = 41;
INSERT INTO part VALUES (16, 'again');
SELECT op, key, image FROM entries('part');
CALL worker_writes();
SELECT provenance.seal() IS NOT NULL AS sealed;
SELECT op, key, image FROM entries('part') WHERE op IN ('baseline', 'insert');
SELECT code, object FROM provenance.verify();

-- A change of the columns, and of the place of the rows.
CREATE TABLE alt (id int PRIMARY KEY, v text, n int);
INSERT INTO alt SELECT n, 'old', n FROM generate_series(1, 4) n;
SELECT provenance.tag('alt', baseline => 'later');
UPDATE alt SET v = 'before' WHERE id = 1;
ALTER TABLE alt ADD COLUMN w text DEFAULT 'w';
UPDATE alt SET v = 'after' WHERE id = 2;
VACUUM FULL alt;
ALTER TABLE alt RENAME TO altered;
CALL worker_writes();
SELECT provenance.seal() IS NOT NULL AS sealed;
SELECT op, key, image FROM entries('altered');
SELECT code, object FROM provenance.verify();
SELECT provenance.untag('altered');
SELECT provenance.tag('altered', baseline => 'later');
ALTER TABLE altered ALTER COLUMN n TYPE bigint;	-- rewrites: baselines of its own
ALTER TABLE altered RENAME COLUMN w TO x;
UPDATE altered SET x = 'x' WHERE id = 3;
CALL worker_writes();
SELECT provenance.seal() IS NOT NULL AS sealed;
SELECT code, object FROM provenance.verify();
SELECT provenance.untag('altered');

-- What is wrong is found in the phase, what is only missing yet is not.
CREATE TABLE wrong (id int PRIMARY KEY, v text);
INSERT INTO wrong SELECT n, 'old' FROM generate_series(1, 5) n;
SELECT provenance.tag('wrong', baseline => 'later');
UPDATE wrong SET v = 'new' WHERE id IN (1, 2);
DELETE FROM wrong WHERE id = 3;
ALTER TABLE wrong DISABLE TRIGGER provenance_capture;
UPDATE wrong SET v = 'unseen' WHERE id = 1;
DELETE FROM wrong WHERE id = 2;
INSERT INTO wrong VALUES (3, 'unseen');
ALTER TABLE wrong ENABLE ALWAYS TRIGGER provenance_capture;
SELECT code, severity, object FROM provenance.verify_table('wrong') ORDER BY 1;
SELECT code, severity, object FROM provenance.verify_row('wrong', 1);
SELECT code, severity, object FROM provenance.verify_row('wrong', 3);
SELECT code, severity, object FROM provenance.verify_row('wrong', 4);
SELECT DISTINCT code, object FROM provenance.verify(budget => '2 s') ORDER BY 1;
CALL worker_writes();
SELECT provenance.seal() IS NOT NULL AS sealed;
SELECT code, severity, object FROM provenance.verify_table('wrong') ORDER BY 1;
SELECT provenance.untag('wrong');

-- A table of which nothing can be recorded (its key was dropped behind the
-- guard) holds up no other one.
CREATE TABLE keyless (id int PRIMARY KEY);
INSERT INTO keyless VALUES (1);
CREATE TABLE many (id int PRIMARY KEY) PARTITION BY HASH (id);
SELECT format('CREATE TABLE many%s PARTITION OF many FOR VALUES WITH (MODULUS 9, REMAINDER %1$s)', n) FROM generate_series(0, 8) n \gexec
INSERT INTO many SELECT generate_series(1, 100);
BEGIN;
SELECT provenance.tag('keyless', baseline => 'later');
ALTER EVENT TRIGGER provenance_guard_end DISABLE;
ALTER TABLE keyless DROP CONSTRAINT keyless_pkey;
ALTER EVENT TRIGGER provenance_guard_end ENABLE ALWAYS;
COMMIT;
SELECT provenance.tag('many', baseline => 'later');
CALL worker_writes('many');
SELECT baseline FROM provenance.tagged_table WHERE "table" = 'keyless'::regclass;
SELECT last_error FROM provenance.status;
BEGIN;
ALTER EVENT TRIGGER provenance_guard_end DISABLE;
ALTER TABLE keyless ADD PRIMARY KEY (id);
ALTER EVENT TRIGGER provenance_guard_end ENABLE ALWAYS;
COMMIT;
CALL worker_writes();	-- another worker, which knows of no failure
SELECT provenance.untag('keyless'), provenance.untag('many');

-- Append-only; nobody else's table; no other word.
CREATE TABLE book (id int PRIMARY KEY);
INSERT INTO book VALUES (1);
SELECT provenance.tag('book', mode => 'append_only', baseline => 'later');
INSERT INTO book VALUES (2);
UPDATE book SET id = 3 WHERE id = 1;	-- fails
CALL worker_writes();
SELECT op, key FROM entries('book');
SELECT provenance.tag('altered', baseline => 'sometime');	-- fails
SET ROLE regress_provenance_reader;
SELECT provenance.tag('altered', baseline => 'later');	-- fails
SELECT * FROM provenance.baseline_phase;	-- fails
RESET ROLE;
UPDATE provenance.baseline_phase SET rows = 0;	-- fails
SELECT count(*) FROM provenance.baseline_phase;

\i :drop_log
