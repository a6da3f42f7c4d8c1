-- Verification: four questions. Findings are rows; no rows = intact. So none is
-- STRICT: a NULL, of a subquery that finds nothing, must not be called intact.

CREATE FUNCTION verify_row(target regclass, VARIADIC key "any") RETURNS SETOF finding
	LANGUAGE C VOLATILE PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'provenance_verify_row';
COMMENT ON FUNCTION verify_row(regclass, "any") IS 'is the history of one row unbroken, and the row what it says? no rows = intact';

CREATE FUNCTION verify_table(target regclass) RETURNS SETOF finding
	LANGUAGE C VOLATILE PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'provenance_verify_table';
COMMENT ON FUNCTION verify_table(regclass) IS 'are the row chains of a table unbroken, its rows their last images, its triggers in place? no rows = intact';

CREATE FUNCTION verify_log(since_size bigint DEFAULT 0) RETURNS SETOF finding
	LANGUAGE C VOLATILE PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'provenance_verify_log';
COMMENT ON FUNCTION verify_log(bigint) IS 'do the entries give the leaves, the tree and every signed root? no rows = intact';

CREATE FUNCTION verify_checkpoint(kept checkpoint) RETURNS SETOF finding
	LANGUAGE C VOLATILE PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'provenance_verify_checkpoint';
COMMENT ON FUNCTION verify_checkpoint(checkpoint) IS 'does the log contain and extend a checkpoint that someone has kept? no rows = intact';

CREATE FUNCTION verify(since_size bigint DEFAULT 0, budget interval DEFAULT NULL) RETURNS SETOF finding
	LANGUAGE C VOLATILE PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'provenance_verify';
COMMENT ON FUNCTION verify(bigint, interval) IS 'verifies the log, its checkpoints and every tagged table; with a budget, a sample in that time; no rows = intact';

CREATE FUNCTION running_verifications(OUT pid int, OUT database oid, OUT what text, OUT done bigint, OUT total bigint,
									  OUT started_at timestamptz) RETURNS SETOF record
	LANGUAGE C VOLATILE PARALLEL RESTRICTED
	AS 'MODULE_PATHNAME', 'provenance_running_verifications';
COMMENT ON FUNCTION running_verifications() IS 'what the view progress shows';

CREATE VIEW progress AS
	SELECT r.pid, d.datname AS database, r.what, r.done, r.total, r.started_at
		FROM running_verifications() AS r LEFT JOIN pg_database AS d ON d.oid = r.database;
GRANT SELECT ON progress TO PUBLIC;
COMMENT ON VIEW progress IS 'verifications running in this server, if the library is preloaded; total is null if not known';
