-- Proofs. Leaves, hashes and proofs hold no values: the log is public within
-- the database, and any user may call these. Not in parallel plans: those read
-- under the query's snapshot only, which may be older than the last seal().

CREATE FUNCTION leaf(seq bigint) RETURNS bytea
	LANGUAGE C STABLE STRICT PARALLEL UNSAFE COST 100
	AS 'MODULE_PATHNAME', 'provenance_leaf';
COMMENT ON FUNCTION leaf(seq bigint) IS 'the leaf bytes of a sealed entry; they hold no values, any user may read them';

CREATE FUNCTION prove(seq bigint, size bigint DEFAULT NULL) RETURNS proof
	LANGUAGE C STABLE PARALLEL UNSAFE COST 1000
	AS 'MODULE_PATHNAME', 'provenance_prove';
COMMENT ON FUNCTION prove(seq bigint, size bigint) IS 'proof that an entry is in the log at the checkpoint of that size, the newest by default; holds no values, any user may ask';

CREATE FUNCTION prove_consistency(old_size bigint, new_size bigint) RETURNS hash[]
	LANGUAGE C STABLE STRICT PARALLEL UNSAFE COST 1000
	AS 'MODULE_PATHNAME', 'provenance_prove_consistency';
COMMENT ON FUNCTION prove_consistency(old_size bigint, new_size bigint) IS 'path by which the log of the new size extends that of the old; holds no values, any user may ask';

CREATE FUNCTION tile(level int, index bigint, width int DEFAULT 256) RETURNS bytea
	LANGUAGE C STABLE STRICT PARALLEL UNSAFE COST 100
	AS 'MODULE_PATHNAME', 'provenance_tile';
COMMENT ON FUNCTION tile(level int, index bigint, width int) IS 'hashes of a tile of the log (C2SP tlog-tiles); holds no values, any user may read them';
