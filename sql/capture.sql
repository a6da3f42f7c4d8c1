-- capture(): what is recorded of which change.
\getenv srcdir PG_ABS_SRCDIR
\set entries :srcdir '/sql/include/entries.sql'
\set clean :srcdir '/sql/include/clean.sql'
\i :entries
\set SHOW_CONTEXT never
SET search_path = crm;
SET ROLE regress_provenance_crm;

CREATE TABLE contact (id int PRIMARY KEY, email text, secret text, amount numeric);
SELECT provenance.tag('contact', exclude => '{secret}');
SELECT * FROM entries();

-- One entry per row; the excluded column is nowhere.
INSERT INTO contact VALUES (1, 'a', 'hidden', 1.0), (2, NULL, 'hidden', NULL);
UPDATE contact SET email = 'b' WHERE id = 1;
DELETE FROM contact WHERE id = 2;
SELECT * FROM entries();

-- Nothing covered changed: nothing is recorded. Equal is not the same.
UPDATE contact SET email = email, amount = 1.0;
UPDATE contact SET secret = 'other';
SELECT * FROM entries();
UPDATE contact SET amount = 1.00;
SELECT * FROM entries();

-- A change of the key: delete and insert.
UPDATE contact SET id = 3 WHERE id = 1;
UPDATE contact SET id = id + 10, email = 'c';
SELECT * FROM entries();
-- A key that is equal and has another text is a change of the key, too.
CREATE TABLE price (p numeric PRIMARY KEY);
INSERT INTO price VALUES (1.0);
SELECT provenance.tag('price');
UPDATE price SET p = 1.00;
SELECT * FROM entries();

-- COPY, upsert, MERGE, writable CTE.
COPY contact FROM stdin;
21	x	\N	1
22	y	\N	2
\.
INSERT INTO contact VALUES (21, 'z') ON CONFLICT (id) DO UPDATE SET email = excluded.email;
INSERT INTO contact VALUES (21, 'zz') ON CONFLICT DO NOTHING;
SELECT * FROM entries();
MERGE INTO contact c USING (VALUES (21, 'm'), (22, NULL), (23, 'n')) v (id, email) ON c.id = v.id
	WHEN MATCHED AND v.email IS NULL THEN DELETE
	WHEN MATCHED THEN UPDATE SET email = v.email
	WHEN NOT MATCHED THEN INSERT VALUES (v.id, v.email);
WITH gone AS (DELETE FROM contact WHERE id = 23 RETURNING *)
	INSERT INTO contact SELECT id + 1, email FROM gone;
SELECT * FROM entries();

-- Rolled back is not recorded, to a savepoint and in exception blocks.
BEGIN;
INSERT INTO contact VALUES (31, 'kept');
SAVEPOINT s;
INSERT INTO contact VALUES (32, 'gone');
ROLLBACK TO s;
INSERT INTO contact VALUES (33, 'kept');
COMMIT;
DO $$ BEGIN
	INSERT INTO contact VALUES (34, 'kept');
	BEGIN
		INSERT INTO contact VALUES (35, 'gone');
		INSERT INTO contact VALUES (34, 'error');
	EXCEPTION WHEN unique_violation THEN NULL;
	END;
END $$;
BEGIN;
INSERT INTO contact VALUES (36, 'gone');
ROLLBACK;
SELECT * FROM entries();

-- TRUNCATE is one event.
TRUNCATE contact;
INSERT INTO contact VALUES (1, 'again');
SELECT * FROM entries();
-- A trigger that fills the table again is recorded after it.
CREATE FUNCTION refill() RETURNS trigger LANGUAGE plpgsql AS
	$$ BEGIN INSERT INTO contact VALUES (100, 'refilled'); RETURN NULL; END $$;
CREATE TRIGGER a_refill AFTER TRUNCATE ON contact EXECUTE FUNCTION refill();
TRUNCATE contact;
SELECT * FROM entries();
DROP TRIGGER a_refill ON contact;
DROP FUNCTION refill;

