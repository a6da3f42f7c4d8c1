-- Memory of capture stays flat within a statement of any size: a trigger that
-- fires after ours, at an early and at a late row, looks at the backend's own
-- memory while the statement still runs.
\getenv srcdir PG_ABS_SRCDIR
\set entries :srcdir '/sql/include/entries.sql'
\set clean :srcdir '/sql/include/clean.sql'
\i :entries
SET search_path = crm;
CREATE TYPE pair AS (a int, b timestamptz);
CREATE TABLE wide (id int PRIMARY KEY, t text, ts timestamptz, n numeric, a int[], j jsonb, long text);
CREATE TABLE composite (id int PRIMARY KEY, p pair, n numeric);
CREATE TABLE measured (what text, id int, bytes bigint);
INSERT INTO wide SELECT i, 'text ' || i, now(), i / 7.0, ARRAY[i, NULL], '{"a": 1}', repeat('long ', 10) FROM generate_series(1, 100000) i;
INSERT INTO composite SELECT i, ROW(i, now())::pair, i FROM generate_series(1, 20000) i;
CREATE FUNCTION measure() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO measured SELECT TG_OP || ' ' || TG_TABLE_NAME, NEW.id, sum(total_bytes) FROM pg_backend_memory_contexts;
	RETURN NULL;
END $$;
CREATE TRIGGER zz_measure AFTER INSERT OR UPDATE ON wide FOR EACH ROW WHEN (NEW.id IN (1000, 2000, 100000, 102000, 200000)) EXECUTE FUNCTION measure();
CREATE TRIGGER zz_measure AFTER UPDATE ON composite FOR EACH ROW WHEN (NEW.id IN (1000, 2000, 20000)) EXECUTE FUNCTION measure();
SELECT provenance.tag('wide'), provenance.tag('composite');
UPDATE wide SET n = n + 1, t = t || '!';
UPDATE composite SET n = n + 1;
INSERT INTO wide SELECT id + 100000, t, ts, n, a, j, long FROM wide ORDER BY id;
-- the row before is there for the first use of things
SELECT what, count(*), max(bytes) FILTER (WHERE id % 10000 = 0) - max(bytes) FILTER (WHERE id % 10000 = 2000) < 65536 AS flat
	FROM measured GROUP BY what ORDER BY what;
SELECT count(*) FROM provenance.entry;
\i :clean
