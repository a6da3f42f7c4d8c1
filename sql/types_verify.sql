-- verify_inclusion and verify_consistency: true exactly where signature, path
-- and leaf hold together; no ledger is needed.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS provenance;
RESET client_min_messages;
SET search_path = public, provenance;	-- for the operators
\getenv abs_srcdir PG_ABS_SRCDIR
\set fixture :abs_srcdir '/test/vectors/types_fixture.sql'
\set ECHO none
\i :fixture
\set ECHO all

-- RFC 6962: a leaf hash is not the hash of the leaf.
SELECT provenance.leaf_hash('');
SELECT count(*) AS same FROM generate_series(0, 4) i
WHERE provenance.leaf_hash(('leaf ' || i)::bytea) = sha256('\x00'::bytea || ('leaf ' || i)::bytea)::provenance.hash;

-- Every leaf of every tree, and no other leaf.
SELECT count(*) AS proofs, count(*) FILTER (WHERE provenance.verify_inclusion(p, ('leaf ' || index)::bytea, :'log_key')) AS hold
FROM inclusion;
SELECT count(*) AS pairs, count(*) FILTER (WHERE provenance.verify_inclusion(p, ('leaf ' || i)::bytea, :'log_key')) AS hold
FROM inclusion, generate_series(0, 5) i WHERE i <> index;
SELECT provenance.verify_inclusion(p, '', :'log_key'), provenance.verify_inclusion(p, 'leaf 1 ', :'log_key')
FROM inclusion WHERE index = 1 AND size = 5;

-- A proof put together from parts, to mutilate it.
CREATE FUNCTION pg_temp.make_proof(index bigint, path provenance.hash[], cp provenance.checkpoint) RETURNS provenance.proof LANGUAGE sql
RETURN (concat(E'c2sp.org/tlog-proof@v1\nindex ', index, E'\n',
	(SELECT string_agg(encode(h::bytea, 'base64') || E'\n', '' ORDER BY n) FROM unnest(path) WITH ORDINALITY u(h, n)),
	E'\n', cp))::provenance.proof;
CREATE FUNCTION pg_temp.flip(h provenance.hash, n int) RETURNS provenance.hash LANGUAGE sql
RETURN set_bit(h::bytea, n, 1 - get_bit(h::bytea, n))::provenance.hash;
SELECT count(*) AS remade FROM inclusion
WHERE pg_temp.make_proof(index, provenance.path(p), provenance.checkpoint(p)) = p;

-- Mutilations of the path, the index and the checkpoint: none holds.
CREATE TEMP TABLE mutilated AS
SELECT 'bit ' || b || ' of hash ' || k AS what, index, pg_temp.make_proof(index,
	(SELECT array_agg(CASE WHEN n = k THEN pg_temp.flip(h, b) ELSE h END ORDER BY n) FROM unnest(provenance.path(p)) WITH ORDINALITY u(h, n)),
	provenance.checkpoint(p)) AS p
FROM inclusion, LATERAL generate_series(1, cardinality(provenance.path(p))) k, unnest(ARRAY[0, 100, 255]) b
UNION ALL
SELECT 'hash ' || k || ' left out', index, pg_temp.make_proof(index,
	(SELECT array_agg(h ORDER BY n) FROM unnest(provenance.path(p)) WITH ORDINALITY u(h, n) WHERE n <> k), provenance.checkpoint(p))
FROM inclusion, LATERAL generate_series(1, cardinality(provenance.path(p))) k
UNION ALL
SELECT 'a hash appended', index, pg_temp.make_proof(index, provenance.path(p) || provenance.root(provenance.checkpoint(p)), provenance.checkpoint(p)) FROM inclusion
UNION ALL
SELECT 'a hash in front', index, pg_temp.make_proof(index, provenance.leaf_hash('') || provenance.path(p), provenance.checkpoint(p)) FROM inclusion
UNION ALL
SELECT 'reversed', index, pg_temp.make_proof(index,
	(SELECT array_agg(h ORDER BY n DESC) FROM unnest(provenance.path(p)) WITH ORDINALITY u(h, n)), provenance.checkpoint(p))
