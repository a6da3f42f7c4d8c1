-- history() and changes(): what was recorded, in the right order, to those who
-- may see it.
\getenv srcdir PG_ABS_SRCDIR
\set fresh_log :srcdir '/sql/include/fresh_log.sql'
\set drop_log :srcdir '/sql/include/drop_log.sql'
\i :fresh_log
SET search_path = crm, provenance;	-- the latter for the operators of hashes
\set as_owner 'SET ROLE regress_provenance_owner'
\set as_reader 'SET ROLE regress_provenance_reader'

:as_owner;
CREATE TABLE contact (id int PRIMARY KEY, email text, balance numeric(10,2), vip boolean, tags jsonb);
INSERT INTO contact VALUES (1, 'before@example.org', 1, NULL, NULL);
SELECT provenance.tag('contact');

-- One row's life: under which name, why, from where, and what changed.
SET provenance.actor = 'ann';
SET provenance.purpose = 'onboarding';
SET provenance.source = 'web form';
INSERT INTO contact VALUES (2, 'a@example.org', 1.5, true, '{"list": [1, "x"]}');
SET provenance.actor = 'ben';
RESET provenance.purpose;
RESET provenance.source;
SET application_name = 'billing';
UPDATE contact SET balance = 7, email = NULL WHERE id = 2;
UPDATE contact SET vip = vip;	-- nothing changes
UPDATE contact SET tags = NULL, vip = false WHERE id = 2;
DELETE FROM contact WHERE id = 2;
RESET provenance.actor;
INSERT INTO contact VALUES (2, 'again@example.org');
RESET application_name;

RESET ROLE;
SELECT size(provenance.seal()) AS sealed;
:as_owner;
SELECT leaf_index, op, actor, db_user, application, purpose, source
FROM history('contact', 2);
SELECT op, image, changed FROM history('contact', 2);
SELECT op, image, changed FROM history('contact', 1);

-- The chain: each leaf holds the hash of the one before, the first zeros.
SELECT count(*) AS entries,
	bool_and(leaf_hash = provenance.leaf_hash(provenance.leaf(seq))) AS leaves,
	bool_and(prev_hash = coalesce(before, repeat('00', 32)::hash)) AS links,
	bool_and(substr(provenance.leaf(seq), 19, 32) = prev_hash::bytea) AS in_leaf,
	bool_and(changed_at BETWEEN now() - interval '1 hour' AND clock_timestamp()) AS times,
	count(DISTINCT txid) AS transactions
FROM (SELECT *, lag(leaf_hash) OVER (ORDER BY leaf_index) AS before FROM history('contact', 2)) h;

-- Not sealed yet: no place in the log, and no hashes; afterwards it has them.
BEGIN;
UPDATE contact SET vip = true WHERE id = 2;
UPDATE contact SET vip = false WHERE id = 2;
SELECT op, leaf_index, num_nulls(leaf_hash, prev_hash) AS no_hash, changed, txid = pg_current_xact_id() AS mine
FROM history('contact', 2) OFFSET 4;
SELECT op, leaf_index, key, changed FROM changes('contact', '-infinity', 'infinity') WHERE leaf_index IS NULL;
ROLLBACK;
SELECT count(*) FROM history('contact', 2);

-- A row that never was; a wrong key.
SELECT count(*) FROM history('contact', 3);
SELECT count(*) FROM history('contact', '2');
SELECT count(*) FROM history('contact', 2::numeric);
SELECT count(*) FROM history('contact', VARIADIC ARRAY[2]);
SELECT history('contact', 2, 2);	-- fails
SELECT history('contact', VARIADIC '{}'::int[]);	-- fails
SELECT history('contact', NULL);	-- fails
SELECT history('contact', 'x');	-- fails
SELECT history(NULL, 1);	-- fails

-- Keys of several columns, in key order.
CREATE TABLE line (note text, position smallint, contract char(4), PRIMARY KEY (contract, position));
SELECT provenance.tag('line');
INSERT INTO line VALUES ('n', 1, 'ab'), ('m', 2, 'ab');
UPDATE line SET position = 3 WHERE position = 2;
SELECT op, image FROM history('line', 'ab', 1);
SELECT op, image FROM history('line', 'ab  ', '2');
SELECT op, image FROM history('line', 'ab'::text, 3::bigint);
SELECT history('line', 'ab');	-- fails

