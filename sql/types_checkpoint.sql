-- checkpoint and proof: the exact bytes of their C2SP formats, parsed on every
-- way in, and a refusal that says what is wrong where.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS provenance;
RESET client_min_messages;
SET search_path = public, provenance;	-- for the operators
\getenv abs_srcdir PG_ABS_SRCDIR
\set fixture :abs_srcdir '/test/vectors/types_fixture.sql'
\set ECHO none
\i :fixture
\set ECHO all

-- Parts of a checkpoint.
SELECT name, provenance.origin(cp), provenance.size(cp), provenance.root(cp) FROM note ORDER BY name;
SELECT cp FROM note WHERE name = '5 both';
-- Verbatim: text and bytes give back the note.
SELECT count(*) AS notes,
	count(*) FILTER (WHERE convert_from(provenance.note(cp), 'UTF8') = cp::text) AS bytes,
	count(*) FILTER (WHERE cp::text::provenance.checkpoint = cp) AS there_and_back
FROM note;

-- Parts of a proof.
SELECT index, size, provenance.leaf_index(p), provenance.path(p), provenance.size(provenance.checkpoint(p))
FROM inclusion WHERE size IN (1, 5) ORDER BY inclusion.size, index;
SELECT p FROM inclusion WHERE index = 4 AND size = 5;
SELECT count(*) AS proofs,
	count(*) FILTER (WHERE provenance.checkpoint(p) = cp) AS checkpoint,
	count(*) FILTER (WHERE p::text::provenance.proof = p) AS there_and_back
FROM inclusion JOIN note ON name = size::text;

-- What the format allows beyond what we write: signatures of unknown kinds,
-- extension lines, an `extra` line, an origin that is not ASCII.
SELECT provenance.size(replace(cp::text, E'=\n\n', E'=\nan extension line\n\n')::provenance.checkpoint) FROM note WHERE name = '3';
SELECT provenance.origin(replace(cp::text, E'log.example\n3', E'büro.example\n3')::provenance.checkpoint) FROM note WHERE name = '3';
SELECT provenance.leaf_index(replace(p::text, 'index', E'extra YW55dGhpbmc=\nindex')::provenance.proof) FROM inclusion WHERE index = 2 AND size = 5;
-- The example note of C2SP signed-note is no checkpoint.
SELECT E'This is an example message.\n\n— example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n'::provenance.checkpoint;	-- fails
-- One that sum.golang.org published. Its key is not named like its origin: a
-- checkpoint, and one that no key of ours vouches for.
SELECT E'go.sum database tree\n30055305\nmXfgRcJ0bG0j3CPdKwgGWtUzBUbX67saZGRmFuJGGsM=\n\n— sum.golang.org Az3grpgEild5qw7+5dtV13Kf1C2Xurm8q4fhdxvcsDHnqNTaxL2AFjBY+2TyGKevucFcAAlWFJJYle3EJlDCrQ+y3A8=\n' AS golang \gset
SELECT provenance.origin(:'golang'), provenance.size(:'golang'), provenance.root(:'golang');
SELECT provenance.verify_consistency(:'golang', :'golang', '{}', 'sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8');

-- The hex form that databases without the dash write is taken everywhere.
SELECT provenance.note(cp)::text::provenance.checkpoint = cp AS same FROM note WHERE name = '3';

