/* provenance--1.0.sql, assembled from src/sql/NN_*.sql */

-- complain if script is sourced in psql, rather than via CREATE EXTENSION
\echo Use "CREATE EXTENSION provenance" to load this file. \quit

-- A schema of that name may be there already. Whoever owns it, or may create
-- objects in it, could put functions in the way of this extension's, or drop it
-- with the ledger in it.
DO $$
BEGIN
	IF EXISTS (
		SELECT FROM pg_catalog.pg_namespace AS n
			JOIN pg_catalog.pg_roles AS r ON NOT r.rolsuper AND r.oid OPERATOR(pg_catalog.=) n.nspowner
			WHERE n.nspname OPERATOR(pg_catalog.=) 'provenance'
		UNION ALL
		SELECT FROM pg_catalog.pg_namespace AS n
			CROSS JOIN LATERAL pg_catalog.aclexplode(n.nspacl) AS a
			LEFT JOIN pg_catalog.pg_roles AS r ON r.oid OPERATOR(pg_catalog.=) a.grantee
			WHERE n.nspname OPERATOR(pg_catalog.=) 'provenance'
				AND a.privilege_type OPERATOR(pg_catalog.=) 'CREATE' AND r.rolsuper IS NOT TRUE)
	THEN
		RAISE EXCEPTION USING ERRCODE = 'insufficient_privilege',
			MESSAGE = 'schema "provenance" is not the superuser''s alone',
			DETAIL = 'It belongs to another role, or another role may create objects in it.',
			HINT = 'Drop the schema; CREATE EXTENSION makes it.';
	END IF;
	-- what is there already would be found beside the extension's own
	IF EXISTS (
		SELECT FROM pg_catalog.pg_depend AS d
			JOIN pg_catalog.pg_namespace AS n ON n.oid OPERATOR(pg_catalog.=) d.refobjid
			WHERE d.refclassid OPERATOR(pg_catalog.=) 'pg_catalog.pg_namespace'::pg_catalog.regclass
				AND n.nspname OPERATOR(pg_catalog.=) 'provenance'
				AND d.deptype OPERATOR(pg_catalog.=) 'n'
				AND d.classid OPERATOR(pg_catalog.<>) 'pg_catalog.pg_extension'::pg_catalog.regclass)
	THEN
		RAISE EXCEPTION USING ERRCODE = 'object_not_in_prerequisite_state',
			MESSAGE = 'schema "provenance" is not empty',
			HINT = 'Drop the schema; CREATE EXTENSION makes it.';
	END IF;
END
$$;

GRANT USAGE ON SCHEMA provenance TO PUBLIC;
-- The types hash, checkpoint and proof, and what can be checked without a
-- ledger.

-- hash

CREATE TYPE hash;

CREATE FUNCTION hash_in(cstring) RETURNS hash
	LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'provenance_hash_in';
COMMENT ON FUNCTION hash_in(cstring) IS 'text to hash';

CREATE FUNCTION hash_out(hash) RETURNS cstring
	LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'provenance_hash_out';
COMMENT ON FUNCTION hash_out(hash) IS 'hash to text';

CREATE FUNCTION hash_recv(internal) RETURNS hash
	LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'provenance_hash_recv';
COMMENT ON FUNCTION hash_recv(internal) IS 'binary to hash';

CREATE FUNCTION hash_send(hash) RETURNS bytea
	LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'provenance_hash_send';
COMMENT ON FUNCTION hash_send(hash) IS 'hash to binary';

CREATE TYPE hash (
	INPUT = hash_in,
	OUTPUT = hash_out,
	RECEIVE = hash_recv,
	SEND = hash_send,
	INTERNALLENGTH = 32,
	ALIGNMENT = char,
	STORAGE = plain
);
COMMENT ON TYPE hash IS 'SHA-256 hash: 64 lower-case hexadecimal digits';

CREATE FUNCTION hash_lt(hash, hash) RETURNS boolean
	LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'provenance_hash_lt';
COMMENT ON FUNCTION hash_lt(hash, hash) IS 'implementation of < operator';

CREATE FUNCTION hash_le(hash, hash) RETURNS boolean
	LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'provenance_hash_le';
COMMENT ON FUNCTION hash_le(hash, hash) IS 'implementation of <= operator';

CREATE FUNCTION hash_eq(hash, hash) RETURNS boolean
	LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'provenance_hash_eq';
COMMENT ON FUNCTION hash_eq(hash, hash) IS 'implementation of = operator';

CREATE FUNCTION hash_ne(hash, hash) RETURNS boolean
	LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'provenance_hash_ne';
COMMENT ON FUNCTION hash_ne(hash, hash) IS 'implementation of <> operator';

CREATE FUNCTION hash_ge(hash, hash) RETURNS boolean
	LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'provenance_hash_ge';
COMMENT ON FUNCTION hash_ge(hash, hash) IS 'implementation of >= operator';

CREATE FUNCTION hash_gt(hash, hash) RETURNS boolean
	LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'provenance_hash_gt';
COMMENT ON FUNCTION hash_gt(hash, hash) IS 'implementation of > operator';

CREATE FUNCTION hash_cmp(hash, hash) RETURNS int
	LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'provenance_hash_cmp';
COMMENT ON FUNCTION hash_cmp(hash, hash) IS 'less-equal-greater';

CREATE FUNCTION hash_sortsupport(internal) RETURNS void
	LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'provenance_hash_sortsupport';
COMMENT ON FUNCTION hash_sortsupport(internal) IS 'sort support';

CREATE FUNCTION hash_hash(hash) RETURNS int
	LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'provenance_hash_hash';
COMMENT ON FUNCTION hash_hash(hash) IS 'hash';

CREATE FUNCTION hash_hash_extended(hash, bigint) RETURNS bigint
	LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'provenance_hash_hash_extended';
COMMENT ON FUNCTION hash_hash_extended(hash, bigint) IS 'hash';

CREATE OPERATOR < (
	LEFTARG = hash, RIGHTARG = hash, FUNCTION = hash_lt,
	COMMUTATOR = >, NEGATOR = >=,
	RESTRICT = scalarltsel, JOIN = scalarltjoinsel
);
COMMENT ON OPERATOR < (hash, hash) IS 'less than';

CREATE OPERATOR <= (
	LEFTARG = hash, RIGHTARG = hash, FUNCTION = hash_le,
	COMMUTATOR = >=, NEGATOR = >,
	RESTRICT = scalarlesel, JOIN = scalarlejoinsel
);
COMMENT ON OPERATOR <= (hash, hash) IS 'less than or equal';

CREATE OPERATOR = (
	LEFTARG = hash, RIGHTARG = hash, FUNCTION = hash_eq,
	COMMUTATOR = =, NEGATOR = <>,
	RESTRICT = eqsel, JOIN = eqjoinsel, HASHES, MERGES
);
COMMENT ON OPERATOR = (hash, hash) IS 'equal';

CREATE OPERATOR <> (
	LEFTARG = hash, RIGHTARG = hash, FUNCTION = hash_ne,
	COMMUTATOR = <>, NEGATOR = =,
	RESTRICT = neqsel, JOIN = neqjoinsel
);
COMMENT ON OPERATOR <> (hash, hash) IS 'not equal';

CREATE OPERATOR >= (
	LEFTARG = hash, RIGHTARG = hash, FUNCTION = hash_ge,
	COMMUTATOR = <=, NEGATOR = <,
	RESTRICT = scalargesel, JOIN = scalargejoinsel
);
COMMENT ON OPERATOR >= (hash, hash) IS 'greater than or equal';

CREATE OPERATOR > (
	LEFTARG = hash, RIGHTARG = hash, FUNCTION = hash_gt,
	COMMUTATOR = <, NEGATOR = <=,
	RESTRICT = scalargtsel, JOIN = scalargtjoinsel
);
COMMENT ON OPERATOR > (hash, hash) IS 'greater than';

CREATE OPERATOR CLASS hash_ops DEFAULT FOR TYPE hash USING btree AS
	OPERATOR 1 <,
	OPERATOR 2 <=,
	OPERATOR 3 =,
	OPERATOR 4 >=,
	OPERATOR 5 >,
	FUNCTION 1 hash_cmp(hash, hash),
	FUNCTION 2 hash_sortsupport(internal),
	FUNCTION 4 pg_catalog.btequalimage(oid);
COMMENT ON OPERATOR CLASS hash_ops USING btree IS 'order of the bytes';
COMMENT ON OPERATOR FAMILY hash_ops USING btree IS 'order of the bytes';

CREATE OPERATOR CLASS hash_ops DEFAULT FOR TYPE hash USING hash AS
	OPERATOR 1 =,
	FUNCTION 1 hash_hash(hash),
	FUNCTION 2 hash_hash_extended(hash, bigint);
COMMENT ON OPERATOR CLASS hash_ops USING hash IS 'equality of the bytes';
COMMENT ON OPERATOR FAMILY hash_ops USING hash IS 'equality of the bytes';

CREATE FUNCTION hash(bytea) RETURNS hash
	LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'provenance_hash_from_bytea';
COMMENT ON FUNCTION hash(bytea) IS 'hash of these 32 bytes';

CREATE FUNCTION bytea(hash) RETURNS bytea
	LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'provenance_hash_to_bytea';
COMMENT ON FUNCTION bytea(hash) IS 'the 32 bytes of a hash';

CREATE CAST (bytea AS hash) WITH FUNCTION hash(bytea);
COMMENT ON CAST (bytea AS hash) IS '32 bytes taken as a hash';
CREATE CAST (hash AS bytea) WITH FUNCTION bytea(hash) AS ASSIGNMENT;
COMMENT ON CAST (hash AS bytea) IS 'the 32 bytes of a hash';

-- checkpoint

CREATE TYPE checkpoint;

CREATE FUNCTION checkpoint_in(cstring) RETURNS checkpoint
	LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'provenance_checkpoint_in';
COMMENT ON FUNCTION checkpoint_in(cstring) IS 'text to checkpoint';

CREATE FUNCTION checkpoint_out(checkpoint) RETURNS cstring
	LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'provenance_checkpoint_out';
COMMENT ON FUNCTION checkpoint_out(checkpoint) IS 'checkpoint to text';

CREATE FUNCTION checkpoint_recv(internal) RETURNS checkpoint
	LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'provenance_checkpoint_recv';
COMMENT ON FUNCTION checkpoint_recv(internal) IS 'binary to checkpoint';

CREATE FUNCTION checkpoint_send(checkpoint) RETURNS bytea
	LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'provenance_checkpoint_send';
COMMENT ON FUNCTION checkpoint_send(checkpoint) IS 'checkpoint to binary';

CREATE TYPE checkpoint (
	INPUT = checkpoint_in,
	OUTPUT = checkpoint_out,
	RECEIVE = checkpoint_recv,
	SEND = checkpoint_send,
	INTERNALLENGTH = VARIABLE,
	ALIGNMENT = int4,
	STORAGE = extended
);
COMMENT ON TYPE checkpoint IS 'signed head of a log: a C2SP tlog-checkpoint signed note, verbatim';

-- A checkpoint is laid out like a bytea: the server's own comparisons serve.

CREATE FUNCTION checkpoint_lt(checkpoint, checkpoint) RETURNS boolean
	LANGUAGE internal IMMUTABLE STRICT PARALLEL SAFE
	AS 'bytealt';
COMMENT ON FUNCTION checkpoint_lt(checkpoint, checkpoint) IS 'implementation of < operator';

CREATE FUNCTION checkpoint_le(checkpoint, checkpoint) RETURNS boolean
	LANGUAGE internal IMMUTABLE STRICT PARALLEL SAFE
	AS 'byteale';
COMMENT ON FUNCTION checkpoint_le(checkpoint, checkpoint) IS 'implementation of <= operator';

