-- Partners: add_partner, remove_partner, resolve_fork, set_pseudonym_key, the
-- views. What bundles do with them: inbox.sql.
\getenv srcdir PG_ABS_SRCDIR
\set fresh_log :srcdir '/sql/include/fresh_log.sql'
\set drop_log :srcdir '/sql/include/drop_log.sql'
\i :fresh_log
CREATE FUNCTION crm.vkey(name text, type text, public_key text) RETURNS text LANGUAGE sql IMMUTABLE AS $$
	SELECT name || '+' || encode(substr(sha256(convert_to(name || E'\n', 'UTF8') || key), 1, 4), 'hex') || '+' || encode(key, 'base64')
	FROM (SELECT decode(type, 'hex') || sha256(convert_to(public_key, 'UTF8')) AS key) k
$$;
SELECT crm.vkey('crm.acme.example', '01', 'a') AS acme, crm.vkey('crm.acme.example', '01', 'b') AS acme_b,
	crm.vkey('crm.acme.example/2', '01', 'c') AS acme_2, crm.vkey('crm.globex.example', '01', 'a') AS globex,
	crm.vkey('crm.acme.example', '04', 'a') AS acme_cosigner,
	crm.vkey('witness-1', '04', 'w1') AS w1, crm.vkey('witness-2', '04', 'w2') AS w2, crm.vkey('other', '04', 'w1') AS w1_again,
	crm.vkey('under_score', '01', 'a') AS no_origin \gset

SELECT provenance.add_partner('acme', :'acme');
SELECT provenance.add_partner('globex', VARIADIC ARRAY[:'globex']);
SELECT name, origin, state, cardinality(vkeys) AS keys, size, checkpoint, entries, witnesses, quorum, removed_at FROM provenance.partner;

-- Again: the keys are replaced, also by those of an incarnation.
SELECT provenance.add_partner('acme', :'acme', :'acme_b', :'acme_2');
SELECT vkeys = ARRAY[:'acme', :'acme_b', :'acme_2'] AS replaced, witnesses, quorum FROM provenance.partner WHERE name = 'acme';
SELECT provenance.add_partner('acme', ARRAY[:'acme'], ARRAY[:'w1', :'w2'], 2);
SELECT vkeys = ARRAY[:'acme'] AS replaced, witnesses = ARRAY[:'w1', :'w2'] AS witnesses, quorum FROM provenance.partner WHERE name = 'acme';

-- Keys alone leave the witnesses as they are; they go when that is said.
SELECT provenance.add_partner('acme', :'acme', :'acme_b');
SELECT cardinality(vkeys) AS keys, witnesses = ARRAY[:'w1', :'w2'] AS kept, quorum FROM provenance.partner WHERE name = 'acme';
SELECT provenance.remove_partner('acme');
SELECT provenance.add_partner('acme', :'acme');
SELECT witnesses = ARRAY[:'w1', :'w2'] AS kept, quorum FROM provenance.partner WHERE name = 'acme';
SELECT provenance.add_partner('acme', ARRAY[:'acme'], '{}', 0);
SELECT witnesses, quorum FROM provenance.partner WHERE name = 'acme';

-- An origin has one name, and a name one origin.
\set VERBOSITY terse
SELECT provenance.add_partner('acme', :'globex');	-- fails
SELECT provenance.add_partner('acme again', :'acme');	-- fails
SELECT provenance.add_partner('initech', :'acme_2');	-- fails

-- What is no set of keys for a partner.
SELECT provenance.add_partner('initech', :'acme', :'globex');	-- fails
SELECT provenance.add_partner('initech', VARIADIC '{}');	-- fails
SELECT provenance.add_partner('initech', :'acme_cosigner');	-- fails
SELECT provenance.add_partner('initech', :'no_origin');	-- fails
SELECT provenance.add_partner('initech', replace(:'acme', '+', '-'));	-- fails
SELECT provenance.add_partner('initech', VARIADIC ARRAY[:'acme', NULL]);	-- fails
SELECT provenance.add_partner('', :'acme');	-- fails
SELECT provenance.add_partner(E'a\nb', :'acme');	-- fails
SELECT provenance.add_partner('acme', ARRAY[:'acme'], ARRAY[:'w1', :'w2'], 3);	-- fails
SELECT provenance.add_partner('acme', ARRAY[:'acme'], ARRAY[:'w1', :'w2'], 0);	-- fails
SELECT provenance.add_partner('acme', ARRAY[:'acme'], '{}', 1);	-- fails
SELECT provenance.add_partner('acme', ARRAY[:'acme'], ARRAY[:'w1', :'w1_again'], 2);	-- fails
SELECT provenance.add_partner('acme', ARRAY[:'acme'], ARRAY[:'acme_b'], 1);	-- fails
DO $$ BEGIN
	PERFORM provenance.add_partner('me', provenance.verifier_key());
EXCEPTION WHEN invalid_parameter_value THEN
	RAISE NOTICE '%', regexp_replace(SQLERRM, 'regress-[0-9a-f]+', 'regress-…');
END $$;

-- Removed, and back.
SELECT provenance.remove_partner('globex');
SELECT state, removed_at IS NOT NULL AS removed FROM provenance.partner WHERE name = 'globex';
SELECT provenance.add_partner('globex', :'globex');
SELECT state, removed_at IS NOT NULL AS removed FROM provenance.partner WHERE name = 'globex';
SELECT provenance.remove_partner('nobody');	-- fails
SELECT provenance.resolve_fork('nobody', 'why');	-- fails
SELECT provenance.resolve_fork('globex', 'why');	-- fails

-- The pseudonym key: set, replaced, removed; never shown.
SELECT provenance.set_pseudonym_key('globex', sha256('secret'));
SELECT pseudonym_key = sha256('secret') AS set FROM provenance.partner_registry WHERE name = 'globex';
SELECT count(*) AS shown FROM provenance.partner p WHERE to_jsonb(p)::text LIKE '%' || encode(sha256('secret'), 'hex') || '%';
SELECT provenance.add_partner('globex', :'globex');
SELECT pseudonym_key = sha256('secret') AS kept FROM provenance.partner_registry WHERE name = 'globex';
SELECT provenance.set_pseudonym_key('globex', NULL);
SELECT pseudonym_key FROM provenance.partner_registry WHERE name = 'globex';
SELECT provenance.set_pseudonym_key('globex', '\x00');	-- fails
SELECT provenance.set_pseudonym_key('nobody', sha256('secret'));	-- fails

-- For administrators alone, and whom they grant it.
SET ROLE regress_provenance_reader;
SELECT provenance.add_partner('acme', :'acme');	-- fails
SELECT provenance.remove_partner('acme');	-- fails
SELECT provenance.resolve_fork('acme', 'why');	-- fails
SELECT provenance.set_pseudonym_key('acme', sha256('secret'));	-- fails
SELECT * FROM provenance.partner;	-- fails
SELECT * FROM provenance.partner_registry;	-- fails
SELECT * FROM provenance.fork_evidence;
RESET ROLE;
GRANT EXECUTE ON FUNCTION provenance.add_partner(text, text[]) TO regress_provenance_reader;
SET ROLE regress_provenance_reader;
SELECT provenance.add_partner('acme', :'acme', :'acme_b');
RESET ROLE;
SELECT cardinality(vkeys) AS keys FROM provenance.partner WHERE name = 'acme';
UPDATE provenance.partner_registry SET state = 'trusted';	-- fails
DELETE FROM provenance.fork_record;	-- fails

\i :drop_log
