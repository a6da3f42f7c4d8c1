-- as_of('infinity') is the table, whatever has happened to it; as_of() and
-- as_of_size() give back every state in between: random changes, schema
-- changes, deletes, re-inserts, truncates, seals; one seed a round.
\getenv srcdir PG_ABS_SRCDIR
\set fresh_log :srcdir '/sql/include/fresh_log.sql'
\set drop_log :srcdir '/sql/include/drop_log.sql'
\set differ :srcdir '/sql/include/differ.sql'
\i :fresh_log
SET search_path = crm, provenance;
SET ROLE regress_provenance_owner;
\i :differ
CREATE TABLE item (id int PRIMARY KEY, a int, b text);
SELECT provenance.tag('item');

-- States that were saved under the columns of now; the others are dropped.
CREATE TABLE saved (name text, at timestamptz, size bigint);
CREATE PROCEDURE compare_saved(seed float8, step int) LANGUAGE plpgsql AS $$
DECLARE
	s saved;
BEGIN
	FOR s IN SELECT * FROM saved LOOP
		IF differ(s.name, format('as_of(NULL::item, %L)', s.at)) > 0 THEN
			RAISE NOTICE 'seed %, step %: by time, % differs', seed, step, s.name;
		END IF;
		IF differ(s.name, format('as_of_size(NULL::item, %s)', s.size)) > 0 THEN
			RAISE NOTICE 'seed %, step %: by size, % differs', seed, step, s.name;
		END IF;
		EXECUTE format('DROP TABLE %I', s.name);
	END LOOP;
	DELETE FROM saved;
END $$;

CREATE SEQUENCE number;
CREATE FUNCTION any_id() RETURNS int LANGUAGE sql VOLATILE AS 'SELECT (random() * 40)::int';
CREATE PROCEDURE live(seed float8, steps int) LANGUAGE plpgsql AS $$
DECLARE
	column_name text;
	has text;	-- a column more
	n int;
	size bigint;
BEGIN
	PERFORM setseed(seed);
	FOR step IN 1..steps LOOP
		n := (random() * 24)::int;
		-- some column that is not the key; there may be none
		SELECT attname INTO column_name FROM pg_attribute
			WHERE attrelid = 'item'::regclass AND attnum > 1 AND NOT attisdropped ORDER BY random() LIMIT 1;
		IF n >= 19 THEN
			CALL compare_saved(seed, step);
		END IF;
		CASE
			WHEN n < 5 THEN
				INSERT INTO item (id) SELECT any_id() FROM generate_series(1, 9) ON CONFLICT DO NOTHING;
			WHEN n < 9 THEN
				IF column_name IS NOT NULL THEN
					FOR i IN 1..5 LOOP
						EXECUTE format('UPDATE item SET %I = %L WHERE id %% 7 = %s', column_name, (random() * 9)::int, any_id() % 7);
					END LOOP;
				END IF;
			WHEN n < 12 THEN
				DELETE FROM item WHERE id % 5 = any_id() % 5;
			WHEN n < 13 THEN
				UPDATE item SET id = -id WHERE id % 9 = any_id() % 9 AND NOT EXISTS (SELECT FROM item o WHERE o.id = -item.id);
			WHEN n < 15 THEN	-- there and back, in one transaction and in one command
				DELETE FROM item WHERE id < 20;
				INSERT INTO item (id) VALUES (1), (2);
				DELETE FROM item WHERE id = 1;
				INSERT INTO item (id) VALUES (2), (3) ON CONFLICT (id) DO UPDATE SET id = item.id + 1000 * step;
			WHEN n < 16 THEN	-- what is rolled back did not happen
				BEGIN
					DELETE FROM item;
					INSERT INTO item (id) VALUES (77);
					RAISE division_by_zero;
				EXCEPTION WHEN division_by_zero THEN NULL;
				END;
			WHEN n < 19 THEN
				NULL;
			WHEN n < 20 THEN
				TRUNCATE item;
			WHEN n < 22 THEN
				has := format('c%s', nextval('number'));
				EXECUTE format('ALTER TABLE item ADD COLUMN %I %s', has, (ARRAY['int', 'text DEFAULT ''5''', 'int DEFAULT 3', 'numeric'])[1 + step % 4]);
			WHEN n < 23 THEN
				IF column_name IS NOT NULL THEN
					EXECUTE format('ALTER TABLE item RENAME COLUMN %I TO r%s', column_name, nextval('number'));
				END IF;
			WHEN n < 24 THEN
				IF column_name IS NOT NULL THEN
					EXECUTE format('ALTER TABLE item DROP COLUMN %I', column_name);
				END IF;
			ELSE
				IF column_name IS NOT NULL THEN
					EXECUTE format('ALTER TABLE item ALTER COLUMN %I DROP DEFAULT, ALTER COLUMN %1$I TYPE text USING %1$I || ''0''', column_name);
				END IF;
		END CASE;
		-- before the commit, then after it, then sealed
		IF differ('item', $q$as_of(NULL::item, 'infinity')$q$) > 0 THEN
			RAISE NOTICE 'seed %, step % (%): the open transaction differs', seed, step, n;
		END IF;
		COMMIT;
		IF step % 3 = 0 THEN
			size := provenance.size(provenance.seal());
			EXECUTE format('CREATE TABLE saved_%s AS TABLE item', step);
			INSERT INTO saved VALUES ('saved_' || step, clock_timestamp(), size);
			COMMIT;
		END IF;
		IF differ('item', $q$as_of(NULL::item, 'infinity')$q$) > 0 THEN
			RAISE NOTICE 'seed %, step % (%): the table differs', seed, step, n;
		END IF;
	END LOOP;
	CALL compare_saved(seed, 0);
	COMMIT;
END $$;
CALL live(0.1, 80);
CALL live(0.2, 80);
CALL live(0.3, 80);

-- It has seen something of everything, and the log holds.
SELECT op, count(*) >= least AS enough FROM (VALUES ('insert', 100), ('update', 100), ('delete', 100), ('baseline', 50), ('truncate', 3), ('schema', 10)) e (op, least)
	LEFT JOIN changes('item', '-infinity') USING (op) GROUP BY op, least ORDER BY op;
SELECT * FROM verify();

-- The last entry in the order of the chain whose time is not after that asked
-- for, also where the clock was set back in between.
RESET ROLE;
CREATE TABLE crm.clock (id int PRIMARY KEY, v text);
SELECT tag('clock');
INSERT INTO clock VALUES (1, 'first');
UPDATE clock SET v = 'second';
UPDATE clock SET v = 'third';
ALTER TABLE provenance.entry DISABLE TRIGGER USER;
UPDATE provenance.entry e SET changed_at = CASE h.image->>'v' WHEN 'first' THEN timestamptz '2026-01-01' WHEN 'second' THEN '2026-01-09' ELSE '2026-01-05' END
	FROM history('clock', 1) h WHERE e.seq = h.seq;
UPDATE provenance.entry e SET changed_at = '2025-12-31' FROM changes('clock', '-infinity') c WHERE e.seq = c.seq AND c.op = 'tag';
ALTER TABLE provenance.entry ENABLE TRIGGER USER;
SELECT d AS day, (SELECT v FROM as_of(NULL::crm.clock, make_date(2026, 1, d))) FROM unnest('{1,4,5,8,9,10}'::int[]) d;

\i :drop_log
