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
