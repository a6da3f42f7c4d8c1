-- The ledger's own tables. doc/architecture.md, "The ledger's tables", says who
-- writes each, when, and under which lock. Nobody but the extension's code
-- writes them; nobody else has privileges on them. Table OIDs, attribute numbers and database OIDs are
-- caches here: nothing of them is hashed.

-- One row: what this log is.
CREATE TABLE log_identity (
	id					int PRIMARY KEY DEFAULT 1 CHECK (id = 1),
	incarnation			int NOT NULL,
	created_at			timestamptz NOT NULL,
	origin				text NOT NULL,			-- without incarnation
	row_key				bytea NOT NULL,			-- 32 bytes: key of the row identities
	state_directory		text NOT NULL			-- where the signer's state was when last used
);

-- The log's public keys, each from the log size on at which it began to sign.
CREATE TABLE log_key (
	incarnation			int NOT NULL,
	since_size			bigint NOT NULL,
	vkey				text NOT NULL,
	created_at			timestamptz NOT NULL,
	PRIMARY KEY (incarnation, vkey)
);

-- Tagged tables, now and formerly.
CREATE TABLE registry (
	table_id			int PRIMARY KEY,
	relid				oid NOT NULL,			-- a cache; resolved by name after a restore
	tagged_at			timestamptz NOT NULL,
	untagged_at			timestamptz,
	schema_name			name NOT NULL,
	table_name			name NOT NULL,
	mode				text NOT NULL CHECK (mode IN ('track', 'append_only')),
	subject				text,
	exclude				name[] NOT NULL DEFAULT '{}',
	require_countersignature boolean NOT NULL DEFAULT false
);
CREATE SEQUENCE registry_table_id_seq AS int;

-- Versions of column lists. digest = SHA-256(0x05 || definition).
CREATE TABLE shape (
	shape_id			int PRIMARY KEY,
	table_id			int NOT NULL,
	digest				hash NOT NULL,
	definition			bytea NOT NULL
);
CREATE INDEX shape_table_id_idx ON shape (table_id);
CREATE SEQUENCE shape_id_seq AS int;

-- Who, with what, why, from where. fields: value list of the nine context
-- fields; NULL, like seed, once erased.
CREATE TABLE context (
	context_id			bigint PRIMARY KEY,
	commitment			hash NOT NULL,
	seed				uuid,
	fields				bytea
);
CREATE SEQUENCE context_id_seq;

-- One row for each change of a row and each event of a table. The order of the
-- columns leaves no gaps for alignment.
CREATE TABLE entry (
	xid					xid8 NOT NULL,			-- top-level transaction
	seq					bigint NOT NULL,
	changed_at			timestamptz NOT NULL,	-- clock at capture
	context_id			bigint NOT NULL,
	order_number		int NOT NULL,			-- command id * 4 + class
	table_id			int NOT NULL,
	shape_id			int NOT NULL,
	row_id				uuid NOT NULL,			-- row identity
	commitment			hash NOT NULL,			-- record commitment
	seed				uuid,					-- NULL once erased
	image				bytea,					-- value list; NULL once erased
	op					smallint NOT NULL,
	PRIMARY KEY (xid, seq) WITH (fillfactor = 96)
);
CREATE SEQUENCE entry_seq;

-- Tables tagged with baseline => 'later' whose rows do not all have one yet, and
-- how far the worker has come; what it says of relations is this database's.
CREATE TABLE baseline_phase (
	table_id			int PRIMARY KEY,
	database_oid		oid NOT NULL,
	system_identifier	bigint NOT NULL,
	relid				oid NOT NULL,			-- the table or partition in hand; 0: none yet
	filenode			oid NOT NULL,			-- whose blocks the next two count; 0: not looked at
	next_block			bigint NOT NULL,
	end_block			bigint NOT NULL,		-- what lies behind was written later
	rows				bigint NOT NULL			-- seen so far
) WITH (fillfactor = 50);

-- From here on: written by the sealer alone.

