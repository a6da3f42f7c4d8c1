-- DDL on tagged tables: followed, or refused.
\getenv srcdir PG_ABS_SRCDIR
\set entries :srcdir '/sql/include/entries.sql'
\set clean :srcdir '/sql/include/clean.sql'
\i :entries
\set SHOW_CONTEXT never
-- Digests of shapes left out.
CREATE VIEW crm.looks AS
	SELECT op, CASE op WHEN 'schema' THEN image[1:2] ELSE image END AS image FROM crm.entries();
CREATE FUNCTION crm.registered() RETURNS TABLE (schema_name name, table_name name, subject text, exclude name[])
	LANGUAGE sql SECURITY DEFINER
	BEGIN ATOMIC SELECT schema_name, table_name, subject, exclude FROM provenance.registry ORDER BY table_id; END;
CREATE FUNCTION crm.modes(regclass) RETURNS TABLE (tgname name, mode "char")
	LANGUAGE sql
	BEGIN ATOMIC SELECT tgname, tgenabled FROM pg_trigger
		WHERE tgrelid = $1 AND tgname ~ 'provenance' ORDER BY tgname COLLATE "C"; END;
GRANT SELECT ON crm.looks TO regress_provenance_crm;
CREATE SCHEMA crm2 AUTHORIZATION regress_provenance_crm;
SET search_path = crm;
SET ROLE regress_provenance_crm;

CREATE TABLE contact (id int PRIMARY KEY, owner text, email varchar(20), secret text);
INSERT INTO contact VALUES (1, 'x', 'a', 's'), (2, 'y', 'b', 's');
SELECT provenance.tag('contact', subject => 'owner', exclude => '{secret}');
SELECT * FROM looks;

-- A new column: a new shape. The rows are as they were, unless they have got
-- a value.
ALTER TABLE contact ADD COLUMN phone text;
SELECT * FROM looks;
ALTER TABLE contact ADD COLUMN country text DEFAULT 'AT';
SELECT * FROM looks;
ALTER TABLE contact ADD COLUMN token text DEFAULT 'r' || (random() * 0)::text;
SELECT * FROM looks;
INSERT INTO contact VALUES (3, 'z', 'c', 's', '0');
SELECT * FROM looks;
ALTER TABLE contact DROP COLUMN token, DROP COLUMN phone;
SELECT * FROM looks;
SELECT code, message FROM provenance.verify_table('contact');

-- Back to a shape that there was: an event too.
ALTER TABLE contact ADD COLUMN phone text;
ALTER TABLE contact DROP COLUMN phone;
SELECT * FROM looks;

-- Types: a wider varchar changes no text; what does is recorded anew.
ALTER TABLE contact ALTER email TYPE varchar(40);
SELECT * FROM looks;
ALTER TABLE contact ALTER email TYPE text USING upper(email);
SELECT * FROM looks;
ALTER TABLE contact ALTER email TYPE text USING lower(email);
SELECT * FROM looks;
ALTER TABLE contact ALTER id TYPE bigint;
SELECT * FROM looks;
SELECT code, message FROM provenance.verify_table('contact');

-- Names.
ALTER TABLE contact RENAME email TO mail;
ALTER TABLE contact RENAME id TO number;
ALTER TABLE contact RENAME owner TO person;
ALTER TABLE contact RENAME secret TO hidden;
ALTER TABLE contact RENAME TO customer;
ALTER TABLE customer SET SCHEMA crm2;
RESET ROLE;
ALTER SCHEMA crm2 RENAME TO crm3;
SET ROLE regress_provenance_crm;
SELECT * FROM looks;
SELECT * FROM registered();
SELECT code, message FROM provenance.verify_table('crm3.customer');
UPDATE crm3.customer SET hidden = 't';
UPDATE crm3.customer SET mail = 'd' WHERE number = 1;
SELECT * FROM looks;
ALTER TABLE crm3.customer SET SCHEMA crm;

-- A function's or block's DDL counts as well; what is rolled back does not.
DO $$ BEGIN ALTER TABLE customer ADD COLUMN a int; ALTER TABLE customer RENAME a TO b; END $$;
BEGIN;
SAVEPOINT s;
ALTER TABLE customer ADD COLUMN c int DEFAULT 1;
ROLLBACK TO s;
UPDATE customer SET mail = 'e' WHERE number = 1;
COMMIT;
SELECT * FROM looks;
SELECT code, message FROM provenance.verify_table('customer');

-- The key and the subject stay.
ALTER TABLE customer DROP CONSTRAINT contact_pkey;	-- fails
ALTER TABLE customer DROP COLUMN number;	-- fails
ALTER TABLE customer DROP CONSTRAINT contact_pkey, ADD PRIMARY KEY (mail);	-- fails
ALTER TABLE customer DROP CONSTRAINT contact_pkey, ADD PRIMARY KEY (number) DEFERRABLE;	-- fails
ALTER TABLE customer ALTER number TYPE text;	-- fails
ALTER TABLE customer ALTER number TYPE bigint USING number + 1;	-- fails
ALTER TABLE customer DROP COLUMN person;	-- fails
ALTER TABLE customer DROP CONSTRAINT contact_pkey, ADD PRIMARY KEY (number);
ALTER TABLE customer DROP COLUMN hidden;
SELECT * FROM registered();
SELECT * FROM looks;
SELECT code, message FROM provenance.verify_table('customer');

