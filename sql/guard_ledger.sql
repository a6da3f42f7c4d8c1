-- The ledger's tables: append-only for SQL, the superuser included; loadable;
-- nobody else has privileges on them.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS provenance;
RESET client_min_messages;
\set SHOW_CONTEXT never

-- All of the extension's tables have the triggers, in the right mode.
SELECT c.relname AS unguarded
FROM pg_depend d JOIN pg_class c ON c.oid = d.objid
WHERE d.classid = 'pg_class'::regclass AND d.deptype = 'e' AND c.relkind = 'r'
	AND d.refobjid = (SELECT oid FROM pg_extension WHERE extname = 'provenance')
	AND (SELECT array_agg(tgname::text || ' ' || tgenabled::text || ' ' || tgtype::text ORDER BY tgname)
		 FROM pg_trigger WHERE tgrelid = c.oid AND NOT tgisinternal)::text[]
	IS DISTINCT FROM '{provenance_foreign R 31,provenance_foreign_truncate R 34,provenance_refuse O 58}'
ORDER BY 1;

-- A primary key each, so that a publication FOR ALL TABLES stops nobody.
SELECT c.relname AS without_key
FROM pg_depend d JOIN pg_class c ON c.oid = d.objid
WHERE d.classid = 'pg_class'::regclass AND d.deptype = 'e' AND c.relkind = 'r'
	AND d.refobjid = (SELECT oid FROM pg_extension WHERE extname = 'provenance')
	AND NOT EXISTS (SELECT FROM pg_index WHERE indrelid = c.oid AND indisprimary)
ORDER BY 1;

-- Marked for pg_dump, tables and sequences alike.
SELECT c.relname AS not_dumped
FROM pg_depend d JOIN pg_class c ON c.oid = d.objid, pg_extension e
WHERE d.classid = 'pg_class'::regclass AND d.deptype = 'e' AND c.relkind IN ('r', 'S')
	AND d.refobjid = e.oid AND e.extname = 'provenance' AND NOT c.oid = ANY (e.extconfig)
ORDER BY 1;

-- Nobody has been granted anything on them.
SELECT c.relname, c.relacl
FROM pg_class c
WHERE c.relnamespace = 'provenance'::regnamespace AND c.relkind IN ('r', 'S')
	AND EXISTS (SELECT FROM aclexplode(c.relacl) a WHERE a.grantee <> c.relowner)
ORDER BY 1;
SET client_min_messages = warning;
DROP ROLE IF EXISTS regress_guard;
RESET client_min_messages;
CREATE ROLE regress_guard;
SET ROLE regress_guard;
SELECT * FROM provenance.entry;	-- fails
INSERT INTO provenance.head VALUES (gen_random_uuid(), '');	-- fails
UPDATE provenance.entry SET seq = seq + 1;	-- fails
DELETE FROM provenance.entry;	-- fails
TRUNCATE provenance.entry;	-- fails
SELECT nextval('provenance.entry_seq');	-- fails
CREATE TRIGGER t BEFORE INSERT ON provenance.entry EXECUTE FUNCTION provenance.refuse_change();	-- fails
RESET ROLE;

-- The superuser cannot either: even where no row qualifies, in every way that
-- ends in an UPDATE or a DELETE, and under a data-modifying CTE.
UPDATE provenance.entry SET seq = seq + 1;	-- fails
UPDATE provenance.entry SET seq = seq + 1 WHERE false;	-- fails
DELETE FROM provenance.entry;	-- fails
TRUNCATE provenance.entry;	-- fails
TRUNCATE provenance.checkpoint_note, provenance.head CASCADE;	-- fails
WITH d AS (DELETE FROM provenance.shape RETURNING 1) SELECT count(*) FROM d;	-- fails
INSERT INTO provenance.tree_node VALUES (1, 0, repeat('0', 64)::provenance.hash)
	ON CONFLICT (level, index) DO UPDATE SET hash = excluded.hash;	-- fails
