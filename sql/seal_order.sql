-- For one row, the order of its leaves is the order of its versions, also
-- where neither the order of capture nor command ids are.
SET client_min_messages = error;
DO $$ BEGIN
	PERFORM set_config('provenance.confirm_drop', origin, false) FROM provenance.log_identity;
EXCEPTION WHEN undefined_table OR invalid_schema_name THEN
	NULL;
END $$;
DROP EXTENSION IF EXISTS provenance CASCADE;
DROP SCHEMA IF EXISTS seal_order CASCADE;
CREATE EXTENSION provenance;
SELECT provenance.setup('regress-' || replace(gen_random_uuid()::text, '-', '') || '.example') IS NOT NULL AS ready;
RESET client_min_messages;
CREATE SCHEMA seal_order;
SET search_path = seal_order, provenance;

-- The chains of a table's rows, in the order of their leaves; linked says that
-- each leaf holds the hash of the one before.
CREATE FUNCTION chains(target regclass, ids int[]) RETURNS TABLE (id int, chain text, linked bool)
LANGUAGE sql AS $$
	SELECT i, string_agg(h.op || coalesce(' ' || (h.image->>'v'), ''), ', ' ORDER BY h.leaf_index),
		bool_and(h.prev_hash IS NOT DISTINCT FROM h.expected)
	FROM unnest(ids) AS i,
		LATERAL (SELECT *, coalesce(lag(leaf_hash) OVER (ORDER BY leaf_index),
									repeat('0', 64)::hash) AS expected
				 FROM history(target, i)) AS h
	GROUP BY i ORDER BY i
$$;

-- A BEFORE INSERT trigger that deletes the row of that key.
CREATE TABLE replaced (id int PRIMARY KEY, v text);
SELECT tag('replaced');
CREATE FUNCTION delete_old() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE format('DELETE FROM %I WHERE id = $1', TG_TABLE_NAME) USING NEW.id;
	RETURN NEW;
END $$;
CREATE TRIGGER a BEFORE INSERT ON replaced FOR EACH ROW EXECUTE FUNCTION delete_old();
INSERT INTO replaced VALUES (1, 'old');
INSERT INTO replaced VALUES (1, 'new');
-- one command, one key, three times
INSERT INTO replaced VALUES (5, 'a'), (5, 'b'), (5, 'c');
-- COPY, and a key UPDATE onto an occupied key
COPY replaced FROM stdin;
1	copied
5	copied
\.
CREATE TRIGGER b BEFORE UPDATE OF id ON replaced FOR EACH ROW EXECUTE FUNCTION delete_old();
UPDATE replaced SET id = 5, v = 'moved' WHERE id = 1;
SELECT seal() IS NOT NULL AS sealed;
SELECT * FROM chains('replaced', '{1,5}');
SELECT * FROM replaced ORDER BY id;

-- A user's AFTER trigger, fired for row 1, updates row 2 of the same
-- statement, whose own change is captured later.
CREATE TABLE linked (id int PRIMARY KEY, v int);
INSERT INTO linked VALUES (1, 1), (2, 2);
SELECT tag('linked');
CREATE FUNCTION add_hundred() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	IF NEW.id = 1 AND pg_trigger_depth() = 1 THEN
		UPDATE linked SET v = v + 100 WHERE id = 2;
	END IF;
	RETURN NULL;
END $$;
CREATE TRIGGER "!first" AFTER UPDATE ON linked FOR EACH ROW EXECUTE FUNCTION add_hundred();
UPDATE linked SET v = v + 1;
SELECT seal() IS NOT NULL AS sealed;
SELECT * FROM chains('linked', '{1,2}');

-- INSERT … SELECT f(), where f updates the rows that this very INSERT made.
CREATE TABLE grown (id int PRIMARY KEY, v int);
SELECT tag('grown');
CREATE FUNCTION touch_before(i int) RETURNS int LANGUAGE plpgsql AS $$
BEGIN
	UPDATE grown SET v = v + 1 WHERE id = i - 1;
	RETURN i;
END $$;
INSERT INTO grown SELECT touch_before(i), 0 FROM generate_series(1, 3) AS i;
SELECT seal() IS NOT NULL AS sealed;
SELECT * FROM chains('grown', '{1,2,3}');
SELECT * FROM grown ORDER BY id;

-- Savepoints, a rolled back one among them.
BEGIN;
INSERT INTO grown VALUES (9, 1);
SAVEPOINT a;
UPDATE grown SET v = 2 WHERE id = 9;
ROLLBACK TO a;
UPDATE grown SET v = 3 WHERE id = 9;
SAVEPOINT b;
DELETE FROM grown WHERE id = 9;
INSERT INTO grown VALUES (9, 4);
RELEASE b;
UPDATE grown SET v = 5 WHERE id = 9;
COMMIT;
-- Key changes that swap two rows.
CREATE TABLE swapped (id int PRIMARY KEY DEFERRABLE, v text);
SELECT tag('swapped');	-- fails
UPDATE grown SET id = 10, v = 6 WHERE id = 9;
UPDATE grown SET id = 9, v = 7 WHERE id = 10;
SELECT seal() IS NOT NULL AS sealed;
SELECT * FROM chains('grown', '{9,10}');

-- A truncate ends the chains of the rows, in the same batch and in later ones.
BEGIN;
INSERT INTO linked VALUES (3, 3);
TRUNCATE linked;
INSERT INTO linked VALUES (3, 4);
COMMIT;
SELECT seal() IS NOT NULL AS sealed;
INSERT INTO linked VALUES (1, 5);
UPDATE linked SET v = 6 WHERE id IN (1, 3);
SELECT seal() IS NOT NULL AS sealed;
SELECT i AS id, string_agg(h.op || coalesce(' ' || (h.image->>'v'), '') ||
		CASE WHEN prev_hash = repeat('0', 64)::hash THEN ' (first)' ELSE '' END, ', ' ORDER BY leaf_index) AS since_truncate
	FROM unnest('{1,2,3}'::int[]) AS i, history('linked', i) AS h
	WHERE leaf_index > (SELECT max(truncated_leaf) FROM table_head) GROUP BY i ORDER BY i;

RESET search_path;
SET client_min_messages = error;
DO $$ BEGIN
	PERFORM set_config('provenance.confirm_drop', origin, false) FROM provenance.log_identity;
EXCEPTION WHEN undefined_table OR invalid_schema_name THEN
	NULL;
END $$;
DROP EXTENSION provenance CASCADE;
DROP SCHEMA seal_order CASCADE;
