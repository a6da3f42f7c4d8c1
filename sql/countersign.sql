-- Countersignatures: taken only if they are good, entries themselves, shown in
-- the history; a table can demand them, and those that were changed are found.
\getenv srcdir PG_ABS_SRCDIR
\set fresh_log :srcdir '/sql/include/fresh_log.sql'
\set drop_log :srcdir '/sql/include/drop_log.sql'
\set sign :srcdir '/sql/include/sign.sh'
\i :fresh_log
SET search_path = crm, provenance;
\set as_owner 'SET ROLE regress_provenance_owner'
\set as_reader 'SET ROLE regress_provenance_reader'
-- tests 1 and 2 of RFC 8032, section 7.1
\set alice '\\xd75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a'
\set alice_seed 9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60
\set tablet '\\x3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c'
\set tablet_seed 4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb

:as_owner;
CREATE TABLE visit (id int PRIMARY KEY, place text, secret text);
CREATE TABLE private (id int PRIMARY KEY);
GRANT SELECT (id, place) ON visit TO regress_provenance_reader;
SELECT provenance.tag('visit', require_countersignature => NULL);	-- fails
SELECT provenance.tag('visit', require_countersignature => true), provenance.tag('private');
SELECT "table", require_countersignature FROM tagged_table;
INSERT INTO visit VALUES (1, 'Rome', 'x'), (2, 'Oslo', 'y');
INSERT INTO private VALUES (1);
SELECT size(provenance.seal()) AS sealed;
SELECT seq AS rome FROM history('visit', 1) \gset
SELECT seq AS oslo FROM history('visit', 2) \gset
SELECT seq AS private FROM history('private', 1) \gset

-- The message is a line and the leaf; whoever has the key signs it anywhere.
SELECT encode(countersignature_message(:rome), 'hex') AS rome_message,
	   encode(countersignature_message(:oslo), 'hex') AS oslo_message,
	   encode(countersignature_message(:private), 'hex') AS private_message \gset
\set by_alice `:'sign' :'alice_seed' :'rome_message'`
\set by_tablet `:'sign' :'tablet_seed' :'rome_message'`
\set of_oslo `:'sign' :'alice_seed' :'oslo_message'`
\set of_private `:'sign' :'alice_seed' :'private_message'`
SELECT countersignature_message(:rome) = convert_to(E'provenance countersignature v1\n', 'UTF8') || leaf(:rome) AS message;
SELECT code, severity, object, seq - :rome AS nth, message FROM verify_table('visit') ORDER BY seq;

-- Who sees something of the table may bring one; only a good one is taken.
:as_reader;
SELECT countersign(:rome, :'alice', decode(:'of_oslo', 'hex'));	-- fails
\set VERBOSITY sqlstate
SELECT countersign(:rome, :'tablet', decode(:'by_alice', 'hex'));	-- fails
SELECT countersign(:rome, :'alice', overlay(decode(:'by_alice', 'hex') PLACING '\x00'::bytea FROM 5));	-- fails
SELECT countersign(:rome, decode(repeat('00', 32), 'hex'), decode(:'by_alice', 'hex'));	-- fails
SELECT countersign(:rome, decode(repeat('ff', 32), 'hex'), decode(:'by_alice', 'hex'));	-- fails
SELECT countersign(:private, :'alice', decode(:'of_private', 'hex'));	-- fails
SELECT countersign(NULL, :'alice', decode(:'by_alice', 'hex'));	-- fails
\set VERBOSITY default
SELECT countersign(:rome, substr(:'alice'::bytea, 2), decode(:'by_alice', 'hex'));	-- fails
SELECT countersign(:rome, :'alice', ''::bytea);	-- fails
SELECT countersign(-1, :'alice', decode(:'by_alice', 'hex'));	-- fails
SELECT countersign(:rome, :'alice', decode(:'by_alice', 'hex'));
SELECT countersign(:rome, :'tablet', decode(:'by_tablet', 'hex'));
BEGIN;
SELECT countersign(:oslo, :'alice', decode(:'of_oslo', 'hex'));
ROLLBACK;
-- a second time changes nothing
SELECT countersign(:rome, :'alice', decode(:'by_alice', 'hex'));

SELECT op, countersigned_by = ARRAY[:'tablet', :'alice']::bytea[] AS both, countersigned_by[1] = :'tablet' AS sorted
FROM history('visit', 1);
SELECT op, countersigned_by IS NULL AS none FROM history('visit', 2);
SELECT key, cardinality(countersigned_by) AS keys FROM changes('visit', '-infinity') WHERE op = 'insert';

