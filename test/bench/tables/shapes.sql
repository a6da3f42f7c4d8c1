-- Tables of other shapes: 3 columns, 60 columns, one column of 10 kB of text
-- that does not compress.
CREATE TABLE crm.narrow (id bigint PRIMARY KEY, amount int NOT NULL, updated_at timestamptz NOT NULL);
INSERT INTO crm.narrow SELECT n, n % 1000, '2026-01-01 00:00+00' FROM generate_series(1, :rows) n;

DO $$
DECLARE
	columns text := '';
	row_ text := '';
BEGIN
	FOR i IN 1 .. 59 LOOP
		columns := columns || ', c' || i || ' ' || (ARRAY['text', 'int', 'numeric(12,2)', 'timestamptz', 'boolean'])[1 + i % 5];
		row_ := row_ || ', ' || replace((ARRAY['substr(md5((n + @)::text), 1, 12)', '(n * @ % 100003)::int', 'n % 9973 / @.0',
			'''2026-01-01 00:00+00''::timestamptz + n * interval ''@ minutes''', 'n % @ = 0'])[1 + i % 5], '@', i::text);
	END LOOP;
	EXECUTE 'CREATE TABLE crm.wide (id bigint PRIMARY KEY' || columns || ')';
	EXECUTE 'CREATE FUNCTION crm.wide_row(n bigint) RETURNS SETOF crm.wide LANGUAGE sql AS $f$ SELECT n' || row_ || ' $f$';
END $$;
INSERT INTO crm.wide SELECT w.* FROM generate_series(1, :rows / 5) n, crm.wide_row(n) w;

CREATE TABLE crm.document (id bigint PRIMARY KEY, title text NOT NULL, body text NOT NULL);
CREATE FUNCTION crm.body(n bigint) RETURNS text LANGUAGE sql AS $$
	SELECT string_agg(md5(n || '-' || i), '') FROM generate_series(1, 320) i
$$;
INSERT INTO crm.document SELECT n, 'Document ' || n, crm.body(n) FROM generate_series(1, :rows / 50) n;
CREATE SEQUENCE crm.shape_id_seq START 10000001;
VACUUM (ANALYZE) crm.narrow;
VACUUM (ANALYZE) crm.wide;
VACUUM (ANALYZE) crm.document;
