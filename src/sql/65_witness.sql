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
