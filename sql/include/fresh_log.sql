\set ECHO none
-- For tests of a log: a fresh extension with a log of its own, whose verifier
-- key is in :vkey, two roles without privileges of their own, a schema.
SET client_min_messages = warning;
DO $$ BEGIN
	PERFORM set_config('provenance.confirm_drop', origin, false) FROM provenance.log_identity;
EXCEPTION WHEN undefined_table OR invalid_schema_name THEN
	NULL;
END $$;
DROP EXTENSION IF EXISTS provenance CASCADE;
DROP SCHEMA IF EXISTS crm CASCADE;
DROP ROLE IF EXISTS regress_provenance_owner;
DROP ROLE IF EXISTS regress_provenance_reader;
CREATE EXTENSION provenance;
SELECT provenance.setup('regress-' || md5(clock_timestamp()::text) || '.example') AS vkey \gset
CREATE ROLE regress_provenance_owner;
CREATE ROLE regress_provenance_reader;
CREATE SCHEMA crm AUTHORIZATION regress_provenance_owner;
GRANT USAGE ON SCHEMA crm TO regress_provenance_reader;
RESET client_min_messages;
\set SHOW_CONTEXT never
\set ECHO all