-- Bundles carry them.
:as_owner;
SELECT kind, split_part(content, '|', 2) = encode(:'alice', 'base64') AS alice,
	split_part(content, '|', 3) = translate(encode(decode(:'by_alice', 'hex'), 'base64'), E'\n', '') AS by_alice
FROM export_bundle('visit', recipient => 'globex') WHERE kind = 'countersignature';
RESET ROLE;

-- Not in a transaction that writes nothing.
BEGIN READ ONLY;
SELECT countersign(:rome, :'alice', decode(:'by_alice', 'hex'));	-- fails
ROLLBACK;

-- They are entries, and rows whose newest entry has one are final.
RESET ROLE;
SELECT op, image ->> 'seq' = :'rome' AS rome, image ->> 'public_key' = :'alice' AS alice, image ->> 'added_by' = current_user AS by_me
FROM history('provenance.countersignature', :rome, :'alice');
SELECT count(*) FROM provenance.countersignature;
:as_owner;
SELECT code, object FROM verify_table('visit');
SELECT code, object FROM verify_row('visit', 1);
SELECT code, object FROM verify_row('visit', 2);
RESET ROLE;
BEGIN;
ALTER TABLE provenance.countersignature DISABLE TRIGGER provenance_refuse;
UPDATE provenance.countersignature SET signature = decode(:'of_oslo', 'hex') WHERE public_key = :'alice';
SELECT code, object = 'entry ' || :rome AS object FROM verify_row('visit', 1);
ROLLBACK;
:as_owner;
UPDATE visit SET place = 'Roma' WHERE id = 1;
BEGIN;
INSERT INTO visit VALUES (3, 'Bern', 'z');
\set VERBOSITY sqlstate
SELECT countersign(seq, :'alice', decode(:'by_alice', 'hex')) FROM history('visit', 3);	-- fails
\set VERBOSITY default
ROLLBACK;
INSERT INTO visit VALUES (3, 'Bern', 'z');
DELETE FROM visit WHERE id = 3;
SELECT code, severity, object FROM verify_table('visit') ORDER BY object;
SELECT code, object FROM verify_row('visit', 3);
TRUNCATE visit;
SELECT code, object FROM verify_table('visit');
SELECT code, object FROM verify_row('visit', 1);
SELECT size(provenance.seal()) > 0 AS sealed;
SELECT code, object FROM verify_table('visit');
SELECT code, object FROM verify_row('visit', 3);

-- Of what was there before a table demands them: the baselines need one each.
SELECT provenance.untag('private');
SELECT provenance.tag('private', require_countersignature => true);
SELECT size(provenance.seal()) > 0 AS sealed;
SELECT code, object FROM verify_table('private');
ALTER TABLE private RENAME TO confidential;	-- the demand goes with it
SELECT code, object FROM verify_table('confidential');
SELECT provenance.untag('confidential');
SELECT code, object FROM verify_table('confidential');

-- Put in or changed behind the ledger's back.
RESET ROLE;
SELECT size(provenance.seal()) > 0 AS sealed;
SELECT code, object FROM verify();
ALTER TABLE provenance.countersignature DISABLE TRIGGER provenance_refuse;
BEGIN;
UPDATE provenance.countersignature SET signature = decode(:'of_oslo', 'hex') WHERE public_key = :'alice';
SELECT code, severity, object = 'entry ' || :rome AS object, seq - :rome AS nth, message FROM verify_table('visit');
SELECT code FROM verify() ORDER BY 1;
ROLLBACK;
BEGIN;
UPDATE provenance.countersignature SET public_key = substr(public_key, 2) WHERE public_key = :'alice';
SELECT code, message FROM verify_table('visit');
ROLLBACK;
BEGIN;
UPDATE provenance.countersignature SET leaf_hash = leaf_hash(leaf_hash::bytea) WHERE public_key = :'alice';
SELECT code, message FROM verify_table('visit');
ROLLBACK;
BEGIN;
UPDATE provenance.countersignature SET seq = 1000000 WHERE public_key = :'alice';
SELECT code, message FROM verify() WHERE code LIKE 'counter%';
SELECT code, message FROM verify_table('visit');
ROLLBACK;
BEGIN;
ALTER TABLE provenance.countersignature ALTER signature TYPE text;
SELECT code, object FROM verify();
ROLLBACK;

\i :drop_log
