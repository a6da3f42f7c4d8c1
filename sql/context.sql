-- Contexts: who, with what, why and from where; when one is shared.
\getenv srcdir PG_ABS_SRCDIR
\set entries :srcdir '/sql/include/entries.sql'
\set clean :srcdir '/sql/include/clean.sql'
\i :entries
\set SHOW_CONTEXT never
SET search_path = crm;
SET application_name = 'regress';
CREATE ROLE regress_provenance_clerk IN ROLE regress_provenance_crm;
-- context of each entry since the last look: its fields but the login, and
-- which of the contexts seen here it is
CREATE FUNCTION contexts() RETURNS TABLE (image text[], context bigint, fields text[]) LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
	mark bigint := (SELECT last_value FROM crm.looked);
BEGIN
	PERFORM setval('crm.looked', coalesce(max(seq), 0)) FROM provenance.entry;
	RETURN QUERY SELECT crm.image_values(e.image), dense_rank() OVER (ORDER BY e.context_id), crm.context_fields(c.fields)
		FROM provenance.entry e JOIN provenance.context c USING (context_id) WHERE seq > mark ORDER BY e.seq;
END $$;
CREATE FUNCTION context_fields(fields bytea) RETURNS text[] LANGUAGE sql AS
	$$ SELECT v[1:4] || CASE WHEN v[5] = session_user THEN 'login' ELSE v[5] END || v[6:7] || v[9] FROM crm.image_values(fields) v $$;
SET ROLE regress_provenance_crm;
CREATE TABLE t (id int PRIMARY KEY);
SELECT provenance.tag('t');
SELECT * FROM contexts();

-- One for as long as nothing differs.
INSERT INTO t VALUES (1);
INSERT INTO t SELECT generate_series(2, 3);
SELECT * FROM contexts();

-- What the application says of itself; empty is nothing.
SET provenance.actor = 'ann';
SET provenance.purpose = 'support';
SET provenance.source = 'web form';
INSERT INTO t VALUES (11);
BEGIN;
SET LOCAL provenance.actor = 'bob';
INSERT INTO t VALUES (12);
COMMIT;
INSERT INTO t VALUES (13);
SET provenance.source_leaf = 'f00d000000000000000000000000000000000000000000000000000000000000';
SET provenance.actor = '';
INSERT INTO t VALUES (14);
RESET provenance.actor; RESET provenance.purpose; RESET provenance.source; RESET provenance.source_leaf;
INSERT INTO t VALUES (15);
SELECT * FROM contexts();

-- Other roles, other programs.
RESET ROLE;
SET ROLE regress_provenance_clerk;
INSERT INTO t VALUES (21);
SET application_name = 'batch';
INSERT INTO t VALUES (22);
SET application_name = 'regress';
RESET ROLE;
CREATE FUNCTION for_others() RETURNS void LANGUAGE sql SECURITY DEFINER AS $$ INSERT INTO crm.t VALUES (23) $$;
ALTER FUNCTION for_others() OWNER TO regress_provenance_crm;
SET ROLE regress_provenance_clerk;
SELECT for_others();
RESET ROLE;
ALTER ROLE regress_provenance_clerk RENAME TO regress_provenance_cashier;
SET ROLE regress_provenance_cashier;
INSERT INTO t VALUES (24);
RESET ROLE;
SELECT * FROM contexts();

-- A context lives as long as what wrote it.
SET provenance.actor = 'one';
BEGIN;
INSERT INTO t VALUES (31);
SAVEPOINT a;
SET LOCAL provenance.actor = 'two';
INSERT INTO t VALUES (32);
ROLLBACK TO a;
SET LOCAL provenance.actor = 'two';
INSERT INTO t VALUES (33);
SAVEPOINT b;
SET LOCAL provenance.actor = 'three';
INSERT INTO t VALUES (34);
RELEASE b;
INSERT INTO t VALUES (35);
COMMIT;
SET provenance.actor = 'three';
INSERT INTO t VALUES (36);
SET provenance.actor = 'four';
BEGIN;
INSERT INTO t VALUES (37);
ROLLBACK;
INSERT INTO t VALUES (38);
SELECT * FROM contexts();
-- each entry has its context
SELECT count(*) FROM provenance.entry LEFT JOIN provenance.context c USING (context_id) WHERE c IS NULL;

-- One for a statement of any size, and for a loop with subtransactions.
SET provenance.actor = 'bulk';
INSERT INTO t SELECT generate_series(1001, 3000);
DO $$ BEGIN
	FOR i IN 4001..4100 LOOP
		BEGIN
			INSERT INTO t VALUES (i);
			IF i % 2 = 0 THEN RAISE division_by_zero; END IF;
		EXCEPTION WHEN division_by_zero THEN NULL;
		END;
	END LOOP;
END $$;
SELECT count(*), count(DISTINCT context) FROM contexts();
-- pools that alternate among a few actors
DO $$ BEGIN
	FOR i IN 5001..5100 LOOP
		PERFORM set_config('provenance.actor', 'actor ' || i % 10, false);
		INSERT INTO t VALUES (i);
	END LOOP;
END $$;
SELECT count(*), count(DISTINCT context) FROM contexts();

-- Text in the context is UTF-8, like all text.
SET provenance.actor = 'Zoë';
INSERT INTO t VALUES (6000);
SELECT fields[1] FROM contexts();

DROP ROLE regress_provenance_cashier;
\i :clean