CREATE FUNCTION checkpoint_eq(checkpoint, checkpoint) RETURNS boolean
	LANGUAGE internal IMMUTABLE STRICT PARALLEL SAFE
	AS 'byteaeq';
COMMENT ON FUNCTION checkpoint_eq(checkpoint, checkpoint) IS 'implementation of = operator';

CREATE FUNCTION checkpoint_ne(checkpoint, checkpoint) RETURNS boolean
	LANGUAGE internal IMMUTABLE STRICT PARALLEL SAFE
	AS 'byteane';
COMMENT ON FUNCTION checkpoint_ne(checkpoint, checkpoint) IS 'implementation of <> operator';

CREATE FUNCTION checkpoint_ge(checkpoint, checkpoint) RETURNS boolean
	LANGUAGE internal IMMUTABLE STRICT PARALLEL SAFE
	AS 'byteage';
COMMENT ON FUNCTION checkpoint_ge(checkpoint, checkpoint) IS 'implementation of >= operator';

CREATE FUNCTION checkpoint_gt(checkpoint, checkpoint) RETURNS boolean
	LANGUAGE internal IMMUTABLE STRICT PARALLEL SAFE
	AS 'byteagt';
COMMENT ON FUNCTION checkpoint_gt(checkpoint, checkpoint) IS 'implementation of > operator';

CREATE FUNCTION checkpoint_cmp(checkpoint, checkpoint) RETURNS int
	LANGUAGE internal IMMUTABLE STRICT PARALLEL SAFE
	AS 'byteacmp';
COMMENT ON FUNCTION checkpoint_cmp(checkpoint, checkpoint) IS 'less-equal-greater';

CREATE FUNCTION checkpoint_sortsupport(internal) RETURNS void
	LANGUAGE internal IMMUTABLE STRICT PARALLEL SAFE
	AS 'bytea_sortsupport';
COMMENT ON FUNCTION checkpoint_sortsupport(internal) IS 'sort support';

CREATE FUNCTION checkpoint_hash(checkpoint) RETURNS int
	LANGUAGE internal IMMUTABLE STRICT PARALLEL SAFE
	AS 'hashvarlena';
COMMENT ON FUNCTION checkpoint_hash(checkpoint) IS 'hash';

CREATE FUNCTION checkpoint_hash_extended(checkpoint, bigint) RETURNS bigint
	LANGUAGE internal IMMUTABLE STRICT PARALLEL SAFE
	AS 'hashvarlenaextended';
COMMENT ON FUNCTION checkpoint_hash_extended(checkpoint, bigint) IS 'hash';

CREATE OPERATOR < (
	LEFTARG = checkpoint, RIGHTARG = checkpoint, FUNCTION = checkpoint_lt,
	COMMUTATOR = >, NEGATOR = >=,
	RESTRICT = scalarltsel, JOIN = scalarltjoinsel
);
COMMENT ON OPERATOR < (checkpoint, checkpoint) IS 'less than';

CREATE OPERATOR <= (
	LEFTARG = checkpoint, RIGHTARG = checkpoint, FUNCTION = checkpoint_le,
	COMMUTATOR = >=, NEGATOR = >,
	RESTRICT = scalarlesel, JOIN = scalarlejoinsel
);
COMMENT ON OPERATOR <= (checkpoint, checkpoint) IS 'less than or equal';

CREATE OPERATOR = (
	LEFTARG = checkpoint, RIGHTARG = checkpoint, FUNCTION = checkpoint_eq,
	COMMUTATOR = =, NEGATOR = <>,
	RESTRICT = eqsel, JOIN = eqjoinsel, HASHES, MERGES
);
COMMENT ON OPERATOR = (checkpoint, checkpoint) IS 'equal';

CREATE OPERATOR <> (
	LEFTARG = checkpoint, RIGHTARG = checkpoint, FUNCTION = checkpoint_ne,
	COMMUTATOR = <>, NEGATOR = =,
	RESTRICT = neqsel, JOIN = neqjoinsel
);
COMMENT ON OPERATOR <> (checkpoint, checkpoint) IS 'not equal';

CREATE OPERATOR >= (
	LEFTARG = checkpoint, RIGHTARG = checkpoint, FUNCTION = checkpoint_ge,
	COMMUTATOR = <=, NEGATOR = <,
	RESTRICT = scalargesel, JOIN = scalargejoinsel
);
COMMENT ON OPERATOR >= (checkpoint, checkpoint) IS 'greater than or equal';

CREATE OPERATOR > (
	LEFTARG = checkpoint, RIGHTARG = checkpoint, FUNCTION = checkpoint_gt,
	COMMUTATOR = <, NEGATOR = <=,
	RESTRICT = scalargtsel, JOIN = scalargtjoinsel
);
COMMENT ON OPERATOR > (checkpoint, checkpoint) IS 'greater than';

CREATE OPERATOR CLASS checkpoint_ops DEFAULT FOR TYPE checkpoint USING btree AS
	OPERATOR 1 <,
	OPERATOR 2 <=,
	OPERATOR 3 =,
	OPERATOR 4 >=,
	OPERATOR 5 >,
	FUNCTION 1 checkpoint_cmp(checkpoint, checkpoint),
	FUNCTION 2 checkpoint_sortsupport(internal),
	FUNCTION 4 pg_catalog.btequalimage(oid);
COMMENT ON OPERATOR CLASS checkpoint_ops USING btree IS 'order of the bytes';
COMMENT ON OPERATOR FAMILY checkpoint_ops USING btree IS 'order of the bytes';

CREATE OPERATOR CLASS checkpoint_ops DEFAULT FOR TYPE checkpoint USING hash AS
	OPERATOR 1 =,
	FUNCTION 1 checkpoint_hash(checkpoint),
	FUNCTION 2 checkpoint_hash_extended(checkpoint, bigint);
COMMENT ON OPERATOR CLASS checkpoint_ops USING hash IS 'equality of the bytes';
COMMENT ON OPERATOR FAMILY checkpoint_ops USING hash IS 'equality of the bytes';

CREATE FUNCTION origin(checkpoint) RETURNS text
	LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'provenance_checkpoint_origin';
COMMENT ON FUNCTION origin(checkpoint) IS 'name of the log';

CREATE FUNCTION size(checkpoint) RETURNS bigint
	LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'provenance_checkpoint_size';
COMMENT ON FUNCTION size(checkpoint) IS 'number of leaves';

CREATE FUNCTION root(checkpoint) RETURNS hash
	LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'provenance_checkpoint_root';
COMMENT ON FUNCTION root(checkpoint) IS 'root of the tree';

CREATE FUNCTION note(checkpoint) RETURNS bytea
	LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'provenance_checkpoint_note';
COMMENT ON FUNCTION note(checkpoint) IS 'the exact bytes';

-- proof

CREATE TYPE proof;

CREATE FUNCTION proof_in(cstring) RETURNS proof
	LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'provenance_proof_in';
COMMENT ON FUNCTION proof_in(cstring) IS 'text to proof';

CREATE FUNCTION proof_out(proof) RETURNS cstring
	LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'provenance_proof_out';
COMMENT ON FUNCTION proof_out(proof) IS 'proof to text';

CREATE FUNCTION proof_recv(internal) RETURNS proof
	LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'provenance_proof_recv';
COMMENT ON FUNCTION proof_recv(internal) IS 'binary to proof';

CREATE FUNCTION proof_send(proof) RETURNS bytea
	LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'provenance_proof_send';
COMMENT ON FUNCTION proof_send(proof) IS 'proof to binary';

CREATE TYPE proof (
	INPUT = proof_in,
	OUTPUT = proof_out,
	RECEIVE = proof_recv,
	SEND = proof_send,
	INTERNALLENGTH = VARIABLE,
	ALIGNMENT = int4,
	STORAGE = extended
);
COMMENT ON TYPE proof IS 'inclusion proof with its checkpoint: a C2SP tlog-proof, verbatim';

-- A proof is laid out like a bytea: the server's own comparisons serve.

CREATE FUNCTION proof_lt(proof, proof) RETURNS boolean
	LANGUAGE internal IMMUTABLE STRICT PARALLEL SAFE
	AS 'bytealt';
COMMENT ON FUNCTION proof_lt(proof, proof) IS 'implementation of < operator';

CREATE FUNCTION proof_le(proof, proof) RETURNS boolean
	LANGUAGE internal IMMUTABLE STRICT PARALLEL SAFE
	AS 'byteale';
COMMENT ON FUNCTION proof_le(proof, proof) IS 'implementation of <= operator';

CREATE FUNCTION proof_eq(proof, proof) RETURNS boolean
	LANGUAGE internal IMMUTABLE STRICT PARALLEL SAFE
	AS 'byteaeq';
COMMENT ON FUNCTION proof_eq(proof, proof) IS 'implementation of = operator';

CREATE FUNCTION proof_ne(proof, proof) RETURNS boolean
	LANGUAGE internal IMMUTABLE STRICT PARALLEL SAFE
	AS 'byteane';
COMMENT ON FUNCTION proof_ne(proof, proof) IS 'implementation of <> operator';

CREATE FUNCTION proof_ge(proof, proof) RETURNS boolean
	LANGUAGE internal IMMUTABLE STRICT PARALLEL SAFE
	AS 'byteage';
COMMENT ON FUNCTION proof_ge(proof, proof) IS 'implementation of >= operator';

CREATE FUNCTION proof_gt(proof, proof) RETURNS boolean
	LANGUAGE internal IMMUTABLE STRICT PARALLEL SAFE
	AS 'byteagt';
COMMENT ON FUNCTION proof_gt(proof, proof) IS 'implementation of > operator';

CREATE FUNCTION proof_cmp(proof, proof) RETURNS int
	LANGUAGE internal IMMUTABLE STRICT PARALLEL SAFE
	AS 'byteacmp';
COMMENT ON FUNCTION proof_cmp(proof, proof) IS 'less-equal-greater';

CREATE FUNCTION proof_sortsupport(internal) RETURNS void
	LANGUAGE internal IMMUTABLE STRICT PARALLEL SAFE
	AS 'bytea_sortsupport';
COMMENT ON FUNCTION proof_sortsupport(internal) IS 'sort support';

CREATE FUNCTION proof_hash(proof) RETURNS int
	LANGUAGE internal IMMUTABLE STRICT PARALLEL SAFE
	AS 'hashvarlena';
COMMENT ON FUNCTION proof_hash(proof) IS 'hash';

CREATE FUNCTION proof_hash_extended(proof, bigint) RETURNS bigint
	LANGUAGE internal IMMUTABLE STRICT PARALLEL SAFE
	AS 'hashvarlenaextended';
COMMENT ON FUNCTION proof_hash_extended(proof, bigint) IS 'hash';

CREATE OPERATOR < (
	LEFTARG = proof, RIGHTARG = proof, FUNCTION = proof_lt,
	COMMUTATOR = >, NEGATOR = >=,
	RESTRICT = scalarltsel, JOIN = scalarltjoinsel
);
COMMENT ON OPERATOR < (proof, proof) IS 'less than';

CREATE OPERATOR <= (
	LEFTARG = proof, RIGHTARG = proof, FUNCTION = proof_le,
	COMMUTATOR = >=, NEGATOR = >,
	RESTRICT = scalarlesel, JOIN = scalarlejoinsel
);
COMMENT ON OPERATOR <= (proof, proof) IS 'less than or equal';

CREATE OPERATOR = (
	LEFTARG = proof, RIGHTARG = proof, FUNCTION = proof_eq,
	COMMUTATOR = =, NEGATOR = <>,
	RESTRICT = eqsel, JOIN = eqjoinsel, HASHES, MERGES
);
COMMENT ON OPERATOR = (proof, proof) IS 'equal';

