-- export_bundle(): the lines are those of doc/format.md, and hold; what is
-- given away is recorded before it leaves; nobody exports what he may not see.
\getenv srcdir PG_ABS_SRCDIR
\set fresh_log :srcdir '/sql/include/fresh_log.sql'
\set drop_log :srcdir '/sql/include/drop_log.sql'
\i :fresh_log
SET search_path = crm, provenance;
\set as_owner 'SET ROLE regress_provenance_owner'
\set as_reader 'SET ROLE regress_provenance_reader'

-- A reader of bundles, written from doc/format.md: digest, leaves and gaps
-- against the checkpoint's root, commitments from shape, fields and contexts.
CREATE TABLE crm.b (line bigint, kind text, content text);
GRANT ALL ON crm.b TO PUBLIC;
CREATE FUNCTION crm.u16(n int) RETURNS bytea LANGUAGE sql AS $$ SELECT substr(int4send(n), 3) $$;
CREATE FUNCTION crm.h64(b bytea) RETURNS text LANGUAGE sql AS $$ SELECT encode(b, 'hex') $$;
-- The digest of a field token, and what it discloses.
CREATE FUNCTION crm.field_digest(token text, domain bytea, name text, OUT digest bytea, OUT shown text) LANGUAGE plpgsql AS $$
DECLARE
	salt bytea;
	value bytea;
BEGIN
	IF token ~ '^-' THEN
		digest := decode(substr(token, 2), 'base64');
		shown := '(withheld)';
		RETURN;
	END IF;
	salt := decode(substr(token, 2, 24), 'base64');
	value := CASE left(token, 1) WHEN '=' THEN convert_to(substr(token, 26), 'UTF8')
		WHEN ':' THEN decode(substr(token, 26), 'base64') END;
	shown := coalesce(convert_from(value, 'UTF8'), '(null)');
	IF left(token, 1) = '0' AND length(token) <> 25 THEN
		RAISE 'field %', token;
	END IF;
	digest := sha256(domain || salt || u16(octet_length(name)) || convert_to(name, 'UTF8') ||
		CASE WHEN value IS NULL THEN '\x0100000000'::bytea ELSE '\x00'::bytea || int4send(length(value)) || value END);
END $$;
-- The columns of a shape, in order, with the position in the key.
CREATE FUNCTION crm.shape_columns(s bytea) RETURNS TABLE (n int, name text, key int) LANGUAGE plpgsql AS $$
DECLARE
	pos int := 2;
	len int;
	skip int;
	count int;
BEGIN
	FOR skip IN 1 .. 3 LOOP
		len := get_byte(s, pos - 1) * 256 + get_byte(s, pos);
		pos := pos + 2 + len + CASE WHEN skip = 1 THEN 4 ELSE 0 END;
	END LOOP;
	count := get_byte(s, pos - 1) * 256 + get_byte(s, pos);
	pos := pos + 2;
	FOR n IN 1 .. count LOOP
		len := get_byte(s, pos - 1) * 256 + get_byte(s, pos);
		name := convert_from(substr(s, pos + 2, len), 'UTF8');
		pos := pos + 2 + len;
		len := get_byte(s, pos - 1) * 256 + get_byte(s, pos);
		pos := pos + 2 + len;
		key := get_byte(s, pos - 1) * 256 + get_byte(s, pos);
		pos := pos + 2;
		RETURN NEXT;
	END LOOP;
END $$;
-- Checks the bundle in table b, and gives what each entry discloses.
CREATE FUNCTION crm.read_bundle(vkey text) RETURNS TABLE (leaf bigint, op text, previous text, next text, context text, fields text) LANGUAGE plpgsql AS $$
DECLARE
	l record;
	t text[];
	shapes bytea[];
	contexts bytea[];
	shown_contexts text[];
	peaks bytea[] := array_fill(NULL::bytea, ARRAY[64]);
	pos bigint := 0;
	size bigint;
	since bigint;
	root bytea;
	the_note checkpoint;
	names text[];
	digests bytea;
	d record;
	bytes bytea;
	hashes bytea;
	until bigint;
	k int;
	i int;
	h bytea;
	leaf_hashes text[] := '{}';
	leaf_indexes bigint[] := '{}';
	named bigint[] := '{}';
	marked bigint[] := '{}';
	context_names text[] := '{actor,purpose,source,db_user,session_user,current_user,application,client_addr,source_leaf}';
	n bigint := 0;