-- A malformed checkpoint is refused, whatever is wrong with it. Each case is
-- an intact note with one change.
CREATE FUNCTION pg_temp.refusal(type regtype, value text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	detail text;
BEGIN
	EXECUTE format('SELECT %L::%s', value, type);
	RETURN 'ACCEPTED';
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL;
	RETURN concat_ws(' ', SQLSTATE, SQLERRM || ':', detail);
END $$;
CREATE TEMP TABLE bad_note AS
SELECT n, what, value FROM (SELECT cp::text AS t FROM note WHERE name = '5 both') i, LATERAL (VALUES
	(0, 'intact', t),
	(1, 'empty', ''),
	(2, 'one word', 'checkpoint'),
	(3, 'no line break at the end', rtrim(t, E'\n')),
	(4, 'no empty line', replace(t, E'\n\n', E'\n')),
	(5, 'no text', substr(t, strpos(t, E'\n\n'))),
	(6, 'no signatures', substr(t, 1, strpos(t, E'\n\n') + 1)),
	(7, 'origin empty', replace(t, E'log.example\n', E'\n')),
	(8, 'origin missing', replace(t, E'log.example\n5', '5')),
	(9, 'size missing', replace(t, E'\n5\n', E'\n')),
	(10, 'size with a zero in front', replace(t, E'\n5\n', E'\n05\n')),
	(11, 'size with a sign', replace(t, E'\n5\n', E'\n+5\n')),
	(12, 'size negative', replace(t, E'\n5\n', E'\n-5\n')),
	(13, 'size with a space', replace(t, E'\n5\n', E'\n5 \n')),
	(14, 'size 2^63', replace(t, E'\n5\n', E'\n9223372036854775808\n')),
	(15, 'size 2^64', replace(t, E'\n5\n', E'\n18446744073709551616\n')),
	(16, 'size hexadecimal', replace(t, E'\n5\n', E'\n0x5\n')),
	(17, 'size 0 with a root', replace(t, E'\n5\n', E'\n0\n')),
	(18, 'root missing', regexp_replace(t, '\n5\n[^\n]*', E'\n5')),
	(19, 'root empty', regexp_replace(t, '\n5\n[^\n]*', E'\n5\n')),
	(20, 'root of 31 bytes', regexp_replace(t, '\n5\n[^\n]*', E'\n5\n' || encode(substr(sha256(''), 2), 'base64'))),
	(21, 'root of 33 bytes', regexp_replace(t, '\n5\n[^\n]*', E'\n5\n' || encode(sha256('') || '\x00', 'base64'))),
	(22, 'root not base64', regexp_replace(t, '\n5\n.', E'\n5\n!')),
	(23, 'root base64url', regexp_replace(t, '\n5\n.', E'\n5\n_')),
	(24, 'root without padding', regexp_replace(t, '=\n\n', E'\n\n')),
	(25, 'root with loose bits', regexp_replace(t, '.=\n\n', E'B=\n\n')),
	(26, 'extension line empty', replace(t, E'=\n\n', E'=\nan extension\n\n\n')),
	(27, 'carriage returns', replace(t, E'\n', E'\r\n')),
	(28, 'a tab', replace(t, 'log.example', E'log\texample')),
	(29, 'signature with a hyphen', replace(t, E'\n\n—', E'\n\n-')),
	(30, 'signature with two spaces', replace(t, E'\n\n— ', E'\n\n—  ')),
	(31, 'signature without name', replace(t, E'\n\n— log.example ', E'\n\n— ')),
	(32, 'key name with a plus', replace(t, E'\n\n— log', E'\n\n— l+og')),
	(33, 'signature not base64', replace(t, E'\n\n— log.example ', E'\n\n— log.example !')),
	(34, 'signature of two bytes', t || E'— log.example AAA=\n'),
	(35, 'signature of a key ID only', t || E'— log.example AAAAAA==\n'),
	(36, 'an empty line after the signatures', t || E'\n'),
	(37, 'text after the signatures', t || E'more\n'),
	(38, 'third signature with loose bits', t || E'— log.example AAAAAAB=\n'),
	(39, '101 signatures', substr(t, 1, strpos(t, E'\n\n') + 1) || repeat(E'— log.example AAAAAAAA\n', 101)),
	(40, '64 KiB of extension', replace(t, E'=\n\n', E'=\n' || repeat('x', 65536) || E'\n\n')),
	(41, '1 MB', repeat('x', 1000000)),
	(42, 'hex with an odd digit', '\x123'),
	(43, 'hex upper case', '\x4C'),
	(44, 'hex of no note', '\x1234')
) v(n, what, value);
SELECT n, what, pg_temp.refusal('provenance.checkpoint', value) FROM bad_note ORDER BY n;
-- Sanity of the cases themselves: each differs from the intact note.
SELECT count(*) AS unchanged FROM bad_note WHERE n > 0 AND value = (SELECT value FROM bad_note WHERE n = 0);

-- Malformed proofs.
CREATE TEMP TABLE bad_proof AS
SELECT n, what, value FROM (SELECT p::text AS t FROM inclusion WHERE index = 1 AND size = 5) i, LATERAL (VALUES
	(0, 'intact', t),
	(1, 'empty', ''),
	(2, 'a checkpoint', substr(t, strpos(t, E'\n\n') + 2)),
	(3, 'another version', replace(t, '@v1', '@v2')),
	(4, 'version only', E'c2sp.org/tlog-proof@v1\n'),
	(5, 'no index', replace(t, E'index 1\n', '')),
	(6, 'index negative', replace(t, 'index 1', 'index -1')),
	(7, 'index with a sign', replace(t, 'index 1', 'index +1')),
	(8, 'index with a zero in front', replace(t, 'index 1', 'index 01')),
	(9, 'index of two spaces', replace(t, 'index 1', 'index  1')),
	(10, 'index 2^63', replace(t, 'index 1', 'index 9223372036854775808')),
	(11, 'index 2^64', replace(t, 'index 1', 'index 18446744073709551616')),
	(12, 'extra not base64', replace(t, 'index 1', E'extra !!\nindex 1')),
	(13, 'extra empty', replace(t, 'index 1', E'extra \nindex 1')),
	(14, 'extra after index', replace(t, 'index 1', E'index 1\nextra YQ==')),
	(15, 'hash of 31 bytes', replace(t, 'index 1', E'index 1\n' || encode(substr(sha256(''), 2), 'base64'))),
	(16, 'hash with loose bits', regexp_replace(t, '[^\n]=\n', E'B=\n')),
	(17, 'hash not base64', regexp_replace(t, 'index 1\n.', E'index 1\n!')),
	(18, '64 hashes', replace(t, 'index 1', E'index 1' || repeat(E'\n' || encode(sha256(''), 'base64'), 64))),
	(19, 'carriage returns', replace(t, E'\n', E'\r\n')),
	(20, 'no empty line', replace(t, E'=\n\nlog', E'=\nlog')),
	(21, 'no checkpoint', substr(t, 1, strpos(t, E'\n\n') + 1)),
	(22, 'checkpoint is not one', substr(t, 1, strpos(t, E'\n\n') + 1) || E'checkpoint\n'),
	(23, 'size in the checkpoint', replace(t, E'\n5\n', E'\n05\n')),
	(24, 'signature in the checkpoint', replace(t, '—', '-'))
) v(n, what, value);
SELECT n, what, pg_temp.refusal('provenance.proof', value) FROM bad_proof ORDER BY n;
SELECT count(*) AS unchanged FROM bad_proof WHERE n > 0 AND value = (SELECT value FROM bad_proof WHERE n = 0);

-- Binary: the exact bytes, there and back.
CREATE TEMP TABLE intact AS SELECT cp, p FROM inclusion JOIN note ON name = size::text;
SELECT count(*) AS same FROM intact
WHERE provenance.checkpoint_send(cp) = provenance.note(cp) AND provenance.proof_send(p) = convert_to(p::text, 'UTF8');
-- The file is the server's, wherever that may write.
SELECT current_setting('data_directory') || '/types_checkpoint.tmp' AS file \gset
COPY intact TO :'file' (FORMAT binary);
CREATE TEMP TABLE copied (LIKE intact);
COPY copied FROM :'file' (FORMAT binary);
SELECT count(*) AS copied FROM copied c JOIN intact i ON c.cp = i.cp AND c.p = i.p;
-- What text refuses, binary refuses.
CREATE FUNCTION pg_temp.binary_refusal(type regtype, value bytea, file text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	detail text;
BEGIN
	DROP TABLE IF EXISTS pg_temp.sent, pg_temp.received;
	CREATE TEMP TABLE sent AS SELECT value;
	EXECUTE format('CREATE TEMP TABLE received (value %s)', type);
	EXECUTE format('COPY pg_temp.sent TO %L (FORMAT binary)', file);
	EXECUTE format('COPY pg_temp.received FROM %L (FORMAT binary)', file);
	RETURN 'ACCEPTED';
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL;
	RETURN concat_ws(' ', SQLSTATE, SQLERRM || ':', detail);
END $$;
SET client_min_messages = warning;
WITH r AS MATERIALIZED (
	SELECT n, pg_temp.binary_refusal('provenance.checkpoint', convert_to(value, 'UTF8'), :'file') AS r FROM bad_note)
SELECT count(*) AS all_cases, count(*) FILTER (WHERE r LIKE '22P03 invalid binary representation of type checkpoint:%') AS refused, array_agg(n) FILTER (WHERE r = 'ACCEPTED') AS accepted FROM r;
WITH r AS MATERIALIZED (
	SELECT n, pg_temp.binary_refusal('provenance.proof', convert_to(value, 'UTF8'), :'file') AS r FROM bad_proof)
SELECT count(*) AS all_cases, count(*) FILTER (WHERE r LIKE '22P03 invalid binary representation of type proof:%') AS refused, array_agg(n) FILTER (WHERE r = 'ACCEPTED') AS accepted FROM r;
-- And bytes that are not UTF-8, or hold a NUL.
SELECT pg_temp.binary_refusal('provenance.checkpoint', overlay(provenance.note(cp) PLACING '\xff' FROM 4), :'file') FROM note WHERE name = '3';
SELECT pg_temp.binary_refusal('provenance.checkpoint', overlay(provenance.note(cp) PLACING '\x00' FROM 4), :'file') FROM note WHERE name = '3';
SELECT pg_temp.binary_refusal('provenance.checkpoint', overlay(provenance.note(cp) PLACING '\x00' FROM 40), :'file') FROM note WHERE name = '3';
\set remove 'cat >/dev/null; rm -f "' :file '"'
COPY (SELECT 1) TO PROGRAM :'remove';
RESET client_min_messages;

-- Comparison is that of the bytes, with indexes, grouping and joins.
SELECT count(*) AS pairs, count(*) FILTER (WHERE
	(a.cp < b.cp) <> (provenance.note(a.cp) < provenance.note(b.cp)) OR
	(a.cp <= b.cp) <> (provenance.note(a.cp) <= provenance.note(b.cp)) OR
	(a.cp = b.cp) <> (provenance.note(a.cp) = provenance.note(b.cp)) OR
	(a.cp <> b.cp) <> (provenance.note(a.cp) <> provenance.note(b.cp)) OR
	(a.cp >= b.cp) <> (provenance.note(a.cp) >= provenance.note(b.cp)) OR
	(a.cp > b.cp) <> (provenance.note(a.cp) > provenance.note(b.cp))) AS wrong
FROM note a, note b;
SELECT count(*) AS pairs, count(*) FILTER (WHERE (a.p = b.p) <> (a.p::text = b.p::text) OR (a.p <> b.p) = (a.p::text = b.p::text)
	OR (a.p < b.p) <> (a.p::text COLLATE "C" < b.p::text COLLATE "C") OR (a.p > b.p) <> (b.p::text COLLATE "C" < a.p::text COLLATE "C")
	OR (a.p <= b.p) <> (a.p::text COLLATE "C" <= b.p::text COLLATE "C") OR (a.p >= b.p) <> (b.p::text COLLATE "C" <= a.p::text COLLATE "C")) AS wrong
FROM inclusion a, inclusion b;
SELECT array_agg(name ORDER BY cp) = array_agg(name ORDER BY provenance.note(cp)) AS sorted FROM note;
CREATE UNIQUE INDEX note_btree ON note (cp);
CREATE INDEX note_hash ON note USING hash (cp);
CREATE UNIQUE INDEX inclusion_btree ON inclusion (p);
CREATE INDEX inclusion_hash ON inclusion USING hash (p);
INSERT INTO note SELECT 'twice', cp FROM note WHERE name = '3';	-- fails
SET enable_seqscan = off;
SELECT name FROM note WHERE cp = (SELECT cp FROM note WHERE name = '5 next');
SELECT n.name, count(*) FROM note n JOIN intact i USING (cp) GROUP BY n.name ORDER BY n.name;
SELECT count(DISTINCT cp) AS checkpoints, count(DISTINCT p) AS proofs FROM intact;
RESET enable_seqscan;

-- A note too long for a page is stored out of line and read back.
CREATE TEMP TABLE long_note AS
SELECT replace(cp::text, E'=\n\n', E'=\n' || (SELECT string_agg(encode(sha256(i::text::bytea), 'hex'), E'\n') FROM generate_series(1, 900) i) || E'\n\n')::provenance.checkpoint AS cp
FROM note WHERE name = '3';
SELECT pg_column_size(cp) > 20000 AS long, provenance.size(cp), cp::text::provenance.checkpoint = cp AS same FROM long_note;
