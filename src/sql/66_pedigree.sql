-- One customer's timeline, over the own tables and every partner's.

CREATE FUNCTION subject_changes(target regclass, subject text) RETURNS SETOF change
	LANGUAGE C STABLE PARALLEL RESTRICTED COST 100000 ROWS 100
	AS 'MODULE_PATHNAME', 'provenance_subject_changes';
COMMENT ON FUNCTION subject_changes(target regclass, subject text) IS 'all entries of the rows that are or were of a subject, row by row in the order of the log, of the columns that the caller may select';

CREATE TYPE merged_change AS (
	changed_at	timestamptz,
	partner		text,
	origin		text,
	"table"		text,
	key			jsonb,
	op			text,
	context		jsonb,
	fields		jsonb,
	withheld	text[],
	leaf_index	bigint,
	leaf_hash	hash,
	source_leaf	text,
	countersigned_by bytea[]
);
COMMENT ON TYPE merged_change IS 'one row of what merged_of_subject() gives: a merged entry of a subject';

CREATE FUNCTION merged_of_subject(subject text, leaves hash[]) RETURNS SETOF merged_change
	LANGUAGE C STABLE STRICT PARALLEL UNSAFE COST 100000 ROWS 100
	SET search_path = provenance, pg_catalog, pg_temp	-- its query runs as the extension's owner
	AS 'MODULE_PATHNAME', 'provenance_merged_of_subject';
COMMENT ON FUNCTION merged_of_subject(text, hash[]) IS 'merged entries of a subject, and those that the given leaves stand for, with the entries before them; nothing for those who may not SELECT from merged_entry';

CREATE TYPE pedigree_step AS (
	changed_at	timestamptz,
	partner		text,
	"table"		text,
	key			jsonb,
	op			text,
	image		jsonb,
	changed		text[],
	withheld	text[],
	proof		text,
	actor		text,
	purpose		text,
	source		text,
	source_leaf	hash,
	origin		text,
	seq			bigint,
	leaf_index	bigint,
	leaf_hash	hash,
	countersigned_by bytea[]
);
COMMENT ON TYPE pedigree_step IS 'one row of what pedigree() gives: a step of a subject''s timeline';

CREATE FUNCTION pedigree(subject text) RETURNS SETOF pedigree_step
	LANGUAGE sql STABLE PARALLEL UNSAFE COST 1000000 ROWS 100
	SET search_path = provenance, pg_catalog, pg_temp
	AS $$
		WITH own AS MATERIALIZED (
			SELECT t."table"::text AS name, c.*
				FROM tagged_table AS t
					CROSS JOIN LATERAL subject_changes(t."table", pedigree.subject) AS c
				WHERE NOT row_security_active(t."table")
					AND EXISTS (SELECT FROM pg_attribute AS a
								WHERE a.attrelid = t."table" AND a.attname = t.subject AND NOT a.attisdropped
									AND has_column_privilege(t."table", a.attnum, 'SELECT')))
		SELECT o.changed_at, NULL, o.name, o.key, o.op, o.image, o.changed, NULL::text[],
				CASE WHEN o.leaf_index IS NULL THEN 'own, not yet sealed' ELSE 'own, sealed' END,
				o.actor, o.purpose, o.source, o.source_leaf, regexp_replace(verifier_key(), '[+].*$', ''),
				o.seq, o.leaf_index, o.leaf_hash, o.countersigned_by
			FROM own AS o
		UNION ALL
		SELECT m.changed_at, m.partner, m."table", m.key, m.op, m.fields, NULL, m.withheld, 'merged, verified',
				m.context ->> 'actor', m.context ->> 'purpose', m.context ->> 'source',
				-- a claim: whatever the partner's settings held
				CASE WHEN m.source_leaf ~ '^[0-9a-f]{64}$' THEN m.source_leaf::hash END, m.origin,
				NULL, m.leaf_index, m.leaf_hash, m.countersigned_by
			FROM merged_of_subject(pedigree.subject,
				coalesce((SELECT array_agg(DISTINCT o.source_leaf) FILTER (WHERE o.source_leaf IS NOT NULL) FROM own AS o), '{}')) AS m
		ORDER BY 1, 2 NULLS LAST, 16 NULLS LAST, 15
	$$;
COMMENT ON FUNCTION pedigree(text) IS 'one subject''s timeline over the own tables that the caller may read and every partner''s merged entries, each step with the state of its proof';
