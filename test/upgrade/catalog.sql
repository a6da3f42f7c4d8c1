-- catalog.sql: all that the catalogs say of the extension, a line each, sorted.
-- Two databases in which the same version is installed, made at once or by
-- upgrades, give the same lines. No OID is in them, and not the version.
--
-- The name of each member and of what hangs on it (columns, constraints,
-- indexes, triggers, rules, policies), then its definition; owners, privileges,
-- privileges as of CREATE EXTENSION (what pg_dump goes by), comments; columns
-- with their numbers, since the ledger's code reads them by number; and the
-- tables whose rows are dumped.
SET search_path = pg_catalog;
SET client_min_messages = error;

CREATE TEMP VIEW member AS
	SELECT d.classid, d.objid, pg_describe_object(d.classid, d.objid, 0) AS name
	FROM pg_depend d
	WHERE d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e' AND
		d.refobjid = (SELECT oid FROM pg_extension WHERE extname = 'provenance');

CREATE TEMP VIEW relation AS
	SELECT c.*, c.oid::regclass::text AS name FROM pg_class c JOIN member m ON m.classid = 'pg_class'::regclass AND m.objid = c.oid;

-- of an ACL: grants in an order of their own
CREATE FUNCTION pg_temp.acl(acl aclitem[]) RETURNS text LANGUAGE sql AS
	$$ SELECT string_agg(a::text, ' ' ORDER BY a::text) FROM unnest(acl) a $$;

-- of a row of a catalog: its columns but those, OIDs of functions, types, operators by name
CREATE FUNCTION pg_temp.described(r jsonb, without text[]) RETURNS text LANGUAGE sql AS $$
	SELECT string_agg(key || '=' || coalesce(CASE
		WHEN value !~ '^[1-9][0-9]*$' THEN value
		WHEN key IN ('castsource', 'casttarget', 'typelem', 'typarray', 'typbasetype', 'oprleft', 'oprright', 'oprresult',
			'opcintype', 'opckeytype', 'amoplefttype', 'amoprighttype', 'amproclefttype', 'amprocrighttype', 'aggtranstype',
			'aggmtranstype', 'seqtypid') THEN value::oid::regtype::text
		WHEN key IN ('castfunc', 'amproc', 'evtfoid') THEN value::oid::regprocedure::text
		WHEN key IN ('oprcom', 'oprnegate', 'amopopr', 'aggsortop') THEN value::oid::regoperator::text
		ELSE value END, 'NULL'), ' ' ORDER BY key)
	FROM jsonb_each_text(r)
	WHERE key <> 'oid' AND key <> ALL (without)
$$;

