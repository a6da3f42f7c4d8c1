-- What the stress works on: tables whose triggers, rules and foreign keys do to
-- their rows whatever PostgreSQL allows. The statements come from statements.py;
-- the values that they write decide by their remainders which triggers act.
CREATE EXTENSION provenance;
CREATE SCHEMA stress;
SET search_path = stress;

CREATE TABLE account (id int PRIMARY KEY, v int NOT NULL, note text);
CREATE TABLE child (id int PRIMARY KEY, v int NOT NULL,
	account int REFERENCES account ON DELETE CASCADE ON UPDATE CASCADE);
CREATE TABLE pet (id int PRIMARY KEY, v int NOT NULL,
	account int REFERENCES account ON DELETE SET NULL ON UPDATE CASCADE DEFERRABLE INITIALLY DEFERRED);
CREATE TABLE box (id int PRIMARY KEY, v int NOT NULL);
CREATE TABLE part (id int, v int NOT NULL, region text, PRIMARY KEY (id, region)) PARTITION BY LIST (region);
CREATE TABLE part_eu PARTITION OF part FOR VALUES IN ('eu');
CREATE TABLE part_us (gone int, region text NOT NULL, v int NOT NULL, id int NOT NULL);
ALTER TABLE part_us DROP COLUMN gone;
ALTER TABLE part ATTACH PARTITION part_us FOR VALUES IN ('us');
CREATE TABLE plain (id int PRIMARY KEY, v int NOT NULL);
-- For one transaction of many changes; the model does not look at it.
CREATE TABLE mass (id int PRIMARY KEY, v int NOT NULL);

-- BEFORE: the row of that key goes.
CREATE FUNCTION replace() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	IF TG_OP = 'INSERT' OR NEW.id <> OLD.id THEN
		DELETE FROM stress.account WHERE id = NEW.id;
	END IF;
	RETURN NEW;
END $$;
CREATE TRIGGER a_replace BEFORE INSERT OR UPDATE OF id ON account FOR EACH ROW
	WHEN (NEW.note LIKE 'r%') EXECUTE FUNCTION replace();

-- BEFORE: the row is changed by a statement of the trigger's own, instead or
-- (which the server refuses) as well.
CREATE FUNCTION instead() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	UPDATE stress.account SET v = NEW.v + 1 WHERE id = OLD.id;
	IF NEW.v % 7 <> 0 THEN
		RETURN NULL;
	END IF;
	RETURN NEW;
END $$;
CREATE TRIGGER b_instead BEFORE UPDATE ON account FOR EACH ROW
	WHEN (NEW.v % 11 = 0 AND NEW.id = OLD.id) EXECUTE FUNCTION instead();

-- AFTER: another row, likely one of the same statement, and before its own
-- change is captured, as this trigger's name comes before ours.
CREATE FUNCTION neighbour() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	IF pg_trigger_depth() < 3 THEN
		UPDATE stress.account SET v = v + 100 WHERE id = NEW.id + 1;
	END IF;
	RETURN NULL;
END $$;
CREATE TRIGGER "!!neighbour" AFTER INSERT OR UPDATE ON account FOR EACH ROW
	WHEN (NEW.v % 3 = 0) EXECUTE FUNCTION neighbour();

-- AFTER: an exception block that rolls back what it wrote over rows captured
-- already, then the same row again.
CREATE FUNCTION stumble() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	IF pg_trigger_depth() > 2 THEN
		RETURN NULL;
	END IF;
	BEGIN
		UPDATE stress.account SET v = v + 1000 WHERE id BETWEEN NEW.id - 1 AND NEW.id + 1;
		INSERT INTO stress.box VALUES (NEW.id, NEW.v) ON CONFLICT (id) DO UPDATE SET v = excluded.v;
		BEGIN
			DELETE FROM stress.account WHERE id = NEW.id;
			RAISE division_by_zero;
		EXCEPTION WHEN division_by_zero THEN
			UPDATE stress.box SET v = v + 1 WHERE id = NEW.id;
		END;
		IF NEW.v % 2 = 0 THEN
			RAISE division_by_zero;
		END IF;
	EXCEPTION WHEN division_by_zero THEN
		UPDATE stress.account SET v = v + 1 WHERE id = NEW.id;
	END;
	RETURN NULL;
END $$;
CREATE TRIGGER stumble AFTER INSERT OR UPDATE ON account FOR EACH ROW
	WHEN (NEW.v % 5 = 0) EXECUTE FUNCTION stumble();

-- AFTER: a deleted row comes back.
CREATE FUNCTION come_back() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	IF pg_trigger_depth() = 1 THEN
		INSERT INTO stress.account VALUES (OLD.id, OLD.v + 1, 'back') ON CONFLICT DO NOTHING;
	END IF;
	RETURN NULL;
