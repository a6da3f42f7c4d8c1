-- The log as files, and what others say of when its checkpoints existed.

CREATE FUNCTION entry_bundle(index bigint, width int DEFAULT 256) RETURNS bytea
	LANGUAGE C STABLE STRICT PARALLEL SAFE COST 1000
	AS 'MODULE_PATHNAME', 'provenance_entry_bundle';
COMMENT ON FUNCTION entry_bundle(index bigint, width int) IS 'leaves of a tile of the log, each with its length before it (C2SP tlog-tiles); they hold no values, any user may read them';

CREATE FUNCTION export_tiles(directory text) RETURNS bigint
	LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE COST 100000
	AS 'MODULE_PATHNAME', 'provenance_export_tiles';
REVOKE EXECUTE ON FUNCTION export_tiles(text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION export_tiles(text) TO pg_write_server_files;
COMMENT ON FUNCTION export_tiles(directory text) IS 'writes the newest published checkpoint and its tiles into a directory of the server (C2SP tlog-tiles); returns how many files were written';
