-- What triggers, foreign keys and rules of the user do to rows, of the same
-- statement, of the same row again, of other tagged tables.
\getenv srcdir PG_ABS_SRCDIR
\set init :srcdir '/sql/include/fresh_log.sql'
\set chains :srcdir '/sql/include/chains.sql'
\i :init
\i :chains
SET search_path = crm, provenance;

-- The same row again, before and after; another tagged table.
CREATE TABLE t (id int PRIMARY KEY, v text);
CREATE TABLE journal (id int PRIMARY KEY GENERATED ALWAYS AS IDENTITY, v text);
SELECT tag('t'), tag('journal');
CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	IF TG_WHEN = 'BEFORE' THEN
		NEW.v := NEW.v || ' before';
		RETURN NEW;
	END IF;
	INSERT INTO journal (v) VALUES (lower(TG_OP) || ' ' || coalesce(NEW.v, OLD.v));
	IF TG_OP <> 'DELETE' AND NEW.v !~ 'after' THEN
		UPDATE t SET v = v || ' after' WHERE id = NEW.id;
	END IF;
	RETURN NULL;
END $$;
CREATE TRIGGER a BEFORE INSERT OR UPDATE ON t FOR EACH ROW EXECUTE FUNCTION note();
CREATE TRIGGER "!a" AFTER INSERT OR UPDATE OR DELETE ON t FOR EACH ROW EXECUTE FUNCTION note();
INSERT INTO t VALUES (1, 'a'), (2, 'b');
UPDATE t SET v = 'c';
DELETE FROM t WHERE id = 2;
-- instead of the change that was asked for; none at all; refused by the server
CREATE FUNCTION instead() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	IF NEW.v = 'mine' THEN
		UPDATE t SET v = 'by the trigger' WHERE id = NEW.id;
		RETURN NULL;
	ELSIF NEW.v = 'both' THEN
		UPDATE t SET v = 'by the trigger' WHERE id = NEW.id;
	ELSIF NEW.v = 'none' THEN
		RETURN NULL;
	END IF;
	RETURN NEW;
END $$;
CREATE TRIGGER "0" BEFORE UPDATE ON t FOR EACH ROW EXECUTE FUNCTION instead();
UPDATE t SET v = 'mine';
UPDATE t SET v = 'none';
UPDATE t SET v = 'both';	-- fails
SELECT settle();
SELECT * FROM chains('t');
SELECT * FROM chains('journal');

-- Constraint triggers at the end of the transaction, or when told.
CREATE TABLE d (id int PRIMARY KEY, v int);
INSERT INTO d VALUES (1, 0), (2, 0);
SELECT tag('d');
CREATE FUNCTION again() RETURNS trigger LANGUAGE plpgsql AS
	$$ BEGIN UPDATE crm.d SET v = v + 100 WHERE id = 3 - NEW.id; RETURN NULL; END $$;
CREATE CONSTRAINT TRIGGER again AFTER UPDATE ON d DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN (NEW.v < 100)
	EXECUTE FUNCTION again();
BEGIN;
UPDATE d SET v = v + 1 WHERE id = 1;
UPDATE d SET v = v + 1 WHERE id = 1;
SAVEPOINT a;
SET CONSTRAINTS again IMMEDIATE;
UPDATE d SET v = v + 1 WHERE id = 1;
ROLLBACK TO a;
DELETE FROM d WHERE id = 2;
INSERT INTO d VALUES (2, 5);
COMMIT;
SELECT settle();
SELECT * FROM chains('d');

-- Foreign keys: CASCADE, SET NULL, SET DEFAULT, at once and deferred, by chains
-- of tables, to oneself.
CREATE TABLE parent (id int PRIMARY KEY, v text, boss int REFERENCES parent ON DELETE SET NULL ON UPDATE CASCADE);
CREATE TABLE child (id int PRIMARY KEY, parent int DEFAULT 1 REFERENCES parent ON DELETE CASCADE ON UPDATE CASCADE);
CREATE TABLE pet (id int PRIMARY KEY, child int REFERENCES child ON DELETE SET NULL DEFERRABLE INITIALLY DEFERRED);
CREATE TABLE toy (parent int DEFAULT 1 REFERENCES parent ON DELETE SET DEFAULT ON UPDATE CASCADE, n int, PRIMARY KEY (parent, n));
SELECT tag('parent'), tag('child'), tag('pet'), tag('toy');
INSERT INTO parent VALUES (1, 'one', NULL), (2, 'two', 1), (3, 'three', 2);
INSERT INTO child VALUES (10, 2), (11, 3);
INSERT INTO pet VALUES (20, 10), (21, 11);
INSERT INTO toy VALUES (2, 1), (3, 2);
UPDATE parent SET id = id + 100 WHERE id > 1;
DELETE FROM parent WHERE id = 102;
BEGIN;
DELETE FROM parent WHERE id = 103;
INSERT INTO parent VALUES (103, 'again', NULL);
INSERT INTO child VALUES (11, 103);
SAVEPOINT a;
DELETE FROM parent WHERE id = 103;
ROLLBACK TO a;
COMMIT;
SELECT settle();
SELECT * FROM chains('parent', '{v,boss}');
SELECT * FROM chains('child', '{parent}');
SELECT * FROM chains('pet', '{child}');
SELECT * FROM chains('toy', '{n}');

-- Rules: also, instead, a view's.
CREATE TABLE r (id int PRIMARY KEY, v text);
SELECT tag('r');
INSERT INTO r VALUES (1, 'a'), (2, 'a'), (3, 'a');
CREATE RULE also AS ON UPDATE TO r WHERE NEW.v = 'also' DO ALSO UPDATE d SET v = 77 WHERE id = NEW.id;
CREATE RULE instead AS ON DELETE TO r WHERE OLD.id = 2 DO INSTEAD UPDATE r SET v = 'deleted' WHERE id = OLD.id;
CREATE VIEW rv AS SELECT * FROM r;
CREATE RULE put AS ON INSERT TO rv DO INSTEAD (INSERT INTO r VALUES (NEW.id, NEW.v); UPDATE r SET v = v || '!' WHERE id = NEW.id);
UPDATE r SET v = 'also' WHERE id = 1;
DELETE FROM r;
INSERT INTO rv VALUES (1, 'by view');
UPDATE rv SET v = 'through it' WHERE id = 2;
SELECT settle();
SELECT * FROM chains('r');
SELECT * FROM chains('d');

\set drop :srcdir '/sql/include/drop_log.sql'
RESET search_path;
\i :drop
