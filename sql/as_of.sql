-- as_of() and as_of_size(): a table as it stood, by time and by log size.
\getenv srcdir PG_ABS_SRCDIR
\set fresh_log :srcdir '/sql/include/fresh_log.sql'
\set drop_log :srcdir '/sql/include/drop_log.sql'
\i :fresh_log
SET search_path = crm, provenance;
\set as_owner 'SET ROLE regress_provenance_owner'
\set as_reader 'SET ROLE regress_provenance_reader'
\set differ :srcdir '/sql/include/differ.sql'
:as_owner;
\i :differ

-- A state that was saved, with the log size and the time at which it stood.
CREATE TABLE state (n int PRIMARY KEY, size bigint, at timestamptz);
CREATE PROCEDURE save(n int) LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO state SELECT n, size(cp), clock_timestamp() FROM (SELECT provenance.seal() AS cp OFFSET 0) s;
END $$;
-- A table against each copy saved of it: t_1, t_2, …
CREATE FUNCTION compare(t text) RETURNS TABLE (n int, rows bigint, by_size bigint, by_time bigint) LANGUAGE plpgsql AS $$
DECLARE
	s state;
BEGIN
	FOR s IN SELECT * FROM state WHERE to_regclass(t || '_' || state.n) IS NOT NULL ORDER BY state.n LOOP
		n := s.n;
		EXECUTE format('SELECT count(*) FROM %s_%s', t, s.n) INTO rows;
		by_size := differ(t || '_' || s.n, format('provenance.as_of_size(NULL::%s, %s)', t, s.size));
		by_time := differ(t || '_' || s.n, format('provenance.as_of(NULL::%s, %L)', t, s.at));
		RETURN NEXT;
	END LOOP;
END $$;

-- Every kind of value comes back as it was.
CREATE TYPE mood AS ENUM ('good', 'bad''s');
CREATE DOMAIN short AS varchar(5) CHECK (VALUE <> '');
CREATE TYPE pair AS (a int, b text);
CREATE TABLE kinds (id int PRIMARY KEY, n numeric(12,3), n0 numeric, f float8, r real, b boolean, ts timestamptz, t timestamp,
	d date, tm time, tz timetz, iv interval, by bytea, c char(4), v varchar(7), x text, j json, jb jsonb, u uuid, ip inet,
	a int[], ta text[], e mood, dm short, p pair, ra int4range, mr datemultirange, m money, bits bit(3), pt point, rc regclass,
	g int GENERATED ALWAYS AS (id * 2) STORED);
SELECT provenance.tag('kinds');
SET TimeZone = 'America/New_York';
SET DateStyle = 'German, DMY';
SET IntervalStyle = 'sql_standard';
SET extra_float_digits = 0;
INSERT INTO kinds VALUES (1, 1.5, 1.500, 0.1::float8 + 0.2::float8, 1e-30, true, '2026-03-08 02:30:00-05', '2026-03-08 02:30:00.000001',
	'0044-03-15 BC', '23:59:59.999999', '12:00:00+13', '-1 year 2 mons -3 days 04:05:06.789', '\x00ff5c', 'ab', 'o''k', E'a\n\t"\\ü',
	'{"a":  1.0, "a": 2}', '{"a": [1.00, null, "ü"]}', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', '10.0.0.1/8', '[2:3][1:2]={{1,NULL},{3,4}}',
	'{"a,b","NULL",NULL,""," {}"}', 'bad''s', 'dom', '(1,"x,""y")', '[1,10)', '{[2026-01-01,2026-02-01),[2026-03-01,)}', 12.34, B'101', '(1.5,-2)', 'pg_class');