-- Equal by the key's operator is the same row while it is there; once it is
-- gone, the text decides.
CREATE TABLE price (amount numeric PRIMARY KEY, n int);
SELECT provenance.tag('price');
INSERT INTO price VALUES (1.0, 1);
UPDATE price SET n = 2;
SELECT op, image FROM history('price', 1);
UPDATE price SET amount = 1.000;
SELECT op, image FROM history('price', 1.0);
SELECT op, image FROM history('price', 1);
DELETE FROM price;
SELECT op, image FROM history('price', 1.0);
SELECT op, image FROM history('price', 1);

-- What is a number to JSON, and what cannot be a jsonb.
CREATE TABLE odd (id int PRIMARY KEY, f float8, n numeric, j json, a int[], d date);
SELECT provenance.tag('odd');
INSERT INTO odd VALUES (1, 'NaN', '-Infinity', '"\u0000"', '{1,2}', '2026-02-01'), (2, 1e-7, 1.10, '{"a": 1}', '{}', NULL),
	(3, -1.5e300, '-0', '1e400000', NULL, 'infinity'), (4, NULL, NULL, 'null', NULL, NULL);
SET datestyle = 'German';
SELECT image FROM generate_series(1, 4) i, history('odd', i);
RESET datestyle;

-- An erased image shows nothing, and nothing is compared with it.
RESET ROLE;
ALTER TABLE provenance.entry DISABLE TRIGGER USER;
UPDATE provenance.entry SET seed = NULL, image = NULL
WHERE seq = (SELECT seq FROM history('contact', 2) WHERE changed = '{email,balance}');
ALTER TABLE provenance.entry ENABLE TRIGGER USER;
SELECT leaf_index, op, image IS NULL AS erased, changed FROM history('contact', 2);

-- A truncate ends the row chains: until the new chain is in the log the row's
-- old one can be reached, afterwards the truncate is what comes first.
:as_owner;
BEGIN;
TRUNCATE price;
SELECT op, image FROM history('price', 1.0);
INSERT INTO price VALUES (1.0, 9);
SELECT op, image FROM history('price', 1.0);
COMMIT;
RESET ROLE;
SELECT provenance.seal() IS NOT NULL AS sealed;
SELECT op, image, prev_hash = repeat('00', 32)::hash AS first FROM history('price', 1.0);
-- Without a row of that key: the chain of the text, and what ended it.
DELETE FROM price;
SELECT op, image FROM history('price', 1.000);
SELECT op, key, changed FROM changes('price', '-infinity');

-- All entries of a table in a time.
:as_owner;
SELECT op, key, image, changed FROM changes('line', '-infinity');
SELECT changed_at AS mark FROM changes('contact', '-infinity') WHERE op = 'delete' \gset
SELECT op, key FROM changes('contact', :'mark');
SELECT op, key FROM changes('contact', '-infinity', :'mark');
SELECT count(*) FROM changes('contact', 'infinity');
SELECT bool_and(leaf_hash = provenance.leaf_hash(provenance.leaf(seq))) AS leaves,
	bool_and(prev_hash::bytea = substr(provenance.leaf(seq), 19, 32)) AS links
FROM changes('contact', '-infinity');

-- A partition's history is that of the table it is part of.
CREATE TABLE call (id int, region text, note text, PRIMARY KEY (region, id)) PARTITION BY LIST (region);
CREATE TABLE call_eu (note text, id int NOT NULL, region text NOT NULL);
ALTER TABLE call ATTACH PARTITION call_eu FOR VALUES IN ('eu');
CREATE TABLE call_us PARTITION OF call FOR VALUES IN ('us');
SELECT provenance.tag('call');
INSERT INTO call VALUES (1, 'eu', 'x'), (1, 'us', 'y');
UPDATE call SET note = 'z';
SELECT op, image FROM history('call', 'eu', 1);
SELECT op, image FROM history('call_us', 'us', 1);
SELECT op, key FROM changes('call_eu', '-infinity', 'infinity');