-- Up to 64 leaves, as many as fit inline: their hashes, and a packed map leaf -> (seq, xid, predecessor, table).
CREATE TABLE leaf_run (
	first_leaf			bigint PRIMARY KEY,
	count				smallint NOT NULL,
	map					bytea NOT NULL,
	hashes				bytea NOT NULL
);

-- seq -> leaf, for the seqs of one block of 256 that one batch sealed.
CREATE TABLE seq_block (
	block				bigint NOT NULL,		-- seq / 256
	first_leaf			bigint NOT NULL,		-- least leaf in this row
	map					bytea NOT NULL,
	PRIMARY KEY (block, first_leaf)
);

-- Hashes of tile level 1 and above: roots of the full subtrees of 256^level leaves.
CREATE TABLE tree_node (
	level				smallint NOT NULL,
	index				bigint NOT NULL,
	hash				hash NOT NULL,
	PRIMARY KEY (level, index)
);

-- The newest leaf of each row chain, several to a row: those of the row
-- identities from this one up to the next row's. Half of each page is left for
-- the versions that a batch makes.
CREATE TABLE head (
	from_row_id			uuid PRIMARY KEY,
	heads				bytea NOT NULL			-- row identity, last leaf, leaf hash: 56 bytes each
) WITH (fillfactor = 50);

-- The newest leaf of each table's own chain, and counters.
CREATE TABLE table_head (
	table_id			int PRIMARY KEY,
	last_leaf			bigint NOT NULL,		-- -1: none yet
	truncated_leaf		bigint NOT NULL,		-- -1: never; row chains whose head is below ended there
	entries				bigint NOT NULL,
	leaf_hash			hash NOT NULL,
	tagged_leaf			bigint NOT NULL DEFAULT -1	-- of the last `tag`; -1: none yet
) WITH (fillfactor = 70);

-- One row: how far sealing has come.
CREATE TABLE seal_state (
	id					int PRIMARY KEY DEFAULT 1 CHECK (id = 1),
	database_oid		oid NOT NULL,
	system_identifier	bigint NOT NULL,
	log_size			bigint NOT NULL,
	floor				bigint NOT NULL,		-- at and below it nothing is ever sealed again; -1: none
	sealed_at			timestamptz,
	snapshot			pg_snapshot NOT NULL
) WITH (fillfactor = 50);

-- Every checkpoint ever signed.
CREATE TABLE checkpoint_note (
	incarnation			int NOT NULL,
	size				bigint NOT NULL,
	signed_at			timestamptz NOT NULL,
	root				hash NOT NULL,
	note				checkpoint NOT NULL,
	PRIMARY KEY (incarnation, size)
);

-- RFC 3161 time stamps on checkpoints. response is what counts; the rest is
-- what the check found when it was added.
CREATE TABLE checkpoint_timestamp (
	incarnation			int NOT NULL,
	size				bigint NOT NULL,
	n					int NOT NULL,			-- from 1 on
	added_at			timestamptz NOT NULL,
	time				timestamptz NOT NULL,	-- the authority's
	tsa					text NOT NULL,			-- subject of the signer's certificate
	serial				text NOT NULL,			-- hexadecimal
	verified_by			text NOT NULL CHECK (verified_by IN ('tsa_ca_file', 'token')),
	response			bytea NOT NULL,			-- DER TimeStampResp
	PRIMARY KEY (incarnation, size, n)
);

-- One row: what the worker last had to say.
CREATE TABLE worker_state (
	id					int PRIMARY KEY DEFAULT 1 CHECK (id = 1),
	last_error_at		timestamptz,
	signer				text NOT NULL,			-- 'ready' or 'stopped: …'
	last_error			text,
	wanted				boolean NOT NULL DEFAULT true,	-- false: stop_worker()
	database_oid		oid NOT NULL,			-- whose signer it was
	system_identifier	bigint NOT NULL
);

