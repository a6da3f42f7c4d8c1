-- Random DDL between random changes, of a plain and of a partitioned table: each
-- command is followed, or refused with a hint; after each one verification
-- finds nothing, as_of('infinity') is the table, and what was then stays as it
-- was. One seed a round.
\getenv srcdir PG_ABS_SRCDIR
\set fresh_log :srcdir '/sql/include/fresh_log.sql'
\set drop_log :srcdir '/sql/include/drop_log.sql'
\set differ :srcdir '/sql/include/differ.sql'
\i :fresh_log
\i :differ
CREATE SCHEMA crm2;
SET search_path = crm, crm2, provenance;
SET client_min_messages = error;	-- what the guard has to say of triggers
CREATE TYPE mood AS ENUM ('first', 'second');
CREATE TYPE part AS (x int, m mood);
CREATE TYPE whole AS (p part, q text);
CREATE DOMAIN short AS varchar(30);
CREATE TABLE other (o int);
CREATE TABLE item (id int PRIMARY KEY, v text, who text, secret text, m mood, w whole, o other);
CREATE TABLE event (id int PRIMARY KEY, v text, m mood) PARTITION BY RANGE (id);
CREATE TABLE event_0 PARTITION OF event FOR VALUES FROM (0) TO (10);
SELECT tag('item', subject => 'who', exclude => '{secret}'), tag('event');

-- Names change; these do not.
CREATE TABLE crm.fixed AS SELECT name, name::regclass::oid AS oid FROM unnest('{item,event,other}'::text[]) name
	UNION ALL SELECT name, name::regtype::oid AS oid FROM unnest('{mood,part}'::text[]) name;
CREATE TABLE crm.saved (step int, at timestamptz, name text, id int, v text);
CREATE TABLE crm.done (what text, outcome text);
CREATE SEQUENCE crm.number;
CREATE FUNCTION crm.rel(name text) RETURNS text LANGUAGE sql AS 'SELECT oid::regclass::text FROM crm.fixed f WHERE f.name = $1';
CREATE FUNCTION crm.typ(name text) RETURNS text LANGUAGE sql AS 'SELECT oid::regtype::text FROM crm.fixed f WHERE f.name = $1';
CREATE FUNCTION crm.below(n int) RETURNS int LANGUAGE sql VOLATILE AS 'SELECT floor(random() * n)::int';
CREATE FUNCTION crm.one_of(VARIADIC a text[]) RETURNS text LANGUAGE sql VOLATILE AS 'SELECT a[1 + floor(random() * cardinality(a))::int]';
-- some column other than the key and v; there may be none
CREATE FUNCTION crm.some_column(t regclass) RETURNS text LANGUAGE sql VOLATILE AS $$
	SELECT attname::text FROM pg_attribute
	WHERE attrelid = t AND attnum > 0 AND NOT attisdropped AND attname NOT IN ('id', 'v') ORDER BY random() LIMIT 1 $$;
-- some partition, of any level
CREATE FUNCTION crm.some_partition() RETURNS regclass LANGUAGE sql VOLATILE AS $$
	SELECT relid FROM pg_partition_tree(crm.rel('event')::regclass) WHERE parentrelid IS NOT NULL ORDER BY random() LIMIT 1 $$;

-- A random command, and its name.
CREATE FUNCTION crm.any_command(OUT what text, OUT command text) LANGUAGE plpgsql AS $$
DECLARE
	n text := nextval('crm.number');
	t text := crm.rel(crm.one_of('item', 'event'));
	c text := crm.some_column(t::regclass);
	-- a new name, or one that there was
	name text := crm.one_of('c' || n, 'd' || crm.below(5));
	p regclass := crm.some_partition();
	parent regclass := (SELECT inhparent FROM pg_inherits WHERE inhrelid = p);
	-- a range without a partition, if there is one
	bound int := coalesce((SELECT b FROM generate_series(0, 40, 10) b WHERE NOT EXISTS (SELECT FROM pg_inherits JOIN pg_class ON pg_class.oid = inhrelid
		WHERE inhparent = crm.rel('event')::regclass AND pg_get_expr(relpartbound, pg_class.oid) LIKE format('FOR VALUES FROM (%s)%%', b)) ORDER BY random() LIMIT 1), 0);
	label text := (SELECT quote_literal(enumlabel) FROM pg_enum WHERE enumtypid = crm.typ('mood')::regtype ORDER BY random() LIMIT 1);
	attribute text := crm.some_column((SELECT typrelid FROM pg_type WHERE oid = crm.typ('part')::regtype));
