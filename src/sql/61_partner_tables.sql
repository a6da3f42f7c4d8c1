-- Partners: whose checkpoints this database believes, what it verified of them,
-- and what it gave away itself. doc/architecture.md, "Partners", says who
-- writes each table, when, and under which lock. The tables marked "tagged" are
-- tagged by the extension itself when their first row is written: their rows
-- are entries of the log. Texts and hashes here are what a partner showed;
-- nothing in these tables is believed without its proof.

-- All ids below, and of partners' logs, merges, disclosures.
CREATE SEQUENCE partner_seq;

-- Partners, now and formerly. Changed by administrators, and by the worker
-- that records a fork.
CREATE TABLE partner_registry (
	partner_id			int PRIMARY KEY,
	added_at			timestamptz NOT NULL,
	removed_at			timestamptz,
	quorum				int NOT NULL DEFAULT 0,	-- witnesses that each of its checkpoints must bear
	state				text NOT NULL CHECK (state IN ('trusted', 'forked', 'removed')),
	name				text NOT NULL,
	origin				text NOT NULL,			-- without incarnation
	vkeys				text[] NOT NULL,		-- their names: the origin, or an incarnation of it
	witnesses			text[] NOT NULL DEFAULT '{}',	-- vkeys
	pseudonym_key		bytea					-- 32 bytes agreed with this partner; NULL: none
);
CREATE UNIQUE INDEX partner_registry_name_idx ON partner_registry (name);

-- A partner's logs: one for each incarnation seen.
CREATE TABLE partner_log (
	log_id				int PRIMARY KEY,
	partner_id			int NOT NULL,
	origin				text NOT NULL			-- with incarnation
);
CREATE UNIQUE INDEX partner_log_origin_idx ON partner_log (origin);

-- Every checkpoint verified of a partner's log.
CREATE TABLE partner_checkpoint (
	log_id				int NOT NULL,
	size				bigint NOT NULL,
	seen_at				timestamptz NOT NULL,
	root				hash NOT NULL,
	note				checkpoint NOT NULL,
	PRIMARY KEY (log_id, size)
);

-- Evidence that a partner signed two logs; each row stands alone.
CREATE TABLE fork_record (
	fork_id				int PRIMARY KEY,
	partner_id			int NOT NULL,
	found_at			timestamptz NOT NULL,
	kind				text NOT NULL CHECK (kind IN ('checkpoint', 'leaf')),
	origin				text NOT NULL,
	note_a				checkpoint NOT NULL,
	note_b				checkpoint NOT NULL,
	proof_a				proof,					-- kind leaf: inclusion of one index in each
	proof_b				proof,
	leaf_a				bytea,
	leaf_b				bytea,
	resolved_at			timestamptz,			-- an administrator trusts the partner again
	resolved_by			text,
	reason				text
);

-- One row: one bundle merged. Tagged.
CREATE TABLE merge (
	merge_id			bigint PRIMARY KEY,
	merged_at			timestamptz NOT NULL,
	merged_by			text NOT NULL,
	partner				text NOT NULL,
	origin				text NOT NULL,			-- with incarnation
	size				bigint NOT NULL,		-- of the checkpoint
	root				hash NOT NULL,
	since_size			bigint NOT NULL,
	entries				bigint NOT NULL,		-- in the bundle
	new_entries			bigint NOT NULL,		-- not merged before
	new_countersignatures	bigint NOT NULL,	-- likewise
	schema_name			text NOT NULL,
	table_name			text NOT NULL,
	recipient			text,					-- as the bundle says
	purpose				text,
	digest				hash NOT NULL,			-- of the bundle (doc/format.md, "Bundle")
	note				checkpoint NOT NULL
);

CREATE TABLE merged_shape (
	shape_id			int PRIMARY KEY,
	log_id				int NOT NULL,
	digest				hash NOT NULL,
	definition			bytea NOT NULL
);
CREATE UNIQUE INDEX merged_shape_digest_idx ON merged_shape (log_id, digest);

-- The disclosed part of a context. fields: the tokens of the bundle's line.
CREATE TABLE merged_context (
	context_id			bigint PRIMARY KEY,
	commitment			hash NOT NULL,
	fields				text NOT NULL
);

-- Entries of partners, proven. fields: the tokens of the bundle's line.
CREATE TABLE merged_leaf (
	log_id				int NOT NULL,
	shape_id			int NOT NULL,
	leaf_index			bigint NOT NULL,
	merge_id			bigint NOT NULL,		-- that showed it first
	previous			bigint NOT NULL,		-- leaf index of the row's entry before; -1: none
	context_id			bigint,					-- NULL: nothing of it was disclosed
	op					smallint NOT NULL,
	pseudonym			uuid,					-- of whose data it is, a claim; NULL: none given
	leaf_hash			hash NOT NULL,
	leaf				bytea NOT NULL,
	context_salt		bytea,					-- salt 0, with context_id
	context_digest		hash,					-- digest 0, without
	fields				text NOT NULL,
	PRIMARY KEY (log_id, leaf_index)
);
CREATE INDEX merged_leaf_hash_idx ON merged_leaf (leaf_hash);
CREATE INDEX merged_leaf_pseudonym_idx ON merged_leaf (pseudonym) WHERE pseudonym IS NOT NULL;

-- The hashes between the entries of a merged bundle, for the proof of each: in
-- chunks, in the order of the log. doc/architecture.md has the encoding.
CREATE TABLE merged_path (
	merge_id			bigint NOT NULL,
	first_leaf			bigint NOT NULL,
	path				bytea NOT NULL,
	PRIMARY KEY (merge_id, first_leaf)
);

