-- What many write first: a trigger that stores old and new row as jsonb.
CREATE TABLE crm.audit (
	id			bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	changed_at	timestamptz NOT NULL,
	xid			xid8 NOT NULL,
	table_name	text NOT NULL,
	op			text NOT NULL,
	db_user		text NOT NULL,
	actor		text,
	old_row		jsonb,
	new_row		jsonb
);

CREATE FUNCTION crm.audit_row() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO crm.audit (changed_at, xid, table_name, op, db_user, actor, old_row, new_row)
	VALUES (clock_timestamp(), pg_current_xact_id(), TG_TABLE_NAME, TG_OP, session_user,
		current_setting('provenance.actor', true),
		CASE WHEN TG_OP <> 'INSERT' THEN to_jsonb(OLD) END,
		CASE WHEN TG_OP <> 'DELETE' THEN to_jsonb(NEW) END);
	RETURN NULL;
END
$$;

CREATE FUNCTION crm.record(target regclass, image int) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE format('CREATE TRIGGER audit AFTER INSERT OR UPDATE OR DELETE ON %s '
		'FOR EACH ROW EXECUTE FUNCTION crm.audit_row()', target);
END
$$;
