\set ECHO none
RESET ROLE;
SET client_min_messages = warning;
DO $$ BEGIN
	PERFORM set_config('provenance.confirm_drop', origin, false) FROM provenance.log_identity;
EXCEPTION WHEN undefined_table OR invalid_schema_name THEN
	NULL;
END $$;
DROP EXTENSION provenance CASCADE;
DROP SCHEMA crm CASCADE;
DROP OWNED BY regress_provenance_owner, regress_provenance_reader;
DROP ROLE regress_provenance_owner, regress_provenance_reader;
RESET client_min_messages;
