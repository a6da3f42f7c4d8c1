-- Partitions of a tagged table that come, go, and are truncated.
\getenv srcdir PG_ABS_SRCDIR
\set entries :srcdir '/sql/include/entries.sql'
\set clean :srcdir '/sql/include/clean.sql'
\i :entries
\set SHOW_CONTEXT never
CREATE FUNCTION crm.truncate_triggers() RETURNS TABLE (partition regclass, mode "char") LANGUAGE sql
	BEGIN ATOMIC SELECT tgrelid::regclass, tgenabled FROM pg_trigger
		WHERE tgname = '~provenance_truncate' ORDER BY tgrelid::regclass::text; END;
SET search_path = crm;
SET ROLE regress_provenance_crm;

CREATE TABLE event (id int PRIMARY KEY, note text) PARTITION BY RANGE (id);
CREATE TABLE event_0 PARTITION OF event FOR VALUES FROM (0) TO (10);
INSERT INTO event VALUES (1, 'a'), (2, 'b');
SELECT provenance.tag('event');
SELECT * FROM entries();

-- A new partition is recorded from the start, TRUNCATE included.
CREATE TABLE event_1 PARTITION OF event FOR VALUES FROM (10) TO (20);
CREATE TABLE event_2 PARTITION OF event FOR VALUES FROM (20) TO (30) PARTITION BY RANGE (id);
CREATE TABLE event_20 PARTITION OF event_2 FOR VALUES FROM (20) TO (25);
SELECT * FROM truncate_triggers();
INSERT INTO event VALUES (11, 'c'), (21, 'd');
TRUNCATE event_1;
TRUNCATE event_2;
SELECT * FROM entries();
SELECT code, message FROM provenance.verify_table('event');

-- ATTACH brings rows; columns in another order, a name that needs quotes.
CREATE TABLE "Event 3" (note text, gone int, id int NOT NULL);
ALTER TABLE "Event 3" DROP COLUMN gone;
INSERT INTO "Event 3" VALUES ('e', 31), ('f', 32);
ALTER TABLE event ATTACH PARTITION "Event 3" FOR VALUES FROM (30) TO (40);
SELECT * FROM entries();
UPDATE event SET note = 'ee' WHERE id = 31;
TRUNCATE "Event 3";
SELECT * FROM entries();
SELECT code, message FROM provenance.verify_table('event');

-- A whole subtree.
CREATE TABLE event_4 (id int NOT NULL, note text) PARTITION BY RANGE (id);
CREATE TABLE event_40 PARTITION OF event_4 FOR VALUES FROM (40) TO (45);
CREATE TABLE event_45 PARTITION OF event_4 FOR VALUES FROM (45) TO (50);
INSERT INTO event_4 VALUES (41, 'g'), (46, 'h');
ALTER TABLE event ATTACH PARTITION event_4 FOR VALUES FROM (40) TO (50);
SELECT * FROM entries();
SELECT * FROM truncate_triggers();
SELECT code, message FROM provenance.verify_table('event');

-- DETACH and DROP take rows; a detached table is nobody's business any more.
ALTER TABLE event DETACH PARTITION event_4;
SELECT * FROM entries();
INSERT INTO event_4 VALUES (42, 'i');
TRUNCATE event_4;
INSERT INTO event VALUES (3, 'j'), (33, 'k');
DROP TABLE event_0, "Event 3";
SELECT * FROM entries();
SELECT * FROM truncate_triggers();
SELECT code, message FROM provenance.verify_table('event');

-- Rolled back, nothing has happened.
INSERT INTO event VALUES (12, 'l');
BEGIN;
ALTER TABLE event DETACH PARTITION event_1;
ROLLBACK;
BEGIN;
DROP TABLE event_1;
ROLLBACK;
SELECT * FROM entries();
SELECT * FROM event;
SELECT code, message FROM provenance.verify_table('event');

-- An attached and again detached table keeps a chain of its rows.
ALTER TABLE event DETACH PARTITION event_1;
ALTER TABLE event ATTACH PARTITION event_1 FOR VALUES FROM (10) TO (20);
UPDATE event SET note = 'm';
SELECT * FROM entries();
SELECT code, message FROM provenance.verify_table('event');

-- Refused: rows that change meanwhile, storage that does not last or has no
-- order of versions, a tagged table.
ALTER TABLE event DETACH PARTITION event_1 CONCURRENTLY;	-- fails
CREATE UNLOGGED TABLE event_5 PARTITION OF event FOR VALUES FROM (50) TO (60);	-- fails
CREATE UNLOGGED TABLE event_5 (id int NOT NULL, note text);
ALTER TABLE event ATTACH PARTITION event_5 FOR VALUES FROM (50) TO (60);	-- fails
RESET ROLE;
CREATE ACCESS METHOD regress_heap TYPE TABLE HANDLER heap_tableam_handler;
CREATE TABLE event_6 PARTITION OF event FOR VALUES FROM (60) TO (70) USING regress_heap;	-- fails
CREATE TABLE event_6 (id int NOT NULL, note text) USING regress_heap;
ALTER TABLE event ATTACH PARTITION event_6 FOR VALUES FROM (60) TO (70);	-- fails
DROP TABLE event_6;
DROP ACCESS METHOD regress_heap;
SET ROLE regress_provenance_crm;
CREATE TABLE event_7 (id int PRIMARY KEY, note text);
SELECT provenance.tag('event_7');
ALTER TABLE event ATTACH PARTITION event_7 FOR VALUES FROM (70) TO (80);	-- fails
SELECT provenance.untag('event_7');
ALTER TABLE event ATTACH PARTITION event_7 FOR VALUES FROM (70) TO (80);
SELECT * FROM entries() WHERE op <> 'tag';
SELECT code, message FROM provenance.verify_table('event');

-- What is tagged as append-only loses nothing in this way either.
CREATE TABLE audit (id int PRIMARY KEY) PARTITION BY RANGE (id);
CREATE TABLE audit_0 PARTITION OF audit FOR VALUES FROM (0) TO (10);
SELECT provenance.tag('audit', mode => 'append_only');
ALTER TABLE audit DETACH PARTITION audit_0;	-- fails
DROP TABLE audit_0;	-- fails

-- Another one's partition: the command fails, nothing is recorded or locked.
RESET ROLE;
CREATE ROLE regress_provenance_other;
GRANT USAGE ON SCHEMA crm TO regress_provenance_other;
SET ROLE regress_provenance_other;
BEGIN;
DROP TABLE crm.event_1;	-- fails
SELECT 1;
ROLLBACK;
ALTER TABLE crm.event DETACH PARTITION crm.event_1;	-- fails
RESET ROLE;
REVOKE USAGE ON SCHEMA crm FROM regress_provenance_other;
DROP ROLE regress_provenance_other;

-- New columns reach all partitions.
SET ROLE regress_provenance_crm;
SELECT FROM entries();
ALTER TABLE event ADD COLUMN kind text DEFAULT 'x';
SELECT op, CASE op WHEN 'schema' THEN image[1:2] ELSE image END AS image FROM entries();
ALTER TABLE event DISABLE TRIGGER ALL;	-- fails
SELECT code, message FROM provenance.verify_table('event');
\i :clean
