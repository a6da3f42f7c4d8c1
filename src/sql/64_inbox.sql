-- The inbox: COPY provenance.inbox FROM … takes a bundle, all or nothing.

CREATE FUNCTION inbox_open(line bigint) RETURNS boolean
	LANGUAGE c VOLATILE PARALLEL RESTRICTED
	AS 'MODULE_PATHNAME', 'provenance_inbox_open';
COMMENT ON FUNCTION inbox_open(bigint) IS 'the check of domain inbox_line: refuses while the inbox''s triggers would not fire';

CREATE DOMAIN inbox_line AS bigint CHECK (inbox_open(VALUE));
COMMENT ON DOMAIN inbox_line IS 'number of a bundle''s line; refused where session_replication_role is replica';

CREATE FUNCTION inbox_begin() RETURNS trigger
	LANGUAGE c AS 'MODULE_PATHNAME', 'provenance_inbox_begin';
REVOKE ALL ON FUNCTION inbox_begin() FROM PUBLIC;
COMMENT ON FUNCTION inbox_begin() IS 'a bundle begins';

CREATE FUNCTION inbox_take() RETURNS trigger
	LANGUAGE c AS 'MODULE_PATHNAME', 'provenance_inbox_take';
REVOKE ALL ON FUNCTION inbox_take() FROM PUBLIC;
COMMENT ON FUNCTION inbox_take() IS 'verifies and merges one line of a bundle';

CREATE FUNCTION inbox_end() RETURNS trigger
	LANGUAGE c AS 'MODULE_PATHNAME', 'provenance_inbox_end';
REVOKE ALL ON FUNCTION inbox_end() FROM PUBLIC;
COMMENT ON FUNCTION inbox_end() IS 'insists that a bundle was complete';

CREATE VIEW inbox AS
	SELECT NULL::bigint::inbox_line AS line, NULL::text AS kind, NULL::text AS content WHERE false;
-- a COPY that leaves the column out would not check its domain
ALTER VIEW inbox ALTER COLUMN line SET DEFAULT NULL::bigint::inbox_line;
COMMENT ON VIEW inbox IS 'COPY a partner''s bundle into it: it is verified and merged, all or nothing';
CREATE TRIGGER provenance_begin BEFORE INSERT ON inbox FOR EACH STATEMENT EXECUTE FUNCTION inbox_begin();
CREATE TRIGGER provenance_line INSTEAD OF INSERT ON inbox FOR EACH ROW EXECUTE FUNCTION inbox_take();
CREATE TRIGGER provenance_end AFTER INSERT ON inbox FOR EACH STATEMENT EXECUTE FUNCTION inbox_end();

CREATE FUNCTION prove_merged(partner text, leaf_index bigint) RETURNS proof
	LANGUAGE c STABLE STRICT PARALLEL UNSAFE COST 10000
	AS 'MODULE_PATHNAME', 'provenance_prove_merged';
REVOKE EXECUTE ON FUNCTION prove_merged(text, bigint) FROM PUBLIC;
COMMENT ON FUNCTION prove_merged(text, bigint) IS 'proof that a merged entry is in the partner''s log at the bundle''s checkpoint';

-- These look at their arguments and at nothing else.
CREATE FUNCTION merged_image(definition bytea, leaf bytea, tokens text,
							 OUT schema_name text, OUT table_name text, OUT key jsonb, OUT op text,
							 OUT changed_at timestamptz, OUT fields jsonb, OUT withheld text[]) RETURNS record
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE COST 10
	AS 'MODULE_PATHNAME', 'provenance_merged_image';
COMMENT ON FUNCTION merged_image(bytea, bytea, text) IS 'what is stored of a merged entry, for view merged_entry';

CREATE FUNCTION merged_context_fields(tokens text) RETURNS jsonb
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE COST 10
	AS 'MODULE_PATHNAME', 'provenance_merged_context_fields';
COMMENT ON FUNCTION merged_context_fields(text) IS 'the disclosed fields of a merged context, for view merged_entry';

CREATE VIEW merged_entry AS
	SELECT p.name AS partner, l.origin, i.schema_name, i.table_name, i.key, i.op, i.changed_at, i.fields, i.withheld,
		   merged_context_fields(c.fields) AS context,
		   m.leaf_hash, m.leaf_index, m.previous AS previous_index, g.size, g.note AS checkpoint, m.pseudonym,
		   merged_context_fields(c.fields) ->> 'source_leaf' AS source_leaf,
		   ARRAY(SELECT s.public_key FROM merged_countersignature AS s
				 WHERE s.log_id = m.log_id AND s.leaf_index = m.leaf_index ORDER BY s.public_key) AS countersigned_by,
		   m.merge_id
		FROM merged_leaf AS m
			JOIN partner_log AS l ON l.log_id = m.log_id
			JOIN partner_registry AS p ON p.partner_id = l.partner_id
			JOIN merged_shape AS s ON s.shape_id = m.shape_id
			JOIN merge AS g ON g.merge_id = m.merge_id
			LEFT JOIN merged_context AS c ON c.context_id = m.context_id
			CROSS JOIN LATERAL merged_image(s.definition, m.leaf, m.fields) AS i;
COMMENT ON VIEW merged_entry IS 'what partners proved, entry by entry';