INSERT INTO kinds (id) VALUES (2);
INSERT INTO kinds (id, n0, f, r, ts, d, iv, x, v, ta) VALUES (3, 'NaN', 'Infinity', '-0', 'infinity', '-infinity', '0', '', 'null', '{}');
SELECT differ('kinds', $$as_of(NULL::kinds, 'infinity')$$) AS unsealed;
CALL save(1);
CREATE TABLE kinds_1 AS TABLE kinds;
SELECT n, rows, by_size, by_time FROM compare('kinds');
SELECT count(*) AS same FROM kinds k JOIN as_of(NULL::kinds, 'infinity') o USING (id)
WHERE row(k.n, k.f, k.r, k.ts, k.t, k.iv, k.by, k.c, k.jb, k.a, k.ta, k.p, k.ra, k.mr, k.m, k.g)
	IS NOT DISTINCT FROM row(o.n, o.f, o.r, o.ts, o.t, o.iv, o.by, o.c, o.jb, o.a, o.ta, o.p, o.ra, o.mr, o.m, o.g);
RESET TimeZone;
RESET DateStyle;
RESET IntervalStyle;
RESET extra_float_digits;
SET array_nulls = off;
SET xmloption = document;
SELECT differ('kinds', $$as_of(NULL::kinds, 'infinity')$$);
RESET array_nulls;
RESET xmloption;

-- A table's life: each state between is to be had, by size and by time.
CREATE TABLE item (id int PRIMARY KEY, v text, w int);
INSERT INTO item SELECT n, 'before', n FROM generate_series(1, 20) n;
SELECT provenance.tag('item');
CALL save(10);
CREATE TABLE item_10 AS TABLE item;
INSERT INTO item SELECT n, 'item ' || n, n FROM generate_series(21, 400) n;
UPDATE item SET v = v || '!' WHERE id % 3 = 0;
UPDATE item SET v = v || '?' WHERE id % 6 = 0;
CALL save(11);
CREATE TABLE item_11 AS TABLE item;
DELETE FROM item WHERE id % 5 = 0;
CALL save(12);
CREATE TABLE item_12 AS TABLE item;
INSERT INTO item SELECT n, 'again', n FROM generate_series(5, 400, 10) n;
UPDATE item SET id = -id WHERE id % 7 = 0;
BEGIN;
UPDATE item SET v = 'twice';
DELETE FROM item WHERE id = 1;
INSERT INTO item VALUES (1, 'reborn');
UPDATE item SET w = w + 1;
COMMIT;
CALL save(13);
CREATE TABLE item_13 AS TABLE item;
TRUNCATE item;
CALL save(14);
CREATE TABLE item_14 AS TABLE item;
INSERT INTO item SELECT n, 'after', n FROM generate_series(1, 30) n;
CALL save(15);
CREATE TABLE item_15 AS TABLE item;
SELECT n, rows, by_size, by_time FROM compare('item');
SELECT differ('item', $$as_of(NULL::item, 'infinity')$$) AS now;
SELECT count(*) FROM as_of(NULL::item, '-infinity');
SELECT count(*) FROM as_of_size(NULL::item, 0);
SELECT v, count(*) FROM as_of(NULL::item, (SELECT at FROM state WHERE n = 12)) GROUP BY 1 HAVING count(*) > 5 ORDER BY 1;
SELECT as_of(NULL::item, 'infinity') ORDER BY 1 LIMIT 1;

-- Between the checkpoints, every size; entry after entry.
SELECT size AS from FROM state WHERE n = 14 \gset
SELECT string_agg(count::text, ' ' ORDER BY n) AS rows FROM generate_series(0, 8) n, LATERAL (SELECT count(*) FROM as_of_size(NULL::item, :from + n)) c;

-- What the caller's own transaction has done; a rolled back savepoint; a truncate not sealed.
BEGIN;
DELETE FROM item WHERE id > 10;
UPDATE item SET v = 'mine' WHERE id = 1;
SAVEPOINT s;
DELETE FROM item;
ROLLBACK TO s;
SELECT count(*), differ('item', $$as_of(NULL::item, 'infinity')$$) FROM as_of(NULL::item, 'infinity');
TRUNCATE item;
INSERT INTO item VALUES (3, 'only');
SELECT * FROM as_of(NULL::item, 'infinity');
ROLLBACK;
SELECT differ('item', $$as_of(NULL::item, 'infinity')$$);

