-- The canonical text of values, type by type.
\getenv srcdir PG_ABS_SRCDIR
\set entries :srcdir '/sql/include/entries.sql'
\set clean :srcdir '/sql/include/clean.sql'
\i :entries
\set SHOW_CONTEXT never
\pset format unaligned
\pset tuples_only on
SET search_path = crm;
SET timezone = 'America/Sao_Paulo';
SET datestyle = 'German';
SET intervalstyle = 'postgres';
SET extra_float_digits = 0;
SET bytea_output = 'escape';

-- Tags the table, then inserts and shows.
CREATE FUNCTION image_of(query text) RETURNS SETOF text[] LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE query;
	RETURN QUERY SELECT image FROM crm.entries() WHERE op = 'insert';
END $$;
SET ROLE regress_provenance_crm;

CREATE TABLE numbers (k int PRIMARY KEY, b bool, i2 int2, i8 int8, f4 float4, f8 float8, n numeric, n2 numeric(10,2),
	c money, o oid, x xid, x8 xid8, ci cid, t tid, l pg_lsn, ch "char");
SELECT provenance.tag('numbers');
SELECT image_of($$INSERT INTO numbers VALUES
	(-2147483648, true, -32768, -9223372036854775808, 'NaN', '-Infinity', 'NaN', -0.5, '-1234.5', 4294967295, '4294967295', '18446744073709551615', '7', '(4294967295,65535)', 'FFFFFFFF/FFFFFFFF', 'x'),
	(0, false, 0, 0, 0.1, 0.1, 0, 0, 0, 0, '0', '0', '0', '(0,0)', '0/0', ''),
	(1, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
	(2147483647, true, 32767, 9223372036854775807, 3.4028235e38, 5e-324, '-Infinity', 99999999.99, '92233720368547758.07', 1, '1', '1', '1', '(1,1)', '1/1', '\377')$$);
INSERT INTO numbers (k, n) VALUES (7, (repeat('7', 1001) || '.' || repeat('3', 16))::numeric);
SELECT length(image[7]) FROM entries();

CREATE TABLE strings (k text PRIMARY KEY, v varchar(5), c char(5), n name, b bytea, u uuid, bi bit(4), vb varbit,
	j json, jb jsonb, jp jsonpath, x xml, tv tsvector, tq tsquery);
SELECT provenance.tag('strings');
SELECT image_of($$INSERT INTO strings VALUES
	('', '', '', '', '', '00000000-0000-0000-0000-000000000000', '0000', '', '{}', '{}', '$', '<a/>', '', NULL),
	('Zoë 😀 "\,{', 'Zoë', 'Zo', 'Na me', '\x00ff5c', 'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11', '1010', '10101',
	 '{"b": 1, "a":  [2]}', '{"b": 1, "a":  [2, 1.0, "\u00e9"]}', '$.a[*] ? (@ > 1)', '<?xml version="1.0"?><é>x</é>',
	 'fat cat sat:1A', 'fat & !cat:*')$$);
INSERT INTO strings (k) VALUES (E'line\nbreak\ttab\u00a0');
SELECT image[1] = E'line\nbreak\ttab\u00a0' FROM entries();

CREATE TABLE times (k date PRIMARY KEY, t time, tz timetz, ts timestamp, tstz timestamptz, i interval);
SELECT provenance.tag('times');
SELECT image_of($$INSERT INTO times VALUES
	('infinity', '24:00', '12:00+05:30', '-infinity', 'infinity', '-1 year -2 mons +3 days -04:05:06.789'),
	('4713-01-01 BC', '00:00:00.000001', '23:59:59.999999-12', '294276-12-31 23:59:59.999999', '2026-07-01 00:00 America/New_York', '0'),
	('2026-02-28', NULL, NULL, '0044-03-15 12:00 BC', '1800-01-01 00:00 Europe/Berlin', '1 mon 1 day 1 hour')$$);

CREATE TABLE places (k inet PRIMARY KEY, c cidr, m macaddr, m8 macaddr8, p point, li line, ls lseg, bo box, pa path, po polygon, ci circle);
SELECT provenance.tag('places');
SELECT image_of($$INSERT INTO places VALUES
	('10.1.2.3/8', '10.0.0.0/8', '08:00:2b:01:02:03', '08:00:2b:ff:fe:01:02:03', '(0.1,-0.2)', '{1,2,3}', '[(0,0),(1,1)]', '(1,1),(0,0)', '((0,0),(1,1))', '((0,0),(1,0),(1,1))', '<(0.3,0),1>'),
	('::1', '2001:db8::/32', NULL, NULL, NULL, NULL, NULL, NULL, '[(0,0),(0.1,1)]', NULL, NULL)$$);

-- Types that users make.
CREATE TYPE mood AS ENUM ('sad', 'so "so"', 'happy');
CREATE DOMAIN email AS text CHECK (VALUE LIKE '%@%');
CREATE DOMAIN moment AS timestamptz;
CREATE TYPE address AS (street text, since timestamptz, m mood);
CREATE DOMAIN home AS address;
CREATE TYPE moments AS RANGE (subtype = timestamptz, multirange_type_name = moments_multi);
CREATE TABLE made (k mood PRIMARY KEY, e email, mo moment, a address, h home, r moments, mr moments_multi,
	ma mood[], aa address[], ea email[], rec int[][]);
SELECT provenance.tag('made');
SELECT image_of($$INSERT INTO made VALUES
	('so "so"', 'a@b', '2026-01-01 00:00Z', ROW('1, "Main"', '2026-01-01 00:00Z', 'sad'), ROW(NULL, '2026-06-01 00:00Z', NULL),
	 '[2026-01-01 00:00Z,2026-01-02 00:00Z)', '{[2026-01-01 00:00Z,2026-01-02 00:00Z),[2026-02-01 00:00Z,)}',
	 '{sad,"so \"so\"",NULL}', ARRAY[ROW('x', '2026-01-01 00:00Z', 'happy')]::address[], '{a@b}', '[0:1][2:3]={{1,2},{3,NULL}}'),
	('sad', NULL, NULL, ROW(NULL, NULL, NULL), NULL, 'empty', '{}', '{}', '{}', NULL, NULL)$$);
RESET ROLE;
SELECT c.n, position(decode('00', 'hex') || chr(length(c.n))::bytea || convert_to(c.n, 'UTF8') IN d.definition) > 0
	FROM provenance.shape d JOIN provenance.registry USING (table_id),
	unnest('{crm.mood,crm.email,crm.home,crm.moments_multi,crm.address[],integer[]}'::text[]) AS c(n) WHERE table_name = 'made';
SET ROLE regress_provenance_crm;

-- Ranges, arrays of types that depend on settings, names of objects.
CREATE TABLE nested (k int4range PRIMARY KEY, d daterange, n numrange, tz tstzmultirange, da date[], ia interval[], by bytea[],
	fa float8[], mo money[], rc regclass, rt regtype, rp regprocedure, rn regnamespace, ra regclass[]);
SELECT provenance.tag('nested');
SELECT image_of($$INSERT INTO nested VALUES
	('[1,5]', '[01.02.2026,)', '(0.10,)', '{[2026-01-01 00:00Z,)}', '{01.02.2026,NULL}', '{1 day}', ARRAY['\x00'::bytea], '{0.1,NaN}', '{1,2}',
	 'made', 'mood', 'entries()', 'crm', '{made,pg_class}')$$);

-- Generated columns; values out of line; a column added with a default.
CREATE TABLE wide (k int PRIMARY KEY, t text, twice int GENERATED ALWAYS AS (k * 2) STORED, b bytea);
ALTER TABLE wide ALTER t SET STORAGE EXTERNAL;
INSERT INTO wide VALUES (1, repeat('x', 100000));
ALTER TABLE wide ADD COLUMN d timestamptz DEFAULT '2026-01-01 00:00Z';
SELECT provenance.tag('wide');
SELECT image[1], length(image[2]), image[3], image[4], image[5] FROM entries() WHERE op = 'baseline';
INSERT INTO wide (k, t, b) VALUES (2, repeat('y', 1000000), decode(repeat('00', 100000), 'hex'));
UPDATE wide SET k = 3 WHERE k = 2;
UPDATE wide SET t = t || 'z' WHERE k = 3;
UPDATE wide SET t = t || '';
SELECT op, image[1], length(image[2]), md5(image[2]), image[3], length(image[4]), image[5] FROM entries();

-- A type with functions of the extension that made it.
RESET ROLE;
CREATE TYPE spy;
SET client_min_messages = warning;
CREATE FUNCTION spy_in(cstring) RETURNS spy LANGUAGE internal IMMUTABLE STRICT AS 'int4in';
CREATE FUNCTION spy_out_c(spy) RETURNS cstring LANGUAGE internal IMMUTABLE STRICT AS 'int4out';
CREATE TYPE spy (INPUT = spy_in, OUTPUT = spy_out_c, LIKE = int4);
RESET client_min_messages;
SET ROLE regress_provenance_crm;
CREATE TABLE spied (k int PRIMARY KEY, s spy, c text COLLATE "C");
SELECT provenance.tag('spied');
SELECT image_of($$INSERT INTO spied VALUES (1, '42', 'c')$$);

\i :clean
