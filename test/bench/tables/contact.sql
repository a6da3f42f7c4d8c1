-- The CRM tables of every candidate: the same in each database. Rows are a
-- pure function of their number, so that all candidates hold the same ones.
CREATE SCHEMA crm;

CREATE TABLE crm.contact (
	id			bigint PRIMARY KEY,
	account_id	int NOT NULL,
	first_name	text NOT NULL,
	last_name	text NOT NULL,
	email		text NOT NULL,
	phone		text,
	title		text,
	street		text,
	city		text,
	country		text NOT NULL,
	status		text NOT NULL,
	score		numeric(7,2) NOT NULL,
	consent		boolean NOT NULL,
	updated_at	timestamptz NOT NULL
);
CREATE INDEX contact_email_idx ON crm.contact (email);
CREATE INDEX contact_account_idx ON crm.contact (account_id);
CREATE SEQUENCE crm.contact_id_seq START 10000001;

CREATE FUNCTION crm.contacts(since bigint, until bigint) RETURNS SETOF crm.contact
	LANGUAGE sql STABLE AS $$
	SELECT n, (n * 7919 % 20011)::int,
		(ARRAY['Amelie', 'Bernardo', 'Charlotte', 'Dimitri', 'Eleonora', 'Friedrich', 'Giuseppina', 'Hideki'])[1 + n % 8],
		'Contact-' || substr(md5(n::text), 1, 9),
		substr(md5(n::text), 1, 12) || '.' || n || '@customer-' || n % 977 || '.example.com',
		'+49 30 ' || 1000000 + n * 104729 % 8999999,
		(ARRAY['Head of Purchasing', 'Chief Financial Officer', 'Key Account Manager', 'Assistant'])[1 + n % 4],
		substr(md5((n + 1)::text), 1, 14) || ' Street ' || n % 400 || ', floor ' || n % 9,
		(ARRAY['Berlin', 'Buenos Aires', 'Castrop-Rauxel', 'Montevideo', 'San Francisco'])[1 + n % 5],
		(ARRAY['DE', 'AR', 'UY', 'US'])[1 + n % 4],
		(ARRAY['lead', 'qualified', 'customer', 'dormant'])[1 + n % 4],
		(n * 31 % 100000) / 100.0, n % 3 = 0,
		'2026-01-01 00:00+00'::timestamptz + n % 9999999 * interval '1 second'
	FROM generate_series(since, until) n
$$;

-- What single-row UPDATE and INSERT work on.
INSERT INTO crm.contact SELECT * FROM crm.contacts(1, :rows);

-- What bulk statements work on: a source in random key order, and a target.
CREATE TABLE crm.source AS
	SELECT c.* FROM crm.contacts(1, :rows) c ORDER BY md5('order' || c.id);
CREATE TABLE crm.bulk (LIKE crm.contact INCLUDING ALL);

-- What is tagged with rows in it.
CREATE TABLE crm.existing (LIKE crm.contact INCLUDING ALL);

VACUUM (ANALYZE) crm.contact;
VACUUM (ANALYZE) crm.source;
