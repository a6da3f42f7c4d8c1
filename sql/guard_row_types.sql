-- Types that change with something else: a table's row type with the table or
-- its parent, an attribute with its own type, a typed table with its type.
\getenv srcdir PG_ABS_SRCDIR
\set entries :srcdir '/sql/include/entries.sql'
\set clean :srcdir '/sql/include/clean.sql'
\i :entries
\set SHOW_CONTEXT never
-- Digests of shapes left out.
CREATE VIEW crm.looks AS
	SELECT op, CASE op WHEN 'schema' THEN image[1:2] ELSE image END AS image FROM crm.entries();
GRANT SELECT ON crm.looks TO regress_provenance_crm;
CREATE SCHEMA crm2 AUTHORIZATION regress_provenance_crm;
CREATE EXTENSION citext SCHEMA crm;
SET search_path = crm;
SET ROLE regress_provenance_crm;
CREATE TABLE address (city text);
CREATE VIEW seen AS SELECT 1 AS n;
CREATE TYPE state AS ENUM ('new', 'old');
CREATE TYPE pair AS (a int, s state);
CREATE TABLE event (n int) PARTITION BY LIST (n);
CREATE TABLE event_1 PARTITION OF event FOR VALUES IN (1);
CREATE TABLE person (id int PRIMARY KEY, a address);
CREATE TABLE views (id int PRIMARY KEY, s seen);
CREATE TABLE pairs (id int PRIMARY KEY, p pair[]);
CREATE TABLE events (id int PRIMARY KEY, e event_1);
CREATE TABLE cities (id int PRIMARY KEY, c citext);
CREATE TABLE none (id int PRIMARY KEY, s text);
INSERT INTO person VALUES (1, '(Graz)');
INSERT INTO views VALUES (1, '(1)');
INSERT INTO pairs VALUES (1, '{"(1,new)"}');
INSERT INTO events VALUES (1, '(1)');
INSERT INTO cities VALUES (1, 'Graz');
INSERT INTO none VALUES (1, 'x');
SELECT sum(provenance.tag(t::regclass)) FROM unnest('{person,views,pairs,events,cities,none}'::text[]) t;
CREATE FUNCTION findings() RETURNS TABLE (t text, code text) LANGUAGE sql
	BEGIN ATOMIC SELECT t, f.code
		FROM unnest('{person,views,pairs,events,cities,none}'::text[]) t, provenance.verify_table(t::regclass) f; END;
SELECT FROM entries();
SELECT * FROM findings();

-- The name of a row type is that of its table, or view.
ALTER TABLE address RENAME TO place;
SELECT * FROM looks;
ALTER TABLE place SET SCHEMA crm2;
SELECT * FROM looks;
ALTER VIEW seen RENAME TO glimpsed;
SELECT * FROM looks;
SELECT * FROM findings();

-- That of an extension's type has its schema.
RESET ROLE;
ALTER EXTENSION citext SET SCHEMA crm2;
SET ROLE regress_provenance_crm;
SELECT * FROM looks;
SELECT * FROM findings();

-- Columns of the table are attributes of its row type; those of its parent
-- are the table's.
ALTER TABLE crm2.place ADD COLUMN country text;
SELECT * FROM looks;
ALTER TABLE event ADD COLUMN note text;
SELECT * FROM looks;
ALTER TABLE event DROP COLUMN note;
SELECT * FROM looks;
SELECT * FROM findings();

-- An attribute goes with its type; a column too.
\set VERBOSITY terse
DROP TYPE state CASCADE;
SELECT * FROM looks;
SELECT * FROM findings();
DROP TYPE pair CASCADE;
SELECT * FROM looks;
SELECT * FROM findings();
CREATE TYPE crm2.inner AS ENUM ('x');
CREATE TYPE outer_type AS (i crm2.inner, n int);
CREATE TABLE keys (k outer_type PRIMARY KEY);
SELECT provenance.tag('keys');
\set VERBOSITY default
ALTER TYPE outer_type ADD ATTRIBUTE m int;	-- fails
DROP TYPE crm2.inner CASCADE;	-- fails
SELECT provenance.untag('keys');
SELECT FROM entries();

-- A table of a type has its columns.
CREATE TYPE contact_type AS (id int, email text, phone text);
CREATE TABLE contact OF contact_type (PRIMARY KEY (id));
INSERT INTO contact VALUES (1, 'a', '1');
SELECT provenance.tag('contact', subject => 'email');
SELECT FROM entries();
ALTER TYPE contact_type ADD ATTRIBUTE city text CASCADE;
SELECT * FROM looks;
ALTER TYPE contact_type RENAME ATTRIBUTE email TO mail CASCADE;
SELECT * FROM looks;
SELECT subject FROM provenance.tagged_table WHERE "table" = 'contact'::regclass;
ALTER TYPE contact_type RENAME ATTRIBUTE id TO number CASCADE;
SELECT * FROM looks;
SELECT code, message FROM provenance.verify_table('contact');
ALTER TYPE contact_type ALTER ATTRIBUTE number TYPE text CASCADE;	-- fails
ALTER TYPE contact_type DROP ATTRIBUTE number CASCADE;	-- fails
ALTER TYPE contact_type DROP ATTRIBUTE mail CASCADE;	-- fails
ALTER TYPE contact_type DROP ATTRIBUTE phone CASCADE, ADD ATTRIBUTE phone text CASCADE;
SELECT * FROM looks;
ALTER TABLE contact NOT OF;
SELECT code, message FROM provenance.verify_table('contact');

-- A value that names something reads otherwise under its new name; that is
-- found, not followed: what it names may be in no command (a role).
CREATE TABLE names (id int PRIMARY KEY, r regclass);
INSERT INTO names VALUES (1, 'contact');
SELECT provenance.tag('names');
ALTER TABLE contact RENAME TO customer;
SELECT code, message FROM provenance.verify_table('names');
UPDATE names SET r = 'names' WHERE id = 1;
SELECT code, message FROM provenance.verify_table('names');
RESET ROLE;
\set VERBOSITY terse
SET client_min_messages = warning;
DROP EXTENSION citext CASCADE;
DROP SCHEMA crm2 CASCADE;
RESET client_min_messages;
SELECT * FROM crm.findings();
\i :clean
