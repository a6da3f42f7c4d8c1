-- Statements that change rows in more ways than one: each change is recorded
-- once, in its order, and a row that was not changed is not.
\getenv srcdir PG_ABS_SRCDIR
\set init :srcdir '/sql/include/fresh_log.sql'
\set chains :srcdir '/sql/include/chains.sql'
\i :init
\i :chains
SET search_path = crm, provenance;
CREATE TABLE t (id int PRIMARY KEY, v int);
CREATE TABLE u (id int PRIMARY KEY, v int);
INSERT INTO t SELECT i, 0 FROM generate_series(1, 9) AS i;
SELECT tag('t'), tag('u');

-- keys swapped, in three steps and in a loop of one statement each
BEGIN;
UPDATE t SET id = -1, v = 1 WHERE id = 1;
UPDATE t SET id = 1, v = 2 WHERE id = 2;
UPDATE t SET id = 2, v = 3 WHERE id = -1;
COMMIT;
UPDATE t SET id = 3 - id;	-- fails
-- upserts: of a new key, of one that is there, to another key, twice
INSERT INTO t VALUES (3, 10), (10, 10) ON CONFLICT (id) DO UPDATE SET v = t.v + excluded.v;
INSERT INTO t VALUES (3, 0), (11, 11) ON CONFLICT DO NOTHING;
INSERT INTO t VALUES (11, 0) ON CONFLICT (id) DO UPDATE SET id = 12;
INSERT INTO t VALUES (12, 1), (12, 2) ON CONFLICT (id) DO UPDATE SET v = excluded.v;	-- fails
INSERT INTO t VALUES (3, 0) ON CONFLICT (id) DO UPDATE SET v = 0 WHERE false;
-- a source that names a row twice
UPDATE t SET v = x.v FROM (VALUES (4, 20), (4, 20), (5, 21), (99, 22)) AS x (id, v) WHERE t.id = x.id;
DELETE FROM t USING (VALUES (5), (5)) AS x (id) WHERE t.id = x.id;
MERGE INTO t USING (VALUES (4), (4)) AS x (id) ON t.id = x.id WHEN MATCHED THEN DELETE;	-- fails
MERGE INTO t USING (VALUES (4, 30), (5, 31), (6, 32), (7, 33)) AS x (id, v) ON t.id = x.id
	WHEN MATCHED AND t.id = 6 THEN DELETE
	WHEN MATCHED AND t.id = 7 THEN DO NOTHING
	WHEN MATCHED THEN UPDATE SET id = t.id + 50, v = x.v
	WHEN NOT MATCHED THEN INSERT VALUES (x.id, x.v);
-- writable CTEs, which see none of each other's changes
WITH gone AS (DELETE FROM t WHERE id = 7 RETURNING *),
	kept AS (INSERT INTO u SELECT * FROM gone RETURNING *),
	raised AS (UPDATE t SET v = t.v + 40 FROM kept WHERE t.id = 8 RETURNING t.*)
INSERT INTO t SELECT id + 90, v FROM kept UNION ALL SELECT id + 90, v FROM raised;
WITH a AS (UPDATE t SET v = 50 WHERE id = 9 RETURNING *)
	UPDATE t SET v = 51 WHERE id = 9;	-- one of the two only
-- from itself
INSERT INTO u SELECT id + 1000, v FROM u;
INSERT INTO u SELECT id + 2000, v FROM u;
SELECT settle();
SELECT * FROM chains('t');
SELECT * FROM chains('u');
SELECT * FROM t ORDER BY id;

-- Swapped by one statement, where the order of the rows allows it.
CREATE TABLE s (id int PRIMARY KEY, v int);
INSERT INTO s SELECT i, i FROM generate_series(1, 1000) AS i;
SELECT tag('s');
UPDATE s SET id = -id;
UPDATE s SET id = 1001 + id;
SELECT settle();
SELECT count(*) FILTER (WHERE chain ~ '^baseline \d+, delete, insert \d+$') AS swapped, count(*) FILTER (WHERE chain ~ '^insert \d+, delete$') AS between,
	count(*) FROM chains('s');

\set drop :srcdir '/sql/include/drop_log.sql'
RESET search_path;
\i :drop