BEGIN
	FOR l IN SELECT * FROM b ORDER BY line LOOP
		n := n + 1;
		t := string_to_array(l.content, '|');
		IF l.line <> n OR l.content ~ E'[\n\r\t]' THEN RAISE 'line % %', l.line, l.content; END IF;
		CASE l.kind
			WHEN 'bundle' THEN
				size := t[3]; since := t[4];
				IF n <> 1 OR t[1] <> 'provenance/bundle@v1' OR t[2] <> split_part(vkey, '+', 1) THEN RAISE 'header %', l.content; END IF;
			WHEN 'checkpoint' THEN
				the_note := convert_from(decode(l.content, 'base64'), 'UTF8');
				root := provenance.root(the_note)::bytea;
				IF n <> 2 OR provenance.size(the_note) <> size OR provenance.origin(the_note) <> split_part(vkey, '+', 1) THEN RAISE 'checkpoint'; END IF;
			WHEN 'consistency' THEN
				IF replace((SELECT encode(string_agg(p::bytea, '' ORDER BY o), 'base64')
						FROM unnest(provenance.prove_consistency(t[1]::bigint, size)) WITH ORDINALITY u(p, o)), E'\n', '') <> t[2] THEN
					RAISE 'consistency %', l.content;
				END IF;
			WHEN 'shape' THEN
				shapes[t[1]::int] := decode(t[2], 'base64');
			WHEN 'context' THEN
				digests := '';
				shown_contexts[t[1]::int] := '';
				FOR i IN 1 .. 9 LOOP
					d := field_digest(t[2 + i], '\x06', context_names[i]);
					digests := digests || d.digest;
					IF d.shown <> '(withheld)' THEN
						shown_contexts[t[1]::int] := shown_contexts[t[1]::int] || context_names[i] || '=' || d.shown || ' ';
					END IF;
				END LOOP;
				IF sha256('\x04'::bytea || int4send(9) || digests) <> decode(t[2], 'base64') THEN RAISE 'context %', l.content; END IF;
				contexts[t[1]::int] := decode(t[2], 'base64');
			WHEN 'entry', 'end' THEN
				IF l.kind = 'entry' THEN
					leaf := t[1]; until := leaf; hashes := decode(t[2], 'base64');
				ELSE
					until := size; hashes := decode(t[2], 'base64');
				END IF;
				-- gap, then the leaf itself
				WHILE pos < until OR (pos = until AND l.kind = 'entry') LOOP
					k := 0;
					IF pos < until THEN
						WHILE (pos % (2::bigint << k) = 0) AND pos + (2::bigint << k) <= until LOOP k := k + 1; END LOOP;
						IF length(hashes) < 32 THEN RAISE 'gap before %', until; END IF;
						h := substr(hashes, 1, 32);
						hashes := substr(hashes, 33);
					ELSE
						bytes := decode(t[3], 'base64');
						h := sha256('\x00'::bytea || bytes);
						leaf_hashes := leaf_hashes || h64(h);
						leaf_indexes := leaf_indexes || leaf;
					END IF;
					pos := pos + (1::bigint << k);
					WHILE peaks[k + 1] IS NOT NULL LOOP
						h := sha256('\x01'::bytea || peaks[k + 1] || h);
						peaks[k + 1] := NULL;
						k := k + 1;
					END LOOP;
					peaks[k + 1] := h;
				END LOOP;
				IF length(hashes) > 0 THEN RAISE 'gap before % too long', until; END IF;
				IF l.kind = 'entry' THEN
					op := ('{insert,update,delete,baseline,truncate,tag,untag,schema,attach,detach,erase}'::text[])[get_byte(bytes, 1)];
					previous := t[4]; next := t[5]; context := t[7];
					h := substr(bytes, 19, 32);
					IF previous = '-' AND h64(h) <> repeat('0', 64) THEN RAISE 'previous of %', leaf; END IF;
					IF previous <> '-' THEN
						named := named || previous::bigint;
						IF previous::bigint >= since AND leaf_hashes[array_position(leaf_indexes, previous::bigint)] IS DISTINCT FROM h64(h) THEN
							RAISE 'previous of %', leaf;
						END IF;
					END IF;
					IF next = '1' THEN marked := marked || leaf; END IF;
					names := CASE WHEN op IN ('insert', 'update', 'baseline') THEN (SELECT array_agg(c.name ORDER BY c.n) FROM shape_columns(shapes[t[6]::int]) c)
						WHEN op = 'delete' THEN (SELECT array_agg(c.name ORDER BY c.key) FROM shape_columns(shapes[t[6]::int]) c WHERE c.key > 0)
						WHEN op = 'tag' THEN '{schema,table,subject,mode,exclude}'
						WHEN op IN ('truncate', 'untag') THEN '{schema,table}'
						WHEN op = 'schema' THEN '{schema,table,shape}'
						ELSE '{schema,table,partition}' END;
					fields := '';
					IF t[9] = '!' THEN
						IF context <> '-' THEN RAISE 'erased %', leaf; END IF;
						fields := '!';
					ELSE
						IF left(context, 1) = '-' THEN
							digests := decode(substr(context, 2), 'base64');
							context := '(withheld)';
						ELSE
							i := split_part(context, ':', 1);
							digests := sha256('\x02'::bytea || decode(split_part(context, ':', 2), 'base64') || u16(0) || '\x00'::bytea || int4send(32) || contexts[i]);
							context := rtrim(shown_contexts[i]);
						END IF;
						IF array_length(t, 1) <> 8 + array_length(names, 1) THEN RAISE 'fields of % in %', op, leaf; END IF;
						FOR i IN 1 .. array_length(names, 1) LOOP
							d := field_digest(t[8 + i], '\x02', names[i]);
							digests := digests || d.digest;
							fields := fields || CASE WHEN i = 1 THEN '' ELSE ' ' END || names[i] || '=' || CASE WHEN names[i] = 'shape' THEN '(a digest)' ELSE d.shown END;
						END LOOP;
						h := sha256('\x05'::bytea || shapes[t[6]::int]);
						IF sha256('\x03'::bytea || h || int4send(length(digests) / 32) || digests) <> substr(bytes, 51, 32) THEN RAISE 'commitment of %', leaf; END IF;
					END IF;
					RETURN NEXT;
				ELSE
					IF t[1]::bigint <> (SELECT count(*) FROM b WHERE kind = 'entry') THEN RAISE 'end %', l.content; END IF;
					IF decode(t[3], 'base64') <> (SELECT sha256('\x08'::bytea || string_agg(convert_to(b.line || E'\t' || b.kind || E'\t' || b.content || E'\n', 'UTF8'), '' ORDER BY b.line)) FROM b WHERE b.line < n) THEN RAISE 'digest'; END IF;
					h := NULL;
					FOR k IN 1 .. 64 LOOP
						IF peaks[k] IS NOT NULL THEN
							h := CASE WHEN h IS NULL THEN peaks[k] ELSE sha256('\x01'::bytea || peaks[k] || h) END;
						END IF;
					END LOOP;
					IF h <> root THEN RAISE 'root'; END IF;
				END IF;
			ELSE NULL;
		END CASE;
	END LOOP;
	IF (SELECT count(*) FROM b WHERE kind = 'end' AND line = n) <> 1 THEN RAISE 'no end'; END IF;
	IF (SELECT array_agg(u ORDER BY u) FROM unnest(named) u WHERE u >= since) IS DISTINCT FROM (SELECT array_agg(u ORDER BY u) FROM unnest(marked) u) THEN
		RAISE 'chains % %', named, marked;
	END IF;
	IF NOT EXISTS (SELECT FROM provenance.checkpoints c WHERE provenance.note(c.note) = provenance.note(the_note)) THEN
		RAISE 'note';
	END IF;