-- Other columns: added, dropped, of another type, at another place.
ALTER TABLE item ADD COLUMN added int, ADD COLUMN defaulted text DEFAULT 'd';
SELECT differ('item', $$as_of(NULL::item, 'infinity')$$);
UPDATE item SET added = id WHERE id < 10;
ALTER TABLE item ALTER COLUMN w TYPE text, DROP COLUMN v;
SELECT differ('item', $$as_of(NULL::item, 'infinity')$$);
ALTER TABLE item ALTER COLUMN w TYPE numeric(9,2) USING w::numeric;
CALL save(16);
CREATE TABLE item_16 AS TABLE item;
INSERT INTO item VALUES (1000, 7.5, 1, 'x');
SELECT by_size, by_time FROM compare('item') WHERE n = 16;
SELECT differ('item', $$as_of(NULL::item, 'infinity')$$);
SELECT differ('(SELECT id, w::numeric(9,2), NULL::int, NULL::text FROM item_13)', 'as_of_size(NULL::item, ' || size || ')') FROM state WHERE n = 13;
-- a renamed column goes by its name of today, in rows not touched since as well
ALTER TABLE item RENAME COLUMN defaulted TO renamed;
UPDATE item SET added = 0 WHERE id = 2;
SELECT id, renamed FROM as_of(NULL::item, 'infinity') WHERE id IN (2, 3) ORDER BY 1;
SELECT differ('item', $$as_of(NULL::item, 'infinity')$$);
-- what the type of today does not take
ALTER TABLE item ADD COLUMN late text DEFAULT 'words';
SELECT provenance.size(provenance.seal()) AS words \gset
ALTER TABLE item ALTER COLUMN late DROP DEFAULT, ALTER COLUMN late TYPE int USING 0;
SELECT count(*) FROM as_of(NULL::item, 'infinity') WHERE late = 0;
\set VERBOSITY sqlstate
SELECT count(*) FROM as_of_size(NULL::item, :words);	-- fails
\set VERBOSITY default
-- excluded columns are not recorded
SELECT untag('item');
SELECT count(*) FROM as_of(NULL::item, 'infinity');
DELETE FROM item WHERE id > 20;
SELECT tag('item', exclude => '{w}');
SELECT count(*), count(w) FROM as_of(NULL::item, 'infinity');
SELECT count(*) AS missed FROM as_of(NULL::item, 'infinity') a FULL JOIN item USING (id) WHERE a IS NULL OR item IS NULL;

-- A partitioned table, with rows that move; as a partition of it there is no state.
CREATE TABLE part (id int, region text, v text, PRIMARY KEY (id, region)) PARTITION BY LIST (region);
CREATE TABLE part_eu PARTITION OF part FOR VALUES IN ('eu');
CREATE TABLE part_us (v text, region text NOT NULL, dropped int, id int NOT NULL);
ALTER TABLE part_us DROP COLUMN dropped;
ALTER TABLE part ATTACH PARTITION part_us FOR VALUES IN ('us');
SELECT provenance.tag('part');
INSERT INTO part SELECT n, CASE n % 2 WHEN 0 THEN 'eu' ELSE 'us' END, 'v' || n FROM generate_series(1, 40) n;
CALL save(20);
CREATE TABLE part_20 AS TABLE part;
UPDATE part SET region = 'us' WHERE id < 10;
DELETE FROM part WHERE id > 30;
CALL save(21);
CREATE TABLE part_21 AS TABLE part;
TRUNCATE part_eu;
CALL save(22);
CREATE TABLE part_22 AS TABLE part;
ALTER TABLE part DETACH PARTITION part_us;
CALL save(23);
CREATE TABLE part_23 AS TABLE part;
SELECT n, rows, by_size, by_time FROM compare('part');
SELECT differ('part', $$as_of(NULL::part, 'infinity')$$);
SELECT count(*) FROM as_of(NULL::part_eu, 'infinity');	-- fails

