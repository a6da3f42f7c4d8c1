-- verify(since_size, budget): with time enough a sample is all of it, and what
-- is missing is missed; from a size on it is what came after, and the tables.
\getenv srcdir PG_ABS_SRCDIR
\set fresh_log :srcdir '/sql/include/fresh_log.sql'
\set drop_log :srcdir '/sql/include/drop_log.sql'
\i :fresh_log
SET client_min_messages = error;	-- the notice says how much was covered

CREATE TABLE crm.contact (id int PRIMARY KEY, name text);
CREATE TABLE crm.price (product text, valid numeric, amount numeric, PRIMARY KEY (product, valid));
CREATE TABLE crm.stock (amount money PRIMARY KEY, at timestamptz);
SELECT provenance.tag('crm.contact'), provenance.tag('crm.price'), provenance.tag('crm.stock') \gset
SELECT provenance.stop_worker();
INSERT INTO crm.contact SELECT i, 'name ' || i FROM generate_series(1, 600) i;
INSERT INTO crm.price VALUES ('GTX', 1.0, 5), ('GTX', 2, 6), ('MG "x"', 1, 7);
INSERT INTO crm.stock VALUES (12.5, '2026-01-01 00:00:00.5+01');
SELECT provenance.size(provenance.seal()) AS half \gset
UPDATE crm.contact SET name = upper(name) WHERE id <= 300;
DELETE FROM crm.contact WHERE id > 590;
INSERT INTO crm.contact VALUES (600, 'again');
UPDATE crm.contact SET id = 1000 WHERE id = 7;
SELECT provenance.size(provenance.seal()) > :half AS grown;
UPDATE crm.contact SET name = 'waits' WHERE id = 8;
DELETE FROM crm.contact WHERE id = 9;
INSERT INTO crm.contact VALUES (1001, 'waits');
SELECT * FROM provenance.verify(budget => '1 minute');
SELECT * FROM provenance.verify(:half, '1 minute');
SELECT * FROM provenance.verify(:half);

