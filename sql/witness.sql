-- Witnesses: three databases with logs of their own. alpha has its checkpoints
-- cosigned by beta and gamma. What one database has seen of another stands in
-- partner_checkpoint, put there by hand here: bundles have tests of their own.
\set SHOW_CONTEXT never
SELECT replace(gen_random_uuid()::text, '-', '') AS run \gset
CREATE ROLE regress_witness;
CREATE DATABASE regress_provenance_alpha;
CREATE DATABASE regress_provenance_beta;
CREATE DATABASE regress_provenance_gamma;

\c regress_provenance_alpha
SET client_min_messages = error;	-- no warning where the state directory must be inside the data directory
CREATE EXTENSION provenance;
BEGIN;
SELECT provenance.setup('alpha-' || :'run' || '.test') AS alpha_vkey, provenance.stop_worker() \gset
COMMIT;

-- No witness, no policy, no checkpoint.
SELECT provenance.witness_key(), provenance.last_cosigned_size(), provenance.witnessed(0);
SELECT provenance.witness_request();			-- fails
SELECT provenance.add_cosignature('x');			-- fails
SELECT provenance.add_cosignature('');			-- fails
SELECT provenance.add_cosignature(NULL), provenance.cosigned_checkpoint(), provenance.cosigned_checkpoint(-1);
CREATE TABLE t (id int PRIMARY KEY);
SELECT provenance.tag('t');
INSERT INTO t VALUES (1);
SELECT provenance.seal() AS alpha_2 \gset
INSERT INTO t VALUES (2);
SELECT provenance.seal() AS alpha_3 \gset
INSERT INTO t SELECT generate_series(3, 6);
SELECT provenance.seal() AS alpha_7 \gset

-- The body of a tlog-witness request. Without an old size, no path.
SELECT provenance.witness_request() = format(E'old 0\n\n%s', :'alpha_7') AS newest;
SELECT provenance.witness_request(2) = format(E'old 0\n\n%s', :'alpha_2') AS of_a_size;
SELECT provenance.witness_request(7, 3) = format(E'old 3\n%s\n\n%s',
	(SELECT string_agg(encode(h::bytea, 'base64'), E'\n' ORDER BY n)
		FROM unnest(provenance.prove_consistency(3, 7)) WITH ORDINALITY AS p (h, n)), :'alpha_7') AS with_a_path;
SELECT provenance.witness_request(7, 7) = format(E'old 7\n\n%s', :'alpha_7') AS same_size;
\set VERBOSITY sqlstate
SELECT provenance.witness_request(4);			-- fails: never signed
SELECT provenance.witness_request(-1);			-- fails
\set VERBOSITY default
SELECT provenance.witness_request(3, 7);		-- fails
SELECT provenance.witness_request(3, -1);		-- fails

-- Two witnesses, each with a key of its own that is not its log's.
\c regress_provenance_beta
SET client_min_messages = error;
CREATE EXTENSION provenance;
SELECT provenance.setup('beta-' || :'run' || '.test') AS beta_vkey \gset
SELECT provenance.add_partner('alpha', :'alpha_vkey');
SELECT provenance.cosign('nobody');				-- fails
SELECT provenance.cosign(NULL);
SELECT provenance.cosign('alpha');				-- fails: nothing seen yet
INSERT INTO provenance.partner_log SELECT 1000, partner_id, origin FROM provenance.partner_registry;
INSERT INTO provenance.partner_checkpoint VALUES (1000, 2, now(), provenance.root(:'alpha_2'), :'alpha_2');
SELECT provenance.cosign('alpha');				-- fails: no key yet
BEGIN;
SELECT provenance.setup_witness() AS rolled_back \gset
ROLLBACK;
SELECT provenance.witness_key();
SELECT provenance.setup_witness() AS beta \gset
SELECT :'beta' = :'rolled_back' AS the_same, :'beta' = provenance.witness_key() AS known, :'beta' = provenance.setup_witness() AS again,
	split_part(:'beta', '+', 1) = 'beta-' || :'run' || '.test' AS name_is_origin,
	right(:'beta', 42) <> right(:'beta_vkey', 42) AS another_key, get_byte(decode(right(:'beta', 44), 'base64'), 0) AS type;