SELECT replace(line, E'\n', ' ') FROM (
	SELECT 'member ' || name FROM member
	UNION ALL
	SELECT 'extension: schema ' || extnamespace::regnamespace || ', owner ' || extowner::regrole || ', relocatable ' || extrelocatable
		FROM pg_extension WHERE extname = 'provenance'
	UNION ALL
	SELECT 'dumped: ' || t.relid::regclass || ' ' || e.extcondition[t.n]
		FROM pg_extension e, unnest(e.extconfig) WITH ORDINALITY t (relid, n) WHERE e.extname = 'provenance'
	UNION ALL
	SELECT 'comment on ' || pg_describe_object(d.classoid, d.objoid, d.objsubid) || ': ' || d.description
		FROM pg_description d
		WHERE EXISTS (SELECT FROM member m WHERE m.classid = d.classoid AND m.objid = d.objoid) OR
			d.classoid = 'pg_extension'::regclass AND d.objoid = (SELECT oid FROM pg_extension WHERE extname = 'provenance') OR
			d.classoid IN ('pg_constraint'::regclass, 'pg_trigger'::regclass, 'pg_rewrite'::regclass) AND
				pg_describe_object(d.classoid, d.objoid, 0) ~ ' provenance\.'
	UNION ALL
	SELECT 'initial privileges of ' || pg_describe_object(p.classoid, p.objoid, p.objsubid) || ': ' || pg_temp.acl(p.initprivs)
		FROM pg_init_privs p JOIN member m ON m.classid = p.classoid AND m.objid = p.objoid
	UNION ALL
	SELECT 'schema ' || n.nspname || ': owner ' || n.nspowner::regrole || ', ' || coalesce(pg_temp.acl(n.nspacl), '')
		FROM pg_namespace n WHERE n.nspname = 'provenance'
	UNION ALL
	SELECT 'default privileges ' || a.defaclrole::regrole || ' ' || a.defaclobjtype::text || ': ' || pg_temp.acl(a.defaclacl)
		FROM pg_default_acl a WHERE a.defaclnamespace = 'provenance'::regnamespace

	-- functions, procedures, aggregates
	UNION ALL
	SELECT 'function ' || p.oid::regprocedure || ': owner ' || p.proowner::regrole || ', ' ||
			coalesce(pg_temp.acl(p.proacl), 'default privileges') || ', ' || p.prokind::text || ', ' ||
			CASE WHEN p.prokind::text <> 'a' THEN pg_get_functiondef(p.oid) ELSE
				(SELECT pg_temp.described(to_jsonb(a), '{aggfnoid}') FROM pg_aggregate a WHERE a.aggfnoid = p.oid) END
		FROM pg_proc p JOIN member m ON m.classid = 'pg_proc'::regclass AND m.objid = p.oid

	-- relations and what hangs on them
	UNION ALL
	SELECT 'relation ' || c.name || ': ' || c.relkind::text || c.relpersistence::text || c.relreplident::text || ', owner ' || c.relowner::regrole ||
			', ' || coalesce(pg_temp.acl(c.relacl), 'default privileges') || ', options ' || coalesce(c.reloptions::text, '') ||
			' ' || coalesce((SELECT t.reloptions::text FROM pg_class t WHERE t.oid = c.reltoastrelid), '') ||
			', toast ' || (c.reltoastrelid <> 0) || ', row security ' || c.relrowsecurity || c.relforcerowsecurity ||
			', access method ' || coalesce((SELECT amname FROM pg_am WHERE oid = c.relam), '')
		FROM relation c
	UNION ALL
	SELECT 'column ' || c.name || '.' || a.attname || ': ' || a.attnum || ' ' || format_type(a.atttypid, a.atttypmod) ||
			CASE WHEN a.attnotnull THEN ' not null' ELSE '' END || ' ' || a.attidentity::text || a.attgenerated::text || a.attstorage::text ||
			', collation ' || a.attcollation::regcollation || ', statistics ' || coalesce(a.attstattarget, -1) ||
			', options ' || coalesce((SELECT string_agg(o, ' ') FROM unnest(a.attoptions) o WHERE o LIKE 'n_distinct%'), '') || ', ' || coalesce(pg_temp.acl(a.attacl), '') ||
			coalesce(', default ' || pg_get_expr(d.adbin, d.adrelid), '')
		FROM relation c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
			LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
	UNION ALL
	SELECT 'constraint ' || n.conname || ' of ' || coalesce(c.name, n.contypid::regtype::text) || ': ' || pg_get_constraintdef(n.oid) ||
			', ' || n.convalidated || n.condeferrable || n.condeferred
		FROM pg_constraint n LEFT JOIN relation c ON c.oid = n.conrelid
		WHERE c.oid IS NOT NULL OR EXISTS (SELECT FROM member m WHERE m.classid = 'pg_type'::regclass AND m.objid = n.contypid)
	UNION ALL
	SELECT 'index ' || i.indexrelid::regclass || ': ' || pg_get_indexdef(i.indexrelid) || ', ' || i.indisvalid || i.indisreplident ||
			i.indisclustered || i.indisprimary || ', options ' || coalesce(x.reloptions::text, '')
		FROM relation c JOIN pg_index i ON i.indrelid = c.oid JOIN pg_class x ON x.oid = i.indexrelid
	UNION ALL
	SELECT 'trigger ' || t.tgname || ' of ' || c.name || ': ' || pg_get_triggerdef(t.oid) || ', ' || t.tgenabled::text
		FROM relation c JOIN pg_trigger t ON t.tgrelid = c.oid AND NOT t.tgisinternal
	UNION ALL
	SELECT 'rule ' || r.rulename || ' of ' || c.name || ': ' || pg_get_ruledef(r.oid) || ', ' || r.ev_enabled::text
		FROM relation c JOIN pg_rewrite r ON r.ev_class = c.oid
	UNION ALL
	SELECT 'policy ' || p.polname || ' of ' || c.name || ': ' || p.polcmd::text || p.polpermissive || p.polroles::regrole[]::text ||
			coalesce(pg_get_expr(p.polqual, p.polrelid), '') || coalesce(pg_get_expr(p.polwithcheck, p.polrelid), '')
		FROM relation c JOIN pg_policy p ON p.polrelid = c.oid
	UNION ALL
	SELECT 'sequence ' || c.name || ': ' || pg_temp.described(to_jsonb(s), '{seqrelid}') ||
			coalesce((SELECT ', of ' || pg_describe_object(d.refclassid, d.refobjid, d.refobjsubid) FROM pg_depend d
				WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype IN ('a', 'i')
					AND d.refclassid = 'pg_class'::regclass), '')
		FROM relation c JOIN pg_sequence s ON s.seqrelid = c.oid
	UNION ALL
	SELECT 'statistics ' || s.stxname || ': ' || pg_get_statisticsobjdef(s.oid) FROM relation c JOIN pg_statistic_ext s ON s.stxrelid = c.oid

	-- types, operators, their classes and families, casts
	UNION ALL
	SELECT 'attribute ' || t.oid::regtype || '.' || a.attname || ': ' || a.attnum || ' ' || format_type(a.atttypid, a.atttypmod) ||
			', collation ' || a.attcollation::regcollation
		FROM pg_type t JOIN member m ON m.classid = 'pg_type'::regclass AND m.objid = t.oid
			JOIN pg_class c ON c.oid = t.typrelid AND c.relkind = 'c'
			JOIN pg_attribute a ON a.attrelid = c.oid AND NOT a.attisdropped
	UNION ALL
	SELECT 'type ' || t.oid::regtype || ': owner ' || t.typowner::regrole || ', ' || coalesce(pg_temp.acl(t.typacl), 'default privileges') ||
			', ' || pg_temp.described(to_jsonb(t), '{typname,typnamespace,typowner,typrelid,typcollation,typacl,typdefaultbin}') ||
			', collation ' || t.typcollation::regcollation ||
			coalesce(', labels ' || (SELECT string_agg(e.enumlabel, ' ' ORDER BY e.enumsortorder) FROM pg_enum e WHERE e.enumtypid = t.oid), '')
		FROM pg_type t JOIN member m ON m.classid = 'pg_type'::regclass AND m.objid = t.oid
	UNION ALL
	SELECT 'operator ' || o.oid::regoperator || ': ' || pg_temp.described(to_jsonb(o), '{oprnamespace,oprowner}')
		FROM pg_operator o JOIN member m ON m.classid = 'pg_operator'::regclass AND m.objid = o.oid
	UNION ALL
	SELECT m.name || ': ' || pg_temp.described(to_jsonb(o), '{opcmethod,opcname,opcnamespace,opcowner,opcfamily}') ||
			', ' || pg_describe_object('pg_opfamily'::regclass, o.opcfamily, 0)
		FROM pg_opclass o JOIN member m ON m.classid = 'pg_opclass'::regclass AND m.objid = o.oid
	UNION ALL
	SELECT m.name || ', operator ' || a.amopstrategy || ': ' ||
			pg_temp.described(to_jsonb(a), '{amopfamily,amopmethod,amopsortfamily}')
		FROM pg_amop a JOIN member m ON m.classid = 'pg_opfamily'::regclass AND m.objid = a.amopfamily
	UNION ALL
	SELECT m.name || ', function ' || a.amprocnum || ': ' || pg_temp.described(to_jsonb(a), '{amprocfamily}')
		FROM pg_amproc a JOIN member m ON m.classid = 'pg_opfamily'::regclass AND m.objid = a.amprocfamily
	UNION ALL
	SELECT m.name || ': ' || pg_temp.described(to_jsonb(c), '{}')
		FROM pg_cast c JOIN member m ON m.classid = 'pg_cast'::regclass AND m.objid = c.oid

	UNION ALL
	SELECT m.name || ': ' || pg_temp.described(to_jsonb(e), '{evtowner}')
		FROM pg_event_trigger e JOIN member m ON m.classid = 'pg_event_trigger'::regclass AND m.objid = e.oid
) AS all_ (line)
ORDER BY line COLLATE "C";
