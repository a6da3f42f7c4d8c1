-- What rewrites a tagged table, moves it, or gives it to another, and changes
-- no row: no entry, no finding. What takes its key away: refused.
\getenv srcdir PG_ABS_SRCDIR
\set entries :srcdir '/sql/include/entries.sql'
\set clean :srcdir '/sql/include/clean.sql'
\i :entries
\set SHOW_CONTEXT never
SET search_path = crm;
CREATE TABLE contact (id int PRIMARY KEY, email text, a int);
INSERT INTO contact SELECT i, 'e' || i, i FROM generate_series(1, 5) i;
CREATE TABLE unkeyed (a int NOT NULL, b int NOT NULL, v text);
CREATE UNIQUE INDEX unkeyed_a ON unkeyed (a);
ALTER TABLE unkeyed REPLICA IDENTITY USING INDEX unkeyed_a;
INSERT INTO unkeyed VALUES (1, 2, 'x');
SELECT provenance.tag('contact'), provenance.tag('unkeyed');
SELECT FROM entries();

VACUUM FULL contact;
CLUSTER contact USING contact_pkey;
REINDEX TABLE contact;
REINDEX TABLE CONCURRENTLY contact;
ALTER TABLE contact SET LOGGED;
ALTER TABLE contact SET WITHOUT CLUSTER, SET (fillfactor = 50), ALTER email SET STORAGE EXTERNAL, ALTER email SET STATISTICS 5,
	ALTER email SET DEFAULT 'x', ALTER email SET NOT NULL, ADD CHECK (id > 0), ENABLE ROW LEVEL SECURITY;
ALTER TABLE contact DISABLE ROW LEVEL SECURITY;
CREATE INDEX ON contact (email);
ALTER TABLE contact OWNER TO regress_provenance_crm;
COMMENT ON TABLE contact IS 'x';
UPDATE contact SET email = 'new' WHERE id = 1;
SELECT op, image FROM entries();
SELECT code FROM provenance.verify_table('contact');

-- The new owner is bound as the old one was.
SET ROLE regress_provenance_crm;
ALTER TABLE contact DISABLE TRIGGER ALL;	-- fails
ALTER TABLE contact DISABLE TRIGGER provenance_capture;	-- fails
ALTER TABLE contact SET UNLOGGED;	-- fails
RESET ROLE;

-- The key of the same columns may be another index; another key is refused.
CREATE UNIQUE INDEX contact_id ON contact (id);
ALTER TABLE contact DROP CONSTRAINT contact_pkey, ADD CONSTRAINT contact_new PRIMARY KEY USING INDEX contact_id;
ALTER TABLE contact DROP CONSTRAINT contact_new, ADD PRIMARY KEY (a);	-- fails
ALTER TABLE unkeyed REPLICA IDENTITY FULL;	-- fails
DROP INDEX unkeyed_a;	-- fails
ALTER TABLE unkeyed ADD PRIMARY KEY (b);	-- fails
CREATE UNIQUE INDEX unkeyed_b ON unkeyed (b);
ALTER TABLE unkeyed REPLICA IDENTITY USING INDEX unkeyed_b;	-- fails
ALTER TABLE unkeyed ADD PRIMARY KEY (a);
ALTER TABLE unkeyed REPLICA IDENTITY DEFAULT;
DROP INDEX unkeyed_a;
SELECT op FROM entries();

-- Under session_replication_role = replica all is recorded as ever.
SET session_replication_role = replica;
INSERT INTO contact VALUES (6, 'replica', 6);
UPDATE contact SET email = 'replica' WHERE id = 2;
DELETE FROM contact WHERE id = 3;
COPY contact FROM stdin;
7	copied	7
\.
TRUNCATE unkeyed;
RESET session_replication_role;
SELECT op, image FROM entries();
SELECT code FROM provenance.verify_table('contact');
SELECT code FROM provenance.verify_table('unkeyed');

-- Written to while the superuser has the triggers off: found, and the next
-- recorded change of a row continues its chain.
\set VERBOSITY terse
ALTER TABLE contact DISABLE TRIGGER ALL;
UPDATE contact SET email = 'unseen' WHERE id = 4;
DELETE FROM contact WHERE id = 5;
INSERT INTO contact VALUES (8, 'unseen', 8);
SELECT code, object FROM provenance.verify_table('contact') ORDER BY 1, 2;
ALTER TABLE contact ENABLE TRIGGER ALL;
SELECT code, object FROM provenance.verify_table('contact') ORDER BY 1, 2;
SELECT op FROM entries();
\set VERBOSITY default

-- Generated columns: their values are recorded with the row.
CREATE TABLE sums (id int PRIMARY KEY, a int, s int GENERATED ALWAYS AS (a + 1) STORED);
INSERT INTO sums VALUES (1, 1);
SELECT provenance.tag('sums');
UPDATE sums SET a = 2;
ALTER TABLE sums ADD COLUMN t int GENERATED ALWAYS AS (a * 2) STORED, ADD COLUMN n bigserial;
ALTER TABLE sums ALTER s DROP EXPRESSION;
ALTER TABLE sums ALTER n TYPE numeric, ALTER n DROP DEFAULT;
UPDATE sums SET s = 7;
SELECT op, CASE op WHEN 'schema' THEN image[1:2] ELSE image END AS image FROM entries();
SELECT code FROM provenance.verify_table('sums');
\i :clean
