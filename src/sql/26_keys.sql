-- The log's keys and incarnations over time. Both tables are tagged by the
-- extension itself when their first row is written: their rows are entries of
-- the log.

-- Successors of a log: when and why, and the head that was given up.
CREATE TABLE incarnation (
	n					int PRIMARY KEY,
	started_at			timestamptz NOT NULL,
	since_size			bigint NOT NULL,		-- the tree's size then
	reason				text NOT NULL,
	vkey				text NOT NULL,
	abandoned_origin	text,					-- NULL: nothing is known of what came before
	abandoned_size		bigint,
	abandoned_root		hash,
	abandoned_note		checkpoint				-- the last note known; NULL if none
);
COMMENT ON TABLE incarnation IS 'successors of the log: when each began, why, and the head that it gave up';

-- One key after another.
CREATE TABLE key_handover (
	new_vkey			text PRIMARY KEY,
	old_vkey			text NOT NULL,
	incarnation			int NOT NULL,
	since_size			bigint NOT NULL,		-- greater checkpoints bear the new key's signature
	started_at			timestamptz NOT NULL
);
COMMENT ON TABLE key_handover IS 'changes of the log''s key: checkpoints greater than since_size bear the new key''s signature';

SELECT pg_catalog.pg_extension_config_dump('incarnation', '');
SELECT pg_catalog.pg_extension_config_dump('key_handover', '');

CREATE FUNCTION adopt(kept checkpoint DEFAULT NULL) RETURNS text
	LANGUAGE c VOLATILE PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'provenance_adopt';
REVOKE EXECUTE ON FUNCTION adopt(checkpoint) FROM PUBLIC;
COMMENT ON FUNCTION adopt(checkpoint) IS 'after a failover, a move or a restore: this database goes on signing the log, which must extend that checkpoint; returns the verifier key';

CREATE FUNCTION new_incarnation(reason text, n int DEFAULT NULL) RETURNS text
	LANGUAGE c VOLATILE PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'provenance_new_incarnation';
REVOKE EXECUTE ON FUNCTION new_incarnation(text, int) FROM PUBLIC;
COMMENT ON FUNCTION new_incarnation(text, int) IS 'gives the log''s head up and goes on under origin/n with a new key; returns the verifier key';

CREATE FUNCTION rotate_key() RETURNS text
	LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'provenance_rotate_key';
REVOKE EXECUTE ON FUNCTION rotate_key() FROM PUBLIC;
COMMENT ON FUNCTION rotate_key() IS 'a new signing key; the old one signs too during provenance.key_overlap; returns the new verifier key';

CREATE VIEW incarnations AS
	SELECT i.n, i.started_at, i.since_size, i.reason, i.vkey, i.abandoned_origin, i.abandoned_size, i.abandoned_root, i.abandoned_note
		FROM incarnation AS i
		ORDER BY i.n;
GRANT SELECT ON incarnations TO PUBLIC;
COMMENT ON VIEW incarnations IS 'successors of the log: when each began, why, and the head that it gave up';

CREATE VIEW verifier_keys AS
	SELECT k.incarnation, k.since_size, k.vkey, k.created_at
		FROM log_key AS k
		ORDER BY k.incarnation, k.since_size, k.created_at;
GRANT SELECT ON verifier_keys TO PUBLIC;
COMMENT ON VIEW verifier_keys IS 'every verifier key the log has had: checkpoints greater than since_size bear its signature, until the next key';
