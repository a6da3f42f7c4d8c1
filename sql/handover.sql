-- Handovers: each step is an entry and holds the record commitment of the one
-- before it; last_commitment() is what survives of the transaction. Two
-- databases, prepared transactions and crashes: test/tap/handover.pl.
\getenv srcdir PG_ABS_SRCDIR
\set fresh_log :srcdir '/sql/include/fresh_log.sql'
\set drop_log :srcdir '/sql/include/drop_log.sql'
\i :fresh_log
SET search_path = crm, provenance;
CREATE FUNCTION crm.newest() RETURNS hash LANGUAGE sql SECURITY DEFINER
	RETURN (SELECT commitment FROM provenance.entry ORDER BY seq DESC LIMIT 1);
CREATE FUNCTION crm.entry_of(v text) RETURNS provenance.hash LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
	RETURN (SELECT commitment FROM provenance.entry e JOIN provenance.changes('crm.t', '-infinity', 'infinity') c USING (seq)
			WHERE c.image ->> 'v' = entry_of.v);
END $$;
SET ROLE regress_provenance_owner;

-- last_commitment(): nothing, the last, what a savepoint leaves.
SELECT last_commitment() IS NULL AS none;
CREATE TABLE t (id int PRIMARY KEY, v text);
SELECT provenance.tag('t');
SELECT last_commitment() IS NULL AS transaction_over;
BEGIN;
SELECT last_commitment() IS NULL AS none;
INSERT INTO t VALUES (1, 'a');
SELECT last_commitment() = entry_of('a') AS a;
SAVEPOINT one;
SELECT last_commitment() = entry_of('a') AS a;
INSERT INTO t VALUES (2, 'b'), (3, 'c');
SELECT last_commitment() = entry_of('c') AS c;
SAVEPOINT two;
INSERT INTO t VALUES (4, 'd');
SELECT last_commitment() = entry_of('d') AS d;
ROLLBACK TO two;
SELECT last_commitment() = entry_of('c') AS c;
INSERT INTO t VALUES (4, 'e');
RELEASE two;
SELECT last_commitment() = entry_of('e') AS e;
SAVEPOINT three;
SAVEPOINT four;
INSERT INTO t VALUES (5, 'f');
RELEASE four;
SELECT last_commitment() = entry_of('f') AS f;
ROLLBACK TO three;
SELECT last_commitment() = entry_of('e') AS e;
RELEASE three;
DO $$ BEGIN INSERT INTO t VALUES (6, 'g'); INSERT INTO t VALUES (6, 'g'); EXCEPTION WHEN unique_violation THEN NULL; END $$;
SELECT last_commitment() = entry_of('e') AS e;
ROLLBACK TO one;
SELECT last_commitment() = entry_of('a') AS a;
COMMIT;
SELECT last_commitment() IS NULL AS none;
BEGIN;
INSERT INTO t VALUES (7, 'h');
ROLLBACK;
SELECT last_commitment() IS NULL AS none;
BEGIN;
SAVEPOINT one;
INSERT INTO t VALUES (8, 'i');
ROLLBACK TO one;
SELECT last_commitment() IS NULL AS none;
COMMIT;

-- In the database's name: not for everybody.
\set VERBOSITY sqlstate
SELECT handover_give('handover:1', 'globex');	-- fails
SELECT handover_take('handover:1', 'globex', NULL, repeat('00', 32)::hash);	-- fails
SELECT handover_close('handover:1', repeat('00', 32)::hash);	-- fails
SELECT handover_confirm('handover:1');	-- fails
SELECT handover_withdraw('handover:1');	-- fails
SELECT handover_record('handover:1', 'give');	-- fails
SELECT * FROM handovers;	-- fails
SELECT * FROM pending_handovers;	-- fails
RESET ROLE;
GRANT EXECUTE ON FUNCTION handover_give, handover_take, handover_close, handover_confirm, handover_withdraw, handover_record
	TO regress_provenance_owner;
