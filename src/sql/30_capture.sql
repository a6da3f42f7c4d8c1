-- Tagging tables, and the trigger function that records their changes.

CREATE FUNCTION capture() RETURNS trigger
	AS 'MODULE_PATHNAME', 'provenance_capture'
	LANGUAGE C;
-- Executable by all: the server asks it of whoever creates or attaches a
-- partition of a tagged table. It records nothing of a table that is not
-- tagged under the id that the trigger gives it.
COMMENT ON FUNCTION capture() IS 'trigger function of tagged tables: records a change';

CREATE FUNCTION tag(target regclass, subject text DEFAULT NULL, mode text DEFAULT 'track',
					exclude name[] DEFAULT '{}', baseline text DEFAULT 'now',
					require_countersignature boolean DEFAULT false) RETURNS bigint
	AS 'MODULE_PATHNAME', 'provenance_tag'
	LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION tag(regclass, text, text, name[], text, boolean) IS 'starts recording a table; returns the number of rows recorded as they are, 0 if the worker is to do that later';

CREATE FUNCTION untag(target regclass) RETURNS void
	AS 'MODULE_PATHNAME', 'provenance_untag'
	LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE;
COMMENT ON FUNCTION untag(regclass) IS 'stops recording a table; its history stays';

-- Tables by name first: their OIDs change with a restore.
CREATE VIEW tagged_table WITH (security_barrier) AS
	SELECT c.oid::regclass AS "table", r.mode, r.subject, r.exclude, r.tagged_at,
		   coalesce(h.entries, 0) AS entries, r.require_countersignature,
		   CASE WHEN p.table_id IS NULL THEN 'done' ELSE 'running' END AS baseline, p.rows AS baseline_rows
	FROM provenance.registry r
		 JOIN pg_catalog.pg_class c ON c.oid = coalesce(
			(SELECT x.oid FROM pg_catalog.pg_class x JOIN pg_catalog.pg_namespace n ON n.oid = x.relnamespace
			 WHERE x.relname = r.table_name AND n.nspname = r.schema_name), r.relid)
		 LEFT JOIN provenance.table_head h USING (table_id)
		 LEFT JOIN provenance.baseline_phase p USING (table_id)
	WHERE r.untagged_at IS NULL AND r.table_id < 2000000000		-- not the extension's own
		  AND (pg_catalog.has_any_column_privilege(c.oid, 'SELECT') OR pg_catalog.pg_has_role(c.relowner, 'USAGE'));
GRANT SELECT ON tagged_table TO PUBLIC;
COMMENT ON VIEW tagged_table IS 'tagged tables that the user may read or owns; entries counts those sealed';