BEGIN
	what := crm.one_of('insert', 'insert', 'insert', 'update', 'update', 'update', 'set column', 'set column', 'delete', 'key', 'truncate', 'replica',
		'add', 'add', 'add', 'add', 'drop', 'drop', 'rename', 'rename', 'type', 'type', 'replace', 'undo', 'no change',
		'table name', 'table schema', 'owner', 'storage', 'triggers', 'primary key', 'key type', 'other key', 'unlogged',
		'subject', 'no subject', 'inherit', 'label', 'more labels', 'attribute', 'attribute', 'no attribute', 'attribute type', 'type name', 'type schema',
		'other', 'other name',
		'create', 'create', 'create tree', 'attach', 'attach', 'attach back', 'detach', 'drop partition', 'truncate partition',
		'write partition', 'write partition', 'move', 'move', 'partition name');
	command := CASE what
		WHEN 'insert' THEN format('INSERT INTO %s (id, v) SELECT DISTINCT crm.below(CASE %1$L WHEN %L THEN 10 ELSE 50 END), %L FROM generate_series(1, 6) ON CONFLICT DO NOTHING', t, crm.rel('event'), 'i' || n)
		WHEN 'update' THEN format('UPDATE %s SET v = %L WHERE id %% 5 = %s', t, 'u' || n, crm.below(5))
		WHEN 'set column' THEN format('UPDATE %s SET %I = %s WHERE id %% 3 = %s', t, c, crm.one_of('DEFAULT', 'NULL'), crm.below(3))
		WHEN 'delete' THEN format('DELETE FROM %s WHERE id %% 9 = %s', t, crm.below(9))
		WHEN 'key' THEN format('UPDATE %s x SET id = id + 1 WHERE id %% 5 = 3 AND NOT EXISTS (SELECT FROM %1$s y WHERE y.id = x.id + 1)', t)
		WHEN 'truncate' THEN CASE WHEN random() < 0.6 THEN format('TRUNCATE %s', t) END
		WHEN 'replica' THEN format('SET LOCAL session_replication_role = replica; INSERT INTO %s (id, v) VALUES (%s, %L) ON CONFLICT (id) DO UPDATE SET v = excluded.v; DELETE FROM %1$s WHERE id = %s; SET LOCAL session_replication_role = origin', t, crm.below(10), 'r' || n, crm.below(10))
		WHEN 'add' THEN format('ALTER TABLE %s ADD COLUMN %I %s', t, name, crm.one_of('int', 'text DEFAULT ''d''', 'timestamptz DEFAULT clock_timestamp()',
			'float8 DEFAULT random()', 'int GENERATED ALWAYS AS (id * 2) STORED', 'short DEFAULT ''s''', 'bigserial', 'int[] DEFAULT ''{1,2}''',
			format('%s DEFAULT enum_first(NULL::%1$s)', crm.typ('mood')), crm.typ('part'), format('%s[] DEFAULT ARRAY[NULL::%1$s]', crm.rel('other')), 'text GENERATED ALWAYS AS (upper(v)) STORED'))
		WHEN 'drop' THEN CASE WHEN c !~ '^who' THEN format('ALTER TABLE %s DROP COLUMN %I', t, c) END
		WHEN 'rename' THEN CASE WHEN c !~ '^who' THEN format('ALTER TABLE %s RENAME COLUMN %I TO %I', t, c, name) END
		WHEN 'type' THEN format('ALTER TABLE %s ALTER COLUMN %I DROP DEFAULT, ALTER COLUMN %2$I TYPE text USING %2$I::text || %s', t, c, crm.one_of('''''', '''x'''))
		WHEN 'replace' THEN CASE WHEN c !~ '^who' THEN format('ALTER TABLE %s DROP COLUMN %I, ADD COLUMN %2$I %s', t, c, crm.one_of('int', 'text DEFAULT ''n''')) END
		WHEN 'undo' THEN format('DO $d$ BEGIN ALTER TABLE %s ADD COLUMN %I int DEFAULT 1; UPDATE %1$s SET v = ''undone''; RAISE division_by_zero; EXCEPTION WHEN division_by_zero THEN UPDATE %1$s SET v = %L WHERE id = 1; END $d$', t, 'undo' || n, 'a' || n)
		WHEN 'no change' THEN format('ALTER TABLE %s ALTER v SET STATISTICS 7, ALTER v SET DEFAULT %L; ALTER TABLE %1$s ALTER v DROP DEFAULT; COMMENT ON TABLE %1$s IS ''x''', t, n)
		WHEN 'table name' THEN format('ALTER TABLE %s RENAME TO %I', t, 't' || n)
		WHEN 'table schema' THEN format('ALTER TABLE %s SET SCHEMA %s', t, crm.one_of('crm', 'crm2'))
		WHEN 'owner' THEN format('ALTER TABLE %s OWNER TO %s', t, crm.one_of('regress_provenance_owner', 'CURRENT_USER'))
		WHEN 'storage' THEN format(crm.one_of('CLUSTER %s USING %s', 'REINDEX TABLE %s', 'ALTER TABLE %s SET LOGGED', 'ALTER TABLE %s SET (fillfactor = 40)'), crm.rel('item'),
			(SELECT quote_ident(relname) FROM pg_index JOIN pg_class i ON i.oid = indexrelid WHERE indrelid = crm.rel('item')::regclass AND indisprimary))
		WHEN 'triggers' THEN format('ALTER TABLE %s DISABLE TRIGGER ALL; ALTER TABLE %1$s ENABLE TRIGGER ALL', t)
		WHEN 'primary key' THEN format('ALTER TABLE %s DROP CONSTRAINT %I, ADD PRIMARY KEY (id)', t, (SELECT conname FROM pg_constraint WHERE conrelid = t::regclass AND contype = 'p'))
		WHEN 'key type' THEN format('ALTER TABLE %s ALTER id TYPE %s', crm.rel('item'), crm.one_of('int', 'bigint'))
		WHEN 'other key' THEN format(crm.one_of('ALTER TABLE %s DROP CONSTRAINT %I', 'ALTER TABLE %s DROP CONSTRAINT %I, ADD PRIMARY KEY (id) DEFERRABLE', 'ALTER TABLE %s ALTER id TYPE text', 'ALTER TABLE %s DROP COLUMN id'),
			crm.rel('item'), (SELECT conname FROM pg_constraint WHERE conrelid = crm.rel('item')::regclass AND contype = 'p'))
		WHEN 'unlogged' THEN format('ALTER TABLE %s SET UNLOGGED', crm.rel('item'))
		WHEN 'subject' THEN format('ALTER TABLE %s RENAME %I TO %I', crm.rel('item'), (SELECT subject FROM registry r JOIN crm.fixed f ON f.oid = r.relid AND f.name = 'item'), 'who' || n)
		WHEN 'no subject' THEN format('ALTER TABLE %s DROP COLUMN %I', crm.rel('item'), (SELECT subject FROM registry r JOIN crm.fixed f ON f.oid = r.relid AND f.name = 'item'))
		WHEN 'inherit' THEN format('CREATE TABLE crm.child () INHERITS (%s)', crm.rel('item'))
		WHEN 'label' THEN format('ALTER TYPE %s RENAME VALUE %s TO %L', crm.typ('mood'), label, 'l' || n)
		WHEN 'more labels' THEN format('ALTER TYPE %s ADD VALUE %L', crm.typ('mood'), 'm' || n)
		WHEN 'attribute' THEN format('ALTER TYPE %s ADD ATTRIBUTE %I int', crm.typ('part'), 'a' || n)
		WHEN 'no attribute' THEN format('ALTER TYPE %s DROP ATTRIBUTE %I', crm.typ('part'), attribute)
		WHEN 'attribute type' THEN format('CREATE TYPE crm.gone AS ENUM (''g''); ALTER TYPE %s ADD ATTRIBUTE %I crm.gone; DROP TYPE crm.gone CASCADE', crm.typ('part'), 'g' || n)
		WHEN 'type name' THEN (SELECT format('ALTER TYPE %s RENAME TO %I', crm.typ(x), 'type' || n) FROM crm.one_of('mood', 'part') x)
		WHEN 'type schema' THEN format('ALTER TYPE %s SET SCHEMA %s', crm.typ(crm.one_of('mood', 'part')), crm.one_of('crm', 'crm2'))
		WHEN 'other' THEN format(crm.one_of('ALTER TABLE %s ADD COLUMN %I int', 'ALTER TABLE %s DROP COLUMN %I'), crm.rel('other'), crm.one_of('o' || n, crm.some_column(crm.rel('other')::regclass)))
		WHEN 'other name' THEN format(crm.one_of('ALTER TABLE %s RENAME TO %I', 'ALTER TABLE %s SET SCHEMA crm', 'ALTER TABLE %s SET SCHEMA crm2'), crm.rel('other'), 'other' || n)
		WHEN 'create' THEN format('CREATE TABLE crm.event_%s PARTITION OF %s FOR VALUES FROM (%s) TO (%s)', n, crm.rel('event'), bound, bound + 10)
		WHEN 'create tree' THEN format('CREATE TABLE crm.event_%s PARTITION OF %s FOR VALUES FROM (%s) TO (%s) PARTITION BY RANGE (id);
			CREATE TABLE crm.event_%1$sa PARTITION OF crm.event_%1$s FOR VALUES FROM (%3$s) TO (%5$s); CREATE TABLE crm.event_%1$sb PARTITION OF crm.event_%1$s DEFAULT', n, crm.rel('event'), bound, bound + 10, bound + 5)
		-- other attribute numbers, and rows
		WHEN 'attach' THEN format('CREATE TABLE crm.event_%s (junk int, LIKE %s INCLUDING DEFAULTS INCLUDING GENERATED); ALTER TABLE crm.event_%1$s DROP junk;
			INSERT INTO crm.event_%1$s (id, v) SELECT i, %5$L FROM generate_series(%3$s, %3$s + 9, 3) i; ALTER TABLE %2$s ATTACH PARTITION crm.event_%1$s FOR VALUES FROM (%3$s) TO (%4$s)', n, crm.rel('event'), bound, bound + 10, 't' || n)
		WHEN 'attach back' THEN format('ALTER TABLE %s DETACH PARTITION %s; UPDATE %2$s SET v = %L; ALTER TABLE %1$s ATTACH PARTITION %2$s %4$s', parent, p, 'b' || n, (SELECT pg_get_expr(relpartbound, oid) FROM pg_class WHERE oid = p))
		WHEN 'detach' THEN format('ALTER TABLE %s DETACH PARTITION %s', parent, p)
		WHEN 'drop partition' THEN format('DROP TABLE %s', p)
		WHEN 'truncate partition' THEN format('TRUNCATE %s', p)
		WHEN 'write partition' THEN format(crm.one_of('UPDATE %s SET v = %L WHERE id %% 2 = 0', 'DELETE FROM %s WHERE id %% 4 = 0', 'INSERT INTO %s (id, v) SELECT i, %L FROM generate_series(%s, %3$s + 9) i ON CONFLICT DO NOTHING'), p, 'p' || n, bound)
		WHEN 'move' THEN format('UPDATE %s x SET id = id + 10 WHERE NOT EXISTS (SELECT FROM %1$s y WHERE y.id = x.id + 10)', crm.rel('event'))
		WHEN 'partition name' THEN format(crm.one_of('ALTER TABLE %s RENAME TO %I', 'ALTER TABLE %s SET SCHEMA crm', 'ALTER TABLE %s SET SCHEMA crm2'), p, 'event_' || n)
	END;
END $$;

CREATE PROCEDURE crm.live(seed float8, steps int) LANGUAGE plpgsql AS $$
DECLARE
	c record;
	f record;
	state text;
	hint text;
	message text;
	name text;
BEGIN
	PERFORM setseed(seed);
	FOR step IN 1..steps LOOP
		BEGIN
			c := crm.any_command();
		EXCEPTION WHEN null_value_not_allowed THEN	-- no column left
			CONTINUE;
		END;
		BEGIN
			IF c.command IS NOT NULL THEN
				EXECUTE c.command;
			END IF;
			INSERT INTO crm.done VALUES (c.what, CASE WHEN c.command IS NULL THEN 'nothing' ELSE 'followed' END);
		EXCEPTION WHEN OTHERS THEN
			GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, hint = PG_EXCEPTION_HINT, message = MESSAGE_TEXT;
			-- refused by the guard, or by the server, which has its reasons
			IF state = '55000' AND hint <> '' OR state = '42P16' AND message ~ 'recorded, cannot be unlogged' OR state = '0A000' AND message ~ 'tagged table' AND hint <> '' THEN
				INSERT INTO crm.done VALUES (c.what, 'refused');
			ELSIF state ~ '^(23|42|55|0A|22|2B)' AND message !~ 'provenance|tagged|ledger' THEN
				INSERT INTO crm.done VALUES (c.what, 'wrong ' || message);
			ELSE
				RAISE EXCEPTION 'seed %, step %: % %: % (%)', seed, step, c.command, state, message, hint;
			END IF;
		END;
		COMMIT;
		FOREACH name IN ARRAY '{item,event}'::text[] LOOP
			FOR f IN SELECT * FROM verify_table(crm.rel(name)::regclass) LOOP
				RAISE EXCEPTION 'seed %, step %: %: % % %', seed, step, c.command, f.code, f.object, f.message;
			END LOOP;
			IF crm.differ(crm.rel(name), format($q$as_of(NULL::%s, 'infinity')$q$, crm.rel(name))) > 0 THEN
				RAISE EXCEPTION 'seed %, step %: %: % is not as of now', seed, step, c.command, name;
			END IF;
			IF step % 40 = 0 THEN
				EXECUTE format('INSERT INTO crm.saved SELECT %s, %L, %L, id, v FROM %s', step, clock_timestamp(), name, crm.rel(name));
			END IF;
		END LOOP;
		IF step % 20 = 0 THEN
			PERFORM seal();
		END IF;
		COMMIT;
	END LOOP;
END $$;
CALL crm.live(0.11, 150);
CALL crm.live(0.12, 150);
CALL crm.live(0.13, 150);

-- What was, whatever has become of the columns since: the newest images then.
CREATE FUNCTION crm.as_was(name text, at timestamptz) RETURNS TABLE (id int, v text) LANGUAGE sql AS $$
	SELECT (key->>'id')::int, image->>'v'
	FROM (SELECT DISTINCT ON (key->>'id') * FROM changes(crm.rel(name)::regclass, '-infinity', at) WITH ORDINALITY
		  WHERE key IS NOT NULL ORDER BY key->>'id', ordinality DESC) c
	WHERE op <> 'delete' AND ordinality > coalesce((SELECT max(ordinality) FROM changes(crm.rel(name)::regclass, '-infinity', at) WITH ORDINALITY t WHERE t.op = 'truncate'), 0) $$;
SELECT s.step, s.name, s.at
FROM (SELECT DISTINCT step, name, at FROM crm.saved) s
WHERE (SELECT array_agg(w ORDER BY id) FROM crm.as_was(s.name, s.at) w) IS DISTINCT FROM
	(SELECT array_agg(ROW(id, v) ORDER BY id) FROM crm.saved WHERE at = s.at AND name = s.name);

-- Each kind of command has been followed, but for those that have to be refused.
SELECT what FROM crm.done GROUP BY what HAVING NOT bool_or(outcome = 'followed') ORDER BY what;
SELECT what FROM crm.done WHERE outcome = 'refused' GROUP BY what ORDER BY what;
SELECT count(DISTINCT what) AS kinds, count(*) FILTER (WHERE outcome = 'followed') > 250 AS many FROM crm.done;
SELECT * FROM verify();
\i :drop_log
SET client_min_messages = error;
DROP SCHEMA crm2 CASCADE;