GRANT SELECT ON handovers, pending_handovers TO regress_provenance_owner;
SET ROLE regress_provenance_owner;
SELECT handover_give('1', 'globex');	-- fails
SELECT handover_give('handover:', 'globex');	-- fails
SELECT handover_give('handover:' || repeat('x', 182), 'globex');	-- fails
SELECT handover_give('handover:1', '');	-- fails
SELECT handover_give('handover:1', NULL);	-- fails
SELECT handover_take('handover:1', 'globex', NULL, NULL);	-- fails
SELECT handover_close('handover:1', NULL);	-- fails
SELECT handover_close('handover:1', repeat('00', 32)::hash);	-- fails
SELECT handover_confirm('handover:1');	-- fails
SELECT handover_withdraw('handover:1');	-- fails
\set VERBOSITY default
BEGIN READ ONLY;
SELECT handover_give('handover:1', 'globex');	-- fails
ROLLBACK;
SELECT handover_record('handover:1', 'give') IS NULL AS none;

-- Both sides in one database: each step is what the next one holds.
BEGIN;
SELECT handover_give('handover:1', 'globex', 'c-42') AS a1 \gset
SELECT :'a1' = last_commitment() AS last, :'a1' = newest() AS entry;
SELECT handover_take('handover:1', 'acme', 'c-42', :'a1') AS b1 \gset
SELECT handover_close('handover:1', :'b1') AS a2 \gset
SELECT :'a2' = last_commitment() AS last, handover_record('handover:1', 'take') = :'b1' AS unsealed;
COMMIT;
SELECT gid, step, partner, subject, record = :'a1' AS a1, record = :'b1' AS b1 FROM handovers;
SELECT gid, step, partner, subject, prepared, finish FROM pending_handovers;
-- The partner's step, merged from a bundle, would do as well.
RESET ROLE;
BEGIN;
INSERT INTO provenance.merged_leaf (log_id, shape_id, leaf_index, merge_id, previous, op, leaf_hash, leaf, fields)
	SELECT 1, 1, 0, 1, -1, 1, leaf_hash(leaf), leaf, '!' FROM (SELECT decode(repeat('01', 50), 'hex') || :'b1'::hash::bytea AS leaf) l;
SELECT count(*) FROM pending_handovers;
ROLLBACK;
SET ROLE regress_provenance_owner;
SELECT handover_confirm('handover:1') = handover_record('handover:1', 'confirm') AS confirmed;
SELECT * FROM pending_handovers;
SELECT size(provenance.seal()) > 0 AS sealed;
SELECT handover_record('handover:1', 'give') = :'a1' AS a1, handover_record('handover:1', 'take') = :'b1' AS b1,
	   handover_record('handover:1', 'close') = :'a2' AS a2;
RESET ROLE;
SELECT op, image ->> 'record' = :'a1' AS a1, substr(leaf(seq), 51) = :'b1'::hash::bytea AS in_leaf
FROM history('provenance.handover', 'handover:1', 'take');
SET ROLE regress_provenance_owner;

-- Once, and in order.
SELECT handover_give('handover:1', 'globex');	-- fails
SELECT handover_take('handover:1', 'globex', NULL, :'a1');	-- fails
SELECT handover_close('handover:1', :'b1');	-- fails
SELECT handover_withdraw('handover:1');	-- fails
SELECT handover_confirm('handover:1');	-- fails
SELECT handover_give('handover:2', 'globex') IS NOT NULL AS given;
SELECT gid, step, partner, subject, prepared, finish FROM pending_handovers;
SELECT handover_confirm('handover:2');	-- fails
SELECT handover_withdraw('handover:2') IS NOT NULL AS withdrawn;
SELECT handover_close('handover:2', :'b1');	-- fails
SELECT handover_withdraw('handover:2');	-- fails
SELECT count(*) FROM pending_handovers;
RESET ROLE;
SELECT code, object, message FROM verify();
\i :drop_log
