-- Every built-in type that a column can have, and its arrays: each value is
-- recorded, with one text whatever the session's settings, and verifies.
\getenv srcdir PG_ABS_SRCDIR
\set fresh_log :srcdir '/sql/include/fresh_log.sql'
\set drop_log :srcdir '/sql/include/drop_log.sql'
\i :fresh_log
SET search_path = crm;
CREATE TABLE sample (type text PRIMARY KEY, value text NOT NULL);
INSERT INTO sample VALUES
	('bool', 't'), ('bytea', '\x00ff'), ('"char"', 'a'), ('name', 'a b'), ('int2', '-1'), ('int4', '-1'), ('int8', '-1'),
	('oid', '1'), ('xid', '1'), ('xid8', '1'), ('cid', '1'), ('tid', '(0,1)'), ('int2vector', '1 2'), ('oidvector', '1 2'),
	('text', 'é "'), ('varchar', ''), ('bpchar', 'x '), ('refcursor', 'c'), ('json', '{"a":  1}'), ('jsonb', '{"a": 1}'),
	('jsonpath', '$.a'), ('xml', '<a/>'), ('uuid', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'), ('pg_lsn', '0/1'),
	('float4', '0.1'), ('float8', '0.1'), ('numeric', '1.50'), ('money', '-1234.5'), ('bit', '1'), ('varbit', '101'),
	('date', '2026-02-01'), ('time', '24:00'), ('timetz', '12:00+02'), ('timestamp', '2026-02-01 12:00'),
	('timestamptz', '2026-02-01 12:00Z'), ('interval', '-1 day +1 sec'),
	('point', '(0.1,2)'), ('line', '{1,2,3}'), ('lseg', '[(0,0),(1,1)]'), ('box', '(1,1),(0,0)'), ('path', '((0,0),(1,1))'),
	('polygon', '((0,0),(1,1),(1,0))'), ('circle', '<(0,0.1),1>'),
	('inet', '10.0.0.1/8'), ('cidr', '10.0.0.0/8'), ('macaddr', '08:00:2b:01:02:03'), ('macaddr8', '08:00:2b:01:02:03:04:05'),
	('tsvector', 'a b:1A'), ('tsquery', 'a & !b'), ('txid_snapshot', '10:20:'), ('pg_snapshot', '10:20:'),
	('aclitem', '=r/regress_provenance_owner'), ('regproc', 'now'), ('regprocedure', 'now()'), ('regoper', '||/'),
	('regoperator', '+(int4,int4)'), ('regclass', 'crm.sample'), ('regcollation', '"C"'), ('regtype', 'crm.sample'),
	('regrole', 'regress_provenance_owner'), ('regnamespace', 'crm'), ('regconfig', 'english'), ('regdictionary', 'simple'),
	('int4range', '[1,3]'), ('int8range', '(,)'), ('numrange', 'empty'), ('daterange', '[2026-02-01,)'),
	('tsrange', '[2026-02-01,)'), ('tstzrange', '[2026-02-01 12:00Z,)'),
	('int4multirange', '{[1,3]}'), ('int8multirange', '{(,)}'), ('nummultirange', '{}'), ('datemultirange', '{[2026-02-01,)}'),
	('tsmultirange', '{[2026-02-01,)}'), ('tstzmultirange', '{[2026-02-01 12:00Z,)}');


-- The same statement under other settings.
CREATE FUNCTION elsewhere(statement text) RETURNS void LANGUAGE plpgsql
	SET datestyle = 'SQL, DMY' SET timezone = 'Asia/Tokyo' SET intervalstyle = 'postgres_verbose' SET extra_float_digits = -10
	SET bytea_output = 'escape' SET quote_all_identifiers = on SET xmloption = document AS $$
BEGIN
	EXECUTE statement;
END $$;

-- What is wrong with a type; nothing for those that work.
CREATE FUNCTION try_type(type text, value text) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
	t text := quote_ident('the ' || type);
	images text[];
BEGIN
	EXECUTE format('CREATE TABLE %s (k int PRIMARY KEY, v %s, w %2$s)', t, type);
	EXECUTE format('INSERT INTO %s VALUES (0, %L, NULL)', t, value);
	PERFORM provenance.tag(t::regclass);
	EXECUTE format('INSERT INTO %s SELECT 1, v, w FROM %1$s', t);
	PERFORM crm.elsewhere(format('INSERT INTO crm.%s SELECT 2, v, w FROM crm.%1$s WHERE k = 0', t));
	PERFORM crm.elsewhere(format('UPDATE crm.%s SET w = v', t));
	EXECUTE format('UPDATE %s SET w = v', t);	-- nothing changes
	SELECT array_agg(DISTINCT i.image->>c ORDER BY i.image->>c) INTO images
		FROM provenance.changes(t::regclass, '-infinity', 'infinity') AS i, unnest('{v,w}'::text[]) AS c
		WHERE i.op IN ('baseline', 'insert', 'update') AND i.image->>c IS NOT NULL;
	IF cardinality(images) <> 1 THEN
		RETURN NEXT format('%s has the texts %s', type, images);
	END IF;
	IF (SELECT count(*) FROM provenance.changes(t::regclass, '-infinity', 'infinity') WHERE op <> 'tag') <> 6 THEN
		RETURN NEXT format('%s has another number of entries', type);
	END IF;
EXCEPTION WHEN OTHERS THEN
	RETURN NEXT format('%s: %s', type, SQLERRM);
END $$;

GRANT SELECT ON sample TO regress_provenance_owner;
-- no type is left out, but for those without an input function
SELECT t.oid::regtype FROM pg_type t
	WHERE t.typnamespace = 'pg_catalog'::regnamespace AND t.typtype IN ('b', 'r', 'm') AND t.typcategory <> 'A' AND t.typrelid = 0
		AND (t.typcategory <> 'Z' OR t.oid = '"char"'::regtype) AND t.oid <> 'gtsvector'::regtype
		AND NOT EXISTS (SELECT FROM sample WHERE sample.type::regtype = t.oid);
SET client_min_messages = error;
SELECT x FROM sample, try_type(sample.type, sample.value) AS x ORDER BY 1;
SELECT x FROM sample JOIN pg_type t ON t.oid = sample.type::regtype,
	try_type(t.typarray::regtype::text, array_to_string(ARRAY['{"' || replace(replace(value, '\', '\\'), '"', '\"'), 'NULL}'], '"' || t.typdelim::text)) AS x ORDER BY 1;
RESET client_min_messages;
SELECT count(*) > 120 AS tagged FROM provenance.tagged_table;
SELECT provenance.size(provenance.seal()) > 800 AS sealed;
SELECT code, object, message FROM provenance.verify();
SELECT crm.elsewhere($$DO 'BEGIN ASSERT (SELECT count(*) FROM provenance.verify()) = 0; END'$$);

\i :drop_log