SELECT provenance.cosign('alpha') AS beta_2 \gset
SELECT provenance.verify_cosignature(:'alpha_2', :'beta_2', :'beta') AS good,
	provenance.verify_cosignature(:'alpha_2', :'beta_2' || E'\n', :'beta') AS with_newline,
	provenance.verify_cosignature(:'alpha_3', :'beta_2', :'beta') AS on_another,
	provenance.verify_cosignature(:'alpha_2', 'nonsense', :'beta') AS nonsense,
	provenance.verify_cosignature(:'alpha_2', :'beta_2' || E'\n\n' || :'beta_2', :'beta') AS two;
SELECT provenance.verify_cosignature(:'alpha_2', :'beta_2', :'beta_vkey');	-- fails: not a witness's key
SELECT provenance.verify_cosignature(:'alpha_2', :'beta_2', 'x');			-- fails
-- What was cosigned binds, whatever becomes of the caller's transaction.
INSERT INTO provenance.partner_checkpoint VALUES (1000, 3, now(), provenance.root(:'alpha_3'), :'alpha_3');
BEGIN;
SELECT provenance.cosign('alpha') AS beta_3 \gset
ROLLBACK;
SELECT size, origin = 'alpha-' || :'run' || '.test' AS origin,
	note::text = CASE size WHEN 2 THEN :'alpha_2' || :'beta_2' ELSE :'alpha_3' || :'beta_3' END || E'\n' AS note
	FROM provenance.cosigned ORDER BY size;
-- Back is refused.
BEGIN;
SET LOCAL session_replication_role = replica;
DELETE FROM provenance.partner_checkpoint WHERE size = 3;
COMMIT;
SELECT provenance.cosign('alpha');				-- fails: smaller
-- So is a head that is not shown to extend the last one.
INSERT INTO provenance.partner_checkpoint VALUES (1000, 7, now(), provenance.root(:'alpha_7'), :'alpha_7');
\set VERBOSITY terse
SELECT provenance.cosign('alpha');				-- fails
SELECT provenance.cosign('alpha', '{}');		-- fails: no path
\set VERBOSITY default
-- Whoever is not trusted is not cosigned, and nobody may ask without a grant.
SELECT provenance.remove_partner('alpha');
SELECT provenance.cosign('alpha');				-- fails
SELECT provenance.add_partner('alpha', :'alpha_vkey');
SELECT provenance.witness_key() = :'beta' AS unchanged;
SET ROLE regress_witness;
SELECT provenance.cosign('alpha');				-- fails
SELECT provenance.setup_witness();				-- fails
RESET ROLE;

\c regress_provenance_alpha
-- With the path from the last size, which the partner gives.
SELECT provenance.prove_consistency(3, 7) AS path \gset
\c regress_provenance_beta
SELECT provenance.cosign('alpha', :'path') AS beta_7 \gset
SELECT provenance.cosign('alpha', :'path') <> '' AS again, (SELECT array_agg(size ORDER BY size) FROM provenance.cosigned) AS cosigned;


-- A tlog-witness request, as its peer writes it. Here malformed.
SELECT provenance.cosign_request('');			-- fails
SELECT provenance.cosign_request('old');		-- fails
SELECT provenance.cosign_request(E'old 01\n\n');	-- fails
SELECT provenance.cosign_request(E'old 1\n');	-- fails
SELECT provenance.cosign_request(E'old 1\nAA==\n\n');	-- fails
SELECT provenance.cosign_request(E'old 1\n' || repeat(repeat('A', 43) || E'=\n', 65));	-- fails
SELECT provenance.cosign_request(E'old 1\n\nnonsense');	-- fails
SELECT provenance.cosign_request(E'old 8\n\n' || :'alpha_7');	-- fails
SELECT provenance.cosign_request(E'old 7\n' || repeat('A', 43) || E'=\n\n' || :'alpha_7');	-- fails
SELECT provenance.cosign_request(E'old 0\n\n' || replace(:'alpha_7', :'run', 'x'));	-- fails
SELECT provenance.cosign_request(E'old 7\n\n' || :'alpha_7') <> '' AS same_size;
\c regress_provenance_gamma
SET client_min_messages = error;
CREATE EXTENSION provenance;
SELECT provenance.setup('gamma-' || :'run' || '.test') <> '' AS setup;
SELECT provenance.setup_witness() AS gamma \gset
SELECT provenance.add_partner('alpha', :'alpha_vkey');
INSERT INTO provenance.partner_log SELECT 1000, partner_id, origin FROM provenance.partner_registry;
INSERT INTO provenance.partner_checkpoint VALUES (1000, 3, now(), provenance.root(:'alpha_3'), :'alpha_3');
SELECT provenance.cosign_request(E'old 1\n\n' || :'alpha_3');	-- fails: nothing was cosigned
SELECT provenance.cosign_request(E'old 0\n\n' || :'alpha_3') AS gamma_3 \gset
SELECT provenance.verify_cosignature(:'alpha_3', :'gamma_3', :'gamma') AS good, provenance.verify_cosignature(:'alpha_3', provenance.cosign('alpha'), :'gamma') AS again;

