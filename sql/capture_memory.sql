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

-- So it does over 100,000 statements of a session: in one transaction, each
-- second one rolled back to its savepoint, each in a transaction of its own.
-- The server itself keeps something for each (combo command ids, finished
-- subtransactions, which columns an event was of): an untagged table beside
-- tells how much, but for the queue of trigger events, which it has none of.
CREATE TABLE untagged AS SELECT id, n FROM wide WHERE id < 1000;
ALTER TABLE untagged ADD PRIMARY KEY (id);
CREATE PROCEDURE many(target regclass, how text) LANGUAGE plpgsql AS $$
BEGIN
	FOR i IN 1..CASE how WHEN 'transaction' THEN 100000 ELSE 20000 END LOOP
		IF how = 'transaction' THEN
			EXECUTE format('UPDATE %s SET n = $1 WHERE id = $2', target) USING i, 1 + i % 999;
		ELSE
			BEGIN
				EXECUTE format('UPDATE %s SET n = $1 WHERE id = $2', target) USING i, 1 + i % 999;
				IF i % 2 = 0 THEN
					RAISE division_by_zero;
				END IF;
			EXCEPTION WHEN division_by_zero THEN NULL;
			END;
		END IF;
		IF i IN (1000, 2000, 20000, 100000) THEN
			INSERT INTO crm.measured SELECT how || ' ' || target::text, i, sum(total_bytes) FROM pg_backend_memory_contexts
				WHERE name <> 'AfterTriggerEvents';
		END IF;
	END LOOP;
END $$;
CREATE PROCEDURE transactions(target regclass) LANGUAGE plpgsql AS $$
BEGIN
	FOR i IN 1..20000 LOOP
		EXECUTE format('UPDATE %s SET n = $1 WHERE id = $2', target) USING i, 1 + i % 999;
		COMMIT;
		IF i IN (1000, 2000, 20000) THEN
			INSERT INTO crm.measured SELECT 'transactions ' || target::text, i, sum(total_bytes) FROM pg_backend_memory_contexts;
		END IF;
	END LOOP;
END $$;
TRUNCATE measured;
CALL many('untagged', 'transaction');
CALL many('wide', 'transaction');
CALL many('untagged', 'savepoints');
CALL many('wide', 'savepoints');
CALL transactions('untagged');
CALL transactions('wide');
WITH growth AS (SELECT what, max(bytes) FILTER (WHERE id >= 20000) - max(bytes) FILTER (WHERE id = 2000) AS bytes
		FROM (SELECT what, id, bytes, max(id) OVER (PARTITION BY what) AS last FROM measured) AS m WHERE id IN (2000, last) GROUP BY what)
	SELECT split_part(what, ' ', 1) AS how, max(bytes) FILTER (WHERE what ~ 'wide') - max(bytes) FILTER (WHERE what ~ 'untagged') < 65536 AS flat
	FROM growth GROUP BY 1 ORDER BY 1;
SELECT count(*) FROM provenance.entry;
\i :clean
