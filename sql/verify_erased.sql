-- Images that are gone: each is a finding unless a later entry of its row's
-- chain, or of its table's own, is of operation 11 (reserved; doc/format.md), by
-- whatever function verifies, of sealed entries and of those that wait.
\getenv srcdir PG_ABS_SRCDIR
\set fresh_log :srcdir '/sql/include/fresh_log.sql'
\set drop_log :srcdir '/sql/include/drop_log.sql'
\i :fresh_log
SET search_path = crm, provenance;
SELECT provenance.stop_worker();
CREATE TABLE contact (id int PRIMARY KEY, name text);
CREATE TABLE note (id int PRIMARY KEY, name text);
SELECT provenance.tag('contact') + provenance.tag('note') AS rows;

-- No function of this version writes such an entry: of the row with that key, or of the table's own chain. Its fields are
-- NULL, and its seed zeros, whose salts are known answers of AES-128.
CREATE FUNCTION crm.erase(of_table regclass, id int) RETURNS void LANGUAGE plpgsql SET session_replication_role = replica AS $$
DECLARE
	salts bytea[] := '{"\\x66e94bd4ef8a2c3b884cfa59ca342b2e", "\\x58e2fccefa7e3061367f1d57a4e7455a",
		"\\x0388dace60b6a392f328c2b971b2fe78", "\\xf795aaab494b5923f7fd89ff948bc1e0"}';
	names text[] := '{entries,fields,reason}';
	last provenance.entry;
	digests bytea;
BEGIN
	SELECT * INTO last FROM provenance.entry e
		WHERE e.seq = (SELECT max(h.seq) FROM provenance.history(of_table, id) h WHERE id IS NOT NULL)
			OR id IS NULL AND e.op = 6 AND e.table_id = (SELECT r.table_id FROM provenance.registry r
														 WHERE format('%I.%I', r.schema_name, r.table_name)::regclass = of_table);
	SELECT sha256('\x02' || salts[1] || '\x0000' || '\x00' || '\x00000020' || c.commitment::bytea) INTO digests
		FROM provenance.context c WHERE c.context_id = last.context_id;
	FOR i IN 1 .. 3 LOOP
		digests := digests || sha256('\x02' || salts[i + 1] || int2send(length(names[i])::smallint) || names[i]::bytea || '\x01' || '\x00000000');
	END LOOP;
	INSERT INTO provenance.entry (xid, seq, changed_at, context_id, order_number, table_id, shape_id, row_id, commitment, seed, image, op)
		SELECT pg_current_xact_id(), nextval('provenance.entry_seq'), clock_timestamp(), last.context_id, 0, last.table_id,
			   last.shape_id, last.row_id, sha256('\x03' || s.digest::bytea || '\x00000004' || digests)::provenance.hash,
			   '00000000-0000-0000-0000-000000000000', '\x01ffffff', 11
			FROM provenance.shape s WHERE s.shape_id = last.shape_id;
END $$;

-- Destroys the images of a row's entries that are that operation, or have that name.
CREATE FUNCTION crm.destroy(of_table regclass, id int, what text) RETURNS int LANGUAGE plpgsql SET session_replication_role = replica AS $$
DECLARE
	n int;
BEGIN
	UPDATE provenance.entry e SET seed = NULL, image = NULL
		FROM provenance.history(of_table, id) h WHERE h.seq = e.seq AND (h.op = what OR h.image ->> 'name' = what);
	GET DIAGNOSTICS n = ROW_COUNT;
	RETURN n;
END $$;

-- What is found, and who finds it: one process, three, a table alone, a row alone, a sample.
CREATE FUNCTION crm.findings() RETURNS TABLE (by text, finding provenance.finding) LANGUAGE plpgsql
	SET min_parallel_table_scan_size = 0 SET client_min_messages = warning AS $$
BEGIN
	PERFORM set_config('max_parallel_maintenance_workers', '0', true);
	RETURN QUERY SELECT '1 one', f FROM provenance.verify() f;
	PERFORM set_config('max_parallel_maintenance_workers', '2', true);
	RETURN QUERY SELECT '2 three', f FROM provenance.verify() f;
	RETURN QUERY SELECT '3 table', f FROM provenance.verify_table('crm.contact') f;
	RETURN QUERY SELECT '3 table', f FROM provenance.verify_table('crm.note') f;
	RETURN QUERY SELECT '4 row', f FROM generate_series(1, 6) i, LATERAL provenance.verify_row('crm.contact', i) f;
	RETURN QUERY SELECT '4 row', f FROM generate_series(1, 3) i, LATERAL provenance.verify_row('crm.note', i) f;
	RETURN QUERY SELECT '5 sample', f FROM provenance.verify(0, '1 minute') f;
END $$;
CREATE VIEW crm.found AS
	SELECT (finding).code, (finding).object, (finding).leaf_index IS NOT NULL AS sealed, substring((finding).message FROM '\d+')::int AS images,
		   string_agg(substr(by, 3), ', ' ORDER BY by) AS found_by
	FROM crm.findings() GROUP BY finding, 1, 2, 3, 4;

INSERT INTO contact SELECT i, 'first' FROM generate_series(1, 6) i;
INSERT INTO note SELECT i, 'first' FROM generate_series(1, 3) i;
UPDATE contact SET name = 'second';
UPDATE note SET name = 'second';
SELECT size(provenance.seal()) > 0 AS sealed;
TABLE crm.found;

-- Gone before an erasure that waits: silent. Where only another row's erasure is later, or none: findings.
SELECT crm.destroy('contact', i, 'first') FROM unnest('{1,3,4}'::int[]) i;
SELECT crm.destroy('note', i, 'first') FROM unnest('{1,3}'::int[]) i;
SELECT * FROM crm.found ORDER BY object;
SELECT crm.erase('contact', i) FROM unnest('{1,2,3,5}'::int[]) i;
SELECT crm.erase('note', NULL);
SELECT crm.destroy('contact', 5, 'erase');
SELECT * FROM crm.found ORDER BY object;
SELECT (finding).message FROM crm.findings() WHERE (finding).object = 'crm.contact (4)' GROUP BY 1;

-- Gone after it, too: an erasure speaks of what is before it only.
UPDATE contact SET name = 'third';
UPDATE note SET name = 'third';
UPDATE contact SET name = 'fourth';
UPDATE note SET name = 'fourth';
SELECT crm.destroy('contact', i, 'third') FROM unnest('{2,3}'::int[]) i;
SELECT crm.destroy('note', i, 'third') FROM unnest('{2,3}'::int[]) i;
SELECT * FROM crm.found ORDER BY object;
SELECT size(provenance.seal()) > 0 AS sealed;
SELECT * FROM crm.found ORDER BY object;

-- A later one again. That of a row of the one table, and of the other table.
SELECT crm.erase('contact', 2);
SELECT crm.erase('note', NULL);
SELECT * FROM crm.found ORDER BY object;
SELECT size(provenance.seal()) > 0 AS sealed;
SELECT * FROM crm.found ORDER BY object;

-- An event of the table that was made one afterwards is not what its leaf commits to.
ALTER TABLE contact ADD COLUMN more text;
SELECT size(provenance.seal()) > 0 AS sealed;
SELECT code, object FROM verify_row('contact', 4);
SET session_replication_role = replica;
UPDATE provenance.entry SET op = 11 WHERE op = 8 AND image IS NOT NULL;
RESET session_replication_role;
SELECT code, object FROM verify_row('contact', 4);
SELECT code FROM verify_table('contact') WHERE code <> 'image_missing' ORDER BY 1;
\i :drop_log