-- The policy: who, and how many.
\c regress_provenance_alpha
SELECT provenance.set_witness_policy(1, '{}');	-- fails
SELECT provenance.set_witness_policy(-1, ARRAY[:'beta']);	-- fails
SELECT provenance.set_witness_policy(3, ARRAY[:'beta', :'gamma']);	-- fails
SELECT provenance.set_witness_policy(1, ARRAY[:'beta', :'beta']);	-- fails
SELECT provenance.set_witness_policy(1, ARRAY[:'beta_vkey']);		-- fails: signs notes
SELECT provenance.set_witness_policy(1, ARRAY['x']);	-- fails
SELECT provenance.set_witness_policy(1, ARRAY[NULL]);	-- fails
SELECT provenance.setup_witness() AS alpha \gset
SELECT provenance.set_witness_policy(1, ARRAY[:'alpha']);	-- fails: its own witness
-- The same public key under another name is the same witness.
SELECT 'other.test+' || substr(encode(sha256(convert_to(E'other.test\n', 'UTF8') || k), 'hex'), 1, 8) || '+' || encode(k, 'base64') AS alias
	FROM (SELECT decode(right(:'beta', 44), 'base64')) AS key (k) \gset
SELECT provenance.set_witness_policy(2, ARRAY[:'beta', :'alias']);	-- fails
SELECT provenance.add_cosignature(:'beta_2');	-- fails: not in the policy
SELECT provenance.set_witness_policy(2, ARRAY[:'beta', :'gamma']);
SELECT provenance.witnessed(0), provenance.last_cosigned_size();

-- Cosignatures find their checkpoint.
SELECT provenance.add_cosignature(:'beta_2')::text = :'alpha_2' || :'beta_2' || E'\n' AS added;
SELECT provenance.add_cosignature(:'beta_2' || E'\n')::text = :'alpha_2' || :'beta_2' || E'\n' AS again;
\set VERBOSITY sqlstate
SELECT provenance.add_cosignature(:'beta_2', 3);	-- fails: on another one
SELECT provenance.add_cosignature(:'beta_2', 4);	-- fails: never signed
\set VERBOSITY default
SELECT provenance.add_cosignature(:'beta_2' || 'A');	-- fails
SELECT provenance.add_cosignature(:'beta_2' || E'\nnonsense');	-- fails
SELECT provenance.add_cosignature(repeat(:'beta_2' || E'\n', 101));	-- fails
SELECT provenance.witnessed(2), provenance.last_cosigned_size();
-- Several lines at once: of an unknown key, and of two witnesses.
SELECT string_agg(l, E'\n') AS others FROM regexp_split_to_table(:'alpha_3', E'\n') AS l WHERE l LIKE '% alpha-% %' \gset
SELECT provenance.add_cosignature(:'others' || E'\n' || :'gamma_3' || E'\n' || :'beta_3' || E'\n')::text
	IN (:'alpha_3' || :'beta_3' || E'\n' || :'gamma_3' || E'\n', :'alpha_3' || :'gamma_3' || E'\n' || :'beta_3' || E'\n') AS both;