CREATE TABLE merged_countersignature (
	log_id				int NOT NULL,
	leaf_index			bigint NOT NULL,
	public_key			bytea NOT NULL,
	signature			bytea NOT NULL,
	PRIMARY KEY (log_id, leaf_index, public_key)
);

-- One row: one export, written before its first row left. Tagged.
CREATE TABLE disclosure (
	disclosure_id		bigint PRIMARY KEY,
	disclosed_at		timestamptz NOT NULL,
	disclosed_by		text NOT NULL,
	recipient			text,
	purpose				text,
	schema_name			text NOT NULL,
	table_name			text NOT NULL,
	columns				text[] NOT NULL,
	context				text[] NOT NULL,		-- fields of the context
	since_size			bigint NOT NULL,
	size				bigint NOT NULL,		-- of the checkpoint
	root				hash NOT NULL,
	entries				bigint NOT NULL,
	leaves_root			hash NOT NULL,			-- Merkle root over the disclosed leaf hashes
	subjects			bigint NOT NULL
);

-- Of whom: one row for each subject of an export. Tagged.
CREATE TABLE disclosure_subject (
	disclosure_id		bigint NOT NULL,
	subject				text NOT NULL,
	PRIMARY KEY (disclosure_id, subject)
);

-- Signatures of people and devices on entries of ours. Tagged.
CREATE TABLE countersignature (
	seq					bigint NOT NULL,
	public_key			bytea NOT NULL,			-- Ed25519, 32 bytes
	added_at			timestamptz NOT NULL,
	added_by			text NOT NULL,
	leaf_hash			hash NOT NULL,
	signature			bytea NOT NULL,			-- 64 bytes
	PRIMARY KEY (seq, public_key)
);

-- Steps of handing a record from one database to another. Tagged.
CREATE TABLE handover (
	gid					text NOT NULL,			-- of the global transaction
	step				text NOT NULL CHECK (step IN ('give', 'take', 'close', 'confirm', 'withdraw')),
	written_at			timestamptz NOT NULL,
	partner				text NOT NULL,			-- the other database
	subject				text,
	record				hash,					-- record commitment of the other side's step; NULL if there is none
	PRIMARY KEY (gid, step)
);

-- Cosignatures of witnesses on checkpoints of ours.
CREATE TABLE checkpoint_cosignature (
	incarnation			int NOT NULL,
	size				bigint NOT NULL,
	witness				text NOT NULL,			-- vkey
	seconds				bigint NOT NULL,		-- the witness's clock, since 1970
	added_at			timestamptz NOT NULL,
	line				text NOT NULL,			-- as it stands in the note, without its newline
	PRIMARY KEY (incarnation, size, witness)
);

-- One row: who must have cosigned a checkpoint of ours, at least.
CREATE TABLE witness_policy (
	id					int PRIMARY KEY DEFAULT 1 CHECK (id = 1),
	quorum				int NOT NULL,
	witnesses			text[] NOT NULL			-- vkeys
);

ALTER TABLE merged_leaf ALTER COLUMN fields SET STATISTICS 0, ALTER COLUMN pseudonym SET STATISTICS 0;
ALTER TABLE merged_context ALTER COLUMN fields SET STATISTICS 0;
ALTER TABLE disclosure_subject ALTER COLUMN subject SET STATISTICS 0;
ALTER TABLE handover ALTER COLUMN subject SET STATISTICS 0;
ALTER TABLE merged_leaf SET (autovacuum_freeze_min_age = 0, autovacuum_vacuum_insert_scale_factor = 0, autovacuum_vacuum_insert_threshold = 1000000);
ALTER TABLE merged_path ALTER COLUMN path SET STORAGE EXTERNAL;

SELECT pg_catalog.pg_extension_config_dump('partner_seq', '');
SELECT pg_catalog.pg_extension_config_dump('partner_registry', '');
SELECT pg_catalog.pg_extension_config_dump('partner_log', '');
SELECT pg_catalog.pg_extension_config_dump('partner_checkpoint', '');
SELECT pg_catalog.pg_extension_config_dump('fork_record', '');
SELECT pg_catalog.pg_extension_config_dump('merge', '');
SELECT pg_catalog.pg_extension_config_dump('merged_shape', '');
SELECT pg_catalog.pg_extension_config_dump('merged_context', '');
SELECT pg_catalog.pg_extension_config_dump('merged_leaf', '');
SELECT pg_catalog.pg_extension_config_dump('merged_path', '');
SELECT pg_catalog.pg_extension_config_dump('merged_countersignature', '');
SELECT pg_catalog.pg_extension_config_dump('disclosure', '');
SELECT pg_catalog.pg_extension_config_dump('disclosure_subject', '');
SELECT pg_catalog.pg_extension_config_dump('countersignature', '');
SELECT pg_catalog.pg_extension_config_dump('handover', '');
SELECT pg_catalog.pg_extension_config_dump('checkpoint_cosignature', '');
SELECT pg_catalog.pg_extension_config_dump('witness_policy', '');

-- What COPY (SELECT * FROM export_bundle(…)) TO writes, and COPY inbox FROM reads.
CREATE TYPE bundle AS (
	line				bigint,
	kind				text,
	content				text
);
COMMENT ON TYPE bundle IS 'one line of a bundle (doc/format.md, "Bundle")';
