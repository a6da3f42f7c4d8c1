-- Setting up a log, having it sealed and signed, and seeing how it stands.

CREATE FUNCTION setup(origin text) RETURNS text
	LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'provenance_setup';
REVOKE EXECUTE ON FUNCTION setup(text) FROM PUBLIC;
COMMENT ON FUNCTION setup(text) IS 'creates this database''s log: identity, signing key and signer''s state; returns the verifier key';

CREATE FUNCTION verifier_key() RETURNS text
	LANGUAGE c STABLE STRICT PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'provenance_verifier_key';
COMMENT ON FUNCTION verifier_key() IS 'the log''s verifier key, to hand to partners and witnesses';

CREATE FUNCTION seal() RETURNS checkpoint
	LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'provenance_seal';
REVOKE EXECUTE ON FUNCTION seal() FROM PUBLIC;
COMMENT ON FUNCTION seal() IS 'has everything committed before the call sealed and published, by a worker; returns that checkpoint';

CREATE FUNCTION wait_sealed(timeout interval DEFAULT '30 s') RETURNS checkpoint
	LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'provenance_wait_sealed';
COMMENT ON FUNCTION wait_sealed(interval) IS 'waits until everything this session committed is sealed; returns the newest checkpoint published by then, which need not cover it yet, or NULL';

CREATE FUNCTION start_worker() RETURNS void
	LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'provenance_start_worker';
REVOKE EXECUTE ON FUNCTION start_worker() FROM PUBLIC;
COMMENT ON FUNCTION start_worker() IS 'starts this database''s standing worker as the transaction commits, and lets it be started again';

CREATE FUNCTION stop_worker() RETURNS void
	LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'provenance_stop_worker';
REVOKE EXECUTE ON FUNCTION stop_worker() FROM PUBLIC;
COMMENT ON FUNCTION stop_worker() IS 'has the standing worker leave within a second of the commit, and stay away until start_worker(); seal() still works';

CREATE FUNCTION unsealed(OUT pending bigint, OUT oldest_pending timestamptz)
	LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'provenance_unsealed';
COMMENT ON FUNCTION unsealed() IS 'entries committed and not yet in the log, counted up to 100000, and the time of the oldest counted';

CREATE FUNCTION signer() RETURNS text
	LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'provenance_signer';
COMMENT ON FUNCTION signer() IS '"ready", or "stopped: " and why, as far as the caller may know';

CREATE FUNCTION scrubbed(OUT doing text, OUT entries bigint, OUT findings bigint, OUT started_at timestamptz,
						 OUT last_ended_at timestamptz, OUT last_entries bigint, OUT last_findings bigint)
	LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'provenance_scrubbed';
COMMENT ON FUNCTION scrubbed() IS 'how far background verification has come, and what it found; NULLs if this database never had any';

-- pg_stat_activity shows the type of a superuser's process to few.
CREATE FUNCTION worker_pid() RETURNS int
	LANGUAGE sql STABLE PARALLEL RESTRICTED SECURITY DEFINER
	SET search_path = pg_catalog, pg_temp
	AS $$
		SELECT a.pid FROM pg_catalog.pg_stat_activity AS a
			JOIN pg_catalog.pg_database AS d ON d.oid = a.datid
			WHERE a.backend_type = 'provenance worker' AND d.datname = pg_catalog.current_database()
			ORDER BY a.backend_start LIMIT 1
	$$;
COMMENT ON FUNCTION worker_pid() IS 'process id of this database''s standing worker, NULL if none runs';

CREATE FUNCTION cosignatures(incarnation int, size bigint) RETURNS text[]
	LANGUAGE c STABLE STRICT PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'provenance_cosignatures';
COMMENT ON FUNCTION cosignatures(int, bigint) IS 'the witnesses'' signature lines on a checkpoint of ours, as they were added';

CREATE FUNCTION last_cosigned_size() RETURNS bigint
	LANGUAGE c STABLE STRICT PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'provenance_last_cosigned_size';
COMMENT ON FUNCTION last_cosigned_size() IS 'the greatest size that satisfies the witness policy (with a quorum of 0: that one of its witnesses cosigned)';

CREATE VIEW checkpoints AS
	SELECT c.size, c.root, c.signed_at, c.note, cosignatures(c.incarnation, c.size) AS cosignatures
		FROM checkpoint_note AS c
		ORDER BY c.incarnation, c.size;
GRANT SELECT ON checkpoints TO PUBLIC;
COMMENT ON VIEW checkpoints IS 'every checkpoint signed';

-- For everybody, but without the paths of the server's file system, as of
-- data_directory: they stand in errors, too.
CREATE VIEW status AS
	SELECT i.origin,
			i.incarnation,
			coalesce(s.log_size, 0) + u.pending AS entries,
			u.pending,
			u.oldest_pending,
			coalesce(s.log_size, 0) AS log_size,
			c.size AS published_size,
			c.signed_at AS last_checkpoint_at,
			last_cosigned_size() AS last_cosigned_size,
			signer() AS signer,
			worker_pid() AS worker_pid,
			CASE WHEN pg_catalog.pg_has_role('pg_read_all_stats', 'USAGE') THEN w.last_error END AS last_error,
			(SELECT count(*) FROM registry AS r WHERE r.untagged_at IS NULL AND r.table_id < 2000000000) AS tagged_tables,
			w.last_error_at,
			CASE WHEN pg_catalog.pg_has_role('pg_read_all_settings', 'USAGE') THEN i.state_directory END AS state_directory,
			b.doing AS scrubbing,
			b.findings AS scrub_findings,
			b.last_ended_at AS last_scrub_at,
			b.last_findings AS last_scrub_findings
		FROM (VALUES (1)) AS one (id)
			CROSS JOIN LATERAL unsealed() AS u
			CROSS JOIN LATERAL scrubbed() AS b
			LEFT JOIN log_identity AS i ON i.id = one.id
			LEFT JOIN seal_state AS s ON s.id = one.id
			LEFT JOIN worker_state AS w ON w.id = one.id
			LEFT JOIN LATERAL (
				SELECT n.size, n.signed_at FROM checkpoint_note AS n
					WHERE n.incarnation = i.incarnation
					ORDER BY n.size DESC LIMIT 1) AS c ON true;
GRANT SELECT ON status TO PUBLIC;
COMMENT ON VIEW status IS 'one row: how this database''s log stands';
