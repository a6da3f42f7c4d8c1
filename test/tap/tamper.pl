# Whoever changes the ledger or a tagged table behind its back is found: a table
# of what a superuser can do, each with the findings that verify() must make of
# it. Every round starts from an intact database, which verify() is asked to
# confirm, and is rolled back. None may end in an error.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('tamper');
$node->init;
$node->append_conf('postgresql.conf', "fsync = off\nmax_worker_processes = 16\n");
$node->start;

my $origin = 'tamper-' . int(rand(1e9)) . '.example';

sub sql { return $node->safe_psql('postgres', $_[0]); }

sql("CREATE EXTENSION provenance; SELECT provenance.setup('$origin');
CREATE SCHEMA crm;
CREATE TABLE crm.contact (id int PRIMARY KEY, name text, email text, score numeric);
CREATE TABLE crm.event (at date, n int, what text, PRIMARY KEY (at, n)) PARTITION BY RANGE (at);
CREATE TABLE crm.event_1 PARTITION OF crm.event FOR VALUES FROM ('2026-01-01') TO ('2026-07-01');
CREATE TABLE crm.event_2 PARTITION OF crm.event FOR VALUES FROM ('2026-07-01') TO ('2027-01-01');
INSERT INTO crm.contact SELECT i, 'name ' || i, i || '\@x.example', i / 4.0 FROM generate_series(1, 200) i;
SELECT provenance.tag('crm.contact');
SELECT provenance.tag('crm.event');
SELECT provenance.stop_worker();");
my $kept_first = sql("SELECT encode(provenance.note(provenance.seal()), 'hex')");
sql("SET provenance.actor = 'zoe'; UPDATE crm.contact SET name = 'x' || name WHERE id <= 150;
SET provenance.actor = 'noah'; INSERT INTO crm.event SELECT date '2026-01-01' + i, i, 'what' FROM generate_series(0, 300) i;");
sql("SELECT provenance.seal()");
sql("UPDATE crm.contact SET score = score + 1 WHERE id < 50; DELETE FROM crm.contact WHERE id BETWEEN 60 AND 70;");
sql("INSERT INTO crm.contact VALUES (60, 'back', NULL, 1); UPDATE crm.contact SET id = 1001 WHERE id = 1;");
my $kept = sql("SELECT encode(provenance.note(provenance.seal()), 'hex')");
# sealed, and under no checkpoint of its own: nothing; waiting for the sealer
sql("UPDATE crm.contact SET score = 0 WHERE id = 150");

my $size = sql("SELECT provenance.size(note) FROM provenance.checkpoints ORDER BY size DESC LIMIT 1");
cmp_ok($size, '>', 512, 'the log has hashes above the leaves');

# an entry of row 20 of crm.contact, in the middle of its chain, sealed
my $seq = sql("SELECT seq FROM provenance.history('crm.contact', 20) ORDER BY leaf_index OFFSET 1 LIMIT 1");
my $other = sql("SELECT seq FROM provenance.history('crm.contact', 21) ORDER BY leaf_index OFFSET 1 LIMIT 1");
my $last = sql("SELECT seq FROM provenance.history('crm.contact', 20) ORDER BY leaf_index DESC LIMIT 1");
my $leaf = sql("SELECT leaf_index FROM provenance.history('crm.contact', 20) WHERE seq = $seq");
my $waiting = sql("SELECT max(seq) FROM provenance.entry");

# A forger who has time: all hashes made anew over what the entries and maps say
# by then, and no checkpoint left to contradict them.
sql(q{CREATE SCHEMA forger;
CREATE TABLE forger.place AS
	SELECT seq, leaf_index AS leaf FROM provenance.changes('crm.contact', '-infinity', 'infinity') WHERE leaf_index IS NOT NULL
	UNION ALL SELECT seq, leaf_index FROM provenance.changes('crm.event', '-infinity', 'infinity') WHERE leaf_index IS NOT NULL;
CREATE FUNCTION forger.hash_at(leaf bigint) RETURNS provenance.hash LANGUAGE sql AS $$
	SELECT substr(hashes, ((leaf - first_leaf) * 32 + 1)::int, 32)::provenance.hash
	FROM provenance.leaf_run WHERE first_leaf <= leaf ORDER BY first_leaf DESC LIMIT 1
$$;
CREATE FUNCTION forger.root(hashes bytea) RETURNS provenance.hash LANGUAGE plpgsql AS $$
DECLARE
	next bytea;
BEGIN
	WHILE length(hashes) > 32 LOOP
		SELECT string_agg(sha256('\x01' || substr(hashes, 1 + 64 * i, 64)), '' ORDER BY i) INTO next
			FROM generate_series(0, length(hashes) / 64 - 1) i;
		hashes := next;
	END LOOP;
	RETURN hashes::provenance.hash;
END $$;
CREATE PROCEDURE forger.make_hashes_anew() LANGUAGE plpgsql AS $$
DECLARE
	p forger.place;
BEGIN
	FOR p IN SELECT * FROM forger.place ORDER BY leaf LOOP
		UPDATE provenance.leaf_run SET hashes = overlay(hashes PLACING provenance.leaf_hash(provenance.leaf(p.seq))::bytea
			FROM ((p.leaf - first_leaf) * 32 + 1)::int)
		WHERE p.leaf BETWEEN first_leaf AND first_leaf + count - 1;
	END LOOP;
	UPDATE provenance.tree_node SET hash = forger.root(provenance.tile(0, index)) WHERE level = 1;
	UPDATE provenance.head SET heads = (SELECT string_agg(substr(heads, 1 + 56 * i, 24)
		|| forger.hash_at(('x' || encode(substr(heads, 17 + 56 * i, 8), 'hex'))::bit(64)::bigint)::bytea, '' ORDER BY i)
		FROM generate_series(0, length(heads) / 56 - 1) i);
	UPDATE provenance.table_head SET leaf_hash = forger.hash_at(last_leaf);
	DELETE FROM provenance.checkpoint_note;
END $$;});
is(sql('SELECT count(*) FROM forger.place'), $size, 'the forger knows every leaf');

# The map of a run where leaves after each other have predecessors 201 leaves
# before (c9 01: 201; 02: table 1, of the run's first leaf; 00: all as expected).
# The second gets its neighbour's.
my $fork = q{UPDATE provenance.leaf_run SET map = overlay(map PLACING '\x02ca0102c901' FROM position('\xc901020000'::bytea IN map) + 3 FOR 2)
	WHERE first_leaf = (SELECT max(first_leaf) FROM provenance.leaf_run WHERE position('\xc901020000'::bytea IN map) > 0)};
my $no_guard = "UPDATE pg_event_trigger SET evtenabled = 'D'";
# The head of a block b that has the greatest row identity.
my $greatest = "(SELECT decode(max(encode(substr(b.heads, 1 + 56 * i, 56), 'hex')), 'hex') FROM generate_series(0, length(b.heads) / 56 - 1) i)";
my $block = "WHERE from_row_id = (SELECT from_row_id FROM provenance.head ORDER BY 1 OFFSET 3 LIMIT 1)";
my $empty = '\x';
my $garbage = '\xdeadbeef';

my $consent = q{SET LOCAL session_replication_role = origin; CREATE TABLE crm.consent (id int PRIMARY KEY, person text);
	DO 'BEGIN PERFORM provenance.tag(''crm.consent'', subject => ''person''); END'; INSERT INTO crm.consent VALUES (1, 'x');
	SET LOCAL session_replication_role = replica};
my @rounds = (
	# entries
	[ 'image changed', "UPDATE provenance.entry SET image = set_byte(image, 3, get_byte(image, 3) # 1) WHERE seq = $seq", 'image_differs' ],
	[ 'last image changed', "UPDATE provenance.entry SET image = set_byte(image, 5, 65) WHERE seq = $last", 'image_differs row_differs' ],
	[ 'key in the image changed', "UPDATE provenance.entry SET image = set_byte(image, 2, 57) WHERE seq = $seq", 'image_differs' ],
	[ 'images of two entries swapped', "UPDATE provenance.entry e SET image = o.image FROM provenance.entry o
		WHERE (e.seq, o.seq) IN (($seq, $other), ($other, $seq))", 'image_differs' ],
	[ 'garbage in an image', "UPDATE provenance.entry SET image = '$garbage' WHERE seq = $seq", 'image_invalid' ],
	[ 'empty image', "UPDATE provenance.entry SET image = '$empty' WHERE seq = $seq", 'image_invalid' ],
	[ 'huge length in an image', "UPDATE provenance.entry SET image = '\\x01feffffffff00' WHERE seq = $seq", 'image_invalid' ],
	[ 'image removed', "UPDATE provenance.entry SET image = NULL WHERE seq = $seq", 'image_missing' ],
	[ 'seed removed', "UPDATE provenance.entry SET seed = NULL WHERE seq = $seq", 'image_missing' ],
	[ 'seed changed', "UPDATE provenance.entry SET seed = gen_random_uuid() WHERE seq = $seq", 'image_differs' ],
	[ 'commitment changed', "UPDATE provenance.entry SET commitment = sha256('x')::provenance.hash WHERE seq = $seq", 'commitment_differs' ],
	[ 'operation changed', "UPDATE provenance.entry SET op = 1 WHERE seq = $seq", 'leaf_differs' ],
	[ 'no operation', "UPDATE provenance.entry SET op = -77 WHERE seq = $seq", 'leaf_differs' ],
	[ 'operation that differs in the upper byte only', "UPDATE provenance.entry SET op = op + 256 WHERE seq = $seq", 'leaf_differs' ],
	[ 'time moved', "UPDATE provenance.entry SET changed_at = changed_at - interval '1 year' WHERE seq = $seq", 'leaf_differs' ],
	[ 'time infinite', "UPDATE provenance.entry SET changed_at = '-infinity' WHERE seq = $seq", 'leaf_differs' ],
	[ 'times of all entries moved', "UPDATE provenance.entry SET changed_at = changed_at + interval '1 us'", 'leaf_differs' ],
	[ 'two entries swapped', "UPDATE provenance.entry e SET (changed_at, commitment, seed, image, row_id, op) = (o.changed_at, o.commitment, o.seed, o.image, o.row_id, o.op)
		FROM provenance.entry o WHERE (e.seq, o.seq) IN (($seq, $other), ($other, $seq))", 'leaf_differs' ],
	[ 'entry deleted', "DELETE FROM provenance.entry WHERE seq = $seq", 'entry_missing' ],
	[ 'last entry of a chain deleted', "DELETE FROM provenance.entry WHERE seq = $last", 'entry_missing' ],
	[ 'whole chain deleted', "DELETE FROM provenance.entry WHERE row_id = (SELECT row_id FROM provenance.entry WHERE seq = $seq)", 'entry_missing row_unrecorded' ],
	[ 'all entries deleted', "DELETE FROM provenance.entry", 'entry_missing' ],
	[ 'entry moved to another transaction', "UPDATE provenance.entry SET xid = (SELECT xid FROM provenance.entry ORDER BY seq LIMIT 1) WHERE seq = $seq", 'entry_missing entry_unsealable' ],
	[ 'entry put in behind the sealer', "INSERT INTO provenance.entry SELECT xid, 1000000, changed_at, context_id, order_number, table_id, shape_id, row_id, commitment, seed, image, op
		FROM provenance.entry WHERE seq = $seq", 'entry_unsealable' ],
	[ 'entry put in under the number of one in the log', "INSERT INTO provenance.entry SELECT (SELECT xid FROM provenance.entry ORDER BY seq LIMIT 1), seq, changed_at, context_id, order_number, table_id, shape_id,
		row_id, commitment, seed, image, op FROM provenance.entry WHERE seq = $seq", 'entry_unsealable' ],
	[ 'entry that waits deleted', "DELETE FROM provenance.entry WHERE seq = $waiting", 'row_differs' ],
	[ 'entry that waits changed', "UPDATE provenance.entry SET image = set_byte(image, length(image) - 1, 57) WHERE seq = $waiting", 'image_differs row_differs' ],
	[ 'row identity changed', "UPDATE provenance.entry SET row_id = gen_random_uuid() WHERE seq = $seq", 'row_identity_differs chain_differs' ],
	[ 'table changed', "UPDATE provenance.entry SET table_id = 2 WHERE seq = $seq", 'shape_differs map_differs' ],
	[ 'table that does not exist', "UPDATE provenance.entry SET table_id = -5 WHERE seq = $seq", 'registry_missing' ],

	# contexts and shapes
	[ 'context reassigned', "UPDATE provenance.entry SET context_id = (SELECT max(context_id) FROM provenance.context WHERE context_id <> entry.context_id) WHERE seq = $seq", 'image_differs' ],
	[ 'context edited', "UPDATE provenance.context SET fields = overlay(fields placing 'eve'::bytea from 3) WHERE position('zoe'::bytea in fields) = 3", 'context_differs' ],
	[ 'context commitment changed', "UPDATE provenance.context SET commitment = sha256('x')::provenance.hash", 'context_differs' ],
	[ 'garbage in a context', "UPDATE provenance.context SET fields = '$garbage'", 'context_differs' ],
	[ 'fields of a context removed', "UPDATE provenance.context SET fields = NULL, seed = NULL", 'context_missing' ],
	[ 'context deleted', "DELETE FROM provenance.context", 'context_missing' ],
	[ 'shape edited', "UPDATE provenance.shape SET definition = overlay(definition placing 'mail!'::bytea from position('email'::bytea in definition)) WHERE table_id = 1", 'shape_differs' ],
	[ 'shape digest changed', "UPDATE provenance.shape SET digest = sha256('x')::provenance.hash WHERE table_id = 1", 'shape_differs' ],
	[ 'garbage in a shape', "UPDATE provenance.shape SET definition = '$garbage' WHERE table_id = 1", 'shape_differs' ],
	[ 'shape deleted', "DELETE FROM provenance.shape WHERE table_id = 1", 'shape_missing' ],
	[ 'shape of another table', "UPDATE provenance.entry SET shape_id = 2 WHERE seq = $seq", 'shape_differs' ],

	# the log
	[ 'stored leaf hash changed', "UPDATE provenance.leaf_run SET hashes = set_byte(hashes, 0, get_byte(hashes, 0) # 1) WHERE first_leaf = 0", 'tile_differs', '=' ],
	[ 'a leaf hash and another entry changed', "UPDATE provenance.leaf_run SET hashes = set_byte(hashes, 0, get_byte(hashes, 0) # 1) WHERE first_leaf = (SELECT max(first_leaf) FROM provenance.leaf_run WHERE first_leaf < 256);
		UPDATE provenance.entry SET changed_at = changed_at - interval '1 year' WHERE seq = $seq", 'tile_differs leaf_differs' ],
	[ 'all leaf hashes changed', "UPDATE provenance.leaf_run SET hashes = set_byte(hashes, 0, get_byte(hashes, 0) # 1)", 'tile_differs' ],
	[ 'an entry changed, and its leaf hash to match', "CREATE TEMP TABLE last AS SELECT seq, leaf_index AS leaf FROM provenance.changes('crm.contact', '-infinity', 'infinity') ORDER BY leaf_index DESC NULLS LAST LIMIT 1;
		UPDATE provenance.entry SET changed_at = changed_at - interval '1 year' FROM last WHERE entry.seq = last.seq;
		UPDATE provenance.leaf_run SET hashes = overlay(hashes PLACING provenance.leaf_hash(provenance.leaf(seq))::bytea FROM ((leaf - first_leaf) * 32 + 1)::int)
		FROM last WHERE leaf BETWEEN first_leaf AND first_leaf + count - 1", 'head_differs root_differs', '=' ],
	[ 'leaf hashes of the wrong length', "UPDATE provenance.leaf_run SET hashes = substr(hashes, 2) WHERE first_leaf = 0", 'run_invalid leaf_missing' ],
	[ 'map: a predecessor changed', "UPDATE provenance.leaf_run SET map = substr(map, 1, length(map) - 1) || '\\x0201' WHERE first_leaf = 0 AND get_byte(map, length(map) - 1) = 0", 'leaf_differs' ],
	[ 'map: another table', "UPDATE provenance.leaf_run SET map = substr(map, 1, length(map) - 1) || '\\x0402' WHERE first_leaf = 0 AND get_byte(map, length(map) - 1) = 0", 'map_differs', '=' ],
	[ 'map: a table beyond all numbers', "UPDATE provenance.leaf_run SET map = substr(map, 1, length(map) - 1) || '\\x0480808080808001' WHERE first_leaf = 0 AND get_byte(map, length(map) - 1) = 0", 'run_invalid leaf_missing' ],
	[ 'map: the table before, again', "UPDATE provenance.leaf_run SET map = substr(map, 1, length(map) - 1) || '\\x0400' WHERE first_leaf = 0 AND get_byte(map, length(map) - 1) = 0", 'run_invalid leaf_missing' ],
	[ 'map: the same in more bytes', "UPDATE provenance.leaf_run SET map = substr(map, 1, length(map) - 1) || '\\x8000' WHERE first_leaf = 0 AND get_byte(map, length(map) - 1) = 0", 'run_invalid leaf_missing' ],
	[ 'map: a flag that was not needed', "UPDATE provenance.leaf_run SET map = substr(map, 1, length(map) - 1) || '\\x0102' WHERE first_leaf = 0 AND get_byte(map, length(map) - 1) = 0", 'run_invalid leaf_missing' ],
	[ 'map: a predecessor twice', $fork, 'predecessor_reused leaf_differs chain_differs', '=' ],
	[ 'map: a predecessor twice, and all hashes made anew', "$fork; CALL forger.make_hashes_anew()", 'predecessor_reused chain_differs', '=' ],
	[ 'map: a predecessor before the first leaf', $fork =~ s/ca01/ca7f/r, 'run_invalid leaf_missing' ],
	[ 'an image changed, and all hashes made anew', "UPDATE provenance.entry SET image = set_byte(image, 3, get_byte(image, 3) # 1) WHERE seq = $seq; CALL forger.make_hashes_anew()", 'image_differs', '=' ],
	[ 'time moved, and all hashes made anew', "UPDATE provenance.entry SET changed_at = changed_at - interval '1 year' WHERE seq = $seq; CALL forger.make_hashes_anew()", '', '=' ],
	[ 'garbage in a map', "UPDATE provenance.leaf_run SET map = '$garbage' WHERE first_leaf = 0", 'run_invalid leaf_missing' ],
	[ 'map of another run', "UPDATE provenance.leaf_run SET map = (SELECT map FROM provenance.leaf_run ORDER BY first_leaf OFFSET 1 LIMIT 1) WHERE first_leaf = 0", 'sealed_twice leaf_differs' ],
	[ 'count of a run changed', "UPDATE provenance.leaf_run SET count = -3 WHERE first_leaf = 0", 'run_invalid' ],
	[ 'count of a run huge', "UPDATE provenance.leaf_run SET count = 32767 WHERE first_leaf = 0", 'run_invalid' ],
	[ 'a run removed', "DELETE FROM provenance.leaf_run WHERE first_leaf = (SELECT min(first_leaf) FROM provenance.leaf_run WHERE first_leaf > 100)", 'leaf_missing entry_unsealable' ],
	[ 'the first run removed', "DELETE FROM provenance.leaf_run WHERE first_leaf = 0", 'leaf_missing' ],
	[ 'all runs removed', "DELETE FROM provenance.leaf_run", 'leaf_missing checkpoint_beyond_log' ],
	[ 'a run moved far away', "UPDATE provenance.leaf_run SET first_leaf = 9223372036854775000 WHERE first_leaf = (SELECT max(first_leaf) FROM provenance.leaf_run)", 'leaf_missing' ],
	[ 'a run before the first', "UPDATE provenance.leaf_run SET first_leaf = -32 WHERE first_leaf = 0", 'leaf_missing' ],
	[ 'tail of the log cut off', "DELETE FROM provenance.leaf_run WHERE first_leaf >= 500;
		UPDATE provenance.seal_state SET log_size = (SELECT max(first_leaf + count) FROM provenance.leaf_run)", 'checkpoint_beyond_log entry_unsealable' ],
	[ 'tail of the log, its entries and checkpoints cut off', "DELETE FROM provenance.entry WHERE seq IN (SELECT seq FROM provenance.entry WHERE seq > 400);
		DELETE FROM provenance.leaf_run WHERE first_leaf >= 400; DELETE FROM provenance.checkpoint_note WHERE size > 400;
		UPDATE provenance.seal_state SET log_size = (SELECT max(first_leaf + count) FROM provenance.leaf_run)", 'row_differs tile_differs' ],
	[ 'size of the log changed', "UPDATE provenance.seal_state SET log_size = log_size - 10", 'size_differs' ],
	[ 'size of the log negative', "UPDATE provenance.seal_state SET log_size = -10", 'size_differs' ],
	[ 'size of the log huge', "UPDATE provenance.seal_state SET log_size = 9223372036854775807", 'leaf_missing' ],
	[ 'state of sealing removed', "DELETE FROM provenance.seal_state", 'size_differs' ],
	[ 'map of seqs changed', "UPDATE provenance.seq_block SET map = '$garbage' WHERE block = (SELECT min(block) FROM provenance.seq_block)", 'map_differs' ],
	[ 'map of seqs: a stretch in two', "UPDATE provenance.seq_block SET map = set_byte(map, 2, 1) || set_byte(set_byte('\\x000100', 0, get_byte(map, 0) + 2), 2, get_byte(map, 2) - 2)
		WHERE length(map) = 3 AND get_byte(map, 2) > 4", 'map_differs' ],
	[ 'map of seqs removed', "DELETE FROM provenance.seq_block", 'map_differs' ],
	[ 'hash of the tree changed', "UPDATE provenance.tree_node SET hash = sha256('x')::provenance.hash WHERE index = 1", 'tile_differs', '=' ],
	[ 'hash of the tree removed', "DELETE FROM provenance.tree_node WHERE index = 0", 'tile_differs', '=' ],
	[ 'hash of the tree added', "INSERT INTO provenance.tree_node VALUES (3, 17, sha256('x')::provenance.hash)", 'tile_differs', '=' ],

	# the ledger's tables themselves
	[ 'a column of another type', "ALTER TABLE provenance.entry ALTER COLUMN commitment TYPE text USING 'x'", 'ledger_altered', '=' ],
	[ 'a number where a checkpoint was', "ALTER EXTENSION provenance DROP VIEW provenance.status; ALTER EXTENSION provenance DROP VIEW provenance.checkpoints; DROP VIEW provenance.status, provenance.checkpoints; ALTER TABLE provenance.checkpoint_note ALTER COLUMN note TYPE int USING 5", 'ledger_altered', '=' ],
	[ 'a number where bytes were', "ALTER TABLE provenance.leaf_run ALTER COLUMN map TYPE int USING 5", 'ledger_altered', '=' ],
	[ 'a column dropped', "ALTER TABLE provenance.entry DROP COLUMN seed", 'ledger_altered', '=' ],
	[ 'a table dropped', "ALTER EXTENSION provenance DROP TABLE provenance.seq_block; DROP TABLE provenance.seq_block", 'ledger_altered', '=' ],
	[ 'a primary key dropped', "ALTER TABLE provenance.entry DROP CONSTRAINT entry_pkey", 'ledger_altered', '=' ],
	[ 'values null', "ALTER TABLE provenance.entry ALTER COLUMN commitment DROP NOT NULL, ALTER COLUMN row_id DROP NOT NULL, ALTER COLUMN op DROP NOT NULL;
		UPDATE provenance.entry SET commitment = NULL, row_id = NULL, op = NULL WHERE seq = $seq", 'leaf_differs' ],
	[ 'hashes and maps null', "ALTER TABLE provenance.leaf_run ALTER COLUMN map DROP NOT NULL, ALTER COLUMN hashes DROP NOT NULL; UPDATE provenance.leaf_run SET map = NULL, hashes = NULL", 'run_invalid' ],
	[ 'note null', "ALTER TABLE provenance.checkpoint_note ALTER COLUMN note DROP NOT NULL; UPDATE provenance.checkpoint_note SET note = NULL", 'checkpoint_invalid' ],
	[ 'names in the registry null', "ALTER TABLE provenance.registry ALTER COLUMN table_name DROP NOT NULL, ALTER COLUMN mode DROP NOT NULL; UPDATE provenance.registry SET table_name = NULL, mode = NULL", 'table_renamed' ],

	# checkpoints, keys, identity
	[ 'root of a checkpoint changed', "UPDATE provenance.checkpoint_note SET root = sha256('x')::provenance.hash WHERE size = $size", 'checkpoint_invalid', '=' ],
	[ 'signature of a checkpoint changed', "UPDATE provenance.checkpoint_note SET note = (left(note::text, -20) || CASE substr(note::text, length(note::text) - 19, 1) WHEN 'A' THEN 'B' ELSE 'A' END || right(note::text, 19))::provenance.checkpoint
		WHERE size = $size", 'signature_invalid', '=' ],
	[ 'size of a checkpoint changed', "UPDATE provenance.checkpoint_note SET size = size + 1 WHERE size = $size", 'checkpoint_invalid' ],
	[ 'note of another checkpoint', "UPDATE provenance.checkpoint_note SET note = (SELECT note FROM provenance.checkpoint_note ORDER BY size LIMIT 1) WHERE size = $size", 'checkpoint_invalid' ],
	[ 'incarnation of a checkpoint changed', "UPDATE provenance.checkpoint_note SET incarnation = 2 WHERE size = $size", 'checkpoint_invalid signature_invalid' ],
	# (good cosignatures put elsewhere: sql/witness.sql)
	[ 'garbage as a cosignature', "INSERT INTO provenance.checkpoint_cosignature VALUES (1, $size, 'x', 1, now(), 'x')", 'cosignature_invalid', '=' ],
	[ 'a cosignature on no checkpoint', "INSERT INTO provenance.checkpoint_cosignature VALUES (7, -1, 'x', 1, now(), 'x')", 'cosignature_invalid', '=' ],
	[ 'a cosignature null', "ALTER TABLE provenance.checkpoint_cosignature ALTER COLUMN line DROP NOT NULL; INSERT INTO provenance.checkpoint_cosignature VALUES (1, $size, 'x', 1, now(), NULL)", 'cosignature_invalid', '=' ],
	[ 'keys removed', "DELETE FROM provenance.log_key", 'signature_invalid' ],
	[ 'garbage as a key', "UPDATE provenance.log_key SET vkey = 'x'", 'signature_invalid' ],
	[ 'origin changed', "UPDATE provenance.log_identity SET origin = 'other.example'", 'checkpoint_invalid' ],
	[ 'row key changed', "UPDATE provenance.log_identity SET row_key = sha256('x')", 'row_identity_differs' ],
	[ 'row key of the wrong length', "UPDATE provenance.log_identity SET row_key = '$garbage'", 'identity_invalid' ],
	[ 'incarnation changed', "UPDATE provenance.log_identity SET incarnation = 2", 'identity_invalid', '=' ],
	[ 'incarnation taken back', "UPDATE provenance.log_identity SET incarnation = 0", 'identity_invalid', '=' ],
	[ 'identity removed', "DELETE FROM provenance.log_identity", 'identity_invalid' ],

	# derived data
	[ 'head changed', "UPDATE provenance.head SET heads = overlay(heads PLACING int8send(0) FROM position(uuid_send(row_id) IN heads) + 16)
		FROM provenance.entry WHERE seq = $seq AND position(uuid_send(row_id) IN heads) > 0", 'head_differs', '=' ],
	[ 'head removed', "UPDATE provenance.head SET heads = overlay(heads PLACING '' FROM position(uuid_send(row_id) IN heads) FOR 56)
		FROM provenance.entry WHERE seq = $seq AND position(uuid_send(row_id) IN heads) > 0", 'head_differs', '=' ],
	[ 'heads removed', "DELETE FROM provenance.head", 'head_differs', '=' ],
	[ 'a block of heads begins later', "UPDATE provenance.head SET from_row_id = (SELECT encode(substr($greatest, 1, 16), 'hex')::uuid FROM (SELECT head.heads) b) $block", 'head_differs', '=' ],
	[ 'the first block of heads begins later', "UPDATE provenance.head SET from_row_id = (SELECT encode(substr($greatest, 1, 16), 'hex')::uuid FROM (SELECT head.heads) b)
		WHERE from_row_id = '00000000-0000-0000-0000-000000000000'", 'head_differs', '=' ],
	[ 'a block of heads begins earlier', "UPDATE provenance.head SET from_row_id = (SELECT encode(substr($greatest, 1, 16), 'hex')::uuid
		FROM provenance.head b WHERE b.from_row_id < head.from_row_id ORDER BY 1 DESC LIMIT 1) $block", 'head_differs', '=' ],
	[ 'a head moved to the next block', "UPDATE provenance.head SET heads = (SELECT $greatest
		FROM provenance.head b WHERE b.from_row_id < head.from_row_id ORDER BY b.from_row_id DESC LIMIT 1) || heads $block", 'head_differs', '=' ],
	[ 'a head twice', "UPDATE provenance.head SET heads = substr(heads, 57, 56) || heads $block", 'head_differs', '=' ],
	[ 'garbage as heads', "UPDATE provenance.head SET heads = '$garbage'", 'head_differs', '=' ],
	[ 'heads null', "ALTER TABLE provenance.head ALTER COLUMN heads DROP NOT NULL; UPDATE provenance.head SET heads = NULL", 'head_differs', '=' ],
	[ 'head of a table changed', "UPDATE provenance.table_head SET leaf_hash = sha256('x')::provenance.hash WHERE table_id = 1", 'head_differs', '=' ],

	# tables
	[ 'row changed', "SET LOCAL session_replication_role = origin; ALTER TABLE crm.contact DISABLE TRIGGER ALL; UPDATE crm.contact SET name = 'forged' WHERE id = 20; ALTER TABLE crm.contact ENABLE TRIGGER ALL", 'row_differs', '=' ],
	[ 'row inserted', "ALTER TABLE crm.contact DISABLE TRIGGER ALL; INSERT INTO crm.contact VALUES (5000, 'forged'); ALTER TABLE crm.contact ENABLE ALWAYS TRIGGER provenance_capture, ENABLE ALWAYS TRIGGER \"!provenance_truncate\", ENABLE ALWAYS TRIGGER \"~provenance_truncate\"", 'row_unrecorded', '=' ],
	[ 'row deleted', "ALTER TABLE crm.contact DISABLE TRIGGER ALL; DELETE FROM crm.contact WHERE id = 20; ALTER TABLE crm.contact ENABLE ALWAYS TRIGGER provenance_capture, ENABLE ALWAYS TRIGGER \"!provenance_truncate\", ENABLE ALWAYS TRIGGER \"~provenance_truncate\"", 'row_missing', '=' ],
	[ 'deleted row put back', "ALTER TABLE crm.contact DISABLE TRIGGER ALL; INSERT INTO crm.contact VALUES (65, 'back'); ALTER TABLE crm.contact ENABLE ALWAYS TRIGGER provenance_capture, ENABLE ALWAYS TRIGGER \"!provenance_truncate\", ENABLE ALWAYS TRIGGER \"~provenance_truncate\"", 'row_unrecorded', '=' ],
	[ 'key changed', "ALTER TABLE crm.contact DISABLE TRIGGER ALL; UPDATE crm.contact SET id = 6000 WHERE id = 20; ALTER TABLE crm.contact ENABLE ALWAYS TRIGGER provenance_capture, ENABLE ALWAYS TRIGGER \"!provenance_truncate\", ENABLE ALWAYS TRIGGER \"~provenance_truncate\"", 'row_missing row_unrecorded', '=' ],
	[ 'table emptied', "ALTER TABLE crm.contact DISABLE TRIGGER ALL; TRUNCATE crm.contact; ALTER TABLE crm.contact ENABLE ALWAYS TRIGGER provenance_capture, ENABLE ALWAYS TRIGGER \"!provenance_truncate\", ENABLE ALWAYS TRIGGER \"~provenance_truncate\"", 'row_missing', '=' ],
	[ 'row of a partition changed', "ALTER TABLE crm.event_2 DISABLE TRIGGER ALL; UPDATE crm.event_2 SET what = 'forged' WHERE n = 300", 'row_differs trigger_disabled' ],
	[ 'guard disabled', "$no_guard", 'guard_disabled', '=' ],
	[ 'trigger disabled', "ALTER TABLE crm.contact DISABLE TRIGGER provenance_capture", 'trigger_disabled', '=' ],
	[ 'trigger of a partition disabled', "ALTER TABLE crm.event_2 DISABLE TRIGGER provenance_capture", 'trigger_disabled', '=' ],
	[ 'trigger not ALWAYS', "UPDATE pg_trigger SET tgenabled = 'O' WHERE tgrelid = 'crm.contact'::regclass", 'trigger_not_always', '=' ],
	[ 'trigger for inserts only', "UPDATE pg_trigger SET tgtype = 5 WHERE tgrelid = 'crm.contact'::regclass AND tgname = 'provenance_capture'", 'trigger_altered', '=' ],
	[ 'trigger of another table', "UPDATE pg_trigger SET tgargs = '\\x3200' WHERE tgrelid = 'crm.contact'::regclass AND tgname = 'provenance_capture'", 'trigger_altered', '=' ],
	[ 'trigger dropped', "$no_guard; DROP TRIGGER provenance_capture ON crm.contact", 'trigger_missing guard_disabled', '=' ],
	[ 'trigger function replaced', "CREATE OR REPLACE FUNCTION provenance.capture() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'", 'trigger_altered', '=' ],
	[ 'table renamed', "$no_guard; ALTER TABLE crm.contact RENAME TO contacts", 'table_renamed' ],
	[ 'table dropped', "$no_guard; DROP TABLE crm.contact", 'table_missing' ],
	[ 'column changed behind the guard', "$no_guard; ALTER TABLE crm.contact ALTER COLUMN name TYPE varchar(100)", 'shape_stale guard_disabled', '=' ],
	[ 'key dropped behind the guard', "$no_guard; ALTER TABLE crm.contact DROP CONSTRAINT contact_pkey", 'shape_stale guard_disabled', '=' ],
	[ 'registry row removed', "DELETE FROM provenance.registry WHERE table_id = 1", 'registry_missing' ],
	[ 'untagged in the registry, and a row changed', "UPDATE provenance.registry SET untagged_at = now() WHERE table_id = 1; ALTER TABLE crm.contact DISABLE TRIGGER ALL; UPDATE crm.contact SET name = 'forged' WHERE id = 20; ALTER TABLE crm.contact ENABLE TRIGGER ALL",
		'registry_differs row_differs' ],
	[ 'registry names another table', "UPDATE provenance.registry SET schema_name = 'pg_catalog', table_name = 'pg_class' WHERE table_id = 1", 'row_missing' ],
	[ 'mode changed in the registry', "UPDATE provenance.registry SET mode = 'append_only' WHERE table_id = 1", 'registry_differs', '=' ],
	[ 'subject added in the registry', "UPDATE provenance.registry SET subject = 'name' WHERE table_id = 1", 'registry_differs', '=' ],
	[ 'subject removed in the registry', "$consent; UPDATE provenance.registry SET subject = NULL WHERE subject = 'person'", 'registry_differs', '=' ],
	[ 'subject changed in the registry', "$consent; UPDATE provenance.registry SET subject = 'id' WHERE subject = 'person'", 'registry_differs', '=' ],
	[ 'subject renamed, which is no tampering', "$consent; SET LOCAL session_replication_role = origin; ALTER TABLE crm.consent RENAME person TO whom", '', '=' ],
	[ 'columns excluded in the registry', "UPDATE provenance.registry SET exclude = '{email}' WHERE table_id = 1", 'shape_stale' ],
);

sub round
{
	my ($name, $mutilate, $codes, $exact) = @_;
	my ($out, $err) = ('', '');
	my $rc = $node->psql('postgres', <<SQL, stdout => \$out, stderr => \$err, on_error_stop => 1);
SET client_min_messages = error;
SELECT count(*) FROM provenance.verify();
BEGIN;
SET LOCAL allow_system_table_mods = on;
SET LOCAL session_replication_role = replica;
$mutilate;
SET LOCAL session_replication_role = origin;
SELECT coalesce(string_agg(DISTINCT code, ' ' ORDER BY code), '') FROM provenance.verify();
ROLLBACK;
SQL
	my ($before, $found) = split /\n/, $out;
	$found //= '';
	my %found = map { $_ => 1 } split / /, $found;
	my @missing = grep { !$found{$_} } split / /, $codes;
	my $ok = $rc == 0 && ($before // '') eq '0' && !@missing;
	$ok &&= $found eq join(' ', sort split / /, $codes) if $exact;
	ok($ok, $name) or diag("before: " . ($before // '') . "; found: $found; wanted: $codes; $err");
}

if (my $only = $ENV{TAMPER_ONLY})
{
	@rounds = grep { $_->[0] =~ /$only/ } @rounds;
}
round(@$_) foreach @rounds;
is(sql("SELECT count(*) FROM provenance.verify()"), '0', 'and the database is intact');

# Question 4: a checkpoint kept outside.
sub kept
{
	my ($mutilate, $note) = @_;
	my ($out, $err) = ('', '');
	my $rc = $node->psql('postgres', <<SQL, stdout => \$out, stderr => \$err, on_error_stop => 1);
SET client_min_messages = error;
BEGIN;
SET LOCAL session_replication_role = replica;
$mutilate;
SELECT coalesce(string_agg(DISTINCT code, ' ' ORDER BY code), '') FROM provenance.verify_checkpoint(convert_from(decode('$note', 'hex'), 'UTF8')::provenance.checkpoint);
ROLLBACK;
SQL
	return $rc == 0 ? $out : "error: $err";
}

is(kept('SELECT', $kept), '', 'the log extends a kept checkpoint');
is(kept('SELECT', $kept_first), '', 'and an older one');
is(kept("DELETE FROM provenance.checkpoint_note WHERE size = $size", $kept), 'checkpoint_missing', 'its row was removed');
is(kept("DELETE FROM provenance.checkpoint_note WHERE size = $size", $kept_first), '', 'which says nothing of the older one');
is(kept("DELETE FROM provenance.checkpoint_note", $kept), 'checkpoint_missing', 'nor does it need other rows');
is(kept("UPDATE provenance.entry SET changed_at = changed_at - interval '1 year' WHERE seq = $seq; CALL forger.make_hashes_anew()", $kept),
	'checkpoint_contradicted', 'an entry changed, and all hashes made anew');
is(kept("UPDATE provenance.leaf_run SET hashes = set_byte(hashes, 0, get_byte(hashes, 0) # 1) WHERE first_leaf = 0", $kept),
	'checkpoint_contradicted', 'a rewritten log contradicts it');
is(kept("DELETE FROM provenance.leaf_run WHERE first_leaf > 300; UPDATE provenance.seal_state SET log_size = (SELECT max(first_leaf + count) FROM provenance.leaf_run)", $kept),
	'checkpoint_beyond_log', 'a log that was cut off is shorter than it');
is(kept("DELETE FROM provenance.leaf_run WHERE first_leaf = 0", $kept), 'leaf_missing', 'a log with a gap');
is(kept("UPDATE provenance.log_identity SET origin = 'other.example'", $kept), 'checkpoint_foreign', 'another log');
is(kept("DELETE FROM provenance.log_key", $kept), 'signature_invalid', 'another key');

# The whole ledger made anew, consistent in itself: only what was kept outside
# tells.
sql("SET provenance.confirm_drop = '$origin'; DROP EXTENSION provenance CASCADE");
rename($node->data_dir . '.provenance', $node->data_dir . '.provenance-old') or die $!;
sql("CREATE EXTENSION provenance; SELECT provenance.setup('$origin');
UPDATE crm.contact SET name = 'forged' WHERE id = 20;
SELECT provenance.tag('crm.contact'); SELECT provenance.tag('crm.event');");
sql("UPDATE crm.contact SET score = score + 1; UPDATE crm.contact SET score = score - 1;");
sql("SELECT provenance.seal()");
is(sql("SELECT count(*) FROM provenance.verify()"), '0', 'a ledger made anew is intact in itself');
is(kept('SELECT', $kept), 'checkpoint_contradicted signature_invalid', 'and contradicts the checkpoint that was kept');

done_testing();
