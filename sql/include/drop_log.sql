\set ECHO none
RESET ROLE;
SET client_min_messages = warning;
DROP EXTENSION provenance CASCADE;
DROP SCHEMA crm CASCADE;
DROP OWNED BY regress_provenance_owner, regress_provenance_reader;
DROP ROLE regress_provenance_owner, regress_provenance_reader;
RESET client_min_messages;
