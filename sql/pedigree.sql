-- pedigree(), subject_changes(): one subject's timeline over the tables that the
-- caller may read. What partners add to it is in test/tap/partners.pl.
\getenv srcdir PG_ABS_SRCDIR
\set fresh_log :srcdir '/sql/include/fresh_log.sql'
\set drop_log :srcdir '/sql/include/drop_log.sql'
\i :fresh_log
SET search_path = crm, provenance;
SET ROLE regress_provenance_owner;
CREATE TABLE contact (id int PRIMARY KEY, email text, status text);
CREATE TABLE "Order" (nr int PRIMARY KEY, buyer text, total numeric);
CREATE TABLE tariff (id int PRIMARY KEY, price int);
SELECT provenance.tag('contact', 'email') + provenance.tag('"Order"', 'buyer') + provenance.tag('tariff') AS rows;
INSERT INTO contact VALUES (1, 'ada@x.example', 'lead'), (2, 'bob@x.example', 'lead'), (3, 'ada@x.example', 'old');
INSERT INTO "Order" VALUES (7, 'ada@x.example', 12.50), (8, 'bob@x.example', 1);
UPDATE contact SET status = 'customer' WHERE id = 1;
DELETE FROM contact WHERE id = 3;
-- a row that was another's, and one that becomes another's
UPDATE contact SET email = 'ada@x.example' WHERE id = 2;
UPDATE "Order" SET buyer = 'eve@x.example' WHERE nr = 7;
RESET ROLE;
SELECT size(provenance.seal()) > 0 AS sealed;
SET ROLE regress_provenance_owner;
UPDATE contact SET status = 'gold' WHERE id = 1;

SELECT "table", key, op, image, changed, proof, leaf_index IS NULL AS unsealed, withheld, partner
FROM pedigree('ada@x.example');
SELECT key, op, changed FROM subject_changes('contact', 'ada@x.example') ORDER BY key, seq;
SELECT count(*) FROM pedigree('nobody@x.example');
SELECT count(*) FROM pedigree('');
SELECT count(*) FROM pedigree(NULL);
-- the hashes are those of the history
SELECT count(*) FROM subject_changes('contact', 'ada@x.example') c JOIN history('contact', 1) h USING (seq)
WHERE c.leaf_hash IS NOT DISTINCT FROM h.leaf_hash AND c.prev_hash IS NOT DISTINCT FROM h.prev_hash
	AND c.changed IS NOT DISTINCT FROM h.changed;
SELECT subject_changes('tariff', '1');	-- fails: no subject

-- what a role may not read is not in its timeline
GRANT SELECT ON contact TO regress_provenance_reader;
GRANT SELECT (nr, total) ON "Order" TO regress_provenance_reader;
SET ROLE regress_provenance_reader;
SELECT DISTINCT "table" FROM pedigree('ada@x.example');
SELECT subject_changes('"Order"', 'ada@x.example');	-- fails: the subject column
RESET ROLE;
SET ROLE regress_provenance_owner;
REVOKE SELECT ON contact FROM regress_provenance_reader;
GRANT SELECT (id, email) ON contact TO regress_provenance_reader;
SET ROLE regress_provenance_reader;
SELECT key, op, image FROM pedigree('bob@x.example');
SELECT count(*) FROM merged_of_subject('ada@x.example', '{}');
RESET ROLE;
-- another view in place of the one that is read
BEGIN;
ALTER VIEW merged_entry RENAME TO merged_before;
CREATE VIEW provenance.merged_entry AS
	SELECT 'later'::text AS changed_at, partner, origin, schema_name, table_name, key, op, context, fields, withheld, leaf_index,
		   leaf_hash, source_leaf, countersigned_by
	FROM merged_before;
SELECT count(*) FROM merged_of_subject('ada@x.example', '{}');	-- fails
ROLLBACK;
SELECT count(*) FROM merged_of_subject('ada@x.example', '{}');
-- what runs as the extension's owner finds no operator of the caller's
GRANT SELECT ON merged_entry TO regress_provenance_reader;
CREATE SCHEMA AUTHORIZATION regress_provenance_reader;
SET ROLE regress_provenance_reader;
CREATE FUNCTION regress_provenance_reader.trap(bigint) RETURNS bigint LANGUAGE plpgsql IMMUTABLE AS
	$$ BEGIN RAISE 'running as %', current_user; END $$;
CREATE OPERATOR regress_provenance_reader.- (rightarg = bigint, function = regress_provenance_reader.trap);
SET search_path = regress_provenance_reader, crm, provenance, pg_catalog;
SELECT count(*) FROM merged_of_subject('ada@x.example', '{}');
RESET ROLE;
SET search_path = crm, provenance;
DROP OPERATOR regress_provenance_reader.- (NONE, bigint);
DROP FUNCTION regress_provenance_reader.trap(bigint);
DROP SCHEMA regress_provenance_reader;
SET ROLE regress_provenance_owner;
ALTER TABLE contact ENABLE ROW LEVEL SECURITY;
CREATE POLICY mine ON contact USING (true);
SET ROLE regress_provenance_reader;
SELECT count(*) FROM pedigree('ada@x.example');	-- row security
RESET ROLE;
SELECT * FROM verify();
\i :drop_log
