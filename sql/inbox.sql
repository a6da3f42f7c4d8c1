-- The inbox: who may, and what is no bundle at all. Real bundles, good and
-- spoiled, go from database to database in test/tap/inbox.pl.
\getenv srcdir PG_ABS_SRCDIR
\set fresh_log :srcdir '/sql/include/fresh_log.sql'
\set drop_log :srcdir '/sql/include/drop_log.sql'
\i :fresh_log
\set VERBOSITY verbose
CREATE FUNCTION crm.try(command text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE command;
	RETURN 'accepted';
EXCEPTION WHEN OTHERS THEN
	RETURN SQLSTATE || ': ' || SQLERRM;
END $$;
CREATE FUNCTION crm.merged() RETURNS bigint LANGUAGE sql AS $$
	SELECT (SELECT count(*) FROM provenance.partner_log) + (SELECT count(*) FROM provenance.partner_checkpoint)
		+ (SELECT count(*) FROM provenance.merge) + (SELECT count(*) FROM provenance.merged_leaf)
		+ (SELECT count(*) FROM provenance.merged_shape) + (SELECT count(*) FROM provenance.merged_context)
		+ (SELECT count(*) FROM provenance.merged_path) + (SELECT count(*) FROM provenance.fork_record)
$$;

SELECT * FROM provenance.inbox;
SELECT crm.try(c) FROM (VALUES
	('INSERT INTO provenance.inbox SELECT 1, ''bundle'', ''x'' WHERE false'),
	('INSERT INTO provenance.inbox VALUES (1, ''bundle'', ''x'')'),
	('INSERT INTO provenance.inbox VALUES (1, ''end'', ''0||'')'),
	('INSERT INTO provenance.inbox VALUES (2, ''bundle'', ''x'')'),
	('INSERT INTO provenance.inbox VALUES (-1, ''bundle'', ''x'')'),
	('INSERT INTO provenance.inbox VALUES (1, ''garbage'', ''x'')'),
	('INSERT INTO provenance.inbox VALUES (NULL, ''bundle'', ''x'')'),
	('INSERT INTO provenance.inbox VALUES (1, NULL, ''x'')'),
	('INSERT INTO provenance.inbox (line, kind) VALUES (1, ''bundle'')'),
	('INSERT INTO provenance.inbox VALUES (1, ''bundle'', ''provenance/bundle@v1|crm.acme.example|9223372036854775808|0|1|-|-|all|-|-'')'),
	('INSERT INTO provenance.inbox VALUES (1, ''bundle'', ''provenance/bundle@v1|crm.acme.example|0|0|1|-|-|all|-|-'')'),
	('INSERT INTO provenance.inbox VALUES (1, ''bundle'', ''provenance/bundle@v2|crm.acme.example|1|0|1|-|-|all|-|-'')'),
	('INSERT INTO provenance.inbox VALUES (1, ''bundle'', ''provenance/bundle@v1|crm.acme.example|1|0|1|-|-|all|-|-'')'),
	('UPDATE provenance.inbox SET line = 1'),
	('DELETE FROM provenance.inbox')) t (c);

-- A known partner: the first line is good, and not enough. A removed one.
SELECT provenance.add_partner('acme', 'crm.acme.example+5e3d2663+AddamAGCsQq31Uv+08lkBzoO4XLz2qYjJa8CGmj3B1Ea');
SELECT crm.try('INSERT INTO provenance.inbox VALUES (1, ''bundle'', ''provenance/bundle@v1|crm.acme.example|1|0|1|-|-|all|-|-'')');
SELECT provenance.remove_partner('acme');
SELECT crm.try('INSERT INTO provenance.inbox VALUES (1, ''bundle'', ''provenance/bundle@v1|crm.acme.example|1|0|1|-|-|all|-|-'')');
SELECT regexp_replace(crm.try(format('INSERT INTO provenance.inbox VALUES (1, ''bundle'', ''provenance/bundle@v1|%s|1|0|1|-|-|all|-|-'')', origin)), 'regress-[0-9a-f]+', 'regress-…')
	FROM provenance.status;

-- Where its triggers would not fire, it takes nothing.
SET session_replication_role = replica;
\set VERBOSITY terse
INSERT INTO provenance.inbox VALUES (1, 'bundle', 'x');	-- fails
INSERT INTO provenance.inbox VALUES (NULL, 'bundle', 'x');	-- fails
COPY provenance.inbox FROM PROGRAM 'printf "1\tbundle\tx\n"';	-- fails
COPY provenance.inbox (kind, content) FROM PROGRAM 'printf "bundle\tx\n"';	-- fails
RESET session_replication_role;

-- Privileges: none by default.
SET ROLE regress_provenance_reader;
INSERT INTO provenance.inbox VALUES (1, 'bundle', 'x');	-- fails
SELECT * FROM provenance.merged_entry;	-- fails
SELECT provenance.prove_merged('acme', 0);	-- fails
RESET ROLE;
GRANT INSERT ON provenance.inbox TO regress_provenance_reader;
SET ROLE regress_provenance_reader;
INSERT INTO provenance.inbox VALUES (1, 'bundle', 'x');	-- fails, as for everybody
RESET ROLE;
SELECT provenance.prove_merged('acme', 0);	-- fails
SELECT provenance.prove_merged('nobody', 0);	-- fails
SELECT * FROM provenance.merged_image('\x', '\x', '');
SELECT provenance.merged_context_fields('');
SELECT crm.merged();

-- What a partner calls JSON or a number is looked at before it is shown as one.
CREATE FUNCTION crm.text16(s text) RETURNS bytea LANGUAGE sql AS
	$$ SELECT substr(int4send(octet_length(s)), 3) || convert_to(s, 'UTF8') $$;
SELECT left(t.value, 40) AS value, jsonb_typeof(i.fields -> 'v') AS shown_as, left(i.fields ->> 'v', 40) AS shown
FROM (VALUES ('jsonb', '{"a": [1, "["]}'), ('json', '{"a":'), ('json', 'x'), ('json', ''), ('jsonb', '1 2'), ('jsonb', '"\'),
		('jsonb', repeat('[', 400) || repeat(']', 400)), ('jsonb', repeat('[', 100000) || repeat(']', 100000)),
		('jsonb', repeat('{"a":', 100000)), ('jsonb', '1e99999'), ('numeric', '1e99999'), ('integer', 'NaN'), ('boolean', 'yes'),
		('json', '"' || repeat('1,', 9000000) || '"')) t (type, value)
	CROSS JOIN LATERAL provenance.merged_image(
		'\x01'::bytea || crm.text16('crm.acme.example') || int4send(1) || crm.text16('s') || crm.text16('t') ||
			'\x0001'::bytea || crm.text16('v') || crm.text16(t.type) || '\x0000'::bytea,
		'\x0101'::bytea || int8send(0) || int8send(3) || decode(repeat('00', 64), 'hex'),
		CASE WHEN t.value = '' OR t.value ~ '[|]' THEN ':' ELSE '=' END || repeat('A', 22) || '==' || t.value) i;

-- What was merged, edited: the worked example of doc/format.md has three entries
-- and a countersignature. More of it in test/tap/inbox.pl.
SELECT provenance.add_partner('acme', 'crm.acme.example+5e3d2663+AddamAGCsQq31Uv+08lkBzoO4XLz2qYjJa8CGmj3B1Ea');
CREATE TABLE crm.example (line bigint, kind text, content text);
SELECT format('COPY crm.example FROM PROGRAM %L',
	format('sed -n "/^## Worked example of a bundle/,\$p" %s/doc/format.md | grep "^[0-9][0-9]*	"', :'srcdir')) AS take \gset
:take;
-- Of indexes over a part of the rows, the writer knows one kind only.
ALTER EVENT TRIGGER provenance_guard_start DISABLE;
CREATE INDEX past_guard ON provenance.merged_leaf (leaf_index) WHERE leaf_index > 2;
INSERT INTO provenance.inbox SELECT * FROM crm.example ORDER BY line;	-- fails
DROP INDEX provenance.past_guard;
CREATE INDEX past_guard ON provenance.merged_leaf (pseudonym) WHERE pseudonym IS NOT NULL;
ALTER EVENT TRIGGER provenance_guard_start ENABLE ALWAYS;
-- Further indexes over leaf hashes have every row once; one that is not ready gets none.
CREATE INDEX further_btree ON provenance.merged_leaf (leaf_hash);
CREATE INDEX further_hash ON provenance.merged_leaf USING hash (leaf_hash);
CREATE INDEX further_include ON provenance.merged_leaf (leaf_hash) INCLUDE (op);
CREATE INDEX not_ready ON provenance.merged_leaf (leaf_hash);
UPDATE pg_index SET indisready = false, indisvalid = false WHERE indexrelid = 'provenance.not_ready'::regclass;
INSERT INTO provenance.inbox SELECT * FROM crm.example ORDER BY line;
CREATE FUNCTION crm.found() RETURNS TABLE (index name, used bigint, rows bigint) LANGUAGE plpgsql
	SET search_path = provenance, pg_catalog SET enable_seqscan = off SET enable_bitmapscan = off AS $$
DECLARE
	hashes hash[] = (SELECT array_agg(leaf_hash) FROM merged_leaf);
	one oid;
	h hash;
	plan json;
	n bigint;
BEGIN
	FOR one, index IN SELECT oid, relname FROM pg_class JOIN pg_index ON indexrelid = oid
		WHERE indrelid = 'merged_leaf'::regclass AND indkey[0] = 9 AND indisready ORDER BY relname
	LOOP
		UPDATE pg_index SET indisvalid = indexrelid = one WHERE indrelid = 'merged_leaf'::regclass;
		used := 0;
		rows := 0;
		FOREACH h IN ARRAY hashes
		LOOP
			EXECUTE format('EXPLAIN (FORMAT JSON) SELECT op FROM merged_leaf WHERE leaf_hash = %L', h) INTO plan;
			used := used + (plan -> 0 -> 'Plan' ->> 'Index Name' = index)::int;
			EXECUTE format('SELECT count(op) FROM merged_leaf WHERE leaf_hash = %L', h) INTO n;
			rows := rows + n;
		END LOOP;
		RETURN NEXT;
	END LOOP;
END $$;
BEGIN; SELECT * FROM crm.found(); ROLLBACK;
SELECT pg_relation_size('provenance.not_ready') = current_setting('block_size')::int AS untouched;
DROP INDEX provenance.past_guard, provenance.further_btree, provenance.further_hash, provenance.further_include, provenance.not_ready;
SELECT provenance.seal() IS NOT NULL AS sealed;
SELECT entries, new_entries, new_countersignatures FROM provenance.merge;
CREATE FUNCTION crm.edited(edit text) RETURNS TABLE (code text, object text, leaf_index bigint, message text) LANGUAGE plpgsql AS $$
BEGIN
	SET LOCAL session_replication_role = replica;
	EXECUTE edit;
	RETURN QUERY SELECT f.code, f.object, f.leaf_index, regexp_replace(f.message, 'erge \d+', 'erge N') FROM provenance.verify() f ORDER BY 1, 4;
END $$;
\set VERBOSITY terse
BEGIN; SELECT * FROM crm.edited(''); ROLLBACK;
BEGIN; SELECT * FROM crm.edited('DELETE FROM provenance.merged_countersignature'); ROLLBACK;
BEGIN; SELECT * FROM crm.edited('UPDATE provenance.merged_countersignature SET signature = set_byte(signature, 3, get_byte(signature, 3) # 1)'); ROLLBACK;
BEGIN; SELECT * FROM crm.edited('UPDATE provenance.merged_countersignature SET public_key = public_key || ''\x00'''); ROLLBACK;
BEGIN; SELECT * FROM crm.edited('INSERT INTO provenance.merged_countersignature SELECT log_id, 2, public_key, signature FROM provenance.merged_countersignature'); ROLLBACK;
BEGIN; SELECT * FROM crm.edited('UPDATE provenance.merged_countersignature SET leaf_index = 3'); ROLLBACK;
BEGIN; SELECT * FROM crm.edited('DELETE FROM provenance.merged_leaf WHERE leaf_index = 4'); ROLLBACK;
BEGIN; SELECT * FROM crm.edited('UPDATE provenance.merge SET new_countersignatures = 0'); ROLLBACK;
BEGIN; SELECT * FROM crm.edited('DELETE FROM provenance.partner_registry'); ROLLBACK;

-- A column that is declared NOT NULL, and is null all the same, past the guard:
-- an error of its own, or nothing at all, whatever reads it.
CREATE FUNCTION crm.without_values(rel text, col name, OUT codes text) LANGUAGE plpgsql AS $$
DECLARE
	statement text;
	state text;
BEGIN
	SET LOCAL client_min_messages = warning;
	SET LOCAL session_replication_role = replica;
	EXECUTE format('ALTER TABLE provenance.%I ALTER %I DROP NOT NULL; UPDATE provenance.%1$I SET %2$I = NULL', rel, col);
	SET LOCAL session_replication_role = origin;
	FOREACH statement IN ARRAY ARRAY['INSERT INTO provenance.inbox SELECT * FROM crm.example ORDER BY line',
		'SELECT count(*) FROM provenance.verify()', 'SELECT count(*) FROM provenance.merged_entry', 'SELECT count(*) FROM provenance.partner',
		'SELECT count(*) FROM provenance.pedigree(''42'')', 'SELECT count(*) FROM provenance.fork_evidence',
		$s$SELECT provenance.prove_merged('acme', 2)$s$,
		$s$SELECT provenance.set_pseudonym_key('acme', NULL)$s$, $s$SELECT provenance.resolve_fork('acme', 'why')$s$,
		$s$SELECT provenance.add_partner('acme', 'crm.acme.example+5e3d2663+AddamAGCsQq31Uv+08lkBzoO4XLz2qYjJa8CGmj3B1Ea')$s$,
		$s$SELECT provenance.remove_partner('acme')$s$]
	LOOP
		BEGIN
			EXECUTE statement;
			state := 'none';
			RAISE 'undone' USING ERRCODE = 'XX999';
		EXCEPTION WHEN OTHERS THEN
			IF SQLSTATE <> 'XX999' THEN state := SQLSTATE; END IF;
		END;
		codes := concat_ws(' ', codes, CASE WHEN state = 'none' THEN '-' ELSE state END);
	END LOOP;
	RAISE 'undone' USING ERRCODE = 'XX999';
EXCEPTION WHEN SQLSTATE 'XX999' THEN
	NULL;
END $$;
ALTER EVENT TRIGGER provenance_guard_start DISABLE;
SELECT relname, attname, crm.without_values(relname, attname) FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid
WHERE relnamespace = 'provenance'::regnamespace AND relname ~ '^(partner_|merge|fork_)' AND relkind = 'r' AND attnum > 0 AND attnotnull
	AND NOT EXISTS (SELECT FROM pg_index WHERE indrelid = attrelid AND indisprimary AND attnum = ANY (indkey))
ORDER BY 1, 2;
ALTER EVENT TRIGGER provenance_guard_start ENABLE ALWAYS;

\i :drop_log
