-- tag() and untag(): what can be tagged and what cannot, and why.
\getenv srcdir PG_ABS_SRCDIR
\set entries :srcdir '/sql/include/entries.sql'
\set clean :srcdir '/sql/include/clean.sql'
\i :entries
\set SHOW_CONTEXT never
SET search_path = crm;
GRANT CREATE ON SCHEMA public TO regress_provenance_crm;

-- Nothing without a log.
BEGIN;
CREATE TABLE no_log (id int PRIMARY KEY);
ALTER TABLE provenance.log_identity DISABLE TRIGGER USER;
DELETE FROM provenance.log_identity;
SELECT provenance.tag('no_log');	-- fails
ROLLBACK;

CREATE TABLE foreign_owner (id int PRIMARY KEY);
SET ROLE regress_provenance_crm;

CREATE TABLE contact (id int PRIMARY KEY, email text, note text);
INSERT INTO contact VALUES (1, 'a@example.org', 'x'), (2, NULL, '');
SELECT has_function_privilege('provenance.seal()', 'EXECUTE') AS may_seal;
SELECT provenance.tag('contact', subject => 'email', exclude => '{note}');
SELECT * FROM crm.entries();
SELECT "table", mode, subject, exclude, tagged_at <= clock_timestamp() AS past, entries >= 0 AS counted FROM provenance.tagged_table;
SELECT has_function_privilege('provenance.seal()', 'EXECUTE WITH GRANT OPTION') AS may_grant_seal;
SELECT tgname, tgenabled, tgtype FROM pg_trigger WHERE tgrelid = 'contact'::regclass AND NOT tgisinternal ORDER BY 1;
SELECT provenance.tag('contact');	-- fails

-- Whose table it is.
SELECT provenance.tag('foreign_owner');	-- fails
SELECT provenance.untag('foreign_owner');	-- fails
SELECT provenance.tag(NULL);	-- fails
SELECT provenance.tag(0::regclass);	-- fails
SELECT provenance.tag('contact', mode => NULL);	-- fails

-- Not a table that lasts.
CREATE VIEW v AS SELECT 1 AS id;
CREATE MATERIALIZED VIEW mv AS SELECT 1 AS id;
CREATE SEQUENCE s;
CREATE TEMPORARY TABLE tt (id int PRIMARY KEY);
CREATE UNLOGGED TABLE ut (id int PRIMARY KEY);
CREATE TYPE ct AS (id int);
SELECT provenance.tag('v');	-- fails
SELECT provenance.tag('mv');	-- fails
SELECT provenance.tag('s');	-- fails
SELECT provenance.tag('tt');	-- fails
SELECT provenance.tag('ut');	-- fails
SELECT provenance.tag('ct');	-- fails
SELECT provenance.tag('contact_pkey');	-- fails
SELECT provenance.tag('pg_class');	-- fails
RESET ROLE;
SELECT provenance.tag('pg_class');	-- fails
SELECT provenance.tag('provenance.entry');	-- fails
CREATE FOREIGN DATA WRAPPER nothing;
CREATE SERVER nowhere FOREIGN DATA WRAPPER nothing;
CREATE FOREIGN TABLE ft (id int) SERVER nowhere;
SELECT provenance.tag('ft');	-- fails
CREATE ACCESS METHOD heap2 TYPE TABLE HANDLER heap_tableam_handler;
CREATE TABLE other_am (id int PRIMARY KEY) USING heap2;
SELECT provenance.tag('other_am');	-- fails
CREATE TABLE parted_am (id int PRIMARY KEY) PARTITION BY RANGE (id);
CREATE TABLE parted_am_1 PARTITION OF parted_am FOR VALUES FROM (1) TO (10) USING heap2;
SELECT provenance.tag('parted_am');	-- fails
CREATE TABLE parted_ft (id int, v int) PARTITION BY RANGE (id);
ALTER TABLE parted_ft ADD PRIMARY KEY (id);
CREATE UNLOGGED TABLE parted_ft_1 PARTITION OF parted_ft FOR VALUES FROM (1) TO (10);
SELECT provenance.tag('parted_ft');	-- fails
DROP TABLE parted_am, parted_ft, other_am;
DROP FOREIGN TABLE ft;
DROP ACCESS METHOD heap2;
DROP FOREIGN DATA WRAPPER nothing CASCADE;
SET ROLE regress_provenance_crm;

-- Partitions and inheritance.
CREATE TABLE p (id int PRIMARY KEY) PARTITION BY RANGE (id);
CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (1) TO (100) PARTITION BY RANGE (id);
CREATE TABLE p11 PARTITION OF p1 FOR VALUES FROM (1) TO (10);
SELECT provenance.tag('p1');	-- fails
SELECT provenance.tag('p11');	-- fails
SELECT provenance.tag('p');
SELECT tgrelid::regclass, tgname, tgenabled FROM pg_trigger WHERE tgrelid IN ('p'::regclass, 'p1'::regclass, 'p11'::regclass) ORDER BY 1, 2;
SELECT provenance.tag('p11');	-- fails
SELECT provenance.untag('p11');	-- fails
SELECT provenance.untag('p');
SELECT count(*) FROM pg_trigger WHERE tgrelid IN ('p'::regclass, 'p1'::regclass, 'p11'::regclass);
CREATE TABLE parent (id int PRIMARY KEY);
CREATE TABLE child (PRIMARY KEY (id)) INHERITS (parent);
SELECT provenance.tag('parent');	-- fails
SELECT provenance.tag('child');	-- fails

