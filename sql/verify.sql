-- Verification by an unprivileged role: nothing is found in ordinary use, and
-- what somebody changes behind the ledger's back is.
\getenv srcdir PG_ABS_SRCDIR
\set fresh_log :srcdir '/sql/include/fresh_log.sql'
\set drop_log :srcdir '/sql/include/drop_log.sql'
\i :fresh_log
SET search_path = crm, provenance;
\set as_owner 'SET ROLE regress_provenance_owner'
\set as_reader 'SET ROLE regress_provenance_reader'

-- an empty log
SELECT * FROM provenance.verify();
SELECT * FROM provenance.verify_log();

:as_owner;
CREATE TABLE contact (id int PRIMARY KEY, email text, balance numeric(10,2), vip boolean, tags jsonb);
INSERT INTO contact SELECT i, i || '@example.org', i / 4.0 FROM generate_series(1, 300) i;
SELECT provenance.tag('contact', subject => 'email');
CREATE TABLE price (product text, valid numeric, amount numeric, PRIMARY KEY (product, valid));
SELECT provenance.tag('price');
CREATE TABLE visit (on_day date, n int, note text, PRIMARY KEY (on_day, n)) PARTITION BY RANGE (on_day);
CREATE TABLE visit_1 PARTITION OF visit FOR VALUES FROM ('2026-01-01') TO ('2026-07-01');
CREATE TABLE visit_2 PARTITION OF visit FOR VALUES FROM ('2026-07-01') TO ('2027-01-01');
SELECT provenance.tag('visit', exclude => '{note}');
RESET ROLE;
SELECT size(provenance.seal()) AS size \gset
SELECT provenance.seal() AS kept \gset

-- Changes of every kind, half of them sealed.
:as_owner;
UPDATE contact SET balance = balance + 1 WHERE id % 3 = 0;
DELETE FROM contact WHERE id > 290;
INSERT INTO contact VALUES (295, 'again@example.org');
UPDATE contact SET id = 1000 WHERE id = 7;
INSERT INTO price VALUES ('GTX', 1.0, 5), ('GTX', 2, 6), ('MG', 1, 7);
UPDATE price SET valid = 1.00 WHERE product = 'GTX' AND valid = 1;
INSERT INTO visit SELECT date '2026-01-01' + i, i, 'not recorded' FROM generate_series(0, 350, 10) i;
UPDATE visit SET on_day = '2026-12-24' WHERE n = 0;
UPDATE visit SET note = NULL;
TRUNCATE visit_1;
RESET ROLE;
SELECT size(provenance.seal()) > :size AS grown;
:as_owner;
UPDATE contact SET vip = true, tags = '{"a": [1]}' WHERE id < 10;
BEGIN;
DELETE FROM contact WHERE id = 20;
SAVEPOINT s;
INSERT INTO contact VALUES (20, 'in between');
ROLLBACK TO s;
INSERT INTO contact VALUES (20, 'after');
COMMIT;
TRUNCATE price;
INSERT INTO price VALUES ('GTX', 1.0, 5);

:as_reader;
SELECT * FROM provenance.verify();
SELECT * FROM provenance.verify_log();
SELECT * FROM provenance.verify_log(:size);
SELECT * FROM provenance.verify(:size);
SELECT * FROM provenance.verify_checkpoint(:'kept');
:as_owner;
SELECT * FROM provenance.verify_table('contact');
SELECT * FROM provenance.verify_table('price');
SELECT * FROM provenance.verify_table('visit');
SELECT * FROM provenance.verify_table('visit_2');
SELECT * FROM provenance.verify_row('contact', 3);
SELECT * FROM provenance.verify_row('contact', '20');
SELECT * FROM provenance.verify_row('contact', 299);
SELECT * FROM provenance.verify_row('contact', 4711);
SELECT * FROM provenance.verify_row('price', 'GTX', 1);
SELECT * FROM provenance.verify_row('price', VARIADIC ARRAY['GTX', '1.00']);
SELECT * FROM provenance.verify_row('visit', date '2026-12-24', 0);
BEGIN READ ONLY;
SELECT * FROM provenance.verify();
ROLLBACK;
SET client_min_messages = warning;	-- the notice says how much was covered
SELECT * FROM provenance.verify(0, '1 minute');
SELECT * FROM provenance.verify(budget => '0 s');
RESET client_min_messages;
SELECT * FROM provenance.verify(budget => '-1 s');	-- fails
BEGIN ISOLATION LEVEL SERIALIZABLE;
UPDATE contact SET vip = NULL WHERE id = 3;
SELECT * FROM provenance.verify();	-- own changes are there, and their entries
ROLLBACK;

