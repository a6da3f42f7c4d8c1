-- disclose() and verify_disclosure(): any set of an entry's fields can be
-- disclosed and verified, nothing of the others shows, and no line of it can be
-- changed.
\getenv srcdir PG_ABS_SRCDIR
\set fresh_log :srcdir '/sql/include/fresh_log.sql'
\set drop_log :srcdir '/sql/include/drop_log.sql'
\i :fresh_log
SET search_path = crm, provenance;
\set as_owner 'SET ROLE regress_provenance_owner'
\set as_reader 'SET ROLE regress_provenance_reader'

:as_owner;
CREATE TABLE contact (id int PRIMARY KEY, name text, phone text, note text, balance numeric(10,2));
SELECT provenance.tag('contact');
SET provenance.actor = 'zoe@acme.example';
SET provenance.purpose = 'Vertragsänderung';
INSERT INTO contact VALUES (42, 'Zoë Núñez', NULL, E'two\nlines ', -17.50);
UPDATE contact SET name = '日本語', phone = '' WHERE id = 42;
DELETE FROM contact WHERE id = 42;
RESET provenance.actor;
RESET provenance.purpose;
ALTER TABLE contact ADD COLUMN "@time" text;
INSERT INTO contact VALUES (7, 'other', '1', '2', 3, 'noon');
TRUNCATE contact;
SELECT size(provenance.seal()) AS sealed;
CREATE TABLE e AS SELECT seq, leaf_index, op, changed_at, txid, leaf_hash, prev_hash, image FROM changes('contact', '-infinity');
SELECT op, count(*) FROM e GROUP BY 1 ORDER BY 1;
SELECT seq AS inserted FROM e WHERE op = 'insert' AND image ->> 'id' = '42' \gset
SELECT seq AS updated FROM e WHERE op = 'update' \gset
SELECT seq AS deleted FROM e WHERE op = 'delete' \gset
SELECT seq AS tagged FROM e WHERE op = 'tag' \gset