-- The versions of a row come in their order, whatever triggers do meanwhile.
CREATE TABLE acrobat (id int PRIMARY KEY, v text);
SELECT provenance.tag('acrobat');
CREATE FUNCTION replace() RETURNS trigger LANGUAGE plpgsql AS
	$$ BEGIN DELETE FROM acrobat WHERE id = NEW.id; RETURN NEW; END $$;
CREATE TRIGGER replace BEFORE INSERT ON acrobat FOR EACH ROW EXECUTE FUNCTION replace();
INSERT INTO acrobat VALUES (1, 'old');
INSERT INTO acrobat VALUES (1, 'new');
INSERT INTO acrobat VALUES (5, 'a'), (5, 'b'), (5, 'c');
SELECT * FROM entries();
DROP TRIGGER replace ON acrobat;
CREATE FUNCTION spread() RETURNS trigger LANGUAGE plpgsql AS
	$$ BEGIN UPDATE acrobat SET v = v || '+' WHERE id <> NEW.id AND v NOT LIKE '%+'; RETURN NULL; END $$;
CREATE TRIGGER a_spread AFTER UPDATE ON acrobat FOR EACH ROW WHEN (pg_trigger_depth() = 0) EXECUTE FUNCTION spread();
UPDATE acrobat SET v = v || '!' WHERE id = 1;
SELECT * FROM entries();

-- Append-only.
CREATE TABLE journal (id int PRIMARY KEY, v text);
INSERT INTO journal VALUES (1, 'a');
SELECT provenance.tag('journal', mode => 'append_only');
INSERT INTO journal VALUES (2, 'b');
UPDATE journal SET v = 'c';	-- fails
UPDATE journal SET v = v;	-- fails
DELETE FROM journal;	-- fails
TRUNCATE journal;	-- fails
SELECT * FROM entries();

-- Partitions: one shape, one identity, wherever the row lies.
CREATE TABLE event (id int, region text, note text, PRIMARY KEY (id, region)) PARTITION BY LIST (region);
CREATE TABLE event_eu PARTITION OF event FOR VALUES IN ('eu');
CREATE TABLE event_us (dropped int, note text, region text NOT NULL, id int NOT NULL);
ALTER TABLE event_us DROP COLUMN dropped;
ALTER TABLE event ATTACH PARTITION event_us FOR VALUES IN ('us');
CREATE TABLE event_as PARTITION OF event FOR VALUES IN ('cn', 'jp') PARTITION BY LIST (region);
CREATE TABLE event_cn PARTITION OF event_as FOR VALUES IN ('cn');
INSERT INTO event VALUES (1, 'eu', 'one'), (2, 'us', 'two'), (3, 'cn', 'three');
SELECT provenance.tag('event');
UPDATE event SET note = note || '!';
INSERT INTO event_us (id, region, note) VALUES (4, 'us', 'four');
SELECT * FROM entries();
-- a row that moves, and comes back
UPDATE event SET region = 'us' WHERE id = 1;
UPDATE event SET region = 'eu' WHERE id = 1;
SELECT * FROM entries();
-- truncated alone, with its parent, as part of the whole
TRUNCATE event_us;
SELECT * FROM entries();
TRUNCATE event_as;
SELECT * FROM entries();
INSERT INTO event VALUES (5, 'us', 'five');
TRUNCATE event;
SELECT * FROM entries();
INSERT INTO event VALUES (6, 'us', 'six');
BEGIN;
LOCK event;
TRUNCATE event_us;
COMMIT;
SELECT * FROM entries();

-- A column list that changes: the next change goes by a new shape.
RESET ROLE;
CREATE FUNCTION shapes(name) RETURNS bigint LANGUAGE sql SECURITY DEFINER RETURN (SELECT count(*)
	FROM provenance.shape JOIN provenance.registry USING (table_id) WHERE table_name = $1);
