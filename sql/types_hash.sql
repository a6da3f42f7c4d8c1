-- hash: one text per value, the order of its bytes, usable in every index.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS provenance;
RESET client_min_messages;
SET search_path = public, provenance;	-- for the operators

-- Text: 64 lower-case hexadecimal digits, nothing else.
SELECT '00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff'::provenance.hash;
SELECT ''::provenance.hash;	-- fails
SELECT '00112233'::provenance.hash;	-- fails
SELECT repeat('0', 63)::provenance.hash;	-- fails
SELECT repeat('0', 65)::provenance.hash;	-- fails
SELECT ('\x' || repeat('0', 62))::provenance.hash;	-- fails
SELECT (' ' || repeat('0', 63))::provenance.hash;	-- fails
SELECT (repeat('0', 63) || ' ')::provenance.hash;	-- fails
SELECT (repeat('0', 40) || 'A' || repeat('0', 23))::provenance.hash;	-- fails
SELECT (repeat('0', 40) || 'g' || repeat('0', 23))::provenance.hash;	-- fails
SELECT (repeat('0', 62) || 'é')::provenance.hash;	-- fails
\set VERBOSITY sqlstate
SELECT 'x'::provenance.hash;	-- fails
\set VERBOSITY default

-- Casts: a hash into bytea where one is stored, a bytea into a hash only if
-- asked for, and only 32 bytes.
SELECT sha256('')::provenance.hash;
SELECT sha256('')::provenance.hash::bytea = sha256('') AS same;
SELECT '\x00'::bytea::provenance.hash;	-- fails
SELECT (sha256('') || '\x00')::provenance.hash;	-- fails
CREATE TEMP TABLE cast_test (b bytea, h provenance.hash);
INSERT INTO cast_test (b) VALUES (sha256('')::provenance.hash);
INSERT INTO cast_test (h) VALUES (sha256(''));	-- fails
SELECT length(b) FROM cast_test;

-- Operators agree with those of the bytes, for every pair.
CREATE TABLE hash_test (id int PRIMARY KEY, h provenance.hash);
INSERT INTO hash_test SELECT i, sha256((i % 900)::text::bytea)::provenance.hash FROM generate_series(1, 1000) i;
-- Hashes with one beginning: abbreviated keys cannot tell them apart.
INSERT INTO hash_test
	SELECT 1000 + i, (repeat('ab', 31) || lpad(to_hex((i * 37) % 256), 2, '0'))::provenance.hash FROM generate_series(1, 200) i;
INSERT INTO hash_test VALUES (2001, NULL), (2002, repeat('0', 64)::provenance.hash), (2003, repeat('f', 64)::provenance.hash);
SELECT count(*) AS pairs, count(*) FILTER (WHERE
	(a.h < b.h) IS DISTINCT FROM (a.h::bytea < b.h::bytea) OR
	(a.h <= b.h) IS DISTINCT FROM (a.h::bytea <= b.h::bytea) OR
	(a.h = b.h) IS DISTINCT FROM (a.h::bytea = b.h::bytea) OR
	(a.h <> b.h) IS DISTINCT FROM (a.h::bytea <> b.h::bytea) OR
	(a.h >= b.h) IS DISTINCT FROM (a.h::bytea >= b.h::bytea) OR
	(a.h > b.h) IS DISTINCT FROM (a.h::bytea > b.h::bytea) OR
	provenance.hash_cmp(a.h, b.h) IS DISTINCT FROM
		CASE WHEN a.h::bytea < b.h::bytea THEN -1 WHEN a.h::bytea > b.h::bytea THEN 1 ELSE 0 END) AS wrong
FROM hash_test a, hash_test b WHERE a.id % 7 = 0 AND b.id % 5 = 0 AND a.h IS NOT NULL AND b.h IS NOT NULL;

-- Sorting.
SELECT array_agg(h::bytea ORDER BY h, id) = array_agg(h::bytea ORDER BY h::bytea, id) AS sorted,
	array_agg(h::bytea ORDER BY h DESC NULLS LAST, id) = array_agg(h::bytea ORDER BY h::bytea DESC NULLS LAST, id) AS sorted_down
