-- For each row, log order is version order, also where neither the order in
-- which triggers fire nor that of the commands is: each case over 100,000 rows
-- in one statement. What is shown is how many rows have which chain.
\getenv srcdir PG_ABS_SRCDIR
\set init :srcdir '/sql/include/fresh_log.sql'
\i :init
SET search_path = crm, provenance;
\set rows 100000

-- A sealed table's chains: each entry's operation and value, in the order of
-- the leaves, values without the row's own id; linked: each leaf holds the hash
-- of the one before, the first one zeros.
CREATE FUNCTION chains(target regclass, since bigint DEFAULT 0)
	RETURNS TABLE (chain text, n bigint, linked bool) LANGUAGE sql AS $$
	SELECT chain, count(*), bool_and(linked) FROM (
		SELECT string_agg(op || coalesce(' ' || (image->>'v'), ''), ', ' ORDER BY leaf_index) AS chain,
			bool_and(prev_hash IS NOT DISTINCT FROM expected) AS linked
		FROM (SELECT *, coalesce(lag(leaf_hash) OVER (PARTITION BY key ORDER BY leaf_index), repeat('0', 64)::hash) AS expected
			FROM changes(target, '-infinity', 'infinity') WHERE leaf_index >= since AND key IS NOT NULL) AS e
		GROUP BY key) AS c
	GROUP BY chain ORDER BY chain
$$;

-- A BEFORE INSERT trigger that deletes the row of that key.
CREATE TABLE replaced (id int PRIMARY KEY, v text);
SELECT tag('replaced');
CREATE FUNCTION delete_old() RETURNS trigger LANGUAGE plpgsql AS
	$$ BEGIN DELETE FROM crm.replaced WHERE id = NEW.id; RETURN NEW; END $$;
CREATE TRIGGER a BEFORE INSERT ON replaced FOR EACH ROW EXECUTE FUNCTION delete_old();
INSERT INTO replaced SELECT i, 'old' FROM generate_series(1, :rows) AS i;
-- one statement, each key three times, in turn
INSERT INTO replaced SELECT i, n FROM unnest('{a,b,c}'::text[]) AS n, generate_series(1, :rows) AS i;
SELECT seal() IS NOT NULL AS sealed;
SELECT * FROM chains('replaced');
SELECT v, count(*) FROM replaced GROUP BY v;

-- COPY, and a key UPDATE onto occupied keys, under such a trigger.
CREATE TABLE moved (id int PRIMARY KEY, v text);
INSERT INTO moved SELECT i, 'old' FROM generate_series(1, :rows) AS i;
SELECT tag('moved');
CREATE FUNCTION make_room() RETURNS trigger LANGUAGE plpgsql AS
	$$ BEGIN DELETE FROM crm.moved WHERE id = NEW.id; RETURN NEW; END $$;
CREATE TRIGGER a BEFORE INSERT OR UPDATE OF id ON moved FOR EACH ROW EXECUTE FUNCTION make_room();
\set copy 'COPY moved FROM PROGRAM ' '''' 'seq ' :rows ' | sed "s/$/\\tcopied/"' ''''
:copy;
UPDATE moved SET id = id + :rows / 2, v = 'moved' WHERE id <= :rows / 2;
SELECT seal() IS NOT NULL AS sealed;
SELECT * FROM chains('moved');
SELECT v, count(*) FROM moved GROUP BY v;

-- A user's AFTER trigger, fired for one row, updates the next one of the same
-- statement, whose own change is captured later.
CREATE TABLE linked (id int PRIMARY KEY, v int);
INSERT INTO linked SELECT i, 0 FROM generate_series(1, :rows) AS i;
SELECT tag('linked');
CREATE FUNCTION next_too() RETURNS trigger LANGUAGE plpgsql AS
	$$ BEGIN UPDATE crm.linked SET v = v + 100 WHERE id = NEW.id + 1; RETURN NULL; END $$;