-- What all of it finds, a sample of all of it finds: by what was done behind the
-- ledger's back, codes found without a budget, with one, and from a size on.
-- (Which rows' heads share a block is at random; entries 100 to 500 are of rows that are still there.)
CREATE FUNCTION crm.tampered(statements text, half int, OUT full_codes text, OUT sample_codes text, OUT since_codes text) LANGUAGE plpgsql AS $$
BEGIN
	SET LOCAL session_replication_role = replica;
	ALTER TABLE crm.contact DISABLE TRIGGER provenance_capture;
	ALTER TABLE crm.price DISABLE TRIGGER provenance_capture;
	ALTER TABLE crm.stock DISABLE TRIGGER provenance_capture;
	EXECUTE statements;
	ALTER TABLE crm.contact ENABLE ALWAYS TRIGGER provenance_capture;
	ALTER TABLE crm.price ENABLE ALWAYS TRIGGER provenance_capture;
	ALTER TABLE crm.stock ENABLE ALWAYS TRIGGER provenance_capture;
	SELECT string_agg(DISTINCT code, ' ' ORDER BY code) INTO full_codes FROM provenance.verify();
	SELECT string_agg(DISTINCT code, ' ' ORDER BY code) INTO sample_codes FROM provenance.verify(budget => '1 minute');
	SELECT string_agg(DISTINCT code, ' ' ORDER BY code) INTO since_codes FROM provenance.verify(half, '1 minute');
	RAISE 'undone' USING ERRCODE = 'XX999';
EXCEPTION WHEN SQLSTATE 'XX999' THEN
	NULL;
END $$;
CREATE TABLE crm.deed (n int PRIMARY KEY, what text, statements text);
INSERT INTO crm.deed VALUES
	(1, 'row changed', $$UPDATE crm.contact SET name = 'x' WHERE id = 500$$),
	(2, 'row removed', $$DELETE FROM crm.contact WHERE id = 500$$),
	(3, 'row of two keys removed', $$DELETE FROM crm.price WHERE product = 'MG "x"'$$),
	(4, 'row of a time removed', $$DELETE FROM crm.stock$$),
	(5, 'row put in', $$INSERT INTO crm.contact VALUES (0, 'x')$$),
	(6, 'deleted row put in again', $$INSERT INTO crm.contact VALUES (595, 'name 595')$$),
	(7, 'old entry removed', $$DELETE FROM provenance.entry WHERE seq = (SELECT max(seq) FROM provenance.entry WHERE op = 1 AND seq < 100)$$),
	(8, 'new entry removed', $$DELETE FROM provenance.entry WHERE seq = (SELECT max(seq) FROM provenance.history('crm.contact', 300))$$),
	(20, 'waiting entry removed', $$DELETE FROM provenance.entry WHERE seq = (SELECT max(seq) FROM provenance.entry WHERE op = 3 AND seq < (SELECT min(seq) FROM provenance.entry WHERE xid = (SELECT max(xid) FROM provenance.entry)))$$),
	(9, 'entry put in', $$CREATE TEMP TABLE e AS SELECT * FROM provenance.entry ORDER BY seq LIMIT 1; UPDATE e SET seq = 900000; INSERT INTO provenance.entry TABLE e$$),
	(10, 'image changed', $$UPDATE provenance.entry SET image = set_byte(image, 4, 66) WHERE seq = (SELECT max(seq) FROM provenance.entry WHERE op = 1 AND seq < 400)$$),
	(11, 'leaves removed', $$DELETE FROM provenance.leaf_run WHERE first_leaf = (SELECT max(first_leaf) FROM provenance.leaf_run WHERE first_leaf < 200)$$),
	(12, 'last leaves removed', $$DELETE FROM provenance.leaf_run WHERE first_leaf = (SELECT max(first_leaf) FROM provenance.leaf_run)$$),
	(13, 'map changed', $$UPDATE provenance.seq_block SET first_leaf = first_leaf + 1 WHERE block = (SELECT min(block) FROM provenance.seq_block)$$),
	(14, 'hash of the tree put in', $$INSERT INTO provenance.tree_node VALUES (1, 77, sha256('x')::provenance.hash)$$),
	(15, 'hash of the tree changed', $$UPDATE provenance.tree_node SET hash = sha256('x')::provenance.hash WHERE level = 1 AND index = 0$$),
	(16, 'head changed', $$UPDATE provenance.head SET heads = overlay(heads PLACING int8send(1) FROM position(uuid_send(row_id) IN heads) + 16) FROM provenance.entry WHERE seq = 300 AND position(uuid_send(row_id) IN heads) > 0$$),
	(21, 'block of heads begins later', $$UPDATE provenance.head SET from_row_id = (SELECT encode(substr(heads, 1 + 56 * i, 16), 'hex')::uuid FROM generate_series(0, length(heads) / 56 - 1) i ORDER BY 1 OFFSET 1 LIMIT 1) WHERE from_row_id = (SELECT from_row_id FROM provenance.head JOIN provenance.entry ON row_id = from_row_id WHERE seq BETWEEN 100 AND 500 ORDER BY 1 OFFSET 3 LIMIT 1)$$),
	(22, 'head moved to the next block', $$WITH b AS (SELECT from_row_id, lag(from_row_id) OVER w AS before, lag(heads) OVER w AS b FROM provenance.head WINDOW w AS (ORDER BY from_row_id)),
		m AS (SELECT b.* FROM b JOIN provenance.entry ON row_id = encode(substr(b, length(b) - 55, 16), 'hex')::uuid WHERE seq BETWEEN 100 AND 500 ORDER BY 1 OFFSET 3 LIMIT 1)
		UPDATE provenance.head h SET heads = CASE WHEN h.from_row_id = before THEN substr(heads, 1, length(heads) - 56) ELSE substr(b, length(b) - 55) || heads END FROM m WHERE h.from_row_id IN (m.from_row_id, before)$$),
	(17, 'note changed', $$UPDATE provenance.checkpoint_note SET root = sha256('x')::provenance.hash WHERE size = (SELECT max(size) FROM provenance.checkpoint_note)$$),
	(18, 'table gone from the registry', $$DELETE FROM provenance.registry WHERE table_name = 'price'$$),
	(19, 'countersignature on no entry', $$INSERT INTO provenance.countersignature VALUES (999999, '\x00', now(), 'x', sha256('x')::provenance.hash, '\x00')$$);
SELECT what, t.* FROM crm.deed CROSS JOIN LATERAL crm.tampered(statements, :half) AS t ORDER BY n;

-- Too many entries that wait: rows with such entries are left out, no others.
RESET client_min_messages;
INSERT INTO crm.contact SELECT i, 'waits' FROM generate_series(2001, 4100) i;
SET client_min_messages = error;
SELECT * FROM provenance.verify(budget => '1 minute');
SELECT what, sample_codes FROM crm.deed CROSS JOIN LATERAL crm.tampered(statements, :half) AS t WHERE n IN (1, 2, 5) ORDER BY n;
RESET client_min_messages;
\i :drop_log
