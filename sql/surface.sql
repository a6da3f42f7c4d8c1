-- What users, partners and tests rely on: names, arguments, results, columns in
-- their order. And what holds for every object of the schema, whoever adds one:
-- nobody may write, search paths are fixed, everything says what it is for.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS provenance;
RESET client_min_messages;
\pset format unaligned
\pset tuples_only on

-- Functions: more arguments may come at the end, with defaults; as may columns.
SELECT format('%s(%s) -> %s', p.proname, replace(pg_get_function_arguments(p.oid), 'provenance.', ''),
	replace(replace(pg_get_function_result(p.oid), 'timestamp with time zone', 'timestamptz'), 'provenance.', ''))
FROM unnest('{origin,size,root,note,leaf_index,path,checkpoint,
	setup,verifier_key,tag,untag,rotate_key,adopt,new_incarnation,start_worker,stop_worker,
	seal,wait_sealed,history,as_of,as_of_size,changes,
	verify_row,verify_table,verify_log,verify_checkpoint,verify,
	leaf,leaf_hash,prove,prove_consistency,verify_inclusion,verify_consistency,disclose,verify_disclosure,tile,
	entry_bundle,export_tiles,timestamp_request,add_timestamp}'::name[]) WITH ORDINALITY AS n (name, nr)
	LEFT JOIN pg_proc p ON p.pronamespace = 'provenance'::regnamespace AND p.proname = n.name
ORDER BY nr;

-- Views, and the types of functions' rows: more attributes may come at the end.
SELECT format('%s: %s', n.name, string_agg(format('%s %s', a.attname, replace(format_type(a.atttypid, a.atttypmod), 'provenance.', '')), ', ' ORDER BY a.attnum))
FROM unnest('{tagged_table,status,checkpoints,progress,finding,history_entry,change,pedigree_step,merged_change,disclosed_field,bundle}'::name[]) WITH ORDINALITY AS n (name, nr)
	JOIN pg_class c ON c.relnamespace = 'provenance'::regnamespace AND c.relname = n.name
	JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0
GROUP BY nr, n.name ORDER BY nr;

-- Settings: the first three for every user, the rest for superusers.
LOAD 'provenance';
SELECT name, vartype, boot_val, unit, context FROM pg_settings
WHERE name = ANY ('{provenance.actor,provenance.purpose,provenance.source,provenance.seal_interval,provenance.publish_interval,
	provenance.signing_key,provenance.state_directory,provenance.checkpoint_directory,provenance.key_overlap,provenance.wait_timeout}')
ORDER BY context DESC, name;

-- Types: sizes, operator classes, casts.
SELECT t.typname, t.typlen, string_agg(am.amname, ' ' ORDER BY am.amname) AS default_classes
FROM pg_type t JOIN pg_opclass o ON o.opcintype = t.oid AND o.opcdefault JOIN pg_am am ON am.oid = o.opcmethod
WHERE t.typnamespace = 'provenance'::regnamespace AND t.typname IN ('hash', 'checkpoint', 'proof')
GROUP BY t.oid ORDER BY 1;

-- Who may call what of the above without having been granted it.
SELECT CASE WHEN has_function_privilege('public', p.oid, 'EXECUTE') THEN 'everybody' ELSE 'not everybody' END,
	string_agg(p.proname, ' ' ORDER BY p.proname)
FROM pg_proc p WHERE p.pronamespace = 'provenance'::regnamespace AND p.proname = ANY ('{setup,verifier_key,tag,untag,rotate_key,adopt,
	new_incarnation,start_worker,stop_worker,seal,wait_sealed,history,as_of,as_of_size,changes,verify_row,verify_table,verify_log,
	verify_checkpoint,verify,leaf,prove,prove_consistency,verify_inclusion,verify_consistency,disclose,verify_disclosure,tile,
	entry_bundle,export_tiles,timestamp_request,add_timestamp}')
GROUP BY 1 ORDER BY 1;

-- Columns that no later version could add to: only of functions from which a view takes what it shows.
SELECT p.oid::regprocedure FROM pg_proc p
WHERE p.pronamespace = 'provenance'::regnamespace AND p.proargmodes && '{o,b,t}' ORDER BY 1;

-- From here on: no row is what is wanted.
-- Anybody but a superuser who may make something in the schema.
SELECT r.rolname FROM pg_roles r
WHERE NOT r.rolsuper AND has_schema_privilege(r.oid, 'provenance', 'CREATE');
SELECT 'public' WHERE has_schema_privilege('public', 'provenance', 'CREATE');
-- A relation of it that others may write to (a bundle is put into the inbox).
SELECT c.relname, a.privilege_type
FROM pg_class c, aclexplode(c.relacl) a
WHERE c.relnamespace = 'provenance'::regnamespace AND a.grantee <> c.relowner AND c.relname <> 'inbox'
	AND a.privilege_type <> 'SELECT';
SELECT c.relname, t.attname, a.privilege_type
FROM pg_attribute t JOIN pg_class c ON c.oid = t.attrelid, aclexplode(t.attacl) a
WHERE c.relnamespace = 'provenance'::regnamespace AND a.privilege_type <> 'SELECT';
-- A table that others may read; only views are for them.
SELECT c.relname FROM pg_class c, aclexplode(c.relacl) a
WHERE c.relnamespace = 'provenance'::regnamespace AND c.relkind IN ('r', 'p', 'S') AND a.grantee <> c.relowner;
-- A function that acts for others, or is written in SQL, without a search path of its own; one whose path begins elsewhere.
SELECT p.oid::regprocedure
FROM pg_proc p JOIN pg_language l ON l.oid = p.prolang
WHERE p.pronamespace = 'provenance'::regnamespace AND (p.prosecdef OR l.lanname IN ('sql', 'plpgsql'))
	AND p.prosqlbody IS NULL
	AND coalesce(array_to_string(p.proconfig, ' ') !~ '^(.* )?search_path=(provenance, )?pg_catalog(, provenance)?, pg_temp', true);
-- A C function that is marked to run as the extension's owner: they look for themselves.
SELECT p.oid::regprocedure
FROM pg_proc p JOIN pg_language l ON l.oid = p.prolang
WHERE p.pronamespace = 'provenance'::regnamespace AND p.prosecdef AND l.lanname = 'c';
-- Something without a comment.
SELECT p.oid::regprocedure FROM pg_proc p
WHERE p.pronamespace = 'provenance'::regnamespace AND obj_description(p.oid, 'pg_proc') IS NULL ORDER BY 1;
SELECT c.relname FROM pg_class c
WHERE c.relnamespace = 'provenance'::regnamespace AND c.relkind = 'v' AND obj_description(c.oid, 'pg_class') IS NULL ORDER BY 1;
SELECT t.typname FROM pg_type t LEFT JOIN pg_class c ON c.oid = t.typrelid
WHERE t.typnamespace = 'provenance'::regnamespace AND t.typcategory <> 'A' AND coalesce(c.relkind, 'c') = 'c'
	AND obj_description(t.oid, 'pg_type') IS NULL ORDER BY 1;
-- A function that a parallel worker might run and that reads the ledger, whose newest state such a process cannot see.
SELECT p.oid::regprocedure FROM pg_proc p
WHERE p.pronamespace = 'provenance'::regnamespace AND p.provolatile <> 'i' AND p.proparallel = 's' ORDER BY 1;

-- A type that was altered is an error, and no crash; more attributes at the end it may have (test/tap/upgrade.pl).
BEGIN;
ALTER TYPE provenance.finding ALTER ATTRIBUTE message TYPE bigint;
SELECT * FROM provenance.verify_log();
ROLLBACK;