CREATE OPERATOR <> (
	LEFTARG = proof, RIGHTARG = proof, FUNCTION = proof_ne,
	COMMUTATOR = <>, NEGATOR = =,
	RESTRICT = neqsel, JOIN = neqjoinsel
);
COMMENT ON OPERATOR <> (proof, proof) IS 'not equal';

CREATE OPERATOR >= (
	LEFTARG = proof, RIGHTARG = proof, FUNCTION = proof_ge,
	COMMUTATOR = <=, NEGATOR = <,
	RESTRICT = scalargesel, JOIN = scalargejoinsel
);
COMMENT ON OPERATOR >= (proof, proof) IS 'greater than or equal';

CREATE OPERATOR > (
	LEFTARG = proof, RIGHTARG = proof, FUNCTION = proof_gt,
	COMMUTATOR = <, NEGATOR = <=,
	RESTRICT = scalargtsel, JOIN = scalargtjoinsel
);
COMMENT ON OPERATOR > (proof, proof) IS 'greater than';

CREATE OPERATOR CLASS proof_ops DEFAULT FOR TYPE proof USING btree AS
	OPERATOR 1 <,
	OPERATOR 2 <=,
	OPERATOR 3 =,
	OPERATOR 4 >=,
	OPERATOR 5 >,
	FUNCTION 1 proof_cmp(proof, proof),
	FUNCTION 2 proof_sortsupport(internal),
	FUNCTION 4 pg_catalog.btequalimage(oid);
COMMENT ON OPERATOR CLASS proof_ops USING btree IS 'order of the bytes';
COMMENT ON OPERATOR FAMILY proof_ops USING btree IS 'order of the bytes';

CREATE OPERATOR CLASS proof_ops DEFAULT FOR TYPE proof USING hash AS
	OPERATOR 1 =,
	FUNCTION 1 proof_hash(proof),
	FUNCTION 2 proof_hash_extended(proof, bigint);
COMMENT ON OPERATOR CLASS proof_ops USING hash IS 'equality of the bytes';
COMMENT ON OPERATOR FAMILY proof_ops USING hash IS 'equality of the bytes';

CREATE FUNCTION leaf_index(proof) RETURNS bigint
	LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'provenance_proof_leaf_index';
COMMENT ON FUNCTION leaf_index(proof) IS 'index of the leaf';

CREATE FUNCTION path(proof) RETURNS hash[]
	LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'provenance_proof_path';
COMMENT ON FUNCTION path(proof) IS 'hashes from the sibling of the leaf up';

CREATE FUNCTION checkpoint(proof) RETURNS checkpoint
	LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'provenance_proof_checkpoint';
COMMENT ON FUNCTION checkpoint(proof) IS 'checkpoint that the path leads to';

-- Checks that need no ledger

CREATE FUNCTION leaf_hash(leaf bytea) RETURNS hash
	LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'provenance_leaf_hash';
COMMENT ON FUNCTION leaf_hash(leaf bytea) IS 'hash of a leaf: SHA-256(0x00 || leaf)';

CREATE FUNCTION verify_inclusion(p proof, leaf bytea, VARIADIC vkeys text[]) RETURNS boolean
	LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 10000
	AS 'MODULE_PATHNAME', 'provenance_verify_inclusion';
COMMENT ON FUNCTION verify_inclusion(p proof, leaf bytea, VARIADIC vkeys text[]) IS 'is the checkpoint signed by one of the keys, and the leaf in it?';

CREATE FUNCTION verify_consistency(old checkpoint, new checkpoint, path hash[], VARIADIC vkeys text[]) RETURNS boolean
	LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 20000
	AS 'MODULE_PATHNAME', 'provenance_verify_consistency';
COMMENT ON FUNCTION verify_consistency(old checkpoint, new checkpoint, path hash[], VARIADIC vkeys text[]) IS 'are both checkpoints signed by one of the keys, and is the new one the old one, extended?';
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
-- Setting up a log, having it sealed and signed, and seeing how it stands.

CREATE FUNCTION setup(origin text) RETURNS text
	LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'provenance_setup';
REVOKE EXECUTE ON FUNCTION setup(text) FROM PUBLIC;
COMMENT ON FUNCTION setup(text) IS 'creates this database''s log: identity, signing key and signer''s state; returns the verifier key';

CREATE FUNCTION verifier_key() RETURNS text
	LANGUAGE c STABLE STRICT PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'provenance_verifier_key';
COMMENT ON FUNCTION verifier_key() IS 'the log''s verifier key, to hand to partners and witnesses';

CREATE FUNCTION seal() RETURNS checkpoint
	LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'provenance_seal';
REVOKE EXECUTE ON FUNCTION seal() FROM PUBLIC;
COMMENT ON FUNCTION seal() IS 'has everything committed before the call sealed and published, by a worker; returns that checkpoint';

CREATE FUNCTION wait_sealed(timeout interval DEFAULT '30 s') RETURNS checkpoint
	LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'provenance_wait_sealed';
COMMENT ON FUNCTION wait_sealed(interval) IS 'waits until everything this session committed is sealed; returns the newest checkpoint published by then, which need not cover it yet, or NULL';

CREATE FUNCTION start_worker() RETURNS void
	LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'provenance_start_worker';
REVOKE EXECUTE ON FUNCTION start_worker() FROM PUBLIC;
COMMENT ON FUNCTION start_worker() IS 'starts this database''s standing worker as the transaction commits, and lets it be started again';

CREATE FUNCTION stop_worker() RETURNS void
	LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'provenance_stop_worker';
REVOKE EXECUTE ON FUNCTION stop_worker() FROM PUBLIC;
COMMENT ON FUNCTION stop_worker() IS 'has the standing worker leave within a second of the commit, and stay away until start_worker(); seal() still works';

CREATE FUNCTION unsealed(OUT pending bigint, OUT oldest_pending timestamptz)
	LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'provenance_unsealed';
COMMENT ON FUNCTION unsealed() IS 'entries committed and not yet in the log, counted up to 100000, and the time of the oldest counted';

CREATE FUNCTION signer() RETURNS text
	LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'provenance_signer';
COMMENT ON FUNCTION signer() IS '"ready", or "stopped: " and why, as far as the caller may know';

CREATE FUNCTION scrubbed(OUT doing text, OUT entries bigint, OUT findings bigint, OUT started_at timestamptz,
						 OUT last_ended_at timestamptz, OUT last_entries bigint, OUT last_findings bigint)
	LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'provenance_scrubbed';
COMMENT ON FUNCTION scrubbed() IS 'how far background verification has come, and what it found; NULLs if this database never had any';

-- pg_stat_activity shows the type of a superuser's process to few.
CREATE FUNCTION worker_pid() RETURNS int
	LANGUAGE sql STABLE PARALLEL RESTRICTED SECURITY DEFINER
	SET search_path = pg_catalog, pg_temp
	AS $$
		SELECT a.pid FROM pg_catalog.pg_stat_activity AS a
			JOIN pg_catalog.pg_database AS d ON d.oid = a.datid
			WHERE a.backend_type = 'provenance worker' AND d.datname = pg_catalog.current_database()
			ORDER BY a.backend_start LIMIT 1
	$$;
COMMENT ON FUNCTION worker_pid() IS 'process id of this database''s standing worker, NULL if none runs';

CREATE FUNCTION cosignatures(incarnation int, size bigint) RETURNS text[]
	LANGUAGE c STABLE STRICT PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'provenance_cosignatures';
COMMENT ON FUNCTION cosignatures(int, bigint) IS 'the witnesses'' signature lines on a checkpoint of ours, as they were added';

CREATE FUNCTION last_cosigned_size() RETURNS bigint
	LANGUAGE c STABLE STRICT PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'provenance_last_cosigned_size';
COMMENT ON FUNCTION last_cosigned_size() IS 'the greatest size that satisfies the witness policy (with a quorum of 0: that one of its witnesses cosigned)';

CREATE VIEW checkpoints AS
	SELECT c.size, c.root, c.signed_at, c.note, cosignatures(c.incarnation, c.size) AS cosignatures
		FROM checkpoint_note AS c
		ORDER BY c.incarnation, c.size;
GRANT SELECT ON checkpoints TO PUBLIC;
COMMENT ON VIEW checkpoints IS 'every checkpoint signed';

-- For everybody, but without the paths of the server's file system, as of
-- data_directory: they stand in errors, too.
CREATE VIEW status AS
	SELECT i.origin,
			i.incarnation,
			coalesce(s.log_size, 0) + u.pending AS entries,
			u.pending,
			u.oldest_pending,
			coalesce(s.log_size, 0) AS log_size,
			c.size AS published_size,
			c.signed_at AS last_checkpoint_at,
			last_cosigned_size() AS last_cosigned_size,
			signer() AS signer,
			worker_pid() AS worker_pid,
			CASE WHEN pg_catalog.pg_has_role('pg_read_all_stats', 'USAGE') THEN w.last_error END AS last_error,
			(SELECT count(*) FROM registry AS r WHERE r.untagged_at IS NULL AND r.table_id < 2000000000) AS tagged_tables,
			w.last_error_at,
			CASE WHEN pg_catalog.pg_has_role('pg_read_all_settings', 'USAGE') THEN i.state_directory END AS state_directory,
			b.doing AS scrubbing,
			b.findings AS scrub_findings,
			b.last_ended_at AS last_scrub_at,
			b.last_findings AS last_scrub_findings
		FROM (VALUES (1)) AS one (id)
			CROSS JOIN LATERAL unsealed() AS u
			CROSS JOIN LATERAL scrubbed() AS b
			LEFT JOIN log_identity AS i ON i.id = one.id
			LEFT JOIN seal_state AS s ON s.id = one.id
			LEFT JOIN worker_state AS w ON w.id = one.id
			LEFT JOIN LATERAL (
				SELECT n.size, n.signed_at FROM checkpoint_note AS n
					WHERE n.incarnation = i.incarnation
					ORDER BY n.size DESC LIMIT 1) AS c ON true;
GRANT SELECT ON status TO PUBLIC;
COMMENT ON VIEW status IS 'one row: how this database''s log stands';
-- The log's keys and incarnations over time. Both tables are tagged by the
-- extension itself when their first row is written: their rows are entries of
-- the log.

-- Successors of a log: when and why, and the head that was given up.
CREATE TABLE incarnation (
	n					int PRIMARY KEY,
	started_at			timestamptz NOT NULL,
	since_size			bigint NOT NULL,		-- the tree's size then
	reason				text NOT NULL,
	vkey				text NOT NULL,
	abandoned_origin	text,					-- NULL: nothing is known of what came before
	abandoned_size		bigint,
	abandoned_root		hash,
	abandoned_note		checkpoint				-- the last note known; NULL if none
);
COMMENT ON TABLE incarnation IS 'successors of the log: when each began, why, and the head that it gave up';

-- One key after another.
CREATE TABLE key_handover (
	new_vkey			text PRIMARY KEY,
	old_vkey			text NOT NULL,
	incarnation			int NOT NULL,
	since_size			bigint NOT NULL,		-- greater checkpoints bear the new key's signature
	started_at			timestamptz NOT NULL
);
COMMENT ON TABLE key_handover IS 'changes of the log''s key: checkpoints greater than since_size bear the new key''s signature';

SELECT pg_catalog.pg_extension_config_dump('incarnation', '');
SELECT pg_catalog.pg_extension_config_dump('key_handover', '');

CREATE FUNCTION adopt(kept checkpoint DEFAULT NULL) RETURNS text
	LANGUAGE c VOLATILE PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'provenance_adopt';
REVOKE EXECUTE ON FUNCTION adopt(checkpoint) FROM PUBLIC;
COMMENT ON FUNCTION adopt(checkpoint) IS 'after a failover, a move or a restore: this database goes on signing the log, which must extend that checkpoint; returns the verifier key';