\set VERBOSITY sqlstate
SELECT provenance.add_cosignature(:'gamma_3' || E'\n' || :'beta_2');	-- fails: of two checkpoints
\set VERBOSITY default
SELECT provenance.witnessed(2) AS two, provenance.witnessed(3) AS three, provenance.witnessed(4) AS four, provenance.last_cosigned_size();
-- A witness vouches for the smaller sizes too.
SELECT provenance.add_cosignature(:'beta_7') IS NOT NULL AS added;
SELECT provenance.witnessed(3) AS three, provenance.witnessed(7) AS seven, provenance.last_cosigned_size(), last_cosigned_size FROM provenance.status;
SELECT provenance.set_witness_policy(1, ARRAY[:'beta', :'gamma']);
SELECT provenance.witnessed(7) AS seven, provenance.last_cosigned_size();
SELECT size, cardinality(cosignatures), cosignatures[1] IN (:'beta_2', :'beta_3', :'gamma_3', :'beta_7') AS line FROM provenance.checkpoints;
SELECT provenance.cosigned_checkpoint()::text = :'alpha_7' || :'beta_7' || E'\n' AS newest, provenance.cosigned_checkpoint(4) IS NULL AS none;
-- The next request goes from the last size cosigned.
INSERT INTO t VALUES (7);
SELECT provenance.seal() IS NOT NULL AS sealed;
SELECT split_part(provenance.witness_request(), E'\n', 1) AS newest, split_part(provenance.witness_request(3), E'\n', 1) AS of_three;
SELECT count(*) FROM provenance.verify();

-- What is stored is not believed.
BEGIN;
SET LOCAL session_replication_role = replica;
UPDATE provenance.checkpoint_cosignature SET line = :'beta_3' WHERE size = 7;
SELECT provenance.witnessed(7) AS seven, provenance.last_cosigned_size();
SELECT code, severity, object FROM provenance.verify();
SELECT provenance.cosigned_checkpoint(7)::text = :'alpha_7' AS without_it;
SELECT provenance.add_cosignature(:'beta_7') IS NOT NULL AS added;
SELECT count(*) AS findings, bool_and(provenance.witnessed(7)) AS seven FROM provenance.verify();
UPDATE provenance.checkpoint_cosignature SET witness = 'x' WHERE size = 2;
DELETE FROM provenance.checkpoint_note WHERE size = 3;
SELECT code, object, message FROM provenance.verify() WHERE code = 'cosignature_invalid' ORDER BY object, message;
SELECT provenance.witnessed(3) AS three, provenance.last_cosigned_size();
ROLLBACK;

-- Who may.
SET ROLE regress_witness;
SELECT provenance.witness_key() = :'alpha' AS key, provenance.witnessed(3), provenance.last_cosigned_size(),
	(SELECT count(*) FROM provenance.checkpoints WHERE cosignatures <> '{}'), provenance.witness_request() <> '' AS request;
SELECT provenance.add_cosignature(:'beta_2');	-- fails
SELECT provenance.set_witness_policy(0, '{}');	-- fails
SELECT FROM provenance.cosigned;				-- fails
RESET ROLE;
GRANT EXECUTE ON FUNCTION provenance.add_cosignature(text, bigint), provenance.set_witness_policy(int, text[]) TO regress_witness;
SET ROLE regress_witness;
SELECT provenance.add_cosignature(:'beta_2') IS NOT NULL AS granted;
SELECT provenance.set_witness_policy(0, '{}');
RESET ROLE;
SELECT provenance.witnessed(3), provenance.last_cosigned_size();

-- Clean up; the files too.
SELECT state_directory FROM provenance.status \gset
SELECT format('COPY (SELECT) TO PROGRAM %L', 'cat >/dev/null; rm -f' ||
		string_agg(format(' %s/%s.*', :'state_directory', encode(sha256(convert_to(n || '-' || :'run' || '.test', 'UTF8')), 'hex')), ''))
	AS command FROM unnest('{alpha,beta,gamma}'::text[]) AS n \gset
:command;
\c template1
SELECT format('DROP DATABASE regress_provenance_%s WITH (FORCE)', n) FROM unnest('{alpha,beta,gamma}'::text[]) AS n \gexec
DROP ROLE regress_witness;
