-- setup(): a log's identity, key and signer's state; seal() and the views on
-- an empty log. In a database of its own, with an origin drawn at random,
-- because state files outlive their database.
\set SHOW_CONTEXT never
CREATE ROLE regress_setup;
CREATE DATABASE regress_provenance_setup;
\c regress_provenance_setup
SET client_min_messages = error;	-- no warning where the state directory must be inside the data directory
CREATE EXTENSION provenance;
SELECT 'setup-' || replace(gen_random_uuid()::text, '-', '') || '.test' AS origin \gset

-- Nothing yet: errors that say what to do, and a status of one row.
SELECT provenance.seal();					-- fails
SELECT provenance.verifier_key();			-- fails
SELECT provenance.wait_sealed();			-- fails
SELECT origin, entries, pending, log_size, published_size, signer, worker_pid, tagged_tables FROM provenance.status;

-- What is no origin.
SELECT provenance.setup('');				-- fails
SELECT provenance.setup('crm.acme.example/1');	-- fails
SELECT provenance.setup('../etc');			-- fails
SELECT provenance.setup(NULL);

-- Not for everybody.
GRANT EXECUTE ON FUNCTION provenance.setup(text) TO regress_setup;
SET ROLE regress_setup;
SELECT provenance.setup('crm.acme.example');	-- fails
SELECT provenance.seal();					-- fails
SELECT provenance.stop_worker();			-- fails
RESET ROLE;
REVOKE EXECUTE ON FUNCTION provenance.setup(text) FROM regress_setup;

-- A setting of this session would be forgotten by the worker.
SET provenance.state_directory = '/tmp/provenance-nowhere';
SELECT provenance.setup(:'origin');			-- fails
RESET provenance.state_directory;
SET provenance.state_directory = 'relative';	-- fails
\set VERBOSITY sqlstate
SET provenance.seal_interval = '1 ms';		-- fails
SET provenance.publish_interval = '2 d';	-- fails
SET provenance.no_such_setting = 1;			-- fails
\set VERBOSITY default

-- A setup that is rolled back leaves files, and the next one uses them.
BEGIN;
SELECT provenance.setup(:'origin') AS rolled_back \gset
SELECT provenance.seal();					-- fails: not committed yet
ROLLBACK;
SELECT provenance.setup(:'origin') AS vkey \gset
SELECT :'vkey' = :'rolled_back' AS same_key,
	:'vkey' ~ ('^' || replace(:'origin', '.', '\.') || '\+[0-9a-f]{8}\+[A-Za-z0-9+/=]{44}$') AS well_formed;

-- Again: the same origin changes nothing, another one is refused.
SELECT provenance.setup(:'origin') = :'vkey' AS same_key;
\set VERBOSITY sqlstate
SELECT provenance.setup('other.example');	-- fails
\set VERBOSITY default

-- The state directory is the server's alone; key and state too.
SELECT state_directory FROM provenance.status \gset
SELECT encode(sha256(convert_to(:'origin', 'UTF8')), 'hex') AS name \gset
SELECT regexp_replace(f, '^[0-9a-f]{64}', 'NAME') AS file
	FROM pg_ls_dir(:'state_directory') AS f WHERE f LIKE :'name' || '%' ORDER BY 1;
CREATE TEMP TABLE modes (mode text);
SELECT format('COPY modes FROM PROGRAM %L', format('stat -c %%a %s %s/%s.key %s/%s.state', :'state_directory', :'state_directory', :'name', :'state_directory', :'name')) AS command \gset
:command;
SELECT mode FROM modes ORDER BY mode DESC;

-- An empty log has a checkpoint of size 0, signed by that key.
SELECT provenance.origin(c) = :'origin' AS origin, provenance.size(c), provenance.root(c)
	FROM provenance.seal() AS c;
SELECT provenance.verify_consistency(c, c, '{}', :'vkey') AS signed FROM provenance.seal() AS c;
SELECT size, root, cosignatures, note::text = provenance.seal()::text AS same_note FROM provenance.checkpoints;

-- Everybody may read how the log stands, its key and its checkpoints.
SET ROLE regress_setup;
SELECT provenance.verifier_key() = :'vkey' AS verifier_key;
SELECT size FROM provenance.checkpoints;
SELECT incarnation, entries, pending, oldest_pending, log_size, published_size, last_cosigned_size, signer, last_error, tagged_tables
	FROM provenance.status;
SELECT provenance.size(provenance.wait_sealed());

-- Where the server's files are it tells those to whom the server tells its own.
SELECT state_directory FROM provenance.status;
\set VERBOSITY sqlstate
SHOW provenance.state_directory;			-- fails
\set VERBOSITY default
RESET ROLE;
GRANT pg_monitor TO regress_setup;
SET ROLE regress_setup;
SELECT state_directory = :'state_directory' AS told FROM provenance.status;
SELECT current_setting('provenance.state_directory') IS NOT NULL AS told;
RESET ROLE;
REVOKE pg_monitor FROM regress_setup;

-- The worker leaves when told, stays away, and comes back when told.
CREATE PROCEDURE await_worker(wanted boolean) LANGUAGE plpgsql AS $$
BEGIN
	FOR i IN 1..300 LOOP
		EXIT WHEN (provenance.worker_pid() IS NOT NULL) = wanted;
		PERFORM pg_sleep(0.1);
		PERFORM pg_stat_clear_snapshot();
	END LOOP;
END $$;
CALL await_worker(true);
SELECT provenance.worker_pid() IS NOT NULL AS runs;
SELECT provenance.stop_worker();
CALL await_worker(false);
SELECT provenance.worker_pid() IS NOT NULL AS runs;
SELECT provenance.size(provenance.seal());
SELECT provenance.start_worker();
CALL await_worker(true);
SELECT provenance.worker_pid() IS NOT NULL AS runs;

-- It does not stand in the way of copying or dropping its database.
\c template1
CREATE DATABASE regress_provenance_copy TEMPLATE regress_provenance_setup;

-- A copy is not the log's owner: it seals, and does not sign.
\c regress_provenance_copy
\set VERBOSITY terse
SELECT provenance.seal();					-- fails: the signer is stopped
\set VERBOSITY default
SELECT signer ~ '^stopped: the signer''s state belongs to the database with OID [0-9]+, this one has OID [0-9]+$' AS stopped
	FROM provenance.status;
SET ROLE regress_setup;
SELECT signer FROM provenance.status;
RESET ROLE;

-- Dropped and created again: the state of the old log is still there.
\c template1
DROP DATABASE regress_provenance_copy;
DROP DATABASE regress_provenance_setup;
CREATE DATABASE regress_provenance_setup;
\c regress_provenance_setup
SET client_min_messages = error;	-- no warning where the state directory must be inside the data directory
CREATE EXTENSION provenance;
\set VERBOSITY sqlstate
SELECT provenance.setup(:'origin');			-- fails: another database's
\set VERBOSITY default
SELECT count(*) FROM provenance.log_identity;

-- Clean up; the files too.
SELECT format('COPY (SELECT) TO PROGRAM %L', format('cat >/dev/null; rm -f %s/%s.*', :'state_directory', :'name')) AS command \gset
:command;
\c template1
DROP DATABASE regress_provenance_setup;
DROP ROLE regress_setup;
