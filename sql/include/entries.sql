\set ECHO none
-- For tests of capture: a fresh extension with an identity, a role without
-- privileges of its own, and a look at the entries written since the last look.
SET client_min_messages = warning;
DO $$ BEGIN
	PERFORM set_config('provenance.confirm_drop', origin, false) FROM provenance.log_identity;
EXCEPTION WHEN undefined_table OR invalid_schema_name THEN
	NULL;
END $$;
DROP EXTENSION IF EXISTS provenance CASCADE;
DROP SCHEMA IF EXISTS crm CASCADE;
DROP ROLE IF EXISTS regress_provenance_crm;
CREATE EXTENSION provenance;
INSERT INTO provenance.log_identity (incarnation, created_at, origin, row_key, state_directory)
	VALUES (1, now(), 'regress.example', decode(repeat('07', 32), 'hex'), '');
CREATE ROLE regress_provenance_crm;
CREATE SCHEMA crm AUTHORIZATION regress_provenance_crm;

-- The values of a value list (doc/format.md), in order.
CREATE FUNCTION crm.image_values(image bytea) RETURNS text[] LANGUAGE plpgsql AS $$
DECLARE
	pos int := 1;
	len int;
	result text[] := '{}';
BEGIN
	IF get_byte(image, 0) <> 1 THEN
		RAISE 'version %', get_byte(image, 0);
	END IF;
	WHILE pos < length(image) LOOP
		len := get_byte(image, pos);
		pos := pos + 1;
		IF len = 255 THEN
			result := result || NULL::text;
			CONTINUE;
		ELSIF len = 254 THEN
			len := get_byte(image, pos) * 16777216 + get_byte(image, pos + 1) * 65536
				+ get_byte(image, pos + 2) * 256 + get_byte(image, pos + 3);
			pos := pos + 4;
		END IF;
		result := result || convert_from(substr(image, pos + 1, len), 'UTF8');
		pos := pos + len;
	END LOOP;
	RETURN result;
END $$;

CREATE FUNCTION crm.op_name(op int) RETURNS text LANGUAGE sql
	RETURN ('{insert,update,delete,baseline,truncate,tag,untag,schema,attach,detach,erase}'::text[])[op];

-- Entries since the last call, in the order of the log.
CREATE SEQUENCE crm.looked MINVALUE 0 START 0;
CREATE FUNCTION crm.entries() RETURNS TABLE (op text, image text[]) LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
	mark bigint := (SELECT last_value FROM crm.looked);
BEGIN
	PERFORM setval('crm.looked', coalesce(max(seq), 0)) FROM provenance.entry;
	RETURN QUERY
		SELECT crm.op_name(e.op), crm.image_values(e.image)
		FROM (SELECT *, max(seq) OVER (PARTITION BY xid) AS last FROM provenance.entry) e
		WHERE seq > mark ORDER BY last, order_number, seq;
END $$;
RESET client_min_messages;
\set ECHO all