FROM hash_test;

-- Both index methods are used and find what a sequential scan finds.
CREATE INDEX hash_test_btree ON hash_test (h);
CREATE INDEX hash_test_hash ON hash_test USING hash (h);
ANALYZE hash_test;
SET enable_seqscan = off;
SET enable_bitmapscan = off;
EXPLAIN (COSTS OFF) SELECT h FROM hash_test WHERE h > repeat('f0', 32)::provenance.hash ORDER BY h;
SELECT count(*) AS above FROM hash_test WHERE h > repeat('f0', 32)::provenance.hash;
BEGIN;
DROP INDEX hash_test_btree;
EXPLAIN (COSTS OFF) SELECT id FROM hash_test WHERE h = sha256('7')::provenance.hash;
SELECT id FROM hash_test WHERE h = sha256('7')::provenance.hash ORDER BY id;
ROLLBACK;
RESET enable_seqscan;
RESET enable_bitmapscan;
SELECT count(*) AS above FROM hash_test WHERE h::bytea > decode(repeat('f0', 32), 'hex');
\set VERBOSITY sqlstate
CREATE UNIQUE INDEX ON hash_test (h);	-- fails
\set VERBOSITY default

-- Joins and grouping by hashing and by merging.
SELECT count(DISTINCT h) AS sorted, (SELECT count(*) FROM (SELECT h FROM hash_test WHERE h IS NOT NULL GROUP BY h) g) AS grouped FROM hash_test;
SET enable_nestloop = off;
SET enable_mergejoin = off;
EXPLAIN (COSTS OFF) SELECT count(*) FROM hash_test a JOIN hash_test b USING (h);
SELECT count(*) FROM hash_test a JOIN hash_test b USING (h);
SET enable_hashjoin = off;
SET enable_mergejoin = on;
SELECT count(*) FROM hash_test a JOIN hash_test b USING (h);
RESET enable_nestloop;
RESET enable_mergejoin;
RESET enable_hashjoin;
-- The extended hash with seed 0 begins like the plain one.
SELECT count(*) AS differ FROM hash_test WHERE h IS NOT NULL AND
	provenance.hash_hash(h) <> (provenance.hash_hash_extended(h, 0) & x'ffffffff'::bigint)::bit(32)::int;

-- Binary: the 32 bytes, there and back.
SELECT provenance.hash_send(sha256('')::provenance.hash) = sha256('') AS same;
-- The file is the server's, wherever that may write.
SELECT current_setting('data_directory') || '/types_hash.tmp' AS file \gset
COPY hash_test TO :'file' (FORMAT binary);
CREATE TEMP TABLE hash_copy (LIKE hash_test);
COPY hash_copy FROM :'file' (FORMAT binary);
SELECT count(*) AS copied FROM hash_copy JOIN hash_test USING (id) WHERE hash_copy.h IS NOT DISTINCT FROM hash_test.h;
-- Bytes of another number are refused.
CREATE TEMP TABLE hash_bytes AS SELECT 1 AS id, '\x00112233'::bytea AS h;
COPY hash_bytes TO :'file' (FORMAT binary);
COPY hash_copy FROM :'file' (FORMAT binary);	-- fails
UPDATE hash_bytes SET h = sha256('') || '\x00';
COPY hash_bytes TO :'file' (FORMAT binary);
COPY hash_copy FROM :'file' (FORMAT binary);	-- fails
\set VERBOSITY sqlstate
COPY hash_copy FROM :'file' (FORMAT binary);	-- fails
\set VERBOSITY default
\set remove 'cat >/dev/null; rm -f "' :file '"'
COPY (SELECT 1) TO PROGRAM :'remove';

-- Arrays, NULL.
SELECT array_length(array_agg(h), 1) FROM hash_test WHERE id BETWEEN 1 AND 3;
SELECT NULL::provenance.hash IS NULL AS is_null;
DROP TABLE hash_test;