-- Code behind a type runs as the table's owner.
CREATE FUNCTION who(text) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
	RAISE NOTICE 'as %', current_user;
	RETURN true;
END $$;
CREATE DOMAIN checked AS text CHECK (who(VALUE));
CREATE TABLE trap (id int PRIMARY KEY, c checked);
SELECT provenance.tag('trap');
INSERT INTO trap VALUES (1, 'x');
RESET ROLE;
SELECT * FROM as_of(NULL::crm.trap, 'infinity');
SELECT current_user <> 'regress_provenance_owner' AS back;
:as_owner;

-- A result larger than work_mem.
CREATE TABLE big (id int PRIMARY KEY, v text);
SELECT provenance.tag('big');
INSERT INTO big SELECT n, repeat('x', n % 50) FROM generate_series(1, 20000) n;
UPDATE big SET v = v || 'y' WHERE id % 2 = 0;
DELETE FROM big WHERE id % 10 = 0;
SET work_mem = '64kB';
SELECT differ('big', $$as_of(NULL::big, 'infinity')$$);
CALL save(30);
SELECT differ('big', $$as_of(NULL::big, 'infinity')$$);
RESET work_mem;

-- Who may: whoever may read the whole table.
SELECT count(*) FROM as_of(NULL::state, 'infinity');	-- fails
SELECT count(*) FROM as_of(NULL::int, 'infinity');	-- fails
SELECT count(*) FROM as_of(NULL::pair, 'infinity');	-- fails
SELECT count(*) FROM as_of(NULL::big, NULL);	-- fails
SELECT count(*) FROM as_of_size(NULL::big, NULL);	-- fails
SELECT count(*) FROM as_of_size(NULL::big, -1);	-- fails
\set VERBOSITY terse
SELECT count(*) FROM as_of_size(NULL::big, 1000000000);	-- fails
\set VERBOSITY default
:as_reader;
SELECT count(*) FROM as_of(NULL::big, 'infinity');	-- fails
:as_owner;
GRANT SELECT (id) ON big TO regress_provenance_reader;
:as_reader;
SELECT count(*) FROM as_of(NULL::big, 'infinity');	-- fails
:as_owner;
GRANT SELECT (v) ON big TO regress_provenance_reader;
:as_reader;
SELECT count(*) FROM as_of(NULL::big, 'infinity');
:as_owner;
ALTER TABLE big ENABLE ROW LEVEL SECURITY;
:as_reader;
SELECT count(*) FROM as_of(NULL::big, 'infinity');	-- fails
:as_owner;
ALTER TABLE big DISABLE ROW LEVEL SECURITY;
RESET ROLE;

-- Under every isolation level, and what seal() has just returned.
BEGIN ISOLATION LEVEL SERIALIZABLE;
SELECT count(*) = (SELECT count(*) FROM crm.big) AS same FROM as_of(NULL::crm.big, 'infinity');
SELECT count(*) = (SELECT count(*) FROM crm.big) AS same FROM as_of_size(NULL::crm.big, size(provenance.seal()));
COMMIT;

-- An erased image is a row of NULLs.
ALTER TABLE provenance.entry DISABLE TRIGGER ALL;
UPDATE provenance.entry SET seed = NULL, image = NULL WHERE seq = (SELECT max(seq) FROM history('crm.big', 7));
SELECT count(*) - count(id) AS erased FROM as_of(NULL::crm.big, 'infinity');
UPDATE provenance.entry SET image = '\x01' WHERE seq = (SELECT max(seq) FROM history('crm.big', 7));
\set VERBOSITY sqlstate
SELECT count(*) FROM as_of(NULL::crm.big, 'infinity');	-- fails
\set VERBOSITY default

\i :drop_log
