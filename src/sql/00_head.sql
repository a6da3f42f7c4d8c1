/* provenance--1.0.sql, assembled from src/sql/NN_*.sql */

-- complain if script is sourced in psql, rather than via CREATE EXTENSION
\echo Use "CREATE EXTENSION provenance" to load this file. \quit

-- A schema of that name may be there already. Whoever owns it, or may create
-- objects in it, could put functions in the way of this extension's, or drop it
-- with the ledger in it.
DO $$
BEGIN
	IF EXISTS (
		SELECT FROM pg_catalog.pg_namespace AS n
			JOIN pg_catalog.pg_roles AS r ON NOT r.rolsuper AND r.oid OPERATOR(pg_catalog.=) n.nspowner
			WHERE n.nspname OPERATOR(pg_catalog.=) 'provenance'
		UNION ALL
		SELECT FROM pg_catalog.pg_namespace AS n
			CROSS JOIN LATERAL pg_catalog.aclexplode(n.nspacl) AS a
			LEFT JOIN pg_catalog.pg_roles AS r ON r.oid OPERATOR(pg_catalog.=) a.grantee
			WHERE n.nspname OPERATOR(pg_catalog.=) 'provenance'
				AND a.privilege_type OPERATOR(pg_catalog.=) 'CREATE' AND r.rolsuper IS NOT TRUE)
	THEN
		RAISE EXCEPTION USING ERRCODE = 'insufficient_privilege',
			MESSAGE = 'schema "provenance" is not the superuser''s alone',
			DETAIL = 'It belongs to another role, or another role may create objects in it.',
			HINT = 'Drop the schema; CREATE EXTENSION makes it.';
	END IF;
	-- what is there already would be found beside the extension's own
	IF EXISTS (
		SELECT FROM pg_catalog.pg_depend AS d
			JOIN pg_catalog.pg_namespace AS n ON n.oid OPERATOR(pg_catalog.=) d.refobjid
			WHERE d.refclassid OPERATOR(pg_catalog.=) 'pg_catalog.pg_namespace'::pg_catalog.regclass
				AND n.nspname OPERATOR(pg_catalog.=) 'provenance'
				AND d.deptype OPERATOR(pg_catalog.=) 'n'
				AND d.classid OPERATOR(pg_catalog.<>) 'pg_catalog.pg_extension'::pg_catalog.regclass)
	THEN
		RAISE EXCEPTION USING ERRCODE = 'object_not_in_prerequisite_state',
			MESSAGE = 'schema "provenance" is not empty',
			HINT = 'Drop the schema; CREATE EXTENSION makes it.';
	END IF;
END
$$;

GRANT USAGE ON SCHEMA provenance TO PUBLIC;
