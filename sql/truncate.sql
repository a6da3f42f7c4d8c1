-- A truncate's place in the log: after all that triggers wrote before it, and
-- before all that triggers wrote after it, whatever they are called and
-- whichever table of the command they belong to.
\getenv srcdir PG_ABS_SRCDIR
\set init :srcdir '/sql/include/fresh_log.sql'
\i :init
SET search_path = crm, provenance;
CREATE TABLE tier (id int PRIMARY KEY, v text);
CREATE TABLE member (id int PRIMARY KEY, tier int REFERENCES tier, v text);
CREATE TABLE other (id int PRIMARY KEY);
INSERT INTO tier VALUES (1, 'old'), (2, 'old');
INSERT INTO member VALUES (1, 1, 'old');
SELECT tag('tier'), tag('member');

CREATE VIEW tier_log AS
	SELECT op, key->>'id' AS id, image->>'v' AS v, prev_hash = repeat('0', 64)::hash AS first
	FROM changes('tier', '-infinity', 'infinity') ORDER BY leaf_index;
-- Sealed, verification finds nothing, and the history comes to the table.
CREATE FUNCTION intact(target regclass, OUT sealed bool, OUT finding text, OUT differing text) LANGUAGE plpgsql AS $$
BEGIN
	sealed := seal() IS NOT NULL;
	finding := (SELECT string_agg(f.code || ' ' || f.object, ', ') FROM verify() AS f);
	EXECUTE format('SELECT string_agg(d::text, %L) FROM (
		(TABLE %2$s EXCEPT ALL SELECT * FROM as_of(NULL::%2$s, %3$L)) UNION ALL
		(SELECT * FROM as_of(NULL::%2$s, %3$L) EXCEPT ALL TABLE %2$s)) AS d', ' ', target, 'infinity') INTO differing;
END $$;
CREATE FUNCTION put() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO crm.tier VALUES (TG_ARGV[0]::int, TG_ARGV[1]) ON CONFLICT (id) DO UPDATE SET v = excluded.v;
	UPDATE crm.tier SET v = v || '!' WHERE id = TG_ARGV[0]::int;
	RETURN NULL;
END $$;
-- A trigger that fails after the truncate, and one that catches an error of its own.
CREATE FUNCTION stumble() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	BEGIN
		INSERT INTO crm.tier VALUES (90, 'rolled back');
		PERFORM 1 / 0;
	EXCEPTION WHEN division_by_zero THEN NULL;
	END;
	IF current_setting('crm.fail', true) = 'yes' THEN
		RAISE 'refused';
	END IF;
	RETURN NULL;
END $$;

-- Names before and after ours, on the table itself and on others.
CREATE TRIGGER "!a" AFTER TRUNCATE ON tier EXECUTE FUNCTION put('1', 'after');
CREATE TRIGGER "!b" AFTER TRUNCATE ON tier EXECUTE FUNCTION stumble();
CREATE TRIGGER "!c" BEFORE TRUNCATE ON tier EXECUTE FUNCTION put('2', 'before');
CREATE TRIGGER "~~d" BEFORE TRUNCATE ON tier EXECUTE FUNCTION put('3', 'before, last');
CREATE TRIGGER "!e" AFTER TRUNCATE ON other EXECUTE FUNCTION put('4', 'after another');
CREATE TRIGGER "!f" BEFORE TRUNCATE ON other EXECUTE FUNCTION put('5', 'before another');
CREATE TRIGGER "!g" AFTER TRUNCATE ON member EXECUTE FUNCTION put('6', 'after the cascade');
TRUNCATE tier CASCADE;
SELECT * FROM tier ORDER BY id;
SELECT * FROM intact('tier');
SELECT * FROM tier_log;

-- Several tables, either order.
TRUNCATE other, member, tier;
TRUNCATE member, tier, other;
SELECT * FROM tier ORDER BY id;
SELECT * FROM intact('tier');