CREATE FUNCTION new_incarnation(reason text, n int DEFAULT NULL) RETURNS text
	LANGUAGE c VOLATILE PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'provenance_new_incarnation';
REVOKE EXECUTE ON FUNCTION new_incarnation(text, int) FROM PUBLIC;
COMMENT ON FUNCTION new_incarnation(text, int) IS 'gives the log''s head up and goes on under origin/n with a new key; returns the verifier key';

CREATE FUNCTION rotate_key() RETURNS text
	LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'provenance_rotate_key';
REVOKE EXECUTE ON FUNCTION rotate_key() FROM PUBLIC;
COMMENT ON FUNCTION rotate_key() IS 'a new signing key; the old one signs too during provenance.key_overlap; returns the new verifier key';

CREATE VIEW incarnations AS
	SELECT i.n, i.started_at, i.since_size, i.reason, i.vkey, i.abandoned_origin, i.abandoned_size, i.abandoned_root, i.abandoned_note
		FROM incarnation AS i
		ORDER BY i.n;
GRANT SELECT ON incarnations TO PUBLIC;
COMMENT ON VIEW incarnations IS 'successors of the log: when each began, why, and the head that it gave up';

CREATE VIEW verifier_keys AS
	SELECT k.incarnation, k.since_size, k.vkey, k.created_at
		FROM log_key AS k
		ORDER BY k.incarnation, k.since_size, k.created_at;
GRANT SELECT ON verifier_keys TO PUBLIC;
COMMENT ON VIEW verifier_keys IS 'every verifier key the log has had: checkpoints greater than since_size bear its signature, until the next key';
-- Tagging tables, and the trigger function that records their changes.

CREATE FUNCTION capture() RETURNS trigger
	AS 'MODULE_PATHNAME', 'provenance_capture'
	LANGUAGE C;
-- Executable by all: the server asks it of whoever creates or attaches a
-- partition of a tagged table. It records nothing of a table that is not
-- tagged under the id that the trigger gives it.
COMMENT ON FUNCTION capture() IS 'trigger function of tagged tables: records a change';

CREATE FUNCTION tag(target regclass, subject text DEFAULT NULL, mode text DEFAULT 'track',
					exclude name[] DEFAULT '{}', baseline text DEFAULT 'now',
					require_countersignature boolean DEFAULT false) RETURNS bigint
	AS 'MODULE_PATHNAME', 'provenance_tag'
	LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION tag(regclass, text, text, name[], text, boolean) IS 'starts recording a table; returns the number of rows recorded as they are, 0 if the worker is to do that later';

CREATE FUNCTION untag(target regclass) RETURNS void
	AS 'MODULE_PATHNAME', 'provenance_untag'
	LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE;
COMMENT ON FUNCTION untag(regclass) IS 'stops recording a table; its history stays';

-- Tables by name first: their OIDs change with a restore.
CREATE VIEW tagged_table WITH (security_barrier) AS
	SELECT c.oid::regclass AS "table", r.mode, r.subject, r.exclude, r.tagged_at,
		   coalesce(h.entries, 0) AS entries, r.require_countersignature,
		   CASE WHEN p.table_id IS NULL THEN 'done' ELSE 'running' END AS baseline, p.rows AS baseline_rows
	FROM provenance.registry r
		 JOIN pg_catalog.pg_class c ON c.oid = coalesce(
			(SELECT x.oid FROM pg_catalog.pg_class x JOIN pg_catalog.pg_namespace n ON n.oid = x.relnamespace
			 WHERE x.relname = r.table_name AND n.nspname = r.schema_name), r.relid)
		 LEFT JOIN provenance.table_head h USING (table_id)
		 LEFT JOIN provenance.baseline_phase p USING (table_id)
	WHERE r.untagged_at IS NULL AND r.table_id < 2000000000		-- not the extension's own
		  AND (pg_catalog.has_any_column_privilege(c.oid, 'SELECT') OR pg_catalog.pg_has_role(c.relowner, 'USAGE'));
GRANT SELECT ON tagged_table TO PUBLIC;
COMMENT ON VIEW tagged_table IS 'tagged tables that the user may read or owns; entries counts those sealed';
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
-- Verification: four questions. Findings are rows; no rows = intact. So none is
-- STRICT: a NULL, of a subquery that finds nothing, must not be called intact.

CREATE FUNCTION verify_row(target regclass, VARIADIC key "any") RETURNS SETOF finding
	LANGUAGE C VOLATILE PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'provenance_verify_row';
COMMENT ON FUNCTION verify_row(regclass, "any") IS 'is the history of one row unbroken, and the row what it says? no rows = intact';

CREATE FUNCTION verify_table(target regclass) RETURNS SETOF finding
	LANGUAGE C VOLATILE PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'provenance_verify_table';
COMMENT ON FUNCTION verify_table(regclass) IS 'are the row chains of a table unbroken, its rows their last images, its triggers in place? no rows = intact';

CREATE FUNCTION verify_log(since_size bigint DEFAULT 0) RETURNS SETOF finding
	LANGUAGE C VOLATILE PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'provenance_verify_log';
COMMENT ON FUNCTION verify_log(bigint) IS 'do the entries give the leaves, the tree and every signed root? no rows = intact';

CREATE FUNCTION verify_checkpoint(kept checkpoint) RETURNS SETOF finding
	LANGUAGE C VOLATILE PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'provenance_verify_checkpoint';
COMMENT ON FUNCTION verify_checkpoint(checkpoint) IS 'does the log contain and extend a checkpoint that someone has kept? no rows = intact';

CREATE FUNCTION verify(since_size bigint DEFAULT 0, budget interval DEFAULT NULL) RETURNS SETOF finding
	LANGUAGE C VOLATILE PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'provenance_verify';
COMMENT ON FUNCTION verify(bigint, interval) IS 'verifies the log, its checkpoints and every tagged table; with a budget, a sample in that time; no rows = intact';

CREATE FUNCTION running_verifications(OUT pid int, OUT database oid, OUT what text, OUT done bigint, OUT total bigint,
									  OUT started_at timestamptz) RETURNS SETOF record
	LANGUAGE C VOLATILE PARALLEL RESTRICTED
	AS 'MODULE_PATHNAME', 'provenance_running_verifications';
COMMENT ON FUNCTION running_verifications() IS 'what the view progress shows';

CREATE VIEW progress AS
	SELECT r.pid, d.datname AS database, r.what, r.done, r.total, r.started_at
		FROM running_verifications() AS r LEFT JOIN pg_database AS d ON d.oid = r.database;
GRANT SELECT ON progress TO PUBLIC;
COMMENT ON VIEW progress IS 'verifications running in this server, if the library is preloaded; total is null if not known';
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
-- Partners: whose checkpoints this database believes. The registry itself is
-- readable for nobody, because of the pseudonym keys in it.

CREATE FUNCTION add_partner(name text, VARIADIC vkeys text[]) RETURNS void
	LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'provenance_add_partner';
REVOKE EXECUTE ON FUNCTION add_partner(text, text[]) FROM PUBLIC;
COMMENT ON FUNCTION add_partner(text, text[]) IS 'a partner whose checkpoints this database believes if one of these keys signed them; again: replaces keys';

CREATE FUNCTION add_partner(name text, vkeys text[], witnesses text[], quorum int) RETURNS void
	LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'provenance_add_partner_witnessed';
REVOKE EXECUTE ON FUNCTION add_partner(text, text[], text[], int) FROM PUBLIC;
COMMENT ON FUNCTION add_partner(text, text[], text[], int) IS 'a partner whose checkpoints this database believes if so many of those witnesses cosigned them too';

CREATE FUNCTION remove_partner(name text) RETURNS void
	LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'provenance_remove_partner';
REVOKE EXECUTE ON FUNCTION remove_partner(text) FROM PUBLIC;
COMMENT ON FUNCTION remove_partner(text) IS 'nothing more is taken from that partner; what was merged stays';

CREATE FUNCTION resolve_fork(name text, reason text) RETURNS void
	LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'provenance_resolve_fork';
REVOKE EXECUTE ON FUNCTION resolve_fork(text, text) FROM PUBLIC;
COMMENT ON FUNCTION resolve_fork(text, text) IS 'an administrator trusts a forked partner again; the evidence stays';

CREATE FUNCTION set_pseudonym_key(name text, key bytea) RETURNS void
	LANGUAGE c VOLATILE PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'provenance_set_pseudonym_key';
REVOKE EXECUTE ON FUNCTION set_pseudonym_key(text, bytea) FROM PUBLIC;
COMMENT ON FUNCTION set_pseudonym_key(text, bytea) IS 'the 32 bytes agreed with that partner, from which pseudonyms of subjects are made; NULL: none';

CREATE VIEW partner AS
	SELECT p.name, p.origin, p.state, p.vkeys, c.size, c.note AS checkpoint, c.seen_at,
		   coalesce((SELECT sum(m.new_entries)::bigint
					 FROM partner_log AS l JOIN merge AS m ON m.origin = l.origin
					 WHERE l.partner_id = p.partner_id), 0) AS entries,
		   p.witnesses, p.quorum, p.added_at, p.removed_at
		FROM partner_registry AS p
		LEFT JOIN LATERAL (
			SELECT s.size, s.note, s.seen_at
				FROM partner_log AS l JOIN partner_checkpoint AS s ON s.log_id = l.log_id
				WHERE l.partner_id = p.partner_id
				ORDER BY s.seen_at DESC, s.log_id DESC, s.size DESC LIMIT 1) AS c ON true
		ORDER BY p.name;
COMMENT ON VIEW partner IS 'partners, their keys, the last checkpoint seen of each, what was merged, and whether they are trusted';

CREATE VIEW fork_evidence AS
	SELECT f.fork_id, p.name AS partner, f.origin, f.kind, f.found_at, f.note_a, f.note_b, f.proof_a, f.proof_b, f.leaf_a, f.leaf_b,
		   f.resolved_at, f.resolved_by, f.reason
		FROM fork_record AS f LEFT JOIN partner_registry AS p ON p.partner_id = f.partner_id
		ORDER BY f.fork_id;
GRANT SELECT ON fork_evidence TO PUBLIC;
COMMENT ON VIEW fork_evidence IS 'contradictions that partners signed, each verifiable by anyone; nothing in them is a value';
-- Bundles out. export_bundle() gives away what the caller may see
-- (src/partner/export.c), and records that it did, so any user may call it.

CREATE FUNCTION export_bundle(target regclass, keys text[] DEFAULT NULL, columns name[] DEFAULT NULL, recipient text DEFAULT NULL, since_size bigint DEFAULT NULL, purpose text DEFAULT NULL, context name[] DEFAULT '{}')
	RETURNS SETOF bundle
	LANGUAGE C VOLATILE PARALLEL UNSAFE COST 100000 ROWS 10000
	AS 'MODULE_PATHNAME', 'provenance_export_bundle';
COMMENT ON FUNCTION export_bundle(target regclass, keys text[], columns name[], recipient text, since_size bigint, purpose text, context name[]) IS 'entries of a table as a bundle for COPY, provable against the newest checkpoint; what is disclosed is recorded first';

-- What was given to whom. Who asked, and of whom the data was, are nobody's to
-- read but the extension's owner's, who may grant it.
CREATE VIEW disclosures AS
	SELECT disclosure_id, disclosed_at, disclosed_by, recipient, purpose, schema_name, table_name,
		   columns, context, since_size, size, root, entries, leaves_root, subjects
	FROM disclosure;
COMMENT ON VIEW disclosures IS 'what export_bundle() gave away: one row for each export';

CREATE VIEW disclosed_subjects AS
	SELECT s.subject, d.disclosure_id, d.disclosed_at, d.recipient, d.purpose, d.schema_name, d.table_name, d.columns
	FROM disclosure_subject s JOIN disclosure d USING (disclosure_id);
