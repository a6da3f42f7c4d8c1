-- History: who changed what, when and why. Any user may call these; they show
-- what the caller may SELECT from the table (src/prove/target.c).

CREATE FUNCTION history(target regclass, VARIADIC key "any")
	RETURNS TABLE (
		seq			bigint,
		leaf_index	bigint,
		op			text,
		changed_at	timestamptz,
		txid		xid8,
		actor		text,
		db_user		text,
		application	text,
		purpose		text,
		source		text,
		image		jsonb,
		changed		text[],
		leaf_hash	hash,
		prev_hash	hash,
		countersigned_by bytea[],
		source_leaf	hash
	)
	LANGUAGE C STABLE PARALLEL RESTRICTED COST 1000 ROWS 10
	AS 'MODULE_PATHNAME', 'provenance_history';
COMMENT ON FUNCTION history(target regclass, VARIADIC key "any") IS 'the changes of one row, oldest first, of the columns that the caller may select';

CREATE FUNCTION changes(target regclass, since timestamptz, until timestamptz DEFAULT now())
	RETURNS TABLE (
		seq			bigint,
		leaf_index	bigint,
		op			text,
		changed_at	timestamptz,
		txid		xid8,
		actor		text,
		db_user		text,
		application	text,
		purpose		text,
		source		text,
		image		jsonb,
		changed		text[],
		leaf_hash	hash,
		prev_hash	hash,
		key			jsonb,
		countersigned_by bytea[],
		source_leaf	hash
	)
	LANGUAGE C STABLE PARALLEL RESTRICTED COST 100000 ROWS 1000
	AS 'MODULE_PATHNAME', 'provenance_changes';
COMMENT ON FUNCTION changes(target regclass, since timestamptz, until timestamptz) IS 'all entries of a table in a time, in the order of the log, of the columns that the caller may select';
