-- leaf(), prove(), prove_consistency(), tile(): what they give verifies, what
-- is changed in it does not.
\getenv srcdir PG_ABS_SRCDIR
\set fresh_log :srcdir '/sql/include/fresh_log.sql'
\set drop_log :srcdir '/sql/include/drop_log.sql'
\i :fresh_log
SET search_path = crm, provenance;	-- the latter for the operators of hashes
CREATE TABLE crm.checkpoint_at (size bigint PRIMARY KEY, cp provenance.checkpoint);
CREATE PROCEDURE crm.remember() LANGUAGE sql AS $$
	INSERT INTO crm.checkpoint_at SELECT size(cp), cp FROM (SELECT provenance.seal() AS cp OFFSET 0) s
$$;

-- The empty log: a checkpoint, and nothing to prove.
CALL remember();
SELECT size, root(cp) = sha256('')::hash AS empty_root FROM checkpoint_at;
SELECT provenance.prove_consistency(0, 0);
SELECT provenance.prove(1);	-- fails
SELECT provenance.leaf(1);	-- fails
SELECT provenance.tile(0, 0, 1);	-- fails

CREATE TABLE crm.item (id int PRIMARY KEY, v text);
SELECT provenance.tag('crm.item');
CALL remember();
INSERT INTO item SELECT n, 'item ' || n FROM generate_series(1, 3) n;
CALL remember();
UPDATE item SET v = v || '!';
CALL remember();
INSERT INTO item SELECT n, 'item ' || n FROM generate_series(4, 30) n;
CALL remember();
INSERT INTO item SELECT n, 'item ' || n FROM generate_series(31, 300) n;
CALL remember();
SELECT array_agg(size ORDER BY size) AS sizes FROM checkpoint_at;

-- Whoever may use the schema may ask; leaves and proofs hold no values.
GRANT SELECT, INSERT ON checkpoint_at TO regress_provenance_reader;
CREATE TABLE crm.leaf AS SELECT seq, leaf_index, leaf_hash FROM changes('item', '-infinity');
GRANT SELECT ON leaf TO regress_provenance_reader;
GRANT CREATE ON SCHEMA crm TO regress_provenance_reader;
SET ROLE regress_provenance_reader;

-- Every leaf in every checkpoint that covers it, and only there.
CREATE TABLE proven AS
	SELECT l.seq, l.leaf_index, c.size, provenance.leaf(l.seq) AS bytes, provenance.prove(l.seq, c.size) AS p
	FROM leaf l JOIN checkpoint_at c ON l.leaf_index < c.size
	WHERE c.size < 40 OR l.leaf_index % 16 IN (0, 1, 15);
SELECT size, count(*) AS proofs, count(*) FILTER (WHERE verify_inclusion(p, bytes, :'vkey')) AS hold,
	bool_and(leaf_index(p) = leaf_index AND size(checkpoint(p)) = size AND length(bytes) = 82) AS as_asked
FROM proven GROUP BY 1 ORDER BY 1;
SELECT bool_and(provenance.leaf_hash(provenance.leaf(seq)) = leaf_hash) AS leaves, count(*) FROM leaf;

-- Mutilated: another leaf, a bit of the leaf, a hash of the path, the index.
SELECT count(*) AS wrong FROM proven a, proven b
WHERE a.size = b.size AND a.size < 40 AND a.seq <> b.seq AND verify_inclusion(a.p, b.bytes, :'vkey');
SELECT count(*) AS wrong FROM proven, generate_series(0, 655) bit
WHERE size = 34 AND leaf_index IN (0, 17, 33) AND verify_inclusion(p, set_bit(bytes, bit, 1 - get_bit(bytes, bit)), :'vkey');
CREATE FUNCTION make_proof(index bigint, path hash[], cp checkpoint) RETURNS proof LANGUAGE sql
RETURN (concat(E'c2sp.org/tlog-proof@v1\nindex ', index, E'\n',
	(SELECT string_agg(encode(h::bytea, 'base64') || E'\n', '' ORDER BY n) FROM unnest(path) WITH ORDINALITY u(h, n)),
	E'\n', cp))::proof;
SELECT count(*) AS rebuilt FROM proven WHERE size = 34 AND verify_inclusion(make_proof(leaf_index(p), path(p), checkpoint(p)), bytes, :'vkey');
SELECT count(*) AS wrong FROM proven, generate_series(0, 40) i
WHERE size = 34 AND i <> leaf_index AND verify_inclusion(make_proof(i, path(p), checkpoint(p)), bytes, :'vkey');
SELECT count(*) AS tried, count(*) FILTER (WHERE verify_inclusion(make_proof(leaf_index,
	path[:n - 1] || set_bit(path[n]::bytea, bit, 1 - get_bit(path[n]::bytea, bit))::hash || path[n + 1:],
	checkpoint(p)), bytes, :'vkey')) AS wrong
