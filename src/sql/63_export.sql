-- Bundles out. export_bundle() gives away what the caller may see
-- (src/partner/export.c), and records that it did, so any user may call it.

CREATE FUNCTION export_bundle(target regclass, keys text[] DEFAULT NULL, columns name[] DEFAULT NULL, recipient text DEFAULT NULL, since_size bigint DEFAULT NULL, purpose text DEFAULT NULL, context name[] DEFAULT '{}')
	RETURNS SETOF bundle
	LANGUAGE C VOLATILE PARALLEL UNSAFE COST 100000 ROWS 10000
	AS 'MODULE_PATHNAME', 'provenance_export_bundle';
COMMENT ON FUNCTION export_bundle(target regclass, keys text[], columns name[], recipient text, since_size bigint, purpose text, context name[]) IS 'entries of a table as a bundle for COPY, provable against the newest checkpoint; what is disclosed is recorded first';

-- What was given to whom. Who asked, and of whom the data was, are nobody's to
-- read but the extension's owner's, who may grant it.
CREATE VIEW disclosures AS
	SELECT disclosure_id, disclosed_at, disclosed_by, recipient, purpose, schema_name, table_name,
		   columns, context, since_size, size, root, entries, leaves_root, subjects
	FROM disclosure;
COMMENT ON VIEW disclosures IS 'what export_bundle() gave away: one row for each export';

CREATE VIEW disclosed_subjects AS
	SELECT s.subject, d.disclosure_id, d.disclosed_at, d.recipient, d.purpose, d.schema_name, d.table_name, d.columns
	FROM disclosure_subject s JOIN disclosure d USING (disclosure_id);
COMMENT ON VIEW disclosed_subjects IS 'of whom export_bundle() gave data away, and to whom';