END $$;
CREATE TRIGGER come_back AFTER DELETE ON account FOR EACH ROW
	WHEN (OLD.v % 4 = 0) EXECUTE FUNCTION come_back();

-- At the end of the transaction, or at SET CONSTRAINTS.
CREATE FUNCTION settle() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	UPDATE stress.account SET v = v + 1 WHERE id = NEW.id AND v % 6 = 0;
	INSERT INTO stress.box VALUES (NEW.id, NEW.v) ON CONFLICT (id) DO UPDATE SET v = stress.box.v + 1;
	RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER settle AFTER UPDATE ON account DEFERRABLE INITIALLY DEFERRED FOR EACH ROW
	WHEN (NEW.v % 6 = 0) EXECUTE FUNCTION settle();

CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS
	$$ BEGIN RAISE 'refused'; END $$;
CREATE TRIGGER refuse AFTER INSERT OR UPDATE ON account FOR EACH ROW
	WHEN (NEW.v % 97 = 0) EXECUTE FUNCTION refuse();

-- After the statement, over all its rows.
CREATE FUNCTION follow() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	UPDATE stress.child SET v = child.v + 1 FROM rows WHERE child.account = rows.id AND rows.v % 10 = 1;
	RETURN NULL;
END $$;
CREATE TRIGGER follow AFTER UPDATE ON account REFERENCING NEW TABLE AS rows FOR EACH STATEMENT
	EXECUTE FUNCTION follow();

-- A truncated table is filled again, before and after.
CREATE FUNCTION refill() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO stress.box SELECT id, v FROM stress.account WHERE id % TG_ARGV[0]::int = 0
		ON CONFLICT (id) DO UPDATE SET v = stress.box.v + 1;
	UPDATE stress.box SET v = v + 1 WHERE id % 2 = 0;
	RETURN NULL;
END $$;
CREATE TRIGGER "!refill" AFTER TRUNCATE ON box EXECUTE FUNCTION refill('2');
CREATE TRIGGER "~~refill" AFTER TRUNCATE ON box EXECUTE FUNCTION refill('3');
CREATE TRIGGER "!before" BEFORE TRUNCATE ON box EXECUTE FUNCTION refill('5');
CREATE TRIGGER "~~before" BEFORE TRUNCATE ON part EXECUTE FUNCTION refill('7');

-- Rules.
CREATE RULE also AS ON DELETE TO box WHERE OLD.v % 5 <> 0 DO ALSO
	UPDATE stress.account SET v = v + 1 WHERE id = OLD.id;
CREATE VIEW account_view AS SELECT id, v FROM account;
CREATE RULE put AS ON INSERT TO account_view DO INSTEAD
	INSERT INTO stress.account VALUES (NEW.id, NEW.v, 'rule') ON CONFLICT DO NOTHING;
CREATE RULE change AS ON UPDATE TO account_view DO INSTEAD (
	DELETE FROM stress.account WHERE id = NEW.id;
	INSERT INTO stress.account VALUES (NEW.id, NEW.v, 'rule') ON CONFLICT DO NOTHING);

-- For INSERT … SELECT: changes rows that the same INSERT made.
CREATE FUNCTION touch(i int) RETURNS int LANGUAGE plpgsql AS $$
BEGIN
	UPDATE stress.account SET v = v + 1 WHERE id BETWEEN i - 2 AND i - 1;
	IF i % 3 = 0 THEN
		DELETE FROM stress.account WHERE id IN (i, i - 1);
	END IF;
	RETURN i;
END $$;

DO $$
DECLARE
	t regclass;
BEGIN
	PERFORM provenance.setup('stress-' || md5(clock_timestamp()::text) || '.example');
	FOREACH t IN ARRAY '{account,child,pet,box,part,plain,mass}'::regclass[] LOOP
		PERFORM provenance.tag(t);
	END LOOP;
	EXECUTE format('ALTER DATABASE %I SET provenance.seal_interval = ''100 ms''', current_database());
END $$;

-- The whole old row goes into the WAL, for the model (model.py).
ALTER TABLE account REPLICA IDENTITY FULL;
ALTER TABLE child REPLICA IDENTITY FULL;
ALTER TABLE pet REPLICA IDENTITY FULL;
ALTER TABLE box REPLICA IDENTITY FULL;
ALTER TABLE part_eu REPLICA IDENTITY FULL;
ALTER TABLE part_us REPLICA IDENTITY FULL;
ALTER TABLE plain REPLICA IDENTITY FULL;
