-- Debian's package postgresql-NN-tablelog: a C trigger that keeps old and new
-- row in a table of the same columns, with time, user and a sequence.
CREATE EXTENSION table_log;

CREATE FUNCTION crm.record(target regclass, image int) RETURNS void LANGUAGE sql AS $$
	SELECT table_log_init(5, n.nspname::text, c.relname::text, n.nspname::text, c.relname || '_log')
		FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = target
$$;
