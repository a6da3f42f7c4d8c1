-- The floor: the bytes of an entry appended to a heap without an index.
CREATE TABLE crm.entry (
	xid bigint NOT NULL, seq bigint NOT NULL, changed_at timestamptz NOT NULL,
	order_number bigint NOT NULL, context_id bigint NOT NULL, table_id int NOT NULL,
	shape_id int NOT NULL, op smallint NOT NULL, row_id uuid NOT NULL,
	commitment bytea NOT NULL, seed uuid, image bytea
);

CREATE FUNCTION crm.floor_append() RETURNS trigger LANGUAGE c AS :'module', 'floor_append';

CREATE FUNCTION crm.record(target regclass, image int) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE format('CREATE TRIGGER floor AFTER INSERT OR UPDATE ON %s '
		'FOR EACH ROW EXECUTE FUNCTION crm.floor_append(''crm.entry'', %s)', target, image);
END
$$;