SET ROLE regress_provenance_crm;
CREATE TABLE growing (id int PRIMARY KEY, a text);
SELECT provenance.tag('growing');
INSERT INTO growing VALUES (1, 'a');
SELECT op, image[1:2] AS image FROM entries();
SELECT shapes('growing');
ALTER TABLE growing ADD COLUMN b int DEFAULT 7;
INSERT INTO growing VALUES (2, 'b');
UPDATE growing SET a = 'c' WHERE id = 1;
SELECT op, image[1:2] AS image, image[3] ~ '^[0-9a-f]{64}$' AS digest FROM entries() WHERE op = 'schema';
SELECT shapes('growing');
ALTER TABLE growing DROP COLUMN a;
ALTER TABLE growing ALTER COLUMN b TYPE bigint;
INSERT INTO growing VALUES (3, 3);
ALTER TABLE growing RENAME TO grown;
INSERT INTO grown VALUES (4, 4);
SELECT op, image[1:2] AS image FROM entries() WHERE op <> 'schema' OR image[2] = 'grown';
BEGIN;
ALTER TABLE grown ADD COLUMN c int;
INSERT INTO grown VALUES (5);
ROLLBACK;
INSERT INTO grown VALUES (6);
SELECT op, image FROM entries();

-- The session's settings do not reach the image.
CREATE TABLE settings (id int PRIMARY KEY, ts timestamptz, d date, i interval, b bytea, f float8, m money,
	rel regclass, arr timestamptz[], r tstzrange);
SELECT provenance.tag('settings');
INSERT INTO settings VALUES (1, '2026-05-01 12:00+02', '2026-05-01', '1 day 02:00', '\x00ff', 1/3.0, 12.5,
	'contact', '{2026-05-01 12:00+02}', '[2026-05-01 12:00+02,)');
SET datestyle = 'SQL, DMY';
SET timezone = 'Asia/Tokyo';
SET intervalstyle = 'postgres_verbose';
SET bytea_output = 'escape';
SET extra_float_digits = -10;
SET search_path = crm, public;
SET quote_all_identifiers = on;
INSERT INTO settings VALUES (1, '2026-05-01 12:00+02', '01/05/2026', '1 day 02:00', '\x00ff', 1/3.0::float8, 12.5,
	'contact', '{2026-05-01 12:00+02}', '[2026-05-01 12:00+02,)') ON CONFLICT (id) DO UPDATE SET id = 2;
UPDATE settings SET id = 3, f = 1/3.0::float8;
SHOW datestyle;
SHOW timezone;
SHOW intervalstyle;
SHOW bytea_output;
SHOW extra_float_digits;
SHOW search_path;
SHOW quote_all_identifiers;
RESET datestyle; RESET timezone; RESET intervalstyle; RESET bytea_output; RESET extra_float_digits; RESET quote_all_identifiers;
SELECT image FROM entries() WHERE op = 'insert';
-- not even where an output function fails half-way
SET timezone = 'Asia/Tokyo';
RESET ROLE;
SET client_min_messages = warning;
CREATE FUNCTION stubborn_in(cstring) RETURNS stubborn LANGUAGE internal IMMUTABLE STRICT AS 'textin';
CREATE FUNCTION stubborn_out(stubborn) RETURNS cstring LANGUAGE internal IMMUTABLE STRICT AS 'byteain';
CREATE TYPE stubborn (INPUT = stubborn_in, OUTPUT = stubborn_out, LIKE = text);
RESET client_min_messages;
CREATE TABLE stubborn_table (id int PRIMARY KEY, ts timestamptz, s stubborn);
SELECT provenance.tag('stubborn_table');
\set SHOW_CONTEXT errors
INSERT INTO stubborn_table VALUES (1, now(), '\xzz');	-- fails
\set SHOW_CONTEXT never
SHOW timezone;
RESET timezone;

\i :clean
