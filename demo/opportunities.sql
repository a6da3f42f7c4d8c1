-- Real data: accounts and agents are loaded, each opportunity is inserted at its
-- engage date and updated when it closes, each event in a transaction of its
-- own with the agent as actor. Run with -v dir=<folder of the CSV files>.
\set ON_ERROR_STOP on
CREATE ROLE crm_owner NOLOGIN;
CREATE SCHEMA crm AUTHORIZATION crm_owner;
SET ROLE crm_owner;
CREATE TABLE crm.account (account text PRIMARY KEY, sector text, year_established int, revenue numeric, employees int, office_location text, subsidiary_of text);
CREATE TABLE crm.agent (sales_agent text PRIMARY KEY, manager text, regional_office text);
CREATE TABLE crm.product (product text PRIMARY KEY, series text, sales_price numeric);
CREATE TABLE crm.opportunity (opportunity_id text PRIMARY KEY, sales_agent text NOT NULL REFERENCES crm.agent, product text NOT NULL, account text,
	deal_stage text NOT NULL, engage_date date, close_date date, close_value numeric);
RESET ROLE;
SELECT provenance.tag('crm.account'), provenance.tag('crm.agent'), provenance.tag('crm.product'), provenance.tag('crm.opportunity', subject => 'account');

SET provenance.source = 'crm-sales-opportunities';
\copy crm.account FROM PROGRAM 'cat "$CRM_DATA/accounts.csv"' WITH (FORMAT csv, HEADER)
\copy crm.agent FROM PROGRAM 'cat "$CRM_DATA/sales_teams.csv"' WITH (FORMAT csv, HEADER)
\copy crm.product FROM PROGRAM 'cat "$CRM_DATA/products.csv"' WITH (FORMAT csv, HEADER)

CREATE TEMP TABLE pipeline (opportunity_id text, sales_agent text, product text, account text, deal_stage text,
	engage_date text, close_date text, close_value text, engage_quarter text, close_quarter text);
\copy pipeline FROM PROGRAM 'cat "$CRM_DATA/sales_pipeline.csv"' WITH (FORMAT csv, HEADER)

CREATE TEMP TABLE event AS
SELECT row_number() OVER (ORDER BY at NULLS LAST, closing, opportunity_id) AS n, e.*
  FROM (SELECT to_date(engage_date, 'DD-MM-YY') AS at, false AS closing, p.* FROM pipeline p
		UNION ALL
		SELECT to_date(close_date, 'DD-MM-YY'), true, p.* FROM pipeline p WHERE close_date IS NOT NULL) AS e;

CREATE UNIQUE INDEX ON event (n);
ANALYZE event;

DO $$
DECLARE
	e record;
	last_notice timestamptz := clock_timestamp();
	total bigint := (SELECT count(*) FROM event);
BEGIN
	-- A cursor over a temporary table cannot be held over COMMIT cheaply; an index walk can.
	FOR i IN 1 .. total LOOP
		SELECT * INTO e FROM event WHERE n = i;
		PERFORM set_config('provenance.actor', e.sales_agent, true);
		IF e.closing THEN
			PERFORM set_config('provenance.purpose', 'deal closed', true);
			UPDATE crm.opportunity
			   SET deal_stage = e.deal_stage, close_date = e.at, close_value = e.close_value::numeric
			 WHERE opportunity_id = e.opportunity_id;
		ELSE
			PERFORM set_config('provenance.purpose', 'deal opened', true);
			INSERT INTO crm.opportunity (opportunity_id, sales_agent, product, account, deal_stage, engage_date)
			VALUES (e.opportunity_id, e.sales_agent, e.product, e.account,
					CASE WHEN e.at IS NULL THEN 'Prospecting' ELSE 'Engaging' END, e.at);
		END IF;
		COMMIT;
		IF clock_timestamp() > last_notice + interval '2 seconds' THEN
			last_notice := clock_timestamp();
			RAISE NOTICE '% of % events replayed, now at %', i, total, e.at;
		END IF;
	END LOOP;
	RAISE NOTICE '% of % events replayed', total, total;
END $$;