-- One row: how far the scrubber has come; what it says is true of one database.
CREATE TABLE scrub_state (
	id					int PRIMARY KEY DEFAULT 1 CHECK (id = 1),
	kind				int NOT NULL,			-- of pieces
	table_id			int NOT NULL,			-- whose blocks are the pieces
	database_oid		oid NOT NULL,
	next_piece			bigint NOT NULL,
	end_piece			bigint NOT NULL,
	entries				bigint NOT NULL,		-- and rows looked at in this round
	findings			bigint NOT NULL,		-- in this round
	started_at			timestamptz NOT NULL,	-- this round
	last_ended_at		timestamptz,			-- the round before; NULL: there is none
	last_entries		bigint NOT NULL,
	last_findings		bigint NOT NULL,
	system_identifier	bigint NOT NULL
) WITH (fillfactor = 50);

-- Values that must not reach pg_statistic, where erasure would not find them.
ALTER TABLE entry ALTER COLUMN image SET STATISTICS 0, ALTER COLUMN seed SET STATISTICS 0, ALTER COLUMN row_id SET STATISTICS 0;
ALTER TABLE context ALTER COLUMN fields SET STATISTICS 0, ALTER COLUMN seed SET STATISTICS 0;
ALTER TABLE head ALTER COLUMN from_row_id SET STATISTICS 0, ALTER COLUMN heads SET STATISTICS 0;

-- Tables that only grow: freeze early, in small steps.
ALTER TABLE entry SET (autovacuum_freeze_min_age = 0, autovacuum_vacuum_insert_scale_factor = 0, autovacuum_vacuum_insert_threshold = 1000000);
ALTER TABLE leaf_run SET (autovacuum_freeze_min_age = 0, autovacuum_vacuum_insert_scale_factor = 0, autovacuum_vacuum_insert_threshold = 100000);
ALTER TABLE seq_block SET (autovacuum_freeze_min_age = 0, autovacuum_vacuum_insert_scale_factor = 0, autovacuum_vacuum_insert_threshold = 100000);

-- Hashes do not compress.
ALTER TABLE leaf_run ALTER COLUMN hashes SET STORAGE EXTERNAL, ALTER COLUMN map SET STORAGE EXTERNAL;
ALTER TABLE seq_block ALTER COLUMN map SET STORAGE EXTERNAL;
ALTER TABLE head ALTER COLUMN heads SET STORAGE EXTERNAL;

SELECT pg_catalog.pg_extension_config_dump('log_identity', '');
SELECT pg_catalog.pg_extension_config_dump('log_key', '');
SELECT pg_catalog.pg_extension_config_dump('registry', '');
SELECT pg_catalog.pg_extension_config_dump('registry_table_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('shape', '');
SELECT pg_catalog.pg_extension_config_dump('shape_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('context', '');
SELECT pg_catalog.pg_extension_config_dump('context_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('entry', '');
SELECT pg_catalog.pg_extension_config_dump('entry_seq', '');
SELECT pg_catalog.pg_extension_config_dump('baseline_phase', '');
SELECT pg_catalog.pg_extension_config_dump('leaf_run', '');
SELECT pg_catalog.pg_extension_config_dump('seq_block', '');
SELECT pg_catalog.pg_extension_config_dump('tree_node', '');
SELECT pg_catalog.pg_extension_config_dump('head', '');
SELECT pg_catalog.pg_extension_config_dump('table_head', '');
SELECT pg_catalog.pg_extension_config_dump('seal_state', '');
SELECT pg_catalog.pg_extension_config_dump('checkpoint_note', '');
SELECT pg_catalog.pg_extension_config_dump('checkpoint_timestamp', '');
SELECT pg_catalog.pg_extension_config_dump('worker_state', '');
SELECT pg_catalog.pg_extension_config_dump('scrub_state', '');

CREATE TYPE finding AS (
	code		text,
	severity	text,
	object		text,
	seq			bigint,
	leaf_index	bigint,
	message		text
);
COMMENT ON TYPE finding IS 'one row of a verification''s result; no rows = intact';
