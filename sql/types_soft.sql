-- Malformed input is a soft error. PostgreSQL 16 and later.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS provenance;
RESET client_min_messages;
SELECT pg_input_is_valid(repeat('0', 64), 'provenance.hash');
SELECT pg_input_is_valid(repeat('A', 64), 'provenance.hash');
\pset format unaligned
SELECT * FROM pg_input_error_info('00', 'provenance.hash');
SELECT * FROM pg_input_error_info(repeat('0', 63) || 'G', 'provenance.hash');
SELECT * FROM pg_input_error_info(E'log.example\n05\n', 'provenance.checkpoint');
SELECT * FROM pg_input_error_info('\x0', 'provenance.checkpoint');
SELECT * FROM pg_input_error_info(E'c2sp.org/tlog-proof@v1\nindex -1\n\n', 'provenance.proof');