FROM proven, path(p), generate_series(1, cardinality(path)) n, (VALUES (0), (100), (255)) b (bit)
WHERE size IN (4, 7, 34);
SELECT count(*) AS wrong FROM proven a JOIN checkpoint_at c ON a.size <> c.size AND a.leaf_index < c.size
WHERE a.size < 40 AND c.size < 40 AND verify_inclusion(make_proof(leaf_index, path(p), c.cp), bytes, :'vkey');

-- The newest checkpoint by default.
SELECT size(checkpoint(provenance.prove(seq))) FROM leaf WHERE leaf_index = 0;

-- Each checkpoint extends each earlier one; other paths do not show it.
SELECT count(*) AS pairs, count(*) FILTER (WHERE verify_consistency(a.cp, b.cp, prove_consistency(a.size, b.size), :'vkey')) AS hold
FROM checkpoint_at a JOIN checkpoint_at b ON a.size <= b.size;
SELECT a.size, b.size, cardinality(prove_consistency(a.size, b.size)) AS hashes
FROM checkpoint_at a JOIN checkpoint_at b ON a.size <= b.size ORDER BY 1, 2;
SELECT count(*) AS tried, count(*) FILTER (WHERE verify_consistency(a.cp, b.cp,
	path[:n - 1] || set_bit(path[n]::bytea, 77, 1 - get_bit(path[n]::bytea, 77))::hash || path[n + 1:], :'vkey')) AS wrong
FROM checkpoint_at a JOIN checkpoint_at b ON a.size <= b.size, prove_consistency(a.size, b.size) path,
	generate_series(1, cardinality(path)) n;
SELECT count(*) AS wrong FROM checkpoint_at a JOIN checkpoint_at b ON 0 < a.size AND a.size < b.size, checkpoint_at c
WHERE c.size > 0 AND c.size < b.size AND c.size <> a.size AND verify_consistency(a.cp, b.cp, prove_consistency(c.size, b.size), :'vkey');

-- Between any sizes, published or not.
SELECT count(*) AS pairs, count(prove_consistency(a, b)) AS paths FROM generate_series(0, 40) a, generate_series(a, 40) b;

-- Tiles: level 0 are the leaf hashes, level 1 the roots of full tiles.
SELECT max(size) AS size, max(size) / 256 AS full, max(size) % 256 AS partial FROM checkpoint_at;
SELECT provenance.tile(0, 0) = (SELECT string_agg(leaf_hash::bytea, '' ORDER BY leaf_index) FROM leaf WHERE leaf_index < 256) AS full,
	provenance.tile(0, 1, 48) = (SELECT string_agg(leaf_hash::bytea, '' ORDER BY leaf_index) FROM leaf WHERE leaf_index >= 256) AS partial,
	provenance.tile(0, 1, 5) = substr(provenance.tile(0, 1, 48), 1, 160) AS narrower;
CREATE FUNCTION tile_root(hashes bytea) RETURNS bytea LANGUAGE plpgsql AS $$
DECLARE
	next bytea;
BEGIN
	WHILE length(hashes) > 32 LOOP
		SELECT string_agg(sha256('\x01' || substr(hashes, 1 + 64 * i, 64)), '' ORDER BY i) INTO next
			FROM generate_series(0, length(hashes) / 64 - 1) i;
		hashes := next;
	END LOOP;
	RETURN hashes;
END $$;
SELECT provenance.tile(1, 0, 1) = tile_root(provenance.tile(0, 0)) AS level_1;

-- What is not there.
SELECT provenance.tile(0, 1);	-- fails
SELECT provenance.tile(0, 2, 1);	-- fails
SELECT provenance.tile(1, 0, 2);	-- fails
SELECT provenance.tile(0, -1, 1);	-- fails
SELECT provenance.tile(-1, 0);	-- fails
SELECT provenance.tile(8, 0);	-- fails
SELECT provenance.tile(0, 0, 0);	-- fails
SELECT provenance.tile(0, 0, 257);	-- fails
SELECT provenance.tile(0, 9223372036854775807, 1);	-- fails
SELECT provenance.leaf(1000000);	-- fails
SELECT provenance.leaf(-1);	-- fails
SELECT provenance.prove(1000000);	-- fails
SELECT provenance.prove((SELECT seq FROM leaf WHERE leaf_index = 4), 4);	-- fails
SELECT provenance.prove((SELECT seq FROM leaf WHERE leaf_index = 4), 5);	-- fails
SELECT provenance.prove((SELECT seq FROM leaf WHERE leaf_index = 4), -1);	-- fails
SELECT provenance.prove_consistency(-1, 1);	-- fails
SELECT provenance.prove_consistency(3, 2);	-- fails
SELECT provenance.prove_consistency(3, 1000000);	-- fails
SELECT provenance.leaf(NULL), provenance.prove(NULL), provenance.prove_consistency(NULL, 1), provenance.tile(0, NULL);