FROM inclusion WHERE cardinality(provenance.path(p)) > 1
UNION ALL
SELECT 'index ' || i, index, pg_temp.make_proof(i, provenance.path(p), provenance.checkpoint(p))
FROM inclusion, unnest(ARRAY[0, 1, 2, 3, 4, 5, 8, 9223372036854775806]) i WHERE i <> index
UNION ALL
SELECT 'checkpoint ' || name, index, pg_temp.make_proof(index, provenance.path(p), cp)
FROM inclusion, note WHERE provenance.root(cp) <> provenance.root(provenance.checkpoint(p));
SELECT regexp_replace(what, '(bit|hash|index|checkpoint) .*', '\1') AS what, count(*) AS cases,
	count(*) FILTER (WHERE provenance.verify_inclusion(p, ('leaf ' || index)::bytea, :'log_key')) AS hold
FROM mutilated GROUP BY 1 ORDER BY 1;

-- Signatures and keys. One key of the origin's must have signed, and none of
-- those given wrongly; keys of other names do not count.
SELECT name,
	provenance.verify_inclusion(q, 'leaf 2', :'log_key') AS log,
	provenance.verify_inclusion(q, 'leaf 2', :'next_key') AS next,
	provenance.verify_inclusion(q, 'leaf 2', :'next_key', :'log_key') AS either,
	provenance.verify_inclusion(q, 'leaf 2', :'witness_key') AS witness,
	provenance.verify_inclusion(q, 'leaf 2', :'witness_key', :'log_key') AS log_witness,
	provenance.verify_inclusion(q, 'leaf 2', :'log_cosigner_key') AS cosigner
FROM note, LATERAL (SELECT pg_temp.make_proof(2, provenance.path(p), cp) FROM inclusion WHERE index = 2 AND size = 5) m(q)
WHERE name LIKE '5%' ORDER BY name;
SELECT provenance.verify_inclusion(p, 'leaf 2', VARIADIC '{}') FROM inclusion WHERE index = 2 AND size = 5;
-- Text changed under an old signature: another size, root, extension.
SELECT provenance.verify_inclusion(replace(p::text, E'\n5\n', E'\n6\n')::provenance.proof, 'leaf 2', :'log_key') AS size,
	provenance.verify_inclusion(replace(p::text, E'=\n\n—', E'=\nmore\n\n—')::provenance.proof, 'leaf 2', :'log_key') AS extension,
	provenance.verify_inclusion(replace(p::text, 'index', E'extra YQ==\nindex')::provenance.proof, 'leaf 2', :'log_key') AS extra_is_free
FROM inclusion WHERE index = 2 AND size = 5;

-- What is not a question is an error.
SELECT p AS p FROM inclusion WHERE index = 2 AND size = 5 \gset
SELECT provenance.verify_inclusion(:'p', 'leaf 2', NULL);	-- fails
SELECT provenance.verify_inclusion(:'p', 'leaf 2', VARIADIC NULL);	-- null: strict
SELECT provenance.verify_inclusion(:'p', 'leaf 2', :'log_key', NULL);	-- fails
SELECT provenance.verify_inclusion(:'p', 'leaf 2', VARIADIC ARRAY[[:'log_key'], [:'log_key']]);	-- fails
SELECT provenance.verify_inclusion(:'p', 'leaf 2', 'key');	-- fails
SELECT provenance.verify_inclusion(:'p', 'leaf 2', :'log_key', '');	-- fails
SELECT provenance.verify_inclusion(:'p', 'leaf 2', replace(:'log_key', 'log.', 'log2.'));	-- fails
SELECT provenance.verify_inclusion(:'p', 'leaf 2', :'log_key' || '=');	-- fails
SELECT provenance.verify_inclusion(:'p', 'leaf 2', upper(:'log_key'));	-- fails
SELECT provenance.verify_inclusion(:'p', 'leaf 2', :'log_key' || ' ');	-- fails
SELECT provenance.verify_inclusion(:'p', 'leaf 2', VARIADIC array_fill(:'log_key'::text, '{65}'));	-- fails
SELECT provenance.verify_inclusion(:'p', 'leaf 2', VARIADIC array_fill(:'log_key'::text, '{64}'));
\set VERBOSITY sqlstate
SELECT provenance.verify_inclusion(:'p', 'leaf 2', 'key');	-- fails
SELECT provenance.verify_inclusion(:'p', 'leaf 2', NULL, :'log_key');	-- fails
\set VERBOSITY default