COMMENT ON VIEW disclosed_subjects IS 'of whom export_bundle() gave data away, and to whom';
-- The inbox: COPY provenance.inbox FROM … takes a bundle, all or nothing.

CREATE FUNCTION inbox_open(line bigint) RETURNS boolean
	LANGUAGE c VOLATILE PARALLEL RESTRICTED
	AS 'MODULE_PATHNAME', 'provenance_inbox_open';
COMMENT ON FUNCTION inbox_open(bigint) IS 'the check of domain inbox_line: refuses while the inbox''s triggers would not fire';

CREATE DOMAIN inbox_line AS bigint CHECK (inbox_open(VALUE));
COMMENT ON DOMAIN inbox_line IS 'number of a bundle''s line; refused where session_replication_role is replica';

CREATE FUNCTION inbox_begin() RETURNS trigger
	LANGUAGE c AS 'MODULE_PATHNAME', 'provenance_inbox_begin';
REVOKE ALL ON FUNCTION inbox_begin() FROM PUBLIC;
COMMENT ON FUNCTION inbox_begin() IS 'a bundle begins';

CREATE FUNCTION inbox_take() RETURNS trigger
	LANGUAGE c AS 'MODULE_PATHNAME', 'provenance_inbox_take';
REVOKE ALL ON FUNCTION inbox_take() FROM PUBLIC;
COMMENT ON FUNCTION inbox_take() IS 'verifies and merges one line of a bundle';

CREATE FUNCTION inbox_end() RETURNS trigger
	LANGUAGE c AS 'MODULE_PATHNAME', 'provenance_inbox_end';
REVOKE ALL ON FUNCTION inbox_end() FROM PUBLIC;
COMMENT ON FUNCTION inbox_end() IS 'insists that a bundle was complete';

CREATE VIEW inbox AS
	SELECT NULL::bigint::inbox_line AS line, NULL::text AS kind, NULL::text AS content WHERE false;
-- a COPY that leaves the column out would not check its domain
ALTER VIEW inbox ALTER COLUMN line SET DEFAULT NULL::bigint::inbox_line;
COMMENT ON VIEW inbox IS 'COPY a partner''s bundle into it: it is verified and merged, all or nothing';
CREATE TRIGGER provenance_begin BEFORE INSERT ON inbox FOR EACH STATEMENT EXECUTE FUNCTION inbox_begin();
CREATE TRIGGER provenance_line INSTEAD OF INSERT ON inbox FOR EACH ROW EXECUTE FUNCTION inbox_take();
CREATE TRIGGER provenance_end AFTER INSERT ON inbox FOR EACH STATEMENT EXECUTE FUNCTION inbox_end();

CREATE FUNCTION prove_merged(partner text, leaf_index bigint) RETURNS proof
	LANGUAGE c STABLE STRICT PARALLEL UNSAFE COST 10000
	AS 'MODULE_PATHNAME', 'provenance_prove_merged';
REVOKE EXECUTE ON FUNCTION prove_merged(text, bigint) FROM PUBLIC;
COMMENT ON FUNCTION prove_merged(text, bigint) IS 'proof that a merged entry is in the partner''s log at the bundle''s checkpoint';

-- These look at their arguments and at nothing else.
CREATE FUNCTION merged_image(definition bytea, leaf bytea, tokens text,
							 OUT schema_name text, OUT table_name text, OUT key jsonb, OUT op text,
							 OUT changed_at timestamptz, OUT fields jsonb, OUT withheld text[]) RETURNS record
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE COST 10
	AS 'MODULE_PATHNAME', 'provenance_merged_image';
COMMENT ON FUNCTION merged_image(bytea, bytea, text) IS 'what is stored of a merged entry, for view merged_entry';

CREATE FUNCTION merged_context_fields(tokens text) RETURNS jsonb
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE COST 10
	AS 'MODULE_PATHNAME', 'provenance_merged_context_fields';
COMMENT ON FUNCTION merged_context_fields(text) IS 'the disclosed fields of a merged context, for view merged_entry';

CREATE VIEW merged_entry AS
	SELECT p.name AS partner, l.origin, i.schema_name, i.table_name, i.key, i.op, i.changed_at, i.fields, i.withheld,
		   merged_context_fields(c.fields) AS context,
		   m.leaf_hash, m.leaf_index, m.previous AS previous_index, g.size, g.note AS checkpoint, m.pseudonym,
		   merged_context_fields(c.fields) ->> 'source_leaf' AS source_leaf,
		   ARRAY(SELECT s.public_key FROM merged_countersignature AS s
				 WHERE s.log_id = m.log_id AND s.leaf_index = m.leaf_index ORDER BY s.public_key) AS countersigned_by,
		   m.merge_id
		FROM merged_leaf AS m
			JOIN partner_log AS l ON l.log_id = m.log_id
			JOIN partner_registry AS p ON p.partner_id = l.partner_id
			JOIN merged_shape AS s ON s.shape_id = m.shape_id
			JOIN merge AS g ON g.merge_id = m.merge_id
			LEFT JOIN merged_context AS c ON c.context_id = m.context_id
			CROSS JOIN LATERAL merged_image(s.definition, m.leaf, m.fields) AS i;
COMMENT ON VIEW merged_entry IS 'what partners proved, entry by entry';
-- Witnesses: cosigning partners' checkpoints, and having one's own cosigned.

-- The key that this database cosigns with, one for each incarnation. The
-- private half is a file in the signer's state directory.
CREATE TABLE cosigner_key (
	incarnation			int PRIMARY KEY,
	created_at			timestamptz NOT NULL,
	vkey				text NOT NULL
);

-- What this database has cosigned. What binds it is in the state directory;
-- these rows tell when a file there has been lost.
CREATE TABLE cosigned (
	incarnation			int NOT NULL,			-- ours: whose key
	size				bigint NOT NULL,
	cosigned_at			timestamptz NOT NULL,
	origin				text COLLATE "C" NOT NULL,	-- with incarnation
	note				checkpoint NOT NULL,	-- with our line
	PRIMARY KEY (incarnation, origin, size)
);

SELECT pg_catalog.pg_extension_config_dump('cosigner_key', '');
SELECT pg_catalog.pg_extension_config_dump('cosigned', '');

-- The newest cosignature of one witness.
CREATE INDEX checkpoint_cosignature_witness_idx ON checkpoint_cosignature (witness, incarnation, size);

CREATE FUNCTION verify_cosignature(cp checkpoint, line text, vkey text) RETURNS boolean
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE COST 100
	AS 'MODULE_PATHNAME', 'provenance_verify_cosignature';
COMMENT ON FUNCTION verify_cosignature(checkpoint, text, text) IS 'is the line a good cosignature by that key on the checkpoint?';

CREATE FUNCTION setup_witness() RETURNS text
	LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'provenance_setup_witness';
REVOKE EXECUTE ON FUNCTION setup_witness() FROM PUBLIC;
COMMENT ON FUNCTION setup_witness() IS 'creates the key that this database cosigns with; returns its verifier key';

CREATE FUNCTION witness_key() RETURNS text
	LANGUAGE c STABLE STRICT PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'provenance_witness_key';
COMMENT ON FUNCTION witness_key() IS 'the verifier key that this database cosigns with, NULL before setup_witness()';

CREATE FUNCTION cosign(partner text, path hash[] DEFAULT NULL) RETURNS text
	LANGUAGE c VOLATILE PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'provenance_cosign';
REVOKE EXECUTE ON FUNCTION cosign(text, hash[]) FROM PUBLIC;
COMMENT ON FUNCTION cosign(text, hash[]) IS 'has a worker cosign the newest checkpoint verified of that partner, if it extends all that was cosigned of that log; returns the signature line';

CREATE FUNCTION cosign_request(request text) RETURNS text
	LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'provenance_cosign_request';
REVOKE EXECUTE ON FUNCTION cosign_request(text) FROM PUBLIC;
COMMENT ON FUNCTION cosign_request(text) IS 'the same for a C2SP tlog-witness add-checkpoint request of a partner''s log';

CREATE FUNCTION set_witness_policy(quorum int, witnesses text[]) RETURNS void
	LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'provenance_set_witness_policy';
REVOKE EXECUTE ON FUNCTION set_witness_policy(int, text[]) FROM PUBLIC;
COMMENT ON FUNCTION set_witness_policy(int, text[]) IS 'whose cosignatures are taken, and how many of them make a checkpoint of ours a witnessed one';

CREATE FUNCTION add_cosignature(line text, size bigint DEFAULT NULL) RETURNS checkpoint
	LANGUAGE c VOLATILE PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'provenance_add_cosignature';
REVOKE EXECUTE ON FUNCTION add_cosignature(text, bigint) FROM PUBLIC;
COMMENT ON FUNCTION add_cosignature(text, bigint) IS 'verifies and keeps witnesses'' signature lines on a checkpoint of ours; returns it with all it has';

CREATE FUNCTION cosigned_checkpoint(size bigint DEFAULT NULL) RETURNS checkpoint
	LANGUAGE c STABLE PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'provenance_cosigned_checkpoint';
COMMENT ON FUNCTION cosigned_checkpoint(bigint) IS 'the checkpoint of that size, the newest by default, with all its good cosignatures';

CREATE FUNCTION witnessed(size bigint) RETURNS boolean
	LANGUAGE c STABLE STRICT PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'provenance_witnessed';
COMMENT ON FUNCTION witnessed(bigint) IS 'have as many witnesses as the policy wants cosigned a checkpoint of that size or a greater one? NULL: it wants none';

CREATE FUNCTION witness_request(size bigint DEFAULT NULL, old_size bigint DEFAULT NULL) RETURNS text
	LANGUAGE c STABLE PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'provenance_witness_request';
COMMENT ON FUNCTION witness_request(bigint, bigint) IS 'body of a C2SP tlog-witness add-checkpoint request for a checkpoint of ours';
-- One customer's timeline, over the own tables and every partner's.

CREATE FUNCTION subject_changes(target regclass, subject text) RETURNS SETOF change
	LANGUAGE C STABLE PARALLEL RESTRICTED COST 100000 ROWS 100
	AS 'MODULE_PATHNAME', 'provenance_subject_changes';
COMMENT ON FUNCTION subject_changes(target regclass, subject text) IS 'all entries of the rows that are or were of a subject, row by row in the order of the log, of the columns that the caller may select';

CREATE TYPE merged_change AS (
	changed_at	timestamptz,
	partner		text,
	origin		text,
	"table"		text,
	key			jsonb,
	op			text,
	context		jsonb,
	fields		jsonb,
	withheld	text[],
	leaf_index	bigint,
	leaf_hash	hash,
	source_leaf	text,
	countersigned_by bytea[]
);
COMMENT ON TYPE merged_change IS 'one row of what merged_of_subject() gives: a merged entry of a subject';

CREATE FUNCTION merged_of_subject(subject text, leaves hash[]) RETURNS SETOF merged_change
	LANGUAGE C STABLE STRICT PARALLEL UNSAFE COST 100000 ROWS 100
	SET search_path = provenance, pg_catalog, pg_temp	-- its query runs as the extension's owner
	AS 'MODULE_PATHNAME', 'provenance_merged_of_subject';
COMMENT ON FUNCTION merged_of_subject(text, hash[]) IS 'merged entries of a subject, and those that the given leaves stand for, with the entries before them; nothing for those who may not SELECT from merged_entry';

CREATE TYPE pedigree_step AS (
	changed_at	timestamptz,
	partner		text,
	"table"		text,
	key			jsonb,
	op			text,
	image		jsonb,
	changed		text[],
	withheld	text[],
	proof		text,
	actor		text,
	purpose		text,
	source		text,
	source_leaf	hash,
	origin		text,
	seq			bigint,
	leaf_index	bigint,
	leaf_hash	hash,
	countersigned_by bytea[]
);
COMMENT ON TYPE pedigree_step IS 'one row of what pedigree() gives: a step of a subject''s timeline';

