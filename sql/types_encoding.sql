-- checkpoint and proof hold the same bytes in a database of any encoding.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS provenance;
CREATE DATABASE regress_provenance_latin1 ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0;
CREATE DATABASE regress_provenance_win1252 ENCODING 'WIN1252' LOCALE 'C' TEMPLATE template0;
RESET client_min_messages;
\getenv abs_srcdir PG_ABS_SRCDIR
\set fixture :abs_srcdir '/test/vectors/types_fixture.sql'
\set ECHO none
\i :fixture
\set ECHO all
SELECT database, provenance.note(cp) AS note, p::text AS proof, convert_to(p::text, 'UTF8') AS proof_bytes
FROM inclusion JOIN note ON name = size::text, current_database() database WHERE size = 5 AND index = 1 \gset
SELECT current_database() AS home \gset

-- WIN1252 has the dash: the text form is the note.
\c regress_provenance_win1252
SET client_min_messages = warning;
CREATE EXTENSION provenance;
SET client_encoding = UTF8;
SELECT (:'note'::text)::provenance.checkpoint AS cp \gset
SELECT :'cp'::provenance.checkpoint;
SELECT provenance.note(:'cp'::provenance.checkpoint) = :'note'::bytea AS same_bytes,
	octet_length(:'cp'::text) AS octets, octet_length(provenance.note(:'cp'::provenance.checkpoint)) AS bytes;
SELECT provenance.proof_send(:'proof'::provenance.proof) = :'proof_bytes'::bytea AS same_bytes;
SELECT provenance.origin(replace(:'cp', 'log', 'büro')::provenance.checkpoint);
SELECT provenance.verify_inclusion(:'proof', 'leaf 1', :'log_key');
SELECT replace(:'cp', '—', '-')::provenance.checkpoint;	-- fails

-- LATIN1 does not: the text form is \x and the bytes in hex.
\c regress_provenance_latin1
SET client_min_messages = warning;
CREATE EXTENSION provenance;
SET client_encoding = UTF8;
SELECT (:'note'::text)::provenance.checkpoint::text = :'note' AS same_text;
SELECT provenance.origin(:'note'::provenance.checkpoint), provenance.size(:'note'::provenance.checkpoint), provenance.note(:'note'::provenance.checkpoint) = :'note'::bytea AS same_bytes;
SELECT provenance.checkpoint(:'proof_bytes'::provenance.proof)::text = :'note' AS same;
SELECT provenance.verify_inclusion(:'proof_bytes', 'leaf 1', :'log_key'),
	provenance.verify_consistency(:'note', :'note', '{}', :'log_key');

\c :home
SET client_min_messages = warning;
DROP DATABASE regress_provenance_latin1;
DROP DATABASE regress_provenance_win1252;
