-- Handing a record from one database to another. Which transactions these are
-- called in, and in which order those are committed, is the caller's affair:
-- doc/operations.md, "Handing records over". For administrators, and whom they
-- grant them: what a log says of handovers is said in the database's name.

CREATE FUNCTION last_commitment() RETURNS hash
	LANGUAGE C VOLATILE PARALLEL RESTRICTED
	AS 'MODULE_PATHNAME', 'provenance_last_commitment';
COMMENT ON FUNCTION last_commitment() IS 'record commitment of the last entry that this session has recorded in its transaction; NULL if there is none';

CREATE FUNCTION handover_give(gid text, partner text, subject text DEFAULT NULL) RETURNS hash
	LANGUAGE C VOLATILE PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'provenance_handover_give';
REVOKE ALL ON FUNCTION handover_give(text, text, text) FROM PUBLIC;
COMMENT ON FUNCTION handover_give(text, text, text) IS 'records that a record is handed to another database; returns the record commitment that this is to take';

CREATE FUNCTION handover_take(gid text, partner text, subject text, record hash) RETURNS hash
	LANGUAGE C VOLATILE PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'provenance_handover_take';
REVOKE ALL ON FUNCTION handover_take(text, text, text, hash) FROM PUBLIC;
COMMENT ON FUNCTION handover_take(text, text, text, hash) IS 'records that a record was taken that another database has given; returns the record commitment that this is to close with';

CREATE FUNCTION handover_close(gid text, record hash) RETURNS hash
	LANGUAGE C VOLATILE PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'provenance_handover_close';
REVOKE ALL ON FUNCTION handover_close(text, hash) FROM PUBLIC;
COMMENT ON FUNCTION handover_close(text, hash) IS 'records how the other database took what was given; once committed, that must commit too';

CREATE FUNCTION handover_confirm(gid text) RETURNS hash
	LANGUAGE C VOLATILE PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'provenance_handover_confirm';
REVOKE ALL ON FUNCTION handover_confirm(text) FROM PUBLIC;
COMMENT ON FUNCTION handover_confirm(text) IS 'records that the other database was seen to have committed what was closed';

CREATE FUNCTION handover_withdraw(gid text) RETURNS hash
	LANGUAGE C VOLATILE PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'provenance_handover_withdraw';
REVOKE ALL ON FUNCTION handover_withdraw(text) FROM PUBLIC;
COMMENT ON FUNCTION handover_withdraw(text) IS 'records that what was given was not taken, and stays';

CREATE FUNCTION handover_record(gid text, step text) RETURNS hash
	LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'provenance_handover_record';
REVOKE ALL ON FUNCTION handover_record(text, text) FROM PUBLIC;
COMMENT ON FUNCTION handover_record(text, text) IS 'record commitment of a step of a handover in this database; NULL if it was not made';

CREATE VIEW handovers AS
	SELECT gid, step, written_at, partner, subject, record FROM provenance.handover;
COMMENT ON VIEW handovers IS 'steps of handovers that this database has committed';

-- The rows of a prepared transaction cannot be seen; its name tells.
CREATE VIEW pending_handovers AS
	SELECT p.name[1] AS gid, p.name[2] AS step, p.prepared AS since, NULL::text AS partner, NULL::text AS subject,
		   p.gid AS prepared,
		   CASE p.name[2]
			   WHEN 'give' THEN format('COMMIT PREPARED %1$L when the other database has %2$L prepared; otherwise ROLLBACK PREPARED %1$L',
									   p.gid, p.name[1] || ':take')
			   ELSE format('COMMIT PREPARED %1$L when the other database has closed %2$L; ROLLBACK PREPARED %1$L when it has neither closed it nor %3$L prepared',
						   p.gid, p.name[1], p.name[1] || ':give')
		   END AS finish
	FROM (SELECT x.gid, x.prepared, regexp_match(x.gid, '^(handover:.+):(give|take)$') AS name
		  FROM pg_catalog.pg_prepared_xacts x WHERE x.database = pg_catalog.current_database()) p
	WHERE p.name IS NOT NULL
	UNION ALL
	SELECT g.gid, g.step, g.written_at, g.partner, g.subject, NULL,
		   format('SELECT provenance.handover_close(%1$L, <hash>) when the other database has taken it and handover_record(%1$L, ''take'') there gives <hash>; otherwise have it taken, or SELECT provenance.handover_withdraw(%1$L)',
				  g.gid)
	FROM provenance.handover g
	WHERE g.step = 'give'
		  AND NOT EXISTS (SELECT FROM provenance.handover e WHERE e.gid = g.gid AND e.step IN ('close', 'withdraw'))
	UNION ALL
	SELECT c.gid, c.step, c.written_at, c.partner, c.subject, NULL,
		   format('COMMIT PREPARED %L in the other database if it is prepared there; then SELECT provenance.handover_confirm(%L)',
				  c.gid || ':take', c.gid)
	FROM provenance.handover c
	WHERE c.step = 'close'
		  AND NOT EXISTS (SELECT FROM provenance.handover e WHERE e.gid = c.gid AND e.step = 'confirm')
		  -- or merged from a bundle: the leaf ends in the record commitment
		  AND NOT EXISTS (SELECT FROM provenance.merged_leaf m WHERE substr(m.leaf, 51) = c.record::bytea);
COMMENT ON VIEW pending_handovers IS 'handovers that were begun in this database and are not known to be finished on both sides, and what finishes each';