CREATE FUNCTION pedigree(subject text) RETURNS SETOF pedigree_step
	LANGUAGE sql STABLE PARALLEL UNSAFE COST 1000000 ROWS 100
	SET search_path = provenance, pg_catalog, pg_temp
	AS $$
		WITH own AS MATERIALIZED (
			SELECT t."table"::text AS name, c.*
				FROM tagged_table AS t
					CROSS JOIN LATERAL subject_changes(t."table", pedigree.subject) AS c
				WHERE NOT row_security_active(t."table")
					AND EXISTS (SELECT FROM pg_attribute AS a
								WHERE a.attrelid = t."table" AND a.attname = t.subject AND NOT a.attisdropped
									AND has_column_privilege(t."table", a.attnum, 'SELECT')))
		SELECT o.changed_at, NULL, o.name, o.key, o.op, o.image, o.changed, NULL::text[],
				CASE WHEN o.leaf_index IS NULL THEN 'own, not yet sealed' ELSE 'own, sealed' END,
				o.actor, o.purpose, o.source, o.source_leaf, regexp_replace(verifier_key(), '[+].*$', ''),
				o.seq, o.leaf_index, o.leaf_hash, o.countersigned_by
			FROM own AS o
		UNION ALL
		SELECT m.changed_at, m.partner, m."table", m.key, m.op, m.fields, NULL, m.withheld, 'merged, verified',
				m.context ->> 'actor', m.context ->> 'purpose', m.context ->> 'source',
				-- a claim: whatever the partner's settings held
				CASE WHEN m.source_leaf ~ '^[0-9a-f]{64}$' THEN m.source_leaf::hash END, m.origin,
				NULL, m.leaf_index, m.leaf_hash, m.countersigned_by
			FROM merged_of_subject(pedigree.subject,
				coalesce((SELECT array_agg(DISTINCT o.source_leaf) FILTER (WHERE o.source_leaf IS NOT NULL) FROM own AS o), '{}')) AS m
		ORDER BY 1, 2 NULLS LAST, 16 NULLS LAST, 15
	$$;
COMMENT ON FUNCTION pedigree(text) IS 'one subject''s timeline over the own tables that the caller may read and every partner''s merged entries, each step with the state of its proof';
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
-- Handing a record from one database to another. Which transactions these are
-- called in, and in which order those are committed, is the caller's affair:
-- doc/operations.md, "Handing records over". For administrators, and whom they
-- grant them: what a log says of handovers is said in the database's name.

CREATE FUNCTION last_commitment() RETURNS hash
	LANGUAGE C VOLATILE PARALLEL RESTRICTED
	AS 'MODULE_PATHNAME', 'provenance_last_commitment';
COMMENT ON FUNCTION last_commitment() IS 'record commitment of the last entry that this session has recorded in its transaction; NULL if there is none';

CREATE FUNCTION handover_give(gid text, partner text, subject text DEFAULT NULL) RETURNS hash
	LANGUAGE C VOLATILE PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'provenance_handover_give';
REVOKE ALL ON FUNCTION handover_give(text, text, text) FROM PUBLIC;
COMMENT ON FUNCTION handover_give(text, text, text) IS 'records that a record is handed to another database; returns the record commitment that this is to take';

CREATE FUNCTION handover_take(gid text, partner text, subject text, record hash) RETURNS hash
	LANGUAGE C VOLATILE PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'provenance_handover_take';
REVOKE ALL ON FUNCTION handover_take(text, text, text, hash) FROM PUBLIC;
COMMENT ON FUNCTION handover_take(text, text, text, hash) IS 'records that a record was taken that another database has given; returns the record commitment that this is to close with';

CREATE FUNCTION handover_close(gid text, record hash) RETURNS hash
	LANGUAGE C VOLATILE PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'provenance_handover_close';
REVOKE ALL ON FUNCTION handover_close(text, hash) FROM PUBLIC;
COMMENT ON FUNCTION handover_close(text, hash) IS 'records how the other database took what was given; once committed, that must commit too';

CREATE FUNCTION handover_confirm(gid text) RETURNS hash
	LANGUAGE C VOLATILE PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'provenance_handover_confirm';
REVOKE ALL ON FUNCTION handover_confirm(text) FROM PUBLIC;
COMMENT ON FUNCTION handover_confirm(text) IS 'records that the other database was seen to have committed what was closed';

CREATE FUNCTION handover_withdraw(gid text) RETURNS hash
	LANGUAGE C VOLATILE PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'provenance_handover_withdraw';
REVOKE ALL ON FUNCTION handover_withdraw(text) FROM PUBLIC;
COMMENT ON FUNCTION handover_withdraw(text) IS 'records that what was given was not taken, and stays';

CREATE FUNCTION handover_record(gid text, step text) RETURNS hash
	LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'provenance_handover_record';
REVOKE ALL ON FUNCTION handover_record(text, text) FROM PUBLIC;
COMMENT ON FUNCTION handover_record(text, text) IS 'record commitment of a step of a handover in this database; NULL if it was not made';

CREATE VIEW handovers AS
	SELECT gid, step, written_at, partner, subject, record FROM provenance.handover;
COMMENT ON VIEW handovers IS 'steps of handovers that this database has committed';

-- The rows of a prepared transaction cannot be seen; its name tells.
CREATE VIEW pending_handovers AS
	SELECT p.name[1] AS gid, p.name[2] AS step, p.prepared AS since, NULL::text AS partner, NULL::text AS subject,
		   p.gid AS prepared,
		   CASE p.name[2]
			   WHEN 'give' THEN format('COMMIT PREPARED %1$L when the other database has %2$L prepared; otherwise ROLLBACK PREPARED %1$L',
									   p.gid, p.name[1] || ':take')
			   ELSE format('COMMIT PREPARED %1$L when the other database has closed %2$L; ROLLBACK PREPARED %1$L when it has neither closed it nor %3$L prepared',
						   p.gid, p.name[1], p.name[1] || ':give')
		   END AS finish
	FROM (SELECT x.gid, x.prepared, regexp_match(x.gid, '^(handover:.+):(give|take)$') AS name
		  FROM pg_catalog.pg_prepared_xacts x WHERE x.database = pg_catalog.current_database()) p
	WHERE p.name IS NOT NULL
	UNION ALL
	SELECT g.gid, g.step, g.written_at, g.partner, g.subject, NULL,
		   format('SELECT provenance.handover_close(%1$L, <hash>) when the other database has taken it and handover_record(%1$L, ''take'') there gives <hash>; otherwise have it taken, or SELECT provenance.handover_withdraw(%1$L)',
				  g.gid)
	FROM provenance.handover g
	WHERE g.step = 'give'
		  AND NOT EXISTS (SELECT FROM provenance.handover e WHERE e.gid = g.gid AND e.step IN ('close', 'withdraw'))
	UNION ALL
	SELECT c.gid, c.step, c.written_at, c.partner, c.subject, NULL,
		   format('COMMIT PREPARED %L in the other database if it is prepared there; then SELECT provenance.handover_confirm(%L)',
				  c.gid || ':take', c.gid)
	FROM provenance.handover c
	WHERE c.step = 'close'
		  AND NOT EXISTS (SELECT FROM provenance.handover e WHERE e.gid = c.gid AND e.step = 'confirm')
		  -- or merged from a bundle: the leaf ends in the record commitment
		  AND NOT EXISTS (SELECT FROM provenance.merged_leaf m WHERE substr(m.leaf, 51) = c.record::bytea);
COMMENT ON VIEW pending_handovers IS 'handovers that were begun in this database and are not known to be finished on both sides, and what finishes each';
-- The guard: what must not happen to the ledger and to tagged tables.

CREATE FUNCTION refuse_change() RETURNS trigger
	LANGUAGE c AS 'MODULE_PATHNAME', 'provenance_refuse_change';
REVOKE ALL ON FUNCTION refuse_change() FROM PUBLIC;
COMMENT ON FUNCTION refuse_change() IS 'refuses UPDATE, DELETE and TRUNCATE of the ledger''s tables';

CREATE FUNCTION ignore_foreign() RETURNS trigger
	LANGUAGE c AS 'MODULE_PATHNAME', 'provenance_ignore_foreign';
REVOKE ALL ON FUNCTION ignore_foreign() FROM PUBLIC;
COMMENT ON FUNCTION ignore_foreign() IS 'has a subscriber''s apply pass over the rows of another database''s ledger';