-- Consistency: every pair of sizes, equal ones and the empty tree included.
CREATE TEMP TABLE pair AS
SELECT old, new, a.cp AS old_cp, b.cp AS new_cp, path FROM consistency JOIN note a ON a.name = old::text JOIN note b ON b.name = new::text;
SELECT count(*) AS paths, count(*) FILTER (WHERE provenance.verify_consistency(old_cp, new_cp, path, :'log_key')) AS hold FROM pair;

-- Mutilations. From size 0 and between equal sizes the path must be empty.
SELECT what, count(*) AS cases, count(*) FILTER (WHERE provenance.verify_consistency(o, n, q, :'log_key')) AS hold FROM (
	SELECT 'bit flipped' AS what, old_cp AS o, new_cp AS n,
		(SELECT array_agg(CASE WHEN i = k THEN pg_temp.flip(h, b) ELSE h END ORDER BY i) FROM unnest(path) WITH ORDINALITY u(h, i)) AS q
	FROM pair, LATERAL generate_series(1, cardinality(path)) k, unnest(ARRAY[0, 100, 255]) b
	UNION ALL
	SELECT 'hash left out', old_cp, new_cp,
		(SELECT coalesce(array_agg(h ORDER BY i), '{}') FROM unnest(path) WITH ORDINALITY u(h, i) WHERE i <> k)
	FROM pair, LATERAL generate_series(1, cardinality(path)) k
	UNION ALL
	SELECT 'hash appended', old_cp, new_cp, path || provenance.root(new_cp) FROM pair
	UNION ALL
	SELECT 'hash in front', old_cp, new_cp, provenance.root(old_cp) || path FROM pair
	UNION ALL
	SELECT 'swapped', new_cp, old_cp, path FROM pair WHERE old <> new
	UNION ALL
	SELECT 'another old', cp, new_cp, path FROM pair, note WHERE name IN ('1', '2', '3', '4', '5') AND name <> old::text AND old > 0
	UNION ALL
	SELECT 'another new', old_cp, cp, path FROM pair, note WHERE name IN ('1', '2', '3', '4', '5') AND name <> new::text AND old > 0
	UNION ALL
	SELECT 'same size, other root', old_cp, cp, path FROM pair, note WHERE new = 5 AND old > 0 AND name = '5 other root'
	UNION ALL
	SELECT 'other root first', cp, new_cp, path FROM pair, note WHERE new = 5 AND old = 5 AND name = '5 other root'
) m GROUP BY what ORDER BY what;

-- Signatures of both, and one origin.
SELECT name,
	provenance.verify_consistency(old_cp, cp, path, :'log_key') AS log,
	provenance.verify_consistency(old_cp, cp, path, :'next_key') AS next,
	provenance.verify_consistency(old_cp, cp, path, :'log_key', :'next_key') AS both,
	provenance.verify_consistency(cp, old_cp, '{}', :'log_key') AS backwards
FROM pair, note WHERE old = 3 AND new = 5 AND name LIKE '5%' ORDER BY name;
SELECT provenance.verify_consistency(a.cp, b.cp, '{}', :'log_key') AS not_signed_first, provenance.verify_consistency(b.cp, a.cp, '{}', :'log_key') AS not_signed_second
FROM note a, note b WHERE a.name = '5 spoilt' AND b.name = '5';

-- Errors.
SELECT cp AS cp FROM note WHERE name = '5' \gset
SELECT provenance.verify_consistency(:'cp', :'cp', ARRAY[NULL::provenance.hash], :'log_key');	-- fails
SELECT provenance.verify_consistency(:'cp', :'cp', ARRAY[[provenance.leaf_hash('')]], :'log_key');	-- fails
SELECT provenance.verify_consistency(:'cp', :'cp', '{}', 'key');	-- fails
SELECT provenance.verify_consistency(:'cp', :'cp', '{}', :'log_key', NULL);	-- fails
SELECT provenance.verify_consistency(:'cp', :'cp', NULL, :'log_key');	-- null: strict
SELECT provenance.verify_consistency(:'cp', :'cp', array_fill(provenance.leaf_hash(''), '{1000}'), :'log_key');

-- Anybody may ask, in parallel, and the answer is a constant.
SELECT proname, provolatile, proparallel, proisstrict FROM pg_proc
WHERE pronamespace = 'provenance'::regnamespace AND proname IN ('leaf_hash', 'verify_inclusion', 'verify_consistency') ORDER BY proname;