-- What cannot be recorded.
ALTER TABLE customer SET UNLOGGED;	-- fails
CREATE TABLE child () INHERITS (customer);	-- fails
CREATE TABLE child (LIKE customer);
ALTER TABLE child INHERIT customer;	-- fails
CREATE TABLE parent (LIKE customer);
ALTER TABLE customer INHERIT parent;	-- fails
CREATE TABLE whole (LIKE customer) PARTITION BY LIST (country);
ALTER TABLE whole ATTACH PARTITION customer DEFAULT;	-- fails
RESET ROLE;
CREATE ACCESS METHOD regress_heap TYPE TABLE HANDLER heap_tableam_handler;
ALTER TABLE customer SET ACCESS METHOD regress_heap;	-- fails
DROP ACCESS METHOD regress_heap;
SET ROLE regress_provenance_crm;

-- The triggers stay ALWAYS enabled, whatever a data load does.
SELECT * FROM modes('customer');
ALTER TABLE customer ENABLE TRIGGER provenance_capture;
ALTER TABLE customer ENABLE REPLICA TRIGGER "!provenance_truncate";
SELECT * FROM modes('customer');
ALTER TABLE customer DISABLE TRIGGER provenance_capture;	-- fails
ALTER TABLE customer DISABLE TRIGGER USER;	-- fails
RESET ROLE;
ALTER TABLE customer DISABLE TRIGGER ALL;
SELECT * FROM modes('customer');
ALTER TABLE customer ENABLE TRIGGER ALL;
SELECT * FROM modes('customer');
ALTER TABLE customer DISABLE TRIGGER provenance_capture;
ALTER TABLE customer ENABLE TRIGGER USER;
SELECT * FROM modes('customer');
SELECT code, message FROM provenance.verify_table('customer');

-- The ledger's own too.
ALTER TABLE provenance.head DISABLE TRIGGER ALL;
ALTER TABLE provenance.head ENABLE TRIGGER ALL;
SELECT * FROM modes('provenance.head');
SET ROLE regress_provenance_crm;

-- A trigger of the same name that records less is none.
CREATE TABLE parts (id int PRIMARY KEY, v text) PARTITION BY RANGE (id);
CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM (0) TO (10);
SELECT provenance.tag('parts');
SELECT tgargs AS arg FROM pg_trigger WHERE tgrelid = 'parts'::regclass AND tgname = 'provenance_capture' \gset
SELECT format('CREATE OR REPLACE TRIGGER %I %s EXECUTE FUNCTION provenance.capture(%L)', name, what,
			  convert_from(trim('\x00'::bytea FROM :'arg'::bytea), 'UTF8'))
	FROM (VALUES ('provenance_capture', 'AFTER INSERT OR UPDATE OR DELETE ON parts FOR EACH ROW WHEN (false)'),
			('provenance_capture', 'AFTER INSERT OR UPDATE OF id OR DELETE ON parts FOR EACH ROW'),
			('provenance_capture', 'AFTER INSERT OR UPDATE ON parts FOR EACH ROW'),
			('!provenance_truncate', 'AFTER TRUNCATE ON parts WHEN (false)'),
			('~provenance_truncate', 'BEFORE TRUNCATE ON parts_1 WHEN (false)'),
			('provenance_capture', 'AFTER INSERT OR UPDATE OR DELETE ON parts FOR EACH ROW')) v (name, what) \gexec
SELECT * FROM modes('parts');

-- A second one of another name records nothing.
SELECT format('CREATE TRIGGER another AFTER INSERT ON parts FOR EACH ROW EXECUTE FUNCTION provenance.capture(%L)',
			  convert_from(trim('\x00'::bytea FROM :'arg'::bytea), 'UTF8')) \gexec
INSERT INTO parts VALUES (1, 'x');	-- fails
DROP TRIGGER another ON parts;
INSERT INTO parts VALUES (1, 'x');
SELECT provenance.untag('parts');

-- A column under the name of an earlier one has other values.
CREATE TABLE names (id int PRIMARY KEY, a text, b text);
SELECT provenance.tag('names');
INSERT INTO names VALUES (1, 'x', 'y');
ALTER TABLE names DROP COLUMN b, ADD COLUMN b text DEFAULT 'z';
SELECT code, message FROM provenance.verify_table('names');
ALTER TABLE names DROP COLUMN b;
ALTER TABLE names ADD COLUMN b text;
SELECT code, message FROM provenance.verify_table('names');
ALTER TABLE names RENAME a TO c;
ALTER TABLE names RENAME b TO a;
ALTER TABLE names RENAME c TO b;
SELECT code, message FROM provenance.verify_table('names');
ALTER TABLE names ADD COLUMN IF NOT EXISTS b text;	-- nothing happens
SELECT image FROM looks WHERE op = 'baseline' AND 'x' = ANY (image);
SELECT provenance.untag('names');

-- Other tables, and a table no longer tagged, are nobody's business.
ALTER TABLE child DROP COLUMN number;
SELECT provenance.untag('customer');
ALTER TABLE customer DROP COLUMN number;
SELECT * FROM looks;
RESET ROLE;
DROP SCHEMA crm3;
\i :clean