CREATE TRIGGER provenance_refuse BEFORE UPDATE OR DELETE OR TRUNCATE ON log_identity EXECUTE FUNCTION refuse_change();
CREATE TRIGGER provenance_foreign BEFORE INSERT OR UPDATE OR DELETE ON log_identity FOR EACH ROW EXECUTE FUNCTION ignore_foreign();
CREATE TRIGGER provenance_foreign_truncate BEFORE TRUNCATE ON log_identity EXECUTE FUNCTION ignore_foreign();
ALTER TABLE log_identity ENABLE REPLICA TRIGGER provenance_foreign, ENABLE REPLICA TRIGGER provenance_foreign_truncate;
CREATE TRIGGER provenance_refuse BEFORE UPDATE OR DELETE OR TRUNCATE ON log_key EXECUTE FUNCTION refuse_change();
CREATE TRIGGER provenance_foreign BEFORE INSERT OR UPDATE OR DELETE ON log_key FOR EACH ROW EXECUTE FUNCTION ignore_foreign();
CREATE TRIGGER provenance_foreign_truncate BEFORE TRUNCATE ON log_key EXECUTE FUNCTION ignore_foreign();
ALTER TABLE log_key ENABLE REPLICA TRIGGER provenance_foreign, ENABLE REPLICA TRIGGER provenance_foreign_truncate;
CREATE TRIGGER provenance_refuse BEFORE UPDATE OR DELETE OR TRUNCATE ON registry EXECUTE FUNCTION refuse_change();
CREATE TRIGGER provenance_foreign BEFORE INSERT OR UPDATE OR DELETE ON registry FOR EACH ROW EXECUTE FUNCTION ignore_foreign();
CREATE TRIGGER provenance_foreign_truncate BEFORE TRUNCATE ON registry EXECUTE FUNCTION ignore_foreign();
ALTER TABLE registry ENABLE REPLICA TRIGGER provenance_foreign, ENABLE REPLICA TRIGGER provenance_foreign_truncate;
CREATE TRIGGER provenance_refuse BEFORE UPDATE OR DELETE OR TRUNCATE ON shape EXECUTE FUNCTION refuse_change();
CREATE TRIGGER provenance_foreign BEFORE INSERT OR UPDATE OR DELETE ON shape FOR EACH ROW EXECUTE FUNCTION ignore_foreign();
CREATE TRIGGER provenance_foreign_truncate BEFORE TRUNCATE ON shape EXECUTE FUNCTION ignore_foreign();
ALTER TABLE shape ENABLE REPLICA TRIGGER provenance_foreign, ENABLE REPLICA TRIGGER provenance_foreign_truncate;
CREATE TRIGGER provenance_refuse BEFORE UPDATE OR DELETE OR TRUNCATE ON context EXECUTE FUNCTION refuse_change();
CREATE TRIGGER provenance_foreign BEFORE INSERT OR UPDATE OR DELETE ON context FOR EACH ROW EXECUTE FUNCTION ignore_foreign();
CREATE TRIGGER provenance_foreign_truncate BEFORE TRUNCATE ON context EXECUTE FUNCTION ignore_foreign();
ALTER TABLE context ENABLE REPLICA TRIGGER provenance_foreign, ENABLE REPLICA TRIGGER provenance_foreign_truncate;
CREATE TRIGGER provenance_refuse BEFORE UPDATE OR DELETE OR TRUNCATE ON entry EXECUTE FUNCTION refuse_change();
CREATE TRIGGER provenance_foreign BEFORE INSERT OR UPDATE OR DELETE ON entry FOR EACH ROW EXECUTE FUNCTION ignore_foreign();
CREATE TRIGGER provenance_foreign_truncate BEFORE TRUNCATE ON entry EXECUTE FUNCTION ignore_foreign();
ALTER TABLE entry ENABLE REPLICA TRIGGER provenance_foreign, ENABLE REPLICA TRIGGER provenance_foreign_truncate;
CREATE TRIGGER provenance_refuse BEFORE UPDATE OR DELETE OR TRUNCATE ON baseline_phase EXECUTE FUNCTION refuse_change();
CREATE TRIGGER provenance_foreign BEFORE INSERT OR UPDATE OR DELETE ON baseline_phase FOR EACH ROW EXECUTE FUNCTION ignore_foreign();
CREATE TRIGGER provenance_foreign_truncate BEFORE TRUNCATE ON baseline_phase EXECUTE FUNCTION ignore_foreign();
ALTER TABLE baseline_phase ENABLE REPLICA TRIGGER provenance_foreign, ENABLE REPLICA TRIGGER provenance_foreign_truncate;
CREATE TRIGGER provenance_refuse BEFORE UPDATE OR DELETE OR TRUNCATE ON leaf_run EXECUTE FUNCTION refuse_change();
CREATE TRIGGER provenance_foreign BEFORE INSERT OR UPDATE OR DELETE ON leaf_run FOR EACH ROW EXECUTE FUNCTION ignore_foreign();
CREATE TRIGGER provenance_foreign_truncate BEFORE TRUNCATE ON leaf_run EXECUTE FUNCTION ignore_foreign();
ALTER TABLE leaf_run ENABLE REPLICA TRIGGER provenance_foreign, ENABLE REPLICA TRIGGER provenance_foreign_truncate;
CREATE TRIGGER provenance_refuse BEFORE UPDATE OR DELETE OR TRUNCATE ON seq_block EXECUTE FUNCTION refuse_change();
CREATE TRIGGER provenance_foreign BEFORE INSERT OR UPDATE OR DELETE ON seq_block FOR EACH ROW EXECUTE FUNCTION ignore_foreign();
CREATE TRIGGER provenance_foreign_truncate BEFORE TRUNCATE ON seq_block EXECUTE FUNCTION ignore_foreign();
ALTER TABLE seq_block ENABLE REPLICA TRIGGER provenance_foreign, ENABLE REPLICA TRIGGER provenance_foreign_truncate;
CREATE TRIGGER provenance_refuse BEFORE UPDATE OR DELETE OR TRUNCATE ON tree_node EXECUTE FUNCTION refuse_change();
CREATE TRIGGER provenance_foreign BEFORE INSERT OR UPDATE OR DELETE ON tree_node FOR EACH ROW EXECUTE FUNCTION ignore_foreign();
CREATE TRIGGER provenance_foreign_truncate BEFORE TRUNCATE ON tree_node EXECUTE FUNCTION ignore_foreign();
ALTER TABLE tree_node ENABLE REPLICA TRIGGER provenance_foreign, ENABLE REPLICA TRIGGER provenance_foreign_truncate;
CREATE TRIGGER provenance_refuse BEFORE UPDATE OR DELETE OR TRUNCATE ON head EXECUTE FUNCTION refuse_change();
CREATE TRIGGER provenance_foreign BEFORE INSERT OR UPDATE OR DELETE ON head FOR EACH ROW EXECUTE FUNCTION ignore_foreign();
CREATE TRIGGER provenance_foreign_truncate BEFORE TRUNCATE ON head EXECUTE FUNCTION ignore_foreign();
ALTER TABLE head ENABLE REPLICA TRIGGER provenance_foreign, ENABLE REPLICA TRIGGER provenance_foreign_truncate;
CREATE TRIGGER provenance_refuse BEFORE UPDATE OR DELETE OR TRUNCATE ON table_head EXECUTE FUNCTION refuse_change();
CREATE TRIGGER provenance_foreign BEFORE INSERT OR UPDATE OR DELETE ON table_head FOR EACH ROW EXECUTE FUNCTION ignore_foreign();
CREATE TRIGGER provenance_foreign_truncate BEFORE TRUNCATE ON table_head EXECUTE FUNCTION ignore_foreign();
ALTER TABLE table_head ENABLE REPLICA TRIGGER provenance_foreign, ENABLE REPLICA TRIGGER provenance_foreign_truncate;
CREATE TRIGGER provenance_refuse BEFORE UPDATE OR DELETE OR TRUNCATE ON seal_state EXECUTE FUNCTION refuse_change();
CREATE TRIGGER provenance_foreign BEFORE INSERT OR UPDATE OR DELETE ON seal_state FOR EACH ROW EXECUTE FUNCTION ignore_foreign();
CREATE TRIGGER provenance_foreign_truncate BEFORE TRUNCATE ON seal_state EXECUTE FUNCTION ignore_foreign();
ALTER TABLE seal_state ENABLE REPLICA TRIGGER provenance_foreign, ENABLE REPLICA TRIGGER provenance_foreign_truncate;
CREATE TRIGGER provenance_refuse BEFORE UPDATE OR DELETE OR TRUNCATE ON checkpoint_note EXECUTE FUNCTION refuse_change();
CREATE TRIGGER provenance_foreign BEFORE INSERT OR UPDATE OR DELETE ON checkpoint_note FOR EACH ROW EXECUTE FUNCTION ignore_foreign();
CREATE TRIGGER provenance_foreign_truncate BEFORE TRUNCATE ON checkpoint_note EXECUTE FUNCTION ignore_foreign();
ALTER TABLE checkpoint_note ENABLE REPLICA TRIGGER provenance_foreign, ENABLE REPLICA TRIGGER provenance_foreign_truncate;
CREATE TRIGGER provenance_refuse BEFORE UPDATE OR DELETE OR TRUNCATE ON checkpoint_timestamp EXECUTE FUNCTION refuse_change();
CREATE TRIGGER provenance_foreign BEFORE INSERT OR UPDATE OR DELETE ON checkpoint_timestamp FOR EACH ROW EXECUTE FUNCTION ignore_foreign();
CREATE TRIGGER provenance_foreign_truncate BEFORE TRUNCATE ON checkpoint_timestamp EXECUTE FUNCTION ignore_foreign();
ALTER TABLE checkpoint_timestamp ENABLE REPLICA TRIGGER provenance_foreign, ENABLE REPLICA TRIGGER provenance_foreign_truncate;
CREATE TRIGGER provenance_refuse BEFORE UPDATE OR DELETE OR TRUNCATE ON worker_state EXECUTE FUNCTION refuse_change();
CREATE TRIGGER provenance_foreign BEFORE INSERT OR UPDATE OR DELETE ON worker_state FOR EACH ROW EXECUTE FUNCTION ignore_foreign();
CREATE TRIGGER provenance_foreign_truncate BEFORE TRUNCATE ON worker_state EXECUTE FUNCTION ignore_foreign();
ALTER TABLE worker_state ENABLE REPLICA TRIGGER provenance_foreign, ENABLE REPLICA TRIGGER provenance_foreign_truncate;
CREATE TRIGGER provenance_refuse BEFORE UPDATE OR DELETE OR TRUNCATE ON scrub_state EXECUTE FUNCTION refuse_change();
CREATE TRIGGER provenance_foreign BEFORE INSERT OR UPDATE OR DELETE ON scrub_state FOR EACH ROW EXECUTE FUNCTION ignore_foreign();
CREATE TRIGGER provenance_foreign_truncate BEFORE TRUNCATE ON scrub_state EXECUTE FUNCTION ignore_foreign();
ALTER TABLE scrub_state ENABLE REPLICA TRIGGER provenance_foreign, ENABLE REPLICA TRIGGER provenance_foreign_truncate;
CREATE TRIGGER provenance_refuse BEFORE UPDATE OR DELETE OR TRUNCATE ON incarnation EXECUTE FUNCTION refuse_change();
CREATE TRIGGER provenance_foreign BEFORE INSERT OR UPDATE OR DELETE ON incarnation FOR EACH ROW EXECUTE FUNCTION ignore_foreign();
CREATE TRIGGER provenance_foreign_truncate BEFORE TRUNCATE ON incarnation EXECUTE FUNCTION ignore_foreign();
ALTER TABLE incarnation ENABLE REPLICA TRIGGER provenance_foreign, ENABLE REPLICA TRIGGER provenance_foreign_truncate;
CREATE TRIGGER provenance_refuse BEFORE UPDATE OR DELETE OR TRUNCATE ON key_handover EXECUTE FUNCTION refuse_change();
CREATE TRIGGER provenance_foreign BEFORE INSERT OR UPDATE OR DELETE ON key_handover FOR EACH ROW EXECUTE FUNCTION ignore_foreign();
CREATE TRIGGER provenance_foreign_truncate BEFORE TRUNCATE ON key_handover EXECUTE FUNCTION ignore_foreign();
ALTER TABLE key_handover ENABLE REPLICA TRIGGER provenance_foreign, ENABLE REPLICA TRIGGER provenance_foreign_truncate;
CREATE TRIGGER provenance_refuse BEFORE UPDATE OR DELETE OR TRUNCATE ON partner_registry EXECUTE FUNCTION refuse_change();
CREATE TRIGGER provenance_foreign BEFORE INSERT OR UPDATE OR DELETE ON partner_registry FOR EACH ROW EXECUTE FUNCTION ignore_foreign();
CREATE TRIGGER provenance_foreign_truncate BEFORE TRUNCATE ON partner_registry EXECUTE FUNCTION ignore_foreign();
ALTER TABLE partner_registry ENABLE REPLICA TRIGGER provenance_foreign, ENABLE REPLICA TRIGGER provenance_foreign_truncate;
CREATE TRIGGER provenance_refuse BEFORE UPDATE OR DELETE OR TRUNCATE ON partner_log EXECUTE FUNCTION refuse_change();
CREATE TRIGGER provenance_foreign BEFORE INSERT OR UPDATE OR DELETE ON partner_log FOR EACH ROW EXECUTE FUNCTION ignore_foreign();
CREATE TRIGGER provenance_foreign_truncate BEFORE TRUNCATE ON partner_log EXECUTE FUNCTION ignore_foreign();
ALTER TABLE partner_log ENABLE REPLICA TRIGGER provenance_foreign, ENABLE REPLICA TRIGGER provenance_foreign_truncate;
CREATE TRIGGER provenance_refuse BEFORE UPDATE OR DELETE OR TRUNCATE ON partner_checkpoint EXECUTE FUNCTION refuse_change();
CREATE TRIGGER provenance_foreign BEFORE INSERT OR UPDATE OR DELETE ON partner_checkpoint FOR EACH ROW EXECUTE FUNCTION ignore_foreign();
CREATE TRIGGER provenance_foreign_truncate BEFORE TRUNCATE ON partner_checkpoint EXECUTE FUNCTION ignore_foreign();
ALTER TABLE partner_checkpoint ENABLE REPLICA TRIGGER provenance_foreign, ENABLE REPLICA TRIGGER provenance_foreign_truncate;
CREATE TRIGGER provenance_refuse BEFORE UPDATE OR DELETE OR TRUNCATE ON fork_record EXECUTE FUNCTION refuse_change();
CREATE TRIGGER provenance_foreign BEFORE INSERT OR UPDATE OR DELETE ON fork_record FOR EACH ROW EXECUTE FUNCTION ignore_foreign();
CREATE TRIGGER provenance_foreign_truncate BEFORE TRUNCATE ON fork_record EXECUTE FUNCTION ignore_foreign();
ALTER TABLE fork_record ENABLE REPLICA TRIGGER provenance_foreign, ENABLE REPLICA TRIGGER provenance_foreign_truncate;
CREATE TRIGGER provenance_refuse BEFORE UPDATE OR DELETE OR TRUNCATE ON merge EXECUTE FUNCTION refuse_change();
CREATE TRIGGER provenance_foreign BEFORE INSERT OR UPDATE OR DELETE ON merge FOR EACH ROW EXECUTE FUNCTION ignore_foreign();
CREATE TRIGGER provenance_foreign_truncate BEFORE TRUNCATE ON merge EXECUTE FUNCTION ignore_foreign();
ALTER TABLE merge ENABLE REPLICA TRIGGER provenance_foreign, ENABLE REPLICA TRIGGER provenance_foreign_truncate;
CREATE TRIGGER provenance_refuse BEFORE UPDATE OR DELETE OR TRUNCATE ON merged_shape EXECUTE FUNCTION refuse_change();
CREATE TRIGGER provenance_foreign BEFORE INSERT OR UPDATE OR DELETE ON merged_shape FOR EACH ROW EXECUTE FUNCTION ignore_foreign();
CREATE TRIGGER provenance_foreign_truncate BEFORE TRUNCATE ON merged_shape EXECUTE FUNCTION ignore_foreign();
ALTER TABLE merged_shape ENABLE REPLICA TRIGGER provenance_foreign, ENABLE REPLICA TRIGGER provenance_foreign_truncate;
CREATE TRIGGER provenance_refuse BEFORE UPDATE OR DELETE OR TRUNCATE ON merged_context EXECUTE FUNCTION refuse_change();
CREATE TRIGGER provenance_foreign BEFORE INSERT OR UPDATE OR DELETE ON merged_context FOR EACH ROW EXECUTE FUNCTION ignore_foreign();
CREATE TRIGGER provenance_foreign_truncate BEFORE TRUNCATE ON merged_context EXECUTE FUNCTION ignore_foreign();
ALTER TABLE merged_context ENABLE REPLICA TRIGGER provenance_foreign, ENABLE REPLICA TRIGGER provenance_foreign_truncate;
CREATE TRIGGER provenance_refuse BEFORE UPDATE OR DELETE OR TRUNCATE ON merged_leaf EXECUTE FUNCTION refuse_change();
CREATE TRIGGER provenance_foreign BEFORE INSERT OR UPDATE OR DELETE ON merged_leaf FOR EACH ROW EXECUTE FUNCTION ignore_foreign();
CREATE TRIGGER provenance_foreign_truncate BEFORE TRUNCATE ON merged_leaf EXECUTE FUNCTION ignore_foreign();
ALTER TABLE merged_leaf ENABLE REPLICA TRIGGER provenance_foreign, ENABLE REPLICA TRIGGER provenance_foreign_truncate;
CREATE TRIGGER provenance_refuse BEFORE UPDATE OR DELETE OR TRUNCATE ON merged_path EXECUTE FUNCTION refuse_change();
CREATE TRIGGER provenance_foreign BEFORE INSERT OR UPDATE OR DELETE ON merged_path FOR EACH ROW EXECUTE FUNCTION ignore_foreign();
CREATE TRIGGER provenance_foreign_truncate BEFORE TRUNCATE ON merged_path EXECUTE FUNCTION ignore_foreign();
ALTER TABLE merged_path ENABLE REPLICA TRIGGER provenance_foreign, ENABLE REPLICA TRIGGER provenance_foreign_truncate;
CREATE TRIGGER provenance_refuse BEFORE UPDATE OR DELETE OR TRUNCATE ON merged_countersignature EXECUTE FUNCTION refuse_change();
CREATE TRIGGER provenance_foreign BEFORE INSERT OR UPDATE OR DELETE ON merged_countersignature FOR EACH ROW EXECUTE FUNCTION ignore_foreign();
CREATE TRIGGER provenance_foreign_truncate BEFORE TRUNCATE ON merged_countersignature EXECUTE FUNCTION ignore_foreign();
ALTER TABLE merged_countersignature ENABLE REPLICA TRIGGER provenance_foreign, ENABLE REPLICA TRIGGER provenance_foreign_truncate;
CREATE TRIGGER provenance_refuse BEFORE UPDATE OR DELETE OR TRUNCATE ON disclosure EXECUTE FUNCTION refuse_change();
CREATE TRIGGER provenance_foreign BEFORE INSERT OR UPDATE OR DELETE ON disclosure FOR EACH ROW EXECUTE FUNCTION ignore_foreign();
CREATE TRIGGER provenance_foreign_truncate BEFORE TRUNCATE ON disclosure EXECUTE FUNCTION ignore_foreign();
ALTER TABLE disclosure ENABLE REPLICA TRIGGER provenance_foreign, ENABLE REPLICA TRIGGER provenance_foreign_truncate;
CREATE TRIGGER provenance_refuse BEFORE UPDATE OR DELETE OR TRUNCATE ON disclosure_subject EXECUTE FUNCTION refuse_change();
CREATE TRIGGER provenance_foreign BEFORE INSERT OR UPDATE OR DELETE ON disclosure_subject FOR EACH ROW EXECUTE FUNCTION ignore_foreign();
CREATE TRIGGER provenance_foreign_truncate BEFORE TRUNCATE ON disclosure_subject EXECUTE FUNCTION ignore_foreign();
ALTER TABLE disclosure_subject ENABLE REPLICA TRIGGER provenance_foreign, ENABLE REPLICA TRIGGER provenance_foreign_truncate;
CREATE TRIGGER provenance_refuse BEFORE UPDATE OR DELETE OR TRUNCATE ON countersignature EXECUTE FUNCTION refuse_change();
CREATE TRIGGER provenance_foreign BEFORE INSERT OR UPDATE OR DELETE ON countersignature FOR EACH ROW EXECUTE FUNCTION ignore_foreign();
CREATE TRIGGER provenance_foreign_truncate BEFORE TRUNCATE ON countersignature EXECUTE FUNCTION ignore_foreign();
ALTER TABLE countersignature ENABLE REPLICA TRIGGER provenance_foreign, ENABLE REPLICA TRIGGER provenance_foreign_truncate;
CREATE TRIGGER provenance_refuse BEFORE UPDATE OR DELETE OR TRUNCATE ON handover EXECUTE FUNCTION refuse_change();
CREATE TRIGGER provenance_foreign BEFORE INSERT OR UPDATE OR DELETE ON handover FOR EACH ROW EXECUTE FUNCTION ignore_foreign();
CREATE TRIGGER provenance_foreign_truncate BEFORE TRUNCATE ON handover EXECUTE FUNCTION ignore_foreign();
ALTER TABLE handover ENABLE REPLICA TRIGGER provenance_foreign, ENABLE REPLICA TRIGGER provenance_foreign_truncate;
CREATE TRIGGER provenance_refuse BEFORE UPDATE OR DELETE OR TRUNCATE ON checkpoint_cosignature EXECUTE FUNCTION refuse_change();
CREATE TRIGGER provenance_foreign BEFORE INSERT OR UPDATE OR DELETE ON checkpoint_cosignature FOR EACH ROW EXECUTE FUNCTION ignore_foreign();
CREATE TRIGGER provenance_foreign_truncate BEFORE TRUNCATE ON checkpoint_cosignature EXECUTE FUNCTION ignore_foreign();
ALTER TABLE checkpoint_cosignature ENABLE REPLICA TRIGGER provenance_foreign, ENABLE REPLICA TRIGGER provenance_foreign_truncate;
CREATE TRIGGER provenance_refuse BEFORE UPDATE OR DELETE OR TRUNCATE ON witness_policy EXECUTE FUNCTION refuse_change();
CREATE TRIGGER provenance_foreign BEFORE INSERT OR UPDATE OR DELETE ON witness_policy FOR EACH ROW EXECUTE FUNCTION ignore_foreign();
CREATE TRIGGER provenance_foreign_truncate BEFORE TRUNCATE ON witness_policy EXECUTE FUNCTION ignore_foreign();
ALTER TABLE witness_policy ENABLE REPLICA TRIGGER provenance_foreign, ENABLE REPLICA TRIGGER provenance_foreign_truncate;
CREATE TRIGGER provenance_refuse BEFORE UPDATE OR DELETE OR TRUNCATE ON cosigner_key EXECUTE FUNCTION refuse_change();
CREATE TRIGGER provenance_foreign BEFORE INSERT OR UPDATE OR DELETE ON cosigner_key FOR EACH ROW EXECUTE FUNCTION ignore_foreign();
CREATE TRIGGER provenance_foreign_truncate BEFORE TRUNCATE ON cosigner_key EXECUTE FUNCTION ignore_foreign();
ALTER TABLE cosigner_key ENABLE REPLICA TRIGGER provenance_foreign, ENABLE REPLICA TRIGGER provenance_foreign_truncate;
CREATE TRIGGER provenance_refuse BEFORE UPDATE OR DELETE OR TRUNCATE ON cosigned EXECUTE FUNCTION refuse_change();
CREATE TRIGGER provenance_foreign BEFORE INSERT OR UPDATE OR DELETE ON cosigned FOR EACH ROW EXECUTE FUNCTION ignore_foreign();
CREATE TRIGGER provenance_foreign_truncate BEFORE TRUNCATE ON cosigned EXECUTE FUNCTION ignore_foreign();
ALTER TABLE cosigned ENABLE REPLICA TRIGGER provenance_foreign, ENABLE REPLICA TRIGGER provenance_foreign_truncate;

