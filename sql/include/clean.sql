\set ECHO none
RESET ROLE;
SET client_min_messages = warning;
DROP EXTENSION provenance CASCADE;
DROP SCHEMA crm CASCADE;
DROP OWNED BY regress_provenance_crm;
DROP ROLE regress_provenance_crm;
RESET client_min_messages;