-- Columns come, change and go.
ALTER TABLE contact ADD COLUMN phone text, ADD COLUMN since date DEFAULT '2026-01-01';
UPDATE contact SET phone = '+49 30 1' WHERE id < 5;
SELECT * FROM provenance.verify_table('contact');
ALTER TABLE contact DROP COLUMN vip;
ALTER TABLE contact ALTER COLUMN balance TYPE numeric(12,3);
ALTER TABLE contact RENAME COLUMN phone TO telephone;
ALTER TABLE contact RENAME TO person;
SELECT * FROM provenance.verify();

-- Tagged again: what happened in between was not recorded.
SELECT provenance.untag('person');
DELETE FROM person WHERE id = 1;
INSERT INTO person VALUES (2000, 'new');
UPDATE person SET email = NULL WHERE id = 2;
SELECT * FROM provenance.verify();
SELECT provenance.tag('person');
SELECT * FROM provenance.verify();
SELECT * FROM provenance.verify_row('person', 1);
SELECT * FROM provenance.verify_row('person', 2);
RESET ROLE;
SELECT size(provenance.seal()) > 0 AS sealed;
:as_owner;
SELECT * FROM provenance.verify();
SELECT * FROM provenance.verify_row('person', 1);

-- Row security hides no row from verification.
ALTER TABLE price ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
SELECT count(*) FROM price;
SELECT * FROM provenance.verify_table('price');
SELECT * FROM provenance.verify_row('price', 'GTX', 1);
ALTER TABLE price DISABLE ROW LEVEL SECURITY, NO FORCE ROW LEVEL SECURITY;

-- Who may ask for what, and how.
:as_reader;
SELECT * FROM provenance.verify_table('crm.price');	-- fails
SELECT * FROM provenance.verify_row('crm.price', 'GTX', 1);	-- fails
:as_owner;
CREATE TABLE never (id int PRIMARY KEY);
SELECT * FROM provenance.verify_table('never');	-- fails
SELECT * FROM provenance.verify_row('price', 'GTX');	-- fails
SELECT * FROM provenance.verify_row('price', 'GTX', NULL);	-- fails
SELECT * FROM provenance.verify_log(-1);	-- fails
SELECT * FROM provenance.verify_row(NULL, 1);	-- fails
SELECT * FROM provenance.verify_table(NULL);	-- fails
SELECT * FROM provenance.verify_checkpoint((SELECT note FROM provenance.checkpoints WHERE size < 0));	-- fails
DROP TABLE never;

-- Behind the ledger's back.
RESET ROLE;
SET client_min_messages = error;
SET session_replication_role = replica;
ALTER TABLE crm.price DISABLE TRIGGER ALL;
UPDATE crm.price SET amount = 4 WHERE product = 'GTX';
INSERT INTO crm.price VALUES ('forged', 1, 1);
UPDATE provenance.entry SET changed_at = changed_at - interval '1 year'
	WHERE seq = (SELECT seq FROM provenance.history('crm.person', 3) ORDER BY leaf_index LIMIT 1);
UPDATE provenance.entry SET image = set_byte(image, 5, 66)
	WHERE seq = (SELECT seq FROM provenance.history('crm.person', 4) ORDER BY leaf_index LIMIT 1);
UPDATE provenance.leaf_run SET hashes = set_byte(hashes, 0, get_byte(hashes, 0) # 1) WHERE first_leaf = 0;
RESET session_replication_role;
RESET client_min_messages;
:as_owner;
SELECT code, severity, object, message FROM provenance.verify_table('price') ORDER BY 1, 3;
SELECT code, object, message FROM provenance.verify_row('price', 'GTX', 1) ORDER BY 1, 2;
SELECT code, object, message FROM provenance.verify_row('price', 'forged', 1) ORDER BY 1, 2;
SELECT code, object FROM provenance.verify_row('person', 3);
SELECT code, object FROM provenance.verify_row('person', 4);
SELECT code, leaf_index IS NOT NULL AS sealed FROM provenance.verify_log() ORDER BY 1;
SELECT code FROM provenance.verify() ORDER BY 1;
SET client_min_messages = warning;
SELECT DISTINCT code FROM provenance.verify(budget => '1 minute') ORDER BY 1;
RESET client_min_messages;
SELECT code FROM provenance.verify_checkpoint(:'kept');
:as_reader;	-- who may not read a table sees no keys
SELECT code, object FROM provenance.verify() ORDER BY 1, 2;
:as_owner;	-- nor does one to whom row security applies
GRANT SELECT ON price TO regress_provenance_reader;
:as_reader;
SELECT code, object FROM provenance.verify_table('crm.price') WHERE code LIKE 'row%' ORDER BY 1, 2;
:as_owner;
ALTER TABLE price ENABLE ROW LEVEL SECURITY;
:as_reader;
SELECT code, object FROM provenance.verify_table('crm.price') WHERE code LIKE 'row%' ORDER BY 1, 2;
:as_owner;
ALTER TABLE price DISABLE ROW LEVEL SECURITY;

\i :drop_log
