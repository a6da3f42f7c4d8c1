-- next.sql: what a next version might add and change: both the end of its script
-- and, as upgrade.pl has it, its delta. One thing of each kind, a line each where
-- that can be, since upgrade.pl leaves out lines and pieces of them.

CREATE FUNCTION next_function(a int) RETURNS int
	LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE SET search_path = pg_catalog
	AS $$SELECT a + 1$$;
COMMENT ON FUNCTION next_function(int) IS 'one more';
REVOKE ALL ON FUNCTION next_function(int) FROM PUBLIC;

CREATE TABLE next_table (
	a int PRIMARY KEY,
	b text NOT NULL DEFAULT 'x' CHECK (b <> ''),
	c timestamptz
) WITH (fillfactor = 70);
CREATE INDEX next_table_b_idx ON next_table (b);
SELECT pg_catalog.pg_extension_config_dump('next_table', 'WHERE a > 1');
CREATE TRIGGER next_trigger BEFORE UPDATE ON next_table FOR EACH ROW EXECUTE FUNCTION pg_catalog.suppress_redundant_updates_trigger();
ALTER TABLE next_table ENABLE ALWAYS TRIGGER next_trigger;

CREATE VIEW next_view AS SELECT t.a FROM next_table AS t WHERE t.a > 0;
GRANT SELECT ON next_view TO PUBLIC;

CREATE TYPE next_state AS ENUM ('first', 'second', 'third');
CREATE FUNCTION next_same(next_state, next_state) RETURNS boolean LANGUAGE sql AS 'SELECT $1::text = $2::text';
CREATE OPERATOR ~~~ (LEFTARG = next_state, RIGHTARG = next_state, FUNCTION = next_same, COMMUTATOR = ~~~);
CREATE CAST (next_state AS provenance.hash) WITH INOUT;

ALTER FUNCTION verify_table(regclass) COST 5000;
COMMENT ON VIEW status IS 'another comment';
ALTER TYPE change ADD ATTRIBUTE next_attribute int CASCADE;
ALTER TYPE finding ADD ATTRIBUTE next_attribute text CASCADE;
