\set ECHO none
RESET ROLE;
SET client_min_messages = warning;
SELECT set_config('provenance.confirm_drop', origin, false),
	   format('COPY (SELECT 1) TO PROGRAM %L', format('cat >/dev/null; rm -f %s/%s.*', state_directory,
			  encode(sha256(convert_to(origin, 'UTF8')), 'hex'))) AS remove_state
	FROM provenance.log_identity \gset drop_log_
DROP EXTENSION provenance CASCADE;
:drop_log_remove_state;
DROP SCHEMA crm CASCADE;
DROP OWNED BY regress_provenance_owner, regress_provenance_reader;
DROP ROLE regress_provenance_owner, regress_provenance_reader;
RESET client_min_messages;
