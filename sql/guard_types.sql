-- Types that change under the columns of a tagged table.
\getenv srcdir PG_ABS_SRCDIR
\set entries :srcdir '/sql/include/entries.sql'
\set clean :srcdir '/sql/include/clean.sql'
\i :entries
\set SHOW_CONTEXT never
SET search_path = crm;
SET ROLE regress_provenance_crm;
CREATE TYPE state AS ENUM ('new', 'old');
CREATE DOMAIN state_domain AS state;
CREATE TYPE pair AS (a int, s state);
CREATE TYPE key AS ENUM ('a', 'b');
CREATE TABLE contact (id int PRIMARY KEY, s state);
CREATE TABLE arrays (id int PRIMARY KEY, s state[]);
CREATE TABLE domains (id int PRIMARY KEY, s state_domain);
CREATE TABLE pairs (id int PRIMARY KEY, p pair[]);
CREATE TABLE whole (id int PRIMARY KEY, c contact);
CREATE TABLE none (id int PRIMARY KEY, s text);
CREATE TABLE keys (k key PRIMARY KEY);
INSERT INTO contact VALUES (1, 'new');
INSERT INTO arrays VALUES (1, '{old,new}');
INSERT INTO domains VALUES (1, 'new');
INSERT INTO pairs VALUES (1, '{"(1,new)"}');
INSERT INTO whole VALUES (1, '(1,new)');
INSERT INTO none VALUES (1, 'new');
INSERT INTO keys VALUES ('a');
SELECT sum(provenance.tag(t::regclass)) FROM unnest('{contact,arrays,domains,pairs,whole,none,keys}'::text[]) t;
CREATE FUNCTION findings() RETURNS TABLE (t text, code text) LANGUAGE sql
	BEGIN ATOMIC SELECT t, f.code
		FROM unnest('{contact,arrays,domains,pairs,whole,none,keys}'::text[]) t, provenance.verify_table(t::regclass) f; END;
SELECT FROM entries();
SELECT * FROM findings();

-- Another text for a value: recorded wherever it is.
ALTER TYPE state RENAME VALUE 'new' TO 'fresh';
SELECT * FROM entries();
SELECT * FROM findings();
ALTER TYPE pair ADD ATTRIBUTE z int;
SELECT * FROM entries();
SELECT * FROM findings();
ALTER TABLE contact ADD COLUMN note text;
SELECT op, CASE op WHEN 'schema' THEN image[1:2] ELSE image END AS image FROM entries();
SELECT * FROM findings();

-- No text changes: a value more; a name, which is of the shape.
ALTER TYPE state ADD VALUE 'lost';
SELECT * FROM entries();
ALTER TYPE state RENAME TO condition;
ALTER TYPE key RENAME TO letter;
SELECT op, image[1:2] AS image FROM entries();
SELECT * FROM findings();

-- Keys keep their text.
ALTER TYPE letter RENAME VALUE 'a' TO 'c';	-- fails

-- Unguarded, the change is found.
RESET ROLE;
BEGIN;
ALTER EVENT TRIGGER provenance_guard_end DISABLE;
ALTER TYPE condition RENAME VALUE 'fresh' TO 'new';
SELECT * FROM findings();
ROLLBACK;
SELECT * FROM findings();
\i :clean