CREATE TRIGGER "!first" AFTER UPDATE ON linked FOR EACH ROW WHEN (NEW.id % 2 = 1 AND pg_trigger_depth() = 0)
	EXECUTE FUNCTION next_too();
UPDATE linked SET v = v + 1;
SELECT seal() IS NOT NULL AS sealed;
SELECT * FROM chains('linked');

-- INSERT … SELECT f(), where f updates the row that this INSERT made before,
-- and deletes some.
CREATE TABLE grown (id int PRIMARY KEY, v int);
SELECT tag('grown');
CREATE FUNCTION touch_before(i int) RETURNS int LANGUAGE plpgsql AS $$
BEGIN
	UPDATE crm.grown SET v = v + 1 WHERE id = i - 1;
	IF i % 4 = 0 THEN
		DELETE FROM crm.grown WHERE id = i - 1;
	END IF;
	RETURN i;
END $$;
INSERT INTO grown SELECT touch_before(i), 0 FROM generate_series(1, :rows) AS i;
SELECT seal() IS NOT NULL AS sealed;
SELECT * FROM chains('grown');

-- A trigger whose EXCEPTION block rolls back what it wrote, over rows of the
-- outer statement that were captured already; rows of it are captured after.
CREATE TABLE stumbled (id int PRIMARY KEY, v int);
INSERT INTO stumbled SELECT i, 0 FROM generate_series(1, :rows) AS i;
SELECT tag('stumbled');
CREATE FUNCTION stumble() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	BEGIN
		UPDATE crm.stumbled SET v = v + 1000 WHERE id IN (NEW.id - 1, NEW.id + 1);
		DELETE FROM crm.stumbled WHERE id = NEW.id;
		RAISE division_by_zero;
	EXCEPTION WHEN division_by_zero THEN
		UPDATE crm.stumbled SET v = v + 10 WHERE id = NEW.id + 1;
	END;
	RETURN NULL;
END $$;
CREATE TRIGGER "!stumble" AFTER UPDATE ON stumbled FOR EACH ROW WHEN (NEW.id % 10 = 5 AND pg_trigger_depth() = 0)
	EXECUTE FUNCTION stumble();
CREATE TRIGGER "~stumble" AFTER UPDATE ON stumbled FOR EACH ROW WHEN (NEW.id % 10 = 8 AND pg_trigger_depth() = 0)
	EXECUTE FUNCTION stumble();
UPDATE stumbled SET v = v + 1;
SELECT seal() IS NOT NULL AS sealed;
SELECT * FROM chains('stumbled');

-- AFTER TRUNCATE triggers that fill the table again, twice in one transaction.
CREATE TABLE refilled (id int PRIMARY KEY, v text);
SELECT tag('refilled');
CREATE FUNCTION refill() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO crm.refilled SELECT i, 'refilled' FROM generate_series(1, TG_ARGV[0]::int) AS i
		ON CONFLICT (id) DO UPDATE SET v = 'again';
	RETURN NULL;
END $$;
CREATE TRIGGER "!refill" AFTER TRUNCATE ON refilled EXECUTE FUNCTION refill(100000);
CREATE TRIGGER "~refill" AFTER TRUNCATE ON refilled EXECUTE FUNCTION refill(1000);
INSERT INTO refilled VALUES (1, 'old');
BEGIN;
TRUNCATE refilled;
DELETE FROM refilled WHERE id % 100 = 0;
TRUNCATE refilled;
COMMIT;
SELECT seal() IS NOT NULL AS sealed;
SELECT count(*) AS truncates, min(leaf_index) AS first, max(leaf_index) AS last FROM changes('refilled', '-infinity', 'infinity')
	WHERE op = 'truncate' \gset
SELECT :truncates AS truncates;
SELECT * FROM chains('refilled', :last);

RESET search_path;
\set drop :srcdir '/sql/include/drop_log.sql'
\i :drop
