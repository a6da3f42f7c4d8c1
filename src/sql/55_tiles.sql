-- The log as files, and what others say of when its checkpoints existed.

CREATE FUNCTION entry_bundle(index bigint, width int DEFAULT 256) RETURNS bytea
	LANGUAGE C STABLE STRICT PARALLEL UNSAFE COST 1000
	AS 'MODULE_PATHNAME', 'provenance_entry_bundle';
COMMENT ON FUNCTION entry_bundle(index bigint, width int) IS 'leaves of a tile of the log, each with its length before it (C2SP tlog-tiles); they hold no values, any user may read them';

CREATE FUNCTION export_tiles(directory text) RETURNS bigint
	LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE COST 100000
	AS 'MODULE_PATHNAME', 'provenance_export_tiles';
REVOKE EXECUTE ON FUNCTION export_tiles(text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION export_tiles(text) TO pg_write_server_files;
COMMENT ON FUNCTION export_tiles(directory text) IS 'writes the newest published checkpoint and its tiles into a directory of the server (C2SP tlog-tiles); returns how many files were written';

CREATE FUNCTION timestamp_request(size bigint) RETURNS bytea
	LANGUAGE C STABLE STRICT PARALLEL UNSAFE COST 100
	AS 'MODULE_PATHNAME', 'provenance_timestamp_request';
COMMENT ON FUNCTION timestamp_request(size bigint) IS 'request to a time-stamping authority (RFC 3161, DER) for the published checkpoint of that size';

CREATE FUNCTION add_timestamp(size bigint, response bytea) RETURNS text
	LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE COST 10000
	AS 'MODULE_PATHNAME', 'provenance_add_timestamp';
REVOKE EXECUTE ON FUNCTION add_timestamp(bigint, bytea) FROM PUBLIC;
COMMENT ON FUNCTION add_timestamp(size bigint, response bytea) IS 'checks a time-stamping authority''s response and keeps it; returns what the signer was traced to: tsa_ca_file, or token if only to the response''s own certificates';

CREATE VIEW timestamps AS
	SELECT t.size, t.time, t.tsa, t.serial, t.verified_by, t.incarnation, t.added_at, t.response
		FROM checkpoint_timestamp AS t
		ORDER BY t.incarnation, t.size, t.n;
GRANT SELECT ON timestamps TO PUBLIC;
COMMENT ON VIEW timestamps IS 'time stamps on checkpoints; response is to be checked against the note: openssl ts -verify';
