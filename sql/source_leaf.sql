-- provenance.source_leaf: a row can state of which entry elsewhere it comes; it
-- stands in the context, and is shown with the history.
\getenv srcdir PG_ABS_SRCDIR
\set fresh_log :srcdir '/sql/include/fresh_log.sql'
\set drop_log :srcdir '/sql/include/drop_log.sql'
\i :fresh_log
SET search_path = crm, provenance;
SET ROLE regress_provenance_owner;
CREATE TABLE contact (id int PRIMARY KEY, email text);
SELECT provenance.tag('contact');
GRANT SELECT, INSERT ON contact TO regress_provenance_reader;

SET ROLE regress_provenance_reader;
SET provenance.source_leaf = 'of globex';	-- fails
SET provenance.source_leaf = '589C800EC957F4F59C7BFAAAF0D5B120E1B241D70933CB32252975031A00C217';	-- fails
SET provenance.source_leaf = '589c800ec957f4f59c7bfaaaf0d5b120e1b241d70933cb32252975031a00c21';	-- fails
SET provenance.source_leaf = '\x589c800ec957f4f59c7bfaaaf0d5b120e1b241d70933cb32252975031a00c217';	-- fails
SHOW provenance.source_leaf;
BEGIN;
SET LOCAL provenance.source_leaf = '589c800ec957f4f59c7bfaaaf0d5b120e1b241d70933cb32252975031a00c217';
INSERT INTO contact VALUES (1, 'a@globex.example');
COMMIT;
INSERT INTO contact VALUES (2, 'b@acme.example');
SELECT op, image ->> 'email' AS email, source_leaf FROM history('contact', 1);
RESET ROLE;
SELECT size(provenance.seal()) AS sealed;
SET ROLE regress_provenance_reader;
SELECT key, op, source_leaf FROM changes('contact', '-infinity', 'infinity');
-- committed to, so it can be disclosed, and by whom it is shown to
SELECT field, value FROM history('contact', 1) h, verify_disclosure(disclose(h.seq, '{}', '{source_leaf}'), :'vkey')
WHERE field = 'context.source_leaf';
RESET ROLE;
SELECT * FROM verify();
\i :drop_log