-- Who may see what: nobody without SELECT on something of the table ...
:as_reader;
SELECT history('contact', 2);	-- fails
SELECT changes('contact', '-infinity');	-- fails
-- ... those columns only that the caller may SELECT ...
:as_owner;
GRANT SELECT (email, vip) ON contact TO regress_provenance_reader;
:as_reader;
SELECT history('contact', 2);	-- fails
SELECT op, key, image, changed FROM changes('contact', '-infinity');
:as_owner;
GRANT SELECT (id) ON contact TO regress_provenance_reader;
:as_reader;
SELECT op, image, changed FROM history('contact', 2);
-- ... a column that is gone only to the owner ...
:as_owner;
ALTER TABLE contact DROP COLUMN email;
GRANT SELECT ON contact TO regress_provenance_reader;
SELECT DISTINCT image ? 'email' AS email FROM history('contact', 2) WHERE op = 'insert';
:as_reader;
SELECT op, image, changed FROM history('contact', 2);
-- ... and nothing where row security applies.
:as_owner;
ALTER TABLE contact ENABLE ROW LEVEL SECURITY;
SELECT count(*) > 0 AS owner FROM history('contact', 2);
:as_reader;
SELECT history('contact', 2);	-- fails
SELECT changes('contact', '-infinity');	-- fails
:as_owner;
ALTER TABLE contact FORCE ROW LEVEL SECURITY;
SELECT history('contact', 2);	-- fails
ALTER TABLE contact NO FORCE ROW LEVEL SECURITY;

-- The check of a domain is the owner's code, and runs as the owner, whoever asks.
CREATE FUNCTION who(int) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
	RAISE NOTICE 'checked by %', current_user;
	RETURN true;
END $$;
CREATE DOMAIN checked AS int CHECK (crm.who(VALUE));
CREATE TYPE with_checked AS (n checked);
SET client_min_messages = warning;
CREATE TABLE domain_key (k checked PRIMARY KEY);
CREATE TABLE composite_key (k with_checked PRIMARY KEY);
SELECT provenance.tag('domain_key'), provenance.tag('composite_key');
INSERT INTO domain_key VALUES (1);
INSERT INTO composite_key VALUES ('(1)');
RESET client_min_messages;
RESET ROLE;
SELECT op FROM history('domain_key', 1);
SELECT op FROM history('composite_key', '(1)'::text);
SELECT code FROM verify_row('domain_key', 1);
SELECT code FROM verify_row('composite_key', '(1)'::text);
SELECT current_user = session_user AS restored;
:as_owner;

-- Untagged, the history stays; a table never tagged has none.
SELECT provenance.untag('line');
INSERT INTO line VALUES ('unrecorded', 9, 'ab');
SELECT op, image FROM history('line', 'ab', 1);
SELECT count(*) FROM history('line', 'ab', 9);
SELECT op FROM changes('line', '-infinity', 'infinity') WHERE key IS NULL;
CREATE TABLE untouched (id int PRIMARY KEY);
SELECT history('untouched', 1);	-- fails
SELECT changes('untouched', '-infinity');	-- fails
SELECT history('pg_class', 1);	-- fails

-- changes() begins to read at a checkpoint signed a day before the time asked
-- for: what that covers is left out, whatever time its entries claim.
RESET ROLE;
SET client_min_messages = warning;
CREATE TABLE late (id int PRIMARY KEY);
SELECT provenance.tag('late') = 0 AS tagged, provenance.stop_worker() \gset
INSERT INTO late VALUES (1);
SELECT provenance.size(provenance.seal()) AS covered \gset
INSERT INTO late VALUES (2);
SELECT provenance.size(provenance.seal()) AS size \gset
RESET client_min_messages;
BEGIN;
SET LOCAL session_replication_role = replica;
UPDATE provenance.checkpoint_note SET signed_at = now() - interval '25 hours' WHERE size = :covered;
SELECT key FROM changes('late', now() - interval '30 min') WHERE key IS NOT NULL;
SELECT key FROM changes('late', now() - interval '2 hours') WHERE key IS NOT NULL;
SELECT key FROM changes('late', '-infinity') WHERE key IS NOT NULL;
ROLLBACK;
SELECT key FROM changes('late', now() - interval '1 hour') WHERE key IS NOT NULL;

\i :drop_log
