-- Tables as they stood. Any user may call these; they need SELECT on the whole
-- table, as SELECT * does. as_of_size() reads what is sealed now, whatever the
-- transaction's snapshot, hence not in parallel plans.

CREATE FUNCTION as_of(target anyelement, at timestamptz) RETURNS SETOF anyelement
	LANGUAGE C STABLE PARALLEL RESTRICTED COST 100000 ROWS 1000
	AS 'MODULE_PATHNAME', 'provenance_as_of';
COMMENT ON FUNCTION as_of(target anyelement, at timestamptz) IS 'the table whose row type is given, as it stood at that time';

CREATE FUNCTION as_of_size(target anyelement, size bigint) RETURNS SETOF anyelement
	LANGUAGE C STABLE PARALLEL UNSAFE COST 100000 ROWS 1000
	AS 'MODULE_PATHNAME', 'provenance_as_of_size';
COMMENT ON FUNCTION as_of_size(target anyelement, size bigint) IS 'the table whose row type is given, as the log commits to it at that size';
