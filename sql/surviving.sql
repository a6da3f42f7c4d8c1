-- What is rolled back is not recorded, however it is rolled back; what survives
-- is, in its order. Changes raise v, so that a chain shows what is missing.
\getenv srcdir PG_ABS_SRCDIR
\set init :srcdir '/sql/include/fresh_log.sql'
\set chains :srcdir '/sql/include/chains.sql'
\i :init
\i :chains
SET search_path = crm, provenance;
CREATE TABLE t (id int PRIMARY KEY, v int CHECK (v < 100));
SELECT tag('t');

-- Savepoints, one within another, released and rolled back to, repeatedly.
BEGIN;
INSERT INTO t VALUES (1, 0), (2, 0);
SAVEPOINT a;
UPDATE t SET v = v + 1;
SAVEPOINT b;
UPDATE t SET v = v + 50;
DELETE FROM t WHERE id = 2;
ROLLBACK TO b;
UPDATE t SET v = v + 1;
ROLLBACK TO b;
UPDATE t SET v = v + 1 WHERE id = 1;
SAVEPOINT c;
DELETE FROM t WHERE id = 1;
INSERT INTO t VALUES (1, 50);
RELEASE c;
ROLLBACK TO b;
RELEASE b;
UPDATE t SET v = v + 1 WHERE id = 2;
SAVEPOINT a;
UPDATE t SET v = v + 1;
SAVEPOINT a;
UPDATE t SET v = v + 50;
ROLLBACK TO a;
RELEASE a;
RELEASE a;
UPDATE t SET v = v + 2 WHERE id = 1;
SAVEPOINT d;
INSERT INTO t VALUES (3, 50);
ROLLBACK TO d;
INSERT INTO t VALUES (3, 0);
SAVEPOINT a;	-- there are two of this name now
UPDATE t SET v = v + 50;
RELEASE a;
UPDATE t SET v = v + 10;
ROLLBACK TO a;	-- the first one: its time is before most of the above
UPDATE t SET v = v + 4 WHERE id = 1;
COMMIT;
BEGIN;
INSERT INTO t VALUES (5, 0);
SAVEPOINT a;
UPDATE t SET v = v + 1;
SAVEPOINT b;
UPDATE t SET v = v + 1;
RELEASE b;
SAVEPOINT b;
DELETE FROM t;
ROLLBACK TO b;
UPDATE t SET v = v + 1 WHERE id = 5;
COMMIT;
SELECT settle();
SELECT * FROM chains('t');
DELETE FROM t WHERE id = 5;

-- Errors after capture: of the statement, of a later row, of a later trigger,
-- at the end of the statement, at the end of the transaction.
CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'refused'; END $$;
CREATE TRIGGER "~~later" AFTER UPDATE ON t FOR EACH ROW WHEN (NEW.v = 10) EXECUTE FUNCTION refuse();
CREATE FUNCTION refuse_many() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	IF (SELECT max(v) FROM rows) = 11 THEN
		RAISE 'refused at the end';
	END IF;
	RETURN NULL;
END $$;
CREATE TRIGGER "~~~end" AFTER UPDATE ON t REFERENCING NEW TABLE AS rows FOR EACH STATEMENT EXECUTE FUNCTION refuse_many();
CREATE CONSTRAINT TRIGGER deferred AFTER UPDATE ON t DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN (NEW.v = 12)
	EXECUTE FUNCTION refuse();
UPDATE t SET v = 98 + id;	-- fails
INSERT INTO t VALUES (4, 0), (1, 0);	-- fails
UPDATE t SET v = v + 8;	-- fails
UPDATE t SET v = 11;	-- fails
UPDATE t SET v = 12;	-- fails
BEGIN;
UPDATE t SET v = 12;
UPDATE t SET v = 13;
COMMIT;	-- fails
BEGIN;
UPDATE t SET v = v + 1;
SAVEPOINT a;
UPDATE t SET v = 11;	-- fails
ROLLBACK TO a;
UPDATE t SET v = 12;
SET CONSTRAINTS ALL IMMEDIATE;	-- fails
ROLLBACK TO a;
UPDATE t SET v = v + 1;
COMMIT;
SELECT settle();
SELECT * FROM chains('t');

-- Exception blocks, one within another, in a loop, with another table between,
-- whose first change in the session is rolled back (its shape is known then).
CREATE TABLE u (id int PRIMARY KEY, v int);
SELECT tag('u');
ALTER TABLE u ADD COLUMN w int;
DO $$
BEGIN
	FOR i IN 1..4 LOOP
		UPDATE t SET v = v + 1 WHERE id = 1;
		BEGIN
			INSERT INTO u VALUES (i, 0, 1);
			UPDATE t SET v = v + 50 WHERE id = 1;
			BEGIN
				UPDATE u SET v = v + 1 WHERE id = i;
				DELETE FROM t;
				RAISE division_by_zero;
			EXCEPTION WHEN division_by_zero THEN
				UPDATE u SET v = v + 10 WHERE id = i;
			END;
			IF i % 2 = 1 THEN
				RAISE division_by_zero;
			END IF;
			UPDATE t SET v = v - 50 WHERE id = 1;
		EXCEPTION WHEN division_by_zero THEN
			UPDATE t SET v = v + 1 WHERE id = 2;
		END;
	END LOOP;
END $$;
-- procedures that commit and roll back
CREATE PROCEDURE in_parts() LANGUAGE plpgsql AS $$
BEGIN
	FOR i IN 10..14 LOOP
		INSERT INTO crm.u VALUES (i, i);
		UPDATE crm.u SET v = v + 1 WHERE id = i;
		IF i % 2 = 0 THEN
			COMMIT;
		ELSE
			ROLLBACK;
		END IF;
	END LOOP;
END $$;
CALL in_parts();
SELECT settle();
SELECT * FROM chains('t');
SELECT * FROM chains('u');

-- Many subtransactions in one transaction.
DO $$
BEGIN
	FOR i IN 1..5000 LOOP
		BEGIN
			INSERT INTO u VALUES (100 + i % 10, i) ON CONFLICT (id) DO UPDATE SET v = excluded.v;
			IF i % 3 = 0 THEN
				RAISE division_by_zero;
			END IF;
		EXCEPTION WHEN division_by_zero THEN NULL;
		END;
	END LOOP;
END $$;
SELECT settle();
SELECT key, length(chain) - length(replace(chain, ',', '')) + 1 AS entries, chain LIKE '%not linked%' AS broken FROM chains('u') WHERE length(key) = 3;
SELECT count(*) FROM changes('u', '-infinity', 'infinity') WHERE (image->>'v')::int % 3 = 0 AND (image->>'id')::int >= 100;

\set drop :srcdir '/sql/include/drop_log.sql'
RESET search_path;
\i :drop
