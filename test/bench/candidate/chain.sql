-- The same with tamper evidence as it is usually written: each record holds
-- the hash of the one before, so writers queue for an advisory lock that is
-- held until commit.
CREATE EXTENSION pgcrypto;

CREATE TABLE crm.audit (
	id			bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	changed_at	timestamptz NOT NULL,
	xid			xid8 NOT NULL,
	table_name	text NOT NULL,
	op			text NOT NULL,
	db_user		text NOT NULL,
	actor		text,
	old_row		jsonb,
	new_row		jsonb,
	hash		bytea NOT NULL
);

CREATE FUNCTION crm.audit_row() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
	prev bytea;
	r crm.audit;
BEGIN
	PERFORM pg_advisory_xact_lock(4711);
	SELECT hash INTO prev FROM crm.audit ORDER BY id DESC LIMIT 1;
	r.changed_at := clock_timestamp();
	r.xid := pg_current_xact_id();
	r.actor := current_setting('provenance.actor', true);
	IF TG_OP <> 'INSERT' THEN r.old_row := to_jsonb(OLD); END IF;
	IF TG_OP <> 'DELETE' THEN r.new_row := to_jsonb(NEW); END IF;
	INSERT INTO crm.audit (changed_at, xid, table_name, op, db_user, actor, old_row, new_row, hash)
	VALUES (r.changed_at, r.xid, TG_TABLE_NAME, TG_OP, session_user, r.actor, r.old_row, r.new_row,
		digest(coalesce(prev, '') || convert_to(concat_ws('|', r.changed_at, r.xid, TG_TABLE_NAME, TG_OP,
			session_user, r.actor, r.old_row, r.new_row), 'UTF8'), 'sha256'));
	RETURN NULL;
END
$$;

CREATE FUNCTION crm.record(target regclass, image int) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE format('CREATE TRIGGER audit AFTER INSERT OR UPDATE OR DELETE ON %s '
		'FOR EACH ROW EXECUTE FUNCTION crm.audit_row()', target);
END
$$;
