-- What is not dropped: tagged tables, their triggers, and, unless said twice,
-- the ledger.
\getenv srcdir PG_ABS_SRCDIR
\set entries :srcdir '/sql/include/entries.sql'
\set clean :srcdir '/sql/include/clean.sql'
\i :entries
\set SHOW_CONTEXT never
RESET provenance.confirm_drop;
CREATE SCHEMA other AUTHORIZATION regress_provenance_crm;
SET search_path = crm;
SET ROLE regress_provenance_crm;
CREATE TABLE contact (id int PRIMARY KEY, email text);
CREATE TABLE other.deal (id int PRIMARY KEY, contact int REFERENCES contact ON DELETE CASCADE);
CREATE TABLE plain (id int PRIMARY KEY);
INSERT INTO contact VALUES (1, 'a');

-- Nothing recorded yet: nothing to be asked.
RESET ROLE;
BEGIN;
DROP EXTENSION provenance;
ROLLBACK;
SET ROLE regress_provenance_crm;

SELECT provenance.tag('contact');
SELECT provenance.tag('other.deal');

-- Tables, in every way.
DROP TABLE contact;	-- fails
DROP TABLE contact CASCADE;	-- fails
DROP TABLE IF EXISTS plain, other.deal;	-- fails
DROP SCHEMA other CASCADE;	-- fails
DO $$ BEGIN DROP TABLE other.deal; END $$;	-- fails
RESET ROLE;
\set VERBOSITY terse
DROP OWNED BY regress_provenance_crm CASCADE;	-- fails
\set VERBOSITY default
SET ROLE regress_provenance_crm;

-- Triggers.
DROP TRIGGER provenance_capture ON contact;	-- fails
DROP TRIGGER "!provenance_truncate" ON contact;	-- fails
ALTER TRIGGER provenance_capture ON contact RENAME TO harmless;	-- fails
CREATE FUNCTION nothing() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
CREATE OR REPLACE TRIGGER provenance_capture AFTER INSERT ON contact FOR EACH ROW EXECUTE FUNCTION nothing();	-- fails
RESET ROLE;
DROP FUNCTION provenance.capture();	-- fails
DROP FUNCTION provenance.capture() CASCADE;	-- fails
DROP EVENT TRIGGER provenance_guard_drop;	-- fails
DROP TRIGGER provenance_refuse ON provenance.entry;	-- fails
SET ROLE regress_provenance_crm;

-- Still recorded.
INSERT INTO contact VALUES (2, 'b');
SELECT * FROM entries() WHERE op = 'insert';

-- Other tables and triggers are free.
CREATE TRIGGER mine AFTER INSERT ON contact FOR EACH ROW EXECUTE FUNCTION nothing();
DROP TRIGGER mine ON contact;
DROP TABLE plain;

-- A partition dropped by a cascade could not be recorded.
CREATE TABLE event (id int PRIMARY KEY) PARTITION BY RANGE (id);
CREATE TABLE other.event_1 PARTITION OF event FOR VALUES FROM (0) TO (10);
SELECT provenance.untag('other.deal');
SELECT provenance.tag('event');
DROP SCHEMA other CASCADE;	-- fails
DROP TABLE other.event_1;
DROP SCHEMA other CASCADE;

-- The history.
RESET ROLE;
DROP EXTENSION provenance;	-- fails
DROP EXTENSION provenance CASCADE;	-- fails
DROP EXTENSION IF EXISTS plpgsql, provenance CASCADE;	-- fails
DROP SCHEMA provenance;	-- fails
DROP SCHEMA crm, provenance CASCADE;	-- fails
SET provenance.confirm_drop = 'other.example';
DROP EXTENSION provenance CASCADE;	-- fails
SET provenance.confirm_drop = 'regress.example';
BEGIN;
SET client_min_messages = warning;
DROP EXTENSION provenance CASCADE;
SELECT count(*) FROM pg_event_trigger;
ROLLBACK;
DROP EXTENSION provenance;	-- fails

-- Dropped behind the guard, created again and tagged again: the entries of the
-- old one end with an untag.
CREATE TABLE lost (id int PRIMARY KEY);
INSERT INTO lost VALUES (1);
SELECT provenance.tag('lost');
BEGIN;
ALTER EVENT TRIGGER provenance_guard_drop DISABLE;
DROP TABLE lost;
ALTER EVENT TRIGGER provenance_guard_drop ENABLE ALWAYS;
COMMIT;
SELECT code, object FROM provenance.verify();
CREATE TABLE lost (id int PRIMARY KEY);
SELECT provenance.tag('lost');
SELECT e.op FROM provenance.entry e JOIN provenance.registry r USING (table_id) WHERE table_name = 'lost' ORDER BY seq;
SELECT code, object FROM provenance.verify();
SELECT provenance.untag('lost');
DROP TABLE lost;

-- Untagged, the tables may go; their history stays.
SET ROLE regress_provenance_crm;
SELECT provenance.untag('contact');
SELECT provenance.untag('event');
DROP TABLE contact, event;
RESET ROLE;
SELECT schema_name, table_name, untagged_at IS NOT NULL AS untagged FROM provenance.registry ORDER BY table_id;
RESET provenance.confirm_drop;
DROP EXTENSION provenance;	-- fails
\i :clean
