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
COMMENT ON VIEW inbox IS 'COPY a partner''s bundle into it: it is verified and merged, all or nothing';
CREATE TRIGGER provenance_begin BEFORE INSERT ON inbox FOR EACH STATEMENT EXECUTE FUNCTION inbox_begin();
CREATE TRIGGER provenance_line INSTEAD OF INSERT ON inbox FOR EACH ROW EXECUTE FUNCTION inbox_take();
CREATE TRIGGER provenance_end AFTER INSERT ON inbox FOR EACH STATEMENT EXECUTE FUNCTION inbox_end();

CREATE FUNCTION prove_merged(partner text, leaf_index bigint) RETURNS proof
	LANGUAGE c STABLE STRICT PARALLEL UNSAFE COST 10000
	AS 'MODULE_PATHNAME', 'provenance_prove_merged';
REVOKE EXECUTE ON FUNCTION prove_merged(text, bigint) FROM PUBLIC;
COMMENT ON FUNCTION prove_merged(text, bigint) IS 'proof that a merged entry is in the partner''s log at the bundle''s checkpoint';