MERGE INTO provenance.head h USING (VALUES (1)) v (x) ON length(h.heads) = v.x WHEN MATCHED THEN DELETE;	-- fails
\set VERBOSITY sqlstate
DELETE FROM provenance.log_key;	-- fails
\set VERBOSITY default

-- Loading is possible, as pg_restore does it and as a load under
-- session_replication_role = replica does.
BEGIN;
COPY provenance.tree_node FROM stdin;
1	1000000	0000000000000000000000000000000000000000000000000000000000000000
\.
ALTER TABLE provenance.tree_node DISABLE TRIGGER ALL;
COPY provenance.tree_node FROM stdin;
1	1000001	0000000000000000000000000000000000000000000000000000000000000000
\.
ALTER TABLE provenance.tree_node ENABLE TRIGGER ALL;
SET session_replication_role = replica;
COPY provenance.tree_node FROM stdin;
1	1000002	0000000000000000000000000000000000000000000000000000000000000000
\.
INSERT INTO provenance.tree_node VALUES (1, 1000003, repeat('0', 64)::provenance.hash);
RESET session_replication_role;
SELECT index FROM provenance.tree_node WHERE index >= 1000000 ORDER BY index;
ROLLBACK;

-- Keeping house is allowed.
VACUUM provenance.tree_node;
ANALYZE provenance.entry;

-- The functions do nothing outside a trigger.
SELECT provenance.refuse_change();	-- fails
SELECT provenance.ignore_foreign();	-- fails

DROP ROLE regress_guard;

-- Another index is allowed; not one that the ledger's writers could not fill,
-- nor a column. Made past the guard, it is an error to write.
CREATE DATABASE regress_provenance_guard;
\c regress_provenance_guard
\set SHOW_CONTEXT never
SET client_min_messages = error;	-- no warning where the state directory must be inside the data directory
CREATE EXTENSION provenance;
SELECT 'guard-' || replace(gen_random_uuid()::text, '-', '') || '.test' AS origin \gset
SELECT provenance.setup(:'origin') AS vkey \gset
CREATE TABLE t (id int PRIMARY KEY);
SELECT provenance.tag('t');
CREATE INDEX ON provenance.entry ((seq + 1));	-- fails
CREATE INDEX CONCURRENTLY ON provenance.head (from_row_id) WHERE length(heads) > 0;	-- fails
ALTER TABLE provenance.context ADD COLUMN x int;	-- fails
CREATE INDEX by_time ON provenance.entry (changed_at);
INSERT INTO t VALUES (1), (2);
SET enable_seqscan = off;
SELECT count(*) FROM provenance.entry WHERE changed_at > '-infinity';
RESET enable_seqscan;
ALTER EVENT TRIGGER provenance_guard_start DISABLE;
CREATE INDEX past_guard ON provenance.entry ((seq + 1));
INSERT INTO t VALUES (3);	-- fails
DROP INDEX provenance.past_guard;
CREATE INDEX past_guard ON provenance.context (context_id) WHERE context_id > 0;
SET provenance.actor = 'another';
INSERT INTO t VALUES (3);	-- fails
DROP INDEX provenance.past_guard;
SELECT state_directory FROM provenance.status \gset
ALTER TABLE provenance.entry ADD COLUMN x int;
INSERT INTO t VALUES (3);	-- fails
ALTER TABLE provenance.entry DROP COLUMN x;
INSERT INTO t VALUES (3);	-- fails
BEGIN;
ALTER TABLE provenance.entry ALTER COLUMN seq TYPE text;
INSERT INTO t VALUES (3);	-- fails
ROLLBACK;
SELECT format('COPY (SELECT) TO PROGRAM %L', format('cat >/dev/null; rm -f %s/%s.*', :'state_directory',
	encode(sha256(convert_to(:'origin', 'UTF8')), 'hex'))) AS command \gset
:command;
\c template1
DROP DATABASE regress_provenance_guard;
