-- History: who changed what, when and why. Any user may call these; they show
-- what the caller may SELECT from the table (src/prove/target.c). Their results
-- have types by name, to whose end a later version can add attributes.

CREATE TYPE history_entry AS (
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
);
COMMENT ON TYPE history_entry IS 'one row of what history() gives: an entry of a row, as far as the caller may see it';

CREATE FUNCTION history(target regclass, VARIADIC key "any") RETURNS SETOF history_entry
	LANGUAGE C STABLE PARALLEL RESTRICTED COST 1000 ROWS 10
	AS 'MODULE_PATHNAME', 'provenance_history';
COMMENT ON FUNCTION history(target regclass, VARIADIC key "any") IS 'the changes of one row, oldest first, of the columns that the caller may select';

CREATE TYPE change AS (
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
);
COMMENT ON TYPE change IS 'one row of what changes() and subject_changes() give: an entry of a table, as far as the caller may see it';

CREATE FUNCTION changes(target regclass, since timestamptz, until timestamptz DEFAULT now()) RETURNS SETOF change
	LANGUAGE C STABLE PARALLEL RESTRICTED COST 100000 ROWS 1000
	AS 'MODULE_PATHNAME', 'provenance_changes';
COMMENT ON FUNCTION changes(target regclass, since timestamptz, until timestamptz) IS 'all entries of a table in a time, in the order of the log, of the columns that the caller may select';