CREATE FUNCTION guard_start() RETURNS event_trigger
	LANGUAGE c AS 'MODULE_PATHNAME', 'provenance_guard_start';
REVOKE ALL ON FUNCTION guard_start() FROM PUBLIC;
COMMENT ON FUNCTION guard_start() IS 'before a DDL command: records partitions that it takes away; asks before the ledger is dropped';

CREATE FUNCTION guard_drop() RETURNS event_trigger
	LANGUAGE c AS 'MODULE_PATHNAME', 'provenance_guard_drop';
REVOKE ALL ON FUNCTION guard_drop() FROM PUBLIC;
COMMENT ON FUNCTION guard_drop() IS 'refuses to drop tagged tables and their triggers';

CREATE FUNCTION guard_end() RETURNS event_trigger
	LANGUAGE c AS 'MODULE_PATHNAME', 'provenance_guard_end';
REVOKE ALL ON FUNCTION guard_end() FROM PUBLIC;
COMMENT ON FUNCTION guard_end() IS 'after a DDL command: follows, or refuses, what became of tagged tables';

CREATE FUNCTION guard_rewrite() RETURNS event_trigger
	LANGUAGE c AS 'MODULE_PATHNAME', 'provenance_guard_rewrite';
REVOKE ALL ON FUNCTION guard_rewrite() FROM PUBLIC;
COMMENT ON FUNCTION guard_rewrite() IS 'notes which tables a DDL command rewrites';

-- At the end: nothing of this script is to be guarded.
CREATE EVENT TRIGGER provenance_guard_start ON ddl_command_start EXECUTE FUNCTION guard_start();
CREATE EVENT TRIGGER provenance_guard_drop ON sql_drop EXECUTE FUNCTION guard_drop();
CREATE EVENT TRIGGER provenance_guard_end ON ddl_command_end EXECUTE FUNCTION guard_end();
CREATE EVENT TRIGGER provenance_guard_rewrite ON table_rewrite EXECUTE FUNCTION guard_rewrite();
ALTER EVENT TRIGGER provenance_guard_start ENABLE ALWAYS;
ALTER EVENT TRIGGER provenance_guard_drop ENABLE ALWAYS;
ALTER EVENT TRIGGER provenance_guard_end ENABLE ALWAYS;
ALTER EVENT TRIGGER provenance_guard_rewrite ENABLE ALWAYS;