END $$;
\set read 'SELECT * FROM crm.read_bundle(:''vkey'') ORDER BY leaf'

-- Nothing published yet.
:as_owner;
CREATE TABLE contact (id int PRIMARY KEY, name text, email text, phone text);
CREATE TABLE other (id int PRIMARY KEY, v text);
SELECT provenance.tag('contact', subject => 'email');
SELECT provenance.tag('other');
SELECT * FROM export_bundle('contact');	-- fails
SET provenance.actor = 'zoe';
SET provenance.purpose = 'support|a';
INSERT INTO contact SELECT n, 'name ' || n, n || '@x.example', NULL FROM generate_series(1, 4) n;
INSERT INTO other SELECT n, '' FROM generate_series(1, 5) n;
UPDATE contact SET phone = E'a|b\n\tc' WHERE id = 2;
UPDATE contact SET phone = '' WHERE id = 3;
INSERT INTO other SELECT n, '' FROM generate_series(6, 20) n;
RESET provenance.actor;
SET provenance.source_leaf = '0000000000000000000000000000000000000000000000000000000000000001';
UPDATE contact SET name = 'Zoë' WHERE id = 2;
RESET provenance.source_leaf;
DELETE FROM contact WHERE id = 4;
INSERT INTO other VALUES (21, '');
RESET ROLE;
SELECT size(seal()) > 0 AS sealed;