-- Without a key that holds at every moment.
CREATE TABLE no_key (id int);
CREATE TABLE no_columns ();
CREATE TABLE deferred_key (id int PRIMARY KEY DEFERRABLE);
CREATE TABLE unique_key (id int NOT NULL UNIQUE, v int);
SELECT provenance.tag('no_key');	-- fails
SELECT provenance.tag('no_columns');	-- fails
SELECT provenance.tag('deferred_key');	-- fails
SELECT provenance.tag('unique_key');	-- fails
ALTER TABLE unique_key REPLICA IDENTITY USING INDEX unique_key_id_key;
SELECT provenance.tag('unique_key');

-- Arguments.
CREATE TABLE arguments (a int, b int, c text, PRIMARY KEY (b, a));
SELECT provenance.tag('arguments', subject => 'nobody');	-- fails
SELECT provenance.tag('arguments', exclude => '{c,d}');	-- fails
SELECT provenance.tag('arguments', exclude => '{a}');	-- fails
SELECT provenance.tag('arguments', subject => 'c', exclude => '{c}');	-- fails
SELECT provenance.tag('arguments', exclude => '{ctid}');	-- fails
SELECT provenance.tag('arguments', exclude => '{NULL}');	-- fails
SELECT provenance.tag('arguments', mode => 'both');	-- fails
SELECT provenance.tag('arguments', baseline => 'tomorrow');	-- fails

-- One SQLSTATE for each kind of reason.
\set VERBOSITY sqlstate
SELECT provenance.tag('v');	-- fails
SELECT provenance.tag('ut');	-- fails
SELECT provenance.tag('no_key');	-- fails
SELECT provenance.tag('deferred_key');	-- fails
SELECT provenance.tag('child');	-- fails
SELECT provenance.tag('foreign_owner');	-- fails
SELECT provenance.tag('contact');	-- fails
SELECT provenance.tag('arguments', subject => 'nobody');	-- fails
SELECT provenance.tag('arguments', exclude => '{a}');	-- fails
SELECT provenance.tag('arguments', mode => 'both');	-- fails
\set VERBOSITY default
SELECT * FROM crm.entries();

-- Untagged: the triggers are gone, the history stays.
SELECT provenance.untag('contact');
INSERT INTO contact VALUES (3, 'c', 'c');
SELECT count(*) FROM pg_trigger WHERE tgrelid = 'contact'::regclass;
SELECT count(*) FROM provenance.tagged_table WHERE "table" = 'contact'::regclass;
SELECT provenance.untag('contact');	-- fails
SELECT * FROM crm.entries();

-- Tagged again: the same id while the key is the same, so that the rows'
-- chains go on.
SELECT provenance.tag('contact', mode => 'append_only');
SELECT * FROM crm.entries();
RESET ROLE;
SELECT count(DISTINCT table_id) AS ids, count(DISTINCT row_id) AS chains FROM provenance.entry
	WHERE table_id = (SELECT table_id FROM provenance.registry WHERE table_name = 'contact');
SET ROLE regress_provenance_crm;
SELECT provenance.untag('contact');
ALTER TABLE contact DROP CONSTRAINT contact_pkey;
ALTER TABLE contact ADD PRIMARY KEY (note);
SELECT provenance.tag('contact');
RESET ROLE;
SELECT count(*) AS ids FROM provenance.registry WHERE table_name = 'contact';

-- A rolled back tag leaves nothing; the next change goes unrecorded.
SET ROLE regress_provenance_crm;
CREATE TABLE rolled_back (id int PRIMARY KEY);
BEGIN;
SELECT provenance.tag('rolled_back');
INSERT INTO rolled_back VALUES (1);
ROLLBACK;
INSERT INTO rolled_back VALUES (2);
SELECT * FROM crm.entries() WHERE op = 'insert';

-- The trigger function records nothing of a table that is not tagged under its id.
RESET ROLE;
SELECT provenance.capture();	-- fails
BEGIN;
CREATE TRIGGER provenance_capture AFTER INSERT ON rolled_back FOR EACH ROW EXECUTE FUNCTION provenance.capture('1');
INSERT INTO rolled_back VALUES (3);	-- fails
ROLLBACK;
BEGIN;
CREATE TRIGGER provenance_capture AFTER INSERT ON rolled_back FOR EACH ROW EXECUTE FUNCTION provenance.capture('1000');
INSERT INTO rolled_back VALUES (3);	-- fails
ROLLBACK;
SELECT table_id AS unique_key_id FROM provenance.registry WHERE table_name = 'unique_key' \gset
BEGIN;
SELECT format('CREATE TRIGGER provenance_capture AFTER INSERT ON rolled_back FOR EACH ROW EXECUTE FUNCTION provenance.capture(%L)', :unique_key_id) \gexec
\set VERBOSITY terse
INSERT INTO rolled_back VALUES (3);	-- fails
\set VERBOSITY default
ROLLBACK;
CREATE TRIGGER t BEFORE INSERT ON rolled_back FOR EACH ROW EXECUTE FUNCTION provenance.capture('1');
INSERT INTO rolled_back VALUES (3);	-- fails
DROP TRIGGER t ON rolled_back;
CREATE TRIGGER t AFTER INSERT ON rolled_back EXECUTE FUNCTION provenance.capture('1');
INSERT INTO rolled_back VALUES (3);	-- fails
DROP TRIGGER t ON rolled_back;
CREATE TRIGGER t AFTER INSERT ON rolled_back FOR EACH ROW EXECUTE FUNCTION provenance.capture();
INSERT INTO rolled_back VALUES (3);	-- fails
DROP TRIGGER t ON rolled_back;

-- A view of tagged tables shows those that one may read.
CREATE ROLE regress_provenance_other;
SET ROLE regress_provenance_other;
SELECT count(*) FROM provenance.tagged_table;
RESET ROLE;
DROP ROLE regress_provenance_other;

\i :clean