-- Twice in a transaction; rolled back to a savepoint; refused by a trigger.
BEGIN;
TRUNCATE tier, member, other;
INSERT INTO tier VALUES (10, 'between');
SAVEPOINT a;
TRUNCATE tier, member, other;
INSERT INTO tier VALUES (11, 'gone');
ROLLBACK TO a;
INSERT INTO tier VALUES (12, 'between');
SET LOCAL crm.fail = yes;
SAVEPOINT b;
TRUNCATE tier, member;	-- fails
ROLLBACK TO b;
SET LOCAL crm.fail = no;
INSERT INTO tier VALUES (13, 'between');
TRUNCATE tier, member, other;
INSERT INTO tier VALUES (14, 'kept');
COMMIT;
SELECT * FROM tier ORDER BY id;
SELECT * FROM intact('tier');
SELECT count(*) FROM tier_log WHERE op = 'truncate';
-- A table that this very transaction has made: truncated in place.
BEGIN;
CREATE TABLE fresh (id int PRIMARY KEY, v text);
SELECT tag('fresh');
CREATE FUNCTION put_fresh() RETURNS trigger LANGUAGE plpgsql AS
	$$ BEGIN INSERT INTO crm.fresh VALUES (TG_ARGV[0]::int); RETURN NULL; END $$;
CREATE TRIGGER "!a" AFTER TRUNCATE ON fresh EXECUTE FUNCTION put_fresh('1');
CREATE TRIGGER "!b" BEFORE TRUNCATE ON fresh EXECUTE FUNCTION put_fresh('2');
TRUNCATE fresh;
TRUNCATE fresh;
COMMIT;
SELECT * FROM intact('fresh');
SELECT * FROM fresh;
-- One of our triggers disabled, then enabled.
ALTER TABLE fresh DISABLE TRIGGER "!provenance_truncate";
BEGIN;
TRUNCATE fresh;
ALTER TABLE fresh ENABLE TRIGGER "!provenance_truncate";
TRUNCATE fresh;
COMMIT;
SELECT op, count(*) FROM changes('fresh', '-infinity', 'infinity') WHERE op = 'truncate' GROUP BY op;
-- The table keeps both.
DROP TRIGGER "~provenance_truncate" ON tier;	-- fails
ALTER TRIGGER "~provenance_truncate" ON tier RENAME TO "~";	-- fails

-- Partitions: the whole, a part, both in one command.
CREATE TABLE visit (id int PRIMARY KEY, v text) PARTITION BY RANGE (id);
CREATE TABLE visit_1 PARTITION OF visit FOR VALUES FROM (0) TO (10);
CREATE TABLE visit_2 PARTITION OF visit FOR VALUES FROM (10) TO (20);
SELECT tag('visit');
CREATE FUNCTION put_visit() RETURNS trigger LANGUAGE plpgsql AS
	$$ BEGIN INSERT INTO crm.visit VALUES (TG_ARGV[0]::int, TG_ARGV[1]) ON CONFLICT (id) DO UPDATE SET v = visit.v || '+'; RETURN NULL; END $$;
CREATE TRIGGER "!a" AFTER TRUNCATE ON visit EXECUTE FUNCTION put_visit('1', 'after');
CREATE TRIGGER "!a" AFTER TRUNCATE ON visit_1 EXECUTE FUNCTION put_visit('2', 'after part');
CREATE TRIGGER "!b" BEFORE TRUNCATE ON visit_1 EXECUTE FUNCTION put_visit('3', 'before part');
CREATE TRIGGER "!b" BEFORE TRUNCATE ON visit_2 EXECUTE FUNCTION put_visit('4', 'before part');
INSERT INTO visit VALUES (1, 'x'), (11, 'x');
TRUNCATE visit;
SELECT count(*) FROM changes('visit', '-infinity', 'infinity') WHERE op = 'delete';
INSERT INTO visit VALUES (12, 'x');
TRUNCATE visit_1;
TRUNCATE visit_2, visit;
BEGIN;
TRUNCATE visit;
INSERT INTO visit VALUES (13, 'x');
TRUNCATE visit_2;
INSERT INTO visit VALUES (13, 'y');
COMMIT;
SELECT * FROM intact('visit');
SELECT * FROM visit ORDER BY id;

-- Untagged, it has none of the triggers left.
SELECT untag('visit'), untag('tier');
SELECT tgrelid::regclass, tgname FROM pg_trigger WHERE tgname ~ 'provenance' AND tgrelid IN ('tier'::regclass, 'visit'::regclass, 'visit_1'::regclass);
TRUNCATE tier CASCADE;
SELECT seal() IS NOT NULL AS sealed;
SELECT * FROM verify();
RESET search_path;
\set drop :srcdir '/sql/include/drop_log.sql'
\i :drop