-- All rows.
:as_owner;
INSERT INTO b SELECT * FROM export_bundle('contact', recipient => 'globex', purpose => E'all|of\nit');
:read;
SELECT line, kind, CASE WHEN line = 1 THEN regexp_replace(content, 'regress-[^|]*', 'ORIGIN') END AS content FROM b ORDER BY line;
SELECT sum(1) FILTER (WHERE kind = 'entry') AS entries,
	bool_and(kind <> 'entry' OR EXISTS (SELECT FROM changes('contact', '-infinity') c
		WHERE c.leaf_index::text = split_part(content, '|', 1) AND replace(encode(leaf(c.seq), 'base64'), E'\n', '') = split_part(content, '|', 3))) AS leaves
FROM b;

-- Some rows, some columns, some of the context; given twice, in any order.
TRUNCATE b; INSERT INTO b SELECT * FROM export_bundle('contact', '{2,4,2}', '{email,name}', context => '{actor,purpose}');
:read;
-- No rows: the table's own chain.
TRUNCATE b; INSERT INTO b SELECT * FROM export_bundle('contact', '{}', '{}');
:read;
-- No fields at all.
TRUNCATE b; INSERT INTO b SELECT * FROM export_bundle('contact', '{3}', '{}');
:read;
SELECT * FROM export_bundle('contact', '{2,99}');	-- fails
SELECT * FROM export_bundle('contact', '{2,x}');	-- fails
SELECT * FROM export_bundle('contact', '{2,NULL}');	-- fails
SELECT * FROM export_bundle('contact', NULL, '{email,nothing}');	-- fails
SELECT * FROM export_bundle('contact', NULL, '{email,email}');	-- fails
SELECT * FROM export_bundle('contact', NULL, '{NULL}');	-- fails
SELECT * FROM export_bundle('contact', context => '{nothing}');	-- fails
SELECT * FROM export_bundle('contact', since_size => -1);	-- fails
SELECT * FROM export_bundle('contact', since_size => 1000000);	-- fails
SELECT * FROM export_bundle('contact', recipient => repeat('x', 1001));	-- fails
SELECT * FROM export_bundle(NULL);	-- fails
CREATE TABLE untagged (id int PRIMARY KEY);
SELECT * FROM export_bundle('untagged');	-- fails

-- What came after a size; the recipient's last sizes.
RESET ROLE;
SELECT max(size) AS first FROM checkpoints \gset
:as_owner;
UPDATE contact SET phone = 'new' WHERE id IN (1, 2);
ALTER TABLE contact RENAME COLUMN email TO mail;
RESET ROLE;
SELECT size(seal()) > :first AS sealed;
:as_owner;
TRUNCATE b; INSERT INTO b SELECT * FROM export_bundle('contact', '{1,4}', since_size => :first);
SELECT op, previous::bigint < :first AS before, next, fields FROM crm.read_bundle(:'vkey');
SELECT count(*), min(split_part(content, '|', 1)::bigint) = :first AS since FROM b WHERE kind = 'consistency';
TRUNCATE b; INSERT INTO b SELECT * FROM export_bundle('contact', '{}', since_size => 2, recipient => 'globex');
SELECT op, fields = '' AS nothing FROM crm.read_bundle(:'vkey');
SELECT array_agg(split_part(content, '|', 1)::bigint ORDER BY line) = ARRAY[2, :first]::bigint[] AS sizes FROM b WHERE kind = 'consistency';
TRUNCATE b; INSERT INTO b SELECT e.* FROM (SELECT max(size) AS newest FROM checkpoints) c, export_bundle('contact', since_size => newest) e;
SELECT kind FROM b ORDER BY line;
SELECT count(*) FROM crm.read_bundle(:'vkey');
-- A former name of a column, and the subject under both.
TRUNCATE b; INSERT INTO b SELECT * FROM export_bundle('contact', '{1}', '{email}', 'initech');
:read;