-- What a person gets.
SELECT line FROM regexp_split_to_table(provenance.disclose(:inserted, '{name,note,phone}', '{purpose}'), E'\n') line
WHERE line ~ '^(text|base64 |null|empty|field|context |context-|provenance|index)' AND line !~ '^context [^ ]{44}$';
SELECT field, value, withheld FROM verify_disclosure(provenance.disclose(:inserted, '{name,note,phone}', '{purpose}'), :'vkey')
WHERE field !~ '^@(origin|time|transaction|leaf_hash|leaf_index|log_size|previous)$';
SELECT f.field, f.value = CASE f.field
		WHEN '@origin' THEN split_part(:'vkey', '+', 1)
		WHEN '@time' THEN rtrim(to_char(e.changed_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.US'), '0') || '+00'
		WHEN '@transaction' THEN txid::text
		WHEN '@leaf_index' THEN e.leaf_index::text
		WHEN '@log_size' THEN size(provenance.seal())::text
		WHEN '@leaf_hash' THEN e.leaf_hash::text
		WHEN '@previous' THEN e.prev_hash::text END AS right
FROM e, verify_disclosure(provenance.disclose(:updated, '{}'), :'vkey') f
WHERE e.seq = :updated AND f.field ~ '^@(origin|time|transaction|leaf_hash|leaf_index|log_size|previous)$';
SELECT field, value, withheld FROM verify_disclosure(provenance.disclose(:updated), :'vkey') WHERE field !~ '^@';
SELECT field, value, withheld FROM verify_disclosure(provenance.disclose(:deleted), :'vkey') WHERE field !~ '^@' OR field = '@operation';
SELECT field, value, withheld FROM verify_disclosure(provenance.disclose(:tagged), :'vkey') WHERE field !~ '^@' OR field = '@operation';
SELECT field, value, withheld FROM verify_disclosure(provenance.disclose(:tagged, '{mode}', '{db_user}'), :'vkey') WHERE field !~ '^@';
SELECT e.op, count(f.*) FROM e, LATERAL verify_disclosure(provenance.disclose(e.seq), :'vkey') f
WHERE f.field !~ '^@' AND NOT f.withheld GROUP BY e.seq, e.op ORDER BY 1, 2;

-- A column that looks like a fact of the leaf is told apart.
SELECT field, value FROM e, LATERAL verify_disclosure(provenance.disclose(seq), :'vkey')
WHERE op = 'insert' AND image ->> 'id' = '7' AND field ~ 'time' AND value <> changed_at::text AND value !~ '^20';

-- Every set of fields, with and without each field of the context: what is
-- asked for is disclosed, with its value, and nothing else.
CREATE TABLE fields AS SELECT * FROM unnest('{id,name,phone,note,balance}'::name[]) WITH ORDINALITY f (name, n);
CREATE TABLE context AS SELECT * FROM unnest('{actor,purpose,source,db_user,session_user,current_user,application,client_addr,source_leaf}'::name[]) WITH ORDINALITY f (name, n);
CREATE TABLE disclosed AS
	SELECT a.set, c.set AS context, provenance.disclose(:inserted, a.set, c.set) AS d
	FROM (SELECT coalesce(array_agg(name ORDER BY n) FILTER (WHERE i & (1 << n::int - 1) <> 0), '{}') AS set
		FROM generate_series(0, 31) i, fields GROUP BY i) a,
		(SELECT coalesce(array_agg(name ORDER BY n) FILTER (WHERE i & (1 << n::int - 1) <> 0), '{}') AS set
		FROM unnest(array[0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 7, 511]) i, context GROUP BY i) c;
SELECT count(*) AS disclosures,
	bool_and(image = (SELECT image FROM e WHERE seq = :inserted)) AS values,
	bool_and(shown = set) AS as_asked, bool_and(context_shown = context) AS context_as_asked,
	bool_and(withheld + cardinality(shown) = 5) AS fields
FROM disclosed, LATERAL (
	SELECT coalesce(array_agg(field ORDER BY n) FILTER (WHERE NOT withheld AND field !~ '^(@|context\.)'), '{}')::name[] AS shown,
		coalesce(array_agg(substr(field, 9) ORDER BY n) FILTER (WHERE NOT withheld AND field ~ '^context\.'), '{}')::name[] AS context_shown,
		count(*) FILTER (WHERE withheld AND field !~ '^context\.') AS withheld,
		(SELECT image FROM e WHERE seq = :inserted) || coalesce(jsonb_object_agg(field,
			CASE WHEN field IN ('id', 'balance') THEN value::jsonb ELSE to_jsonb(value) END)
			FILTER (WHERE NOT withheld AND field !~ '^(@|context\.)'), '{}') AS image
	FROM verify_disclosure(d, :'vkey') WITH ORDINALITY v (field, value, withheld, n)) v;

-- Nothing of what is withheld is in the text, readable or in base64.
SELECT count(*) AS tried, count(*) FILTER (WHERE d ~ encode(convert_to(value, 'UTF8'), 'base64') OR strpos(d, 'text ' || value) > 0) AS leaks
FROM disclosed, (VALUES ('name', 'Zoë Núñez'), ('note', E'two\nlines '), ('balance', '-17.50')) f (name, value)
WHERE NOT f.name = ANY (set);

-- A withheld context links nothing: two entries under one context share no
-- salt, digest or commitment, and do once something of it is disclosed.
CREATE FUNCTION shared(a text, b text) RETURNS bigint LANGUAGE sql RETURN (
	SELECT count(*) FROM (
		SELECT split_part(l, ' ', 2) FROM regexp_split_to_table(split_part(a, E'\n\n', 1), E'\n') l WHERE l ~ '^(salt|digest|context|context-digest) '
		INTERSECT
		SELECT split_part(l, ' ', 2) FROM regexp_split_to_table(split_part(b, E'\n\n', 1), E'\n') l WHERE l ~ '^(salt|digest|context|context-digest) ') s);
SELECT shared(provenance.disclose(:inserted), provenance.disclose(:updated)) AS withheld,
	shared(provenance.disclose(:inserted, '{}'), provenance.disclose(:updated, '{}')) AS all_withheld,
	shared(provenance.disclose(:inserted, NULL, '{actor}'), provenance.disclose(:updated, NULL, '{actor}')) > 0 AS given;

-- Every line left out, doubled, exchanged with the next, or with a character
-- changed: refused. (But for the order of lines, all texts differ.)
CREATE FUNCTION refused(d text, vkey text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	PERFORM * FROM provenance.verify_disclosure(d, vkey);
	RETURN 'accepted';
EXCEPTION WHEN invalid_text_representation OR invalid_parameter_value THEN
	RETURN SQLSTATE;
END $$;
CREATE TABLE mutilated AS
	WITH t AS (SELECT d, regexp_split_to_array(rtrim(d, E'\n'), E'\n') AS lines
		FROM (VALUES (provenance.disclose(:inserted, '{name,note}', '{actor,source}')), (provenance.disclose(:deleted)), (provenance.disclose(:tagged, '{mode}'))) v (d)),
	l AS (SELECT t.*, n, lines[n] AS line FROM t, generate_series(1, cardinality(lines)) n)
	SELECT 'left out' AS how, d, array_to_string(lines[:n - 1] || lines[n + 1:], E'\n') || E'\n' AS m FROM l
	UNION ALL
	SELECT 'doubled', d, array_to_string(lines[:n] || lines[n:], E'\n') || E'\n' FROM l WHERE n < cardinality(lines)
	UNION ALL
	SELECT 'exchanged', d, array_to_string(lines[:n - 1] || lines[n + 1] || lines[n] || lines[n + 2:], E'\n') || E'\n' FROM l
		WHERE n < cardinality(lines) AND line <> lines[n + 1]
	UNION ALL
	SELECT 'character changed', d, array_to_string(lines[:n - 1] || overlay(line PLACING chr(ascii(substr(line, at, 1)) # 1) FROM at) || lines[n + 1:], E'\n') || E'\n'
	FROM l, generate_series(1, length(line)) at WHERE at % 7 = 1 OR at > length(line) - 3
	UNION ALL
	SELECT 'ended', d, rtrim(d, E'\n') FROM t
	UNION ALL
	SELECT 'continued', d, d || E'\n' FROM t
	UNION ALL
	SELECT 'carriage returns', d, replace(d, E'\n', E'\r\n') FROM t
	UNION ALL
	SELECT 'as it was', d, d FROM t;
SELECT how, count(*) > 2 AS tried, array_agg(DISTINCT result) AS result FROM mutilated, refused(m, :'vkey') result GROUP BY how ORDER BY how;

-- What is wrong is said.
SELECT provenance.disclose(:inserted, '{name}', '{actor}') AS d \gset
SELECT * FROM verify_disclosure(replace(:'d', 'text Zoë', 'text Zoe'), :'vkey');	-- fails
SELECT * FROM verify_disclosure(replace(:'d', 'text zoe', 'text zoë'), :'vkey');	-- fails
SELECT * FROM verify_disclosure(replace(:'d', 'field name', 'field Name'), :'vkey');	-- fails
SELECT * FROM verify_disclosure(replace(:'d', '@v1', '@v2'), :'vkey');	-- fails
SELECT * FROM verify_disclosure(regexp_replace(:'d', '\nindex \d+\n', E'\nindex 999\n'), :'vkey');	-- fails
SELECT * FROM verify_disclosure('', :'vkey');	-- fails
SELECT * FROM verify_disclosure('\x00', :'vkey');	-- fails
SELECT * FROM verify_disclosure('\xzz', :'vkey');	-- fails
SELECT * FROM verify_disclosure(:'d', 'no key');	-- fails
SELECT set_config('crm.d', :'d', false) IS NOT NULL AS set;
DO $$
BEGIN
	PERFORM * FROM provenance.verify_disclosure(current_setting('crm.d'), 'crm.acme.example+5e3d2663+AddamAGCsQq31Uv+08lkBzoO4XLz2qYjJa8CGmj3B1Ea');
EXCEPTION WHEN invalid_parameter_value THEN
	RAISE NOTICE '%', SQLERRM;
END $$;
SELECT count(*) FROM verify_disclosure('\x' || encode(convert_to(:'d', 'UTF8'), 'hex'), :'vkey');
SELECT count(*) FROM verify_disclosure(NULL, :'vkey');

-- The same answer under other settings.
SET DateStyle = 'German';
SET TimeZone = 'Asia/Tokyo';
SELECT value ~ '^\d{4}-\d\d-\d\d [0-9:.]+\+00$' AS iso FROM verify_disclosure(:'d', :'vkey') WHERE field = '@time';
RESET DateStyle;
RESET TimeZone;

-- What cannot be disclosed.
SELECT provenance.disclose(1000000);	-- fails
SELECT provenance.disclose(:inserted, '{name,nothing}');	-- fails
SELECT provenance.disclose(:deleted, '{name}');	-- fails
SELECT provenance.disclose(:inserted, '{name,id,name}');	-- fails
SELECT provenance.disclose(:inserted, '{name,NULL}');	-- fails
SELECT provenance.disclose(:inserted, '{}', '{actor,nobody}');	-- fails
SELECT provenance.disclose(:inserted, '{}', '{actor,actor}');	-- fails
SELECT provenance.disclose(NULL) IS NULL AS null;
BEGIN;
INSERT INTO contact VALUES (8);
SELECT max(seq) AS unsealed FROM history('contact', 8) \gset
\set VERBOSITY sqlstate
SELECT provenance.disclose(:unsealed);	-- fails
ROLLBACK;
\set VERBOSITY default

-- Who may disclose what.
:as_reader;
SELECT provenance.disclose(:inserted);	-- fails
:as_owner;
GRANT SELECT (id, name) ON contact TO regress_provenance_reader;
:as_reader;
SELECT field, value, withheld FROM verify_disclosure(provenance.disclose(:inserted), :'vkey') WHERE field !~ '^@';
SELECT length(provenance.disclose(:inserted, '{name}', '{actor,purpose,source,db_user,application}')) > 0 AS disclosed;
SELECT provenance.disclose(:inserted, '{name,balance}');	-- fails
SELECT provenance.disclose(:inserted, '{}', '{client_addr}');	-- fails
SELECT field, value FROM verify_disclosure(provenance.disclose(:tagged, '{table}'), :'vkey') WHERE field = 'table';
:as_owner;
GRANT SELECT ON contact TO regress_provenance_reader;
ALTER TABLE contact ENABLE ROW LEVEL SECURITY;
:as_reader;
SELECT provenance.disclose(:inserted);	-- fails
:as_owner;
ALTER TABLE contact DISABLE ROW LEVEL SECURITY;

-- A dropped column is the owner's to disclose.
ALTER TABLE contact DROP COLUMN note;
SELECT field, withheld FROM verify_disclosure(provenance.disclose(:inserted), :'vkey') WHERE field = 'note';
:as_reader;
SELECT field, withheld FROM verify_disclosure(provenance.disclose(:inserted), :'vkey') WHERE field = 'note';
RESET ROLE;

-- What was erased is gone; the table that is gone is the superuser's to disclose.
SELECT provenance.untag('contact');
DROP TABLE contact;
:as_owner;
SELECT provenance.disclose(:inserted);	-- fails
RESET ROLE;
SELECT field, value FROM verify_disclosure(provenance.disclose(:inserted), :'vkey') WHERE field = 'name';
SET session_replication_role = replica;
ALTER TABLE provenance.entry DISABLE TRIGGER ALL;
ALTER TABLE provenance.context DISABLE TRIGGER ALL;
UPDATE provenance.context SET seed = NULL, fields = NULL;
SELECT field, value FROM verify_disclosure(provenance.disclose(:inserted), :'vkey') WHERE field = 'name';
SELECT provenance.disclose(:inserted, NULL, '{actor}');	-- fails
\set VERBOSITY terse
UPDATE provenance.entry SET changed_at = changed_at + '1 s' WHERE seq = :updated;
DO $$
BEGIN
	PERFORM provenance.disclose(max(seq)) FROM crm.e WHERE op = 'update';
EXCEPTION WHEN data_corrupted THEN
	RAISE NOTICE '%', regexp_replace(SQLERRM, '\d+', 'N');
END $$;
UPDATE provenance.entry SET image = overlay(image PLACING '\x31' FROM 3) WHERE seq = :deleted;
SELECT provenance.disclose(:deleted);	-- fails
UPDATE provenance.entry SET seed = NULL, image = NULL WHERE seq = :inserted;
SELECT provenance.disclose(:inserted);	-- fails
RESET session_replication_role;

\i :drop_log
