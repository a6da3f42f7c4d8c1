-- Disclosures: one entry for a person, and what it proves. disclose() shows
-- what the caller may see (src/prove/disclose.c), so any user may call it; like
-- proofs not in parallel plans, and VOLATILE, since what it returns leaves.

CREATE FUNCTION disclose(seq bigint, columns name[] DEFAULT NULL, context name[] DEFAULT '{}') RETURNS text
	LANGUAGE C VOLATILE PARALLEL UNSAFE COST 1000
	AS 'MODULE_PATHNAME', 'provenance_disclose';
COMMENT ON FUNCTION disclose(seq bigint, columns name[], context name[]) IS 'a sealed entry as a self-contained text that proves the fields disclosed in it; the other fields are withheld';

CREATE TYPE disclosed_field AS (
	field		text,
	value		text,
	withheld	boolean
);
COMMENT ON TYPE disclosed_field IS 'one row of what verify_disclosure() gives: a field, or a fact about the entry';

CREATE FUNCTION verify_disclosure(disclosure text, VARIADIC vkeys text[]) RETURNS SETOF disclosed_field
	LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 5000 ROWS 30
	AS 'MODULE_PATHNAME', 'provenance_verify_disclosure';
COMMENT ON FUNCTION verify_disclosure(disclosure text, VARIADIC vkeys text[]) IS 'what a disclosure proves, given the log''s verifier keys; an error if it does not hold; needs no ledger';