-- Composite keys, found as history() finds them.
CREATE TABLE line (ord numeric, pos text, v text, PRIMARY KEY (pos, ord));
SELECT provenance.tag('line');
INSERT INTO line VALUES (1.00, 'a,b', 'one'), (2, '("', 'two'), (3, '', 'three');
DELETE FROM line WHERE ord = 3;
RESET ROLE;
SELECT size(seal()) > 0 AS sealed;
:as_owner;
TRUNCATE b; INSERT INTO b SELECT * FROM export_bundle('line', ARRAY['("a,b",1.0)', '("(""",2)', '("",3)']);
SELECT op, fields FROM crm.read_bundle(:'vkey');
SELECT * FROM export_bundle('line', ARRAY['("a,b",1.0,3)']);	-- fails
SELECT * FROM export_bundle('line', ARRAY['a,b']);	-- fails
SELECT * FROM export_bundle('line', ARRAY['(a,)']);	-- fails
SELECT * FROM export_bundle('line', ARRAY['(a,1)']);	-- fails

-- TRUNCATE ends chains; then the key comes back.
TRUNCATE line;
INSERT INTO line VALUES (2, '("', 'again');
RESET ROLE;
SELECT size(seal()) > 0 AS sealed;
:as_owner;
TRUNCATE b; INSERT INTO b SELECT * FROM export_bundle('line', ARRAY['("(""",2)', '("a,b",1.00)']);
SELECT op, previous, next, fields FROM crm.read_bundle(:'vkey');
TRUNCATE b; INSERT INTO b SELECT * FROM export_bundle('line');
SELECT op, previous = '-' AS starts, next, fields FROM crm.read_bundle(:'vkey');

-- Erased entries: proven, and nothing shown. (A sketch of what erasing leaves.)
RESET ROLE;
SET client_min_messages = error;
ALTER TABLE provenance.entry DISABLE TRIGGER ALL;
UPDATE provenance.entry SET seed = NULL, image = NULL WHERE seq = (SELECT min(seq) FROM changes('contact', '-infinity') WHERE op = 'update' AND image ->> 'id' = '2');
ALTER TABLE provenance.entry ENABLE TRIGGER ALL;
RESET client_min_messages;
TRUNCATE b; INSERT INTO b SELECT * FROM export_bundle('contact', '{2}', context => '{actor}');
SELECT op, context, fields FROM crm.read_bundle(:'vkey');

-- Pseudonyms for a partner, countersignatures; rows of cosignatures that are none (good ones: test/tap/witness.pl).
CREATE FUNCTION crm.hmac(key bytea, message bytea) RETURNS bytea LANGUAGE plpgsql AS $$
DECLARE
	i bytea := key || decode(repeat('00', 64 - length(key)), 'hex');
	o bytea := i;
