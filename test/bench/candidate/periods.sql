-- Debian's package postgresql-NN-periods: SQL's system versioning. Two columns
-- more in each row; a C trigger keeps what an UPDATE or DELETE replaced in a
-- table of its own. An INSERT writes nothing besides its row.
CREATE EXTENSION periods CASCADE;

CREATE FUNCTION crm.record(target regclass, image int) RETURNS void LANGUAGE sql AS $$
	SELECT periods.add_system_time_period(target, 'row_start', 'row_end');
	SELECT periods.add_system_versioning(target);
$$;
