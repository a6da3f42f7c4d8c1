-- Signatures of people and devices on entries, by keys of their own.

CREATE FUNCTION countersignature_message(seq bigint) RETURNS bytea
	LANGUAGE C STABLE STRICT PARALLEL UNSAFE COST 100
	AS 'MODULE_PATHNAME', 'provenance_countersignature_message';
COMMENT ON FUNCTION countersignature_message(bigint) IS 'what a countersignature on a sealed entry signs; it holds no values, any user may read it';

-- Any user may call it; whoever sees nothing of the entry's table is refused.
CREATE FUNCTION countersign(seq bigint, public_key bytea, signature bytea) RETURNS void
	LANGUAGE C VOLATILE PARALLEL UNSAFE COST 1000
	AS 'MODULE_PATHNAME', 'provenance_countersign';
COMMENT ON FUNCTION countersign(bigint, bytea, bytea) IS 'attaches an Ed25519 signature of a person''s or device''s own key to a sealed entry';