BEGIN
	FOR n IN 0 .. 63 LOOP
		i := set_byte(i, n, get_byte(i, n) # 54);
		o := set_byte(o, n, get_byte(o, n) # 92);
	END LOOP;
	RETURN sha256(o || sha256(i || message));
END $$;
BEGIN;
SELECT add_partner('acme', 'crm.acme.example+5e3d2663+AddamAGCsQq31Uv+08lkBzoO4XLz2qYjJa8CGmj3B1Ea');
SELECT set_pseudonym_key('acme', decode(repeat('5a', 32), 'hex'));
INSERT INTO provenance.countersignature
	SELECT seq, decode(repeat(k, 32), 'hex'), now(), 'x', leaf_hash, decode(repeat('02', 64), 'hex')
	FROM changes('contact', '-infinity'), unnest('{0b,0a}'::text[]) k WHERE op = 'delete';
INSERT INTO provenance.checkpoint_cosignature
	SELECT incarnation, size, w, 0, now(), U&'\2014 ' || w || '.example AAAAAAAA' FROM unnest('{v,w}'::text[]) w, provenance.checkpoint_note
	WHERE size = (SELECT max(size) FROM checkpoints);
TRUNCATE b; INSERT INTO b SELECT * FROM export_bundle('contact', '{4}', recipient => 'acme');
SELECT kind, CASE WHEN kind = 'entry' THEN CASE split_part(content, '|', 8) WHEN p.of_4 THEN 'of 4' ELSE split_part(content, '|', 8) END WHEN kind = 'countersignature' THEN split_part(content, '|', 2) END AS pseudonym,
	CASE WHEN kind = 'countersignature' THEN split_part(content, '|', 1) = lag(split_part(content, '|', 1)) OVER (ORDER BY line) END AS of_the_last
FROM b, encode(substr(hmac(decode(repeat('5a', 32), 'hex'), convert_to(E'provenance pseudonym v1\n4@x.example', 'UTF8')), 1, 16), 'base64') p(of_4)
ORDER BY line;
SELECT decode(content, 'base64') = note((SELECT note FROM checkpoints ORDER BY size DESC LIMIT 1)) AS without_wrong_ones FROM b WHERE kind = 'checkpoint';
ROLLBACK;

-- Who may.
REVOKE ALL ON b FROM PUBLIC; GRANT INSERT, SELECT ON b TO PUBLIC;
:as_reader;
SELECT * FROM export_bundle('contact');	-- fails
RESET ROLE; GRANT SELECT (id, name) ON contact TO regress_provenance_reader; :as_reader;
SELECT * FROM export_bundle('contact');	-- fails
SELECT * FROM export_bundle('contact', NULL, '{id,phone}');	-- fails
SELECT count(*) > 0 AS exported FROM export_bundle('contact', NULL, '{id,name}');
SELECT * FROM export_bundle('contact', NULL, '{id,email}');	-- fails
SELECT * FROM export_bundle('contact', NULL, '{id}', context => '{session_user}');	-- fails
SELECT count(*) > 0 AS exported FROM export_bundle('contact', NULL, '{id}', context => '{db_user}');
RESET ROLE; REVOKE SELECT (id, name) ON contact FROM regress_provenance_reader; GRANT SELECT (name) ON contact TO regress_provenance_reader; :as_reader;
SELECT * FROM export_bundle('contact', '{1}', '{name}');	-- fails
RESET ROLE; GRANT SELECT ON contact TO regress_provenance_reader; TRUNCATE b; :as_reader;
INSERT INTO b SELECT * FROM export_bundle('contact', '{1}');
SELECT op, fields FROM crm.read_bundle(:'vkey');
SELECT * FROM provenance.disclosures;	-- fails
SELECT * FROM provenance.disclosed_subjects;	-- fails
RESET ROLE; ALTER TABLE contact ENABLE ROW LEVEL SECURITY; :as_reader;
SELECT * FROM export_bundle('contact', '{1}');	-- fails
RESET ROLE; ALTER TABLE contact DISABLE ROW LEVEL SECURITY;

-- What was given to whom.
SELECT disclosure_id - min(disclosure_id) OVER () + 1 AS n, disclosed_by = session_user AS me, recipient, purpose, table_name, columns, context, since_size > 0 AS since, entries, subjects
FROM disclosures ORDER BY disclosure_id;
SELECT recipient, string_agg(subject, ' ' ORDER BY subject) AS subjects FROM disclosed_subjects WHERE recipient IS NOT NULL GROUP BY disclosure_id, recipient ORDER BY disclosure_id;
SELECT bool_and(d.subjects = (SELECT count(*) FROM disclosed_subjects s WHERE s.disclosure_id = d.disclosure_id)) AS counted FROM disclosures d;

-- What recipient and purpose of a bundle are worth to whom they are told: a disclosure of the
-- export's own entry has them under the log's signature.
SELECT max(disclosure_id) AS id FROM disclosures WHERE purpose IS NOT NULL \gset
SELECT seal() IS NOT NULL AS sealed;
SELECT v.value IS NOT DISTINCT FROM CASE v.field WHEN 'recipient' THEN d.recipient WHEN 'purpose' THEN d.purpose WHEN 'root' THEN d.root::text
		WHEN 'leaves_root' THEN d.leaves_root::text ELSE d.entries::text END AS same, v.field
FROM provenance.disclosure d, history('provenance.disclosure', d.disclosure_id) h, verify_disclosure(disclose(h.seq), :'vkey') v
WHERE d.disclosure_id = :id AND v.field IN ('recipient', 'purpose', 'root', 'leaves_root', 'entries');

-- Pseudonyms, for callers who may SELECT the subject column only.
BEGIN;
SELECT add_partner('acme', 'crm.acme.example+5e3d2663+AddamAGCsQq31Uv+08lkBzoO4XLz2qYjJa8CGmj3B1Ea');
SELECT set_pseudonym_key('acme', decode(repeat('5a', 32), 'hex'));
:as_reader;
SELECT bool_or(split_part(content, '|', 8) <> '-') AS pseudonyms FROM export_bundle('contact', NULL, '{id}', recipient => 'acme') WHERE kind = 'entry';
RESET ROLE; REVOKE SELECT ON contact FROM regress_provenance_reader; GRANT SELECT (id, name) ON contact TO regress_provenance_reader; :as_reader;
SELECT bool_or(split_part(content, '|', 8) NOT IN ('-', '')) AS pseudonyms FROM export_bundle('contact', NULL, '{id}', recipient => 'acme') WHERE kind = 'entry';
ROLLBACK;

-- Rolled back, read only, not read to its end, in a COPY that fails: recorded.
SELECT count(*) AS before FROM disclosures \gset
BEGIN;
COPY (SELECT count(*) > 0 FROM export_bundle('contact', recipient => 'rolled back')) TO STDOUT;
ROLLBACK;
BEGIN READ ONLY;
SELECT count(*) > 0 AS exported FROM export_bundle('contact', recipient => 'read only');
ROLLBACK;
BEGIN ISOLATION LEVEL SERIALIZABLE;
SELECT line, kind FROM export_bundle('contact', recipient => 'first line', since_size => 5) LIMIT 1;
COMMIT;
SELECT 1 / (kind <> 'end')::int FROM export_bundle('contact', recipient => 'failed');	-- fails
SELECT recipient, entries > 0 AS entries FROM disclosures ORDER BY disclosure_id OFFSET :before;

-- COPY in its three formats gives the same lines back, each on one line.
CREATE TABLE crm.c (LIKE crm.b);
SELECT format('%s/regress_provenance_bundle_%s', current_setting('data_directory'), pg_backend_pid()) AS file \gset
TRUNCATE b; INSERT INTO b SELECT * FROM export_bundle('contact', context => '{purpose}');
COPY b TO :'file'; COPY c FROM :'file';
SELECT count(*) AS lines, (SELECT count(*) FROM b) AS rows FROM regexp_split_to_table(rtrim(pg_read_file(:'file'), E'\n'), E'\n');
COPY b TO :'file' (FORMAT csv, HEADER); COPY c FROM :'file' (FORMAT csv, HEADER);
SELECT count(*) - 1 AS lines, (SELECT count(*) FROM b) AS rows FROM regexp_split_to_table(rtrim(pg_read_file(:'file'), E'\n'), E'\n');
COPY b TO :'file' (FORMAT binary); COPY c FROM :'file' (FORMAT binary);
SELECT times, count(*) = (SELECT count(*) FROM b) AS "all" FROM (SELECT count(*) AS times FROM c JOIN b USING (line, kind, content) GROUP BY line) s GROUP BY 1;
SELECT format('COPY (SELECT 1) TO PROGRAM %L', format('cat >/dev/null; rm -f %s', :'file')) AS remove \gset
:remove;

-- Damage: no bundle, and no record of one.
SELECT count(*) AS before FROM disclosures \gset
BEGIN;
SET LOCAL client_min_messages = error;
ALTER TABLE provenance.entry DISABLE TRIGGER ALL;
UPDATE provenance.entry SET image = image || '\x00' WHERE seq = (SELECT max(seq) FROM changes('contact', '-infinity') WHERE op = 'update');
SELECT * FROM export_bundle('contact');	-- fails
ROLLBACK;
SELECT count(*) - :before AS more FROM disclosures;

SELECT code, count(*) FROM verify() GROUP BY 1;
\i :drop_log