-- Not sealed yet.
RESET ROLE;
BEGIN;
INSERT INTO item VALUES (1000, 'unsealed');
SELECT max(seq) AS unsealed FROM history('item', 1000) \gset
\set VERBOSITY sqlstate
SAVEPOINT s;
SELECT provenance.leaf(:unsealed);	-- fails
ROLLBACK TO s;
SELECT provenance.prove(:unsealed);	-- fails
ROLLBACK;
\set VERBOSITY default

-- What seal() has returned can be proven in the same transaction, whatever its snapshot.
INSERT INTO item VALUES (1001, 'repeatable');
SELECT seq AS repeatable FROM history('item', 1001) \gset
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT count(*) FROM item;
SELECT size(provenance.seal()) AS size;
SELECT verify_inclusion(provenance.prove(:repeatable), provenance.leaf(:repeatable), :'vkey');
COMMIT;

-- Many proofs in one statement are those that each call alone gives, in any order of leaves and sizes.
CREATE FUNCTION alone(seq bigint, size bigint) RETURNS proof LANGUAGE plpgsql AS $$
DECLARE
	p proof;
BEGIN
	EXECUTE format('SELECT provenance.prove(%s, %L)', seq, size) INTO p;
	RETURN p;
END $$;
CREATE TABLE many AS SELECT seq, s.size, md5(seq::text || coalesce(s.size, 0)) AS shuffle
	FROM leaf l, (VALUES (4::bigint), (34), (304), (NULL)) s (size) WHERE l.leaf_index < s.size OR s.size IS NULL;
SELECT count(*), bool_and(p::text = alone(seq, size)::text) AS same
FROM (SELECT seq, size, provenance.prove(seq, size) AS p FROM (SELECT * FROM many ORDER BY shuffle) m OFFSET 0) s;
SELECT count(*), bool_and(p::text = alone(seq, size)::text) AS same
FROM (SELECT seq, size, provenance.prove(seq, size) AS p FROM (SELECT * FROM many ORDER BY size, seq) m OFFSET 0) s;
BEGIN ISOLATION LEVEL SERIALIZABLE;
SELECT count(*), bool_and(p::text = alone(seq, size)::text) AS same
FROM (SELECT seq, size, provenance.prove(seq, size) AS p FROM (SELECT * FROM many ORDER BY shuffle LIMIT 20) m OFFSET 0) s;
COMMIT;

-- One expression called again and again sees the new head, also after errors in between.
RESET ROLE;
CREATE FUNCTION again(seq bigint, leaf bytea, vkey text) RETURNS TABLE (call int, as_sealed bool, holds bool)
LANGUAGE plpgsql AS $$
DECLARE
	sealed checkpoint;
	p proof;
BEGIN
	FOR i IN 1 .. 12 LOOP
		IF i = 5 THEN
			sealed := provenance.seal();
		END IF;
		BEGIN
			p := provenance.prove(CASE WHEN i IN (3, 8) THEN 1000000 ELSE seq END, NULL);
		EXCEPTION WHEN undefined_object THEN
			CONTINUE;
		END;
		call := i;
		as_sealed := checkpoint(p)::text = sealed::text;
		holds := verify_inclusion(p, leaf, vkey);
		IF i >= 5 THEN
			RETURN NEXT;
		END IF;
	END LOOP;
END $$;
SELECT seq AS first, provenance.leaf(seq) AS bytes FROM leaf WHERE leaf_index = 100 \gset
INSERT INTO item VALUES (1002, 'again');
SELECT * FROM again(:first, :'bytes', :'vkey');
INSERT INTO item VALUES (1003, 'and again');
SELECT n, s = max(sealed) OVER () AS as_sealed
FROM (SELECT n, CASE n WHEN 4 THEN size(provenance.seal()) END AS sealed,
		size(checkpoint(provenance.prove(:first + 0 * n))) AS s
	FROM generate_series(1, 7) n OFFSET 0) t ORDER BY n OFFSET 3;
INSERT INTO item VALUES (1004, 'and again');
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT bool_and(as_sealed AND holds) AS as_sealed FROM again(:first, :'bytes', :'vkey');
COMMIT;

DROP FUNCTION make_proof(bigint, hash[], checkpoint), alone(bigint, bigint), again(bigint, bytea, text);
\i :drop_log
