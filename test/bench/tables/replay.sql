-- The sales pipeline of crm-sales-opportunities (CRM_DATA), to be replayed.
CREATE TABLE crm.account (account text PRIMARY KEY, sector text, year_established int, revenue numeric, employees int, office_location text, subsidiary_of text);
CREATE TABLE crm.agent (sales_agent text PRIMARY KEY, manager text, regional_office text);
CREATE TABLE crm.opportunity (opportunity_id text PRIMARY KEY, sales_agent text NOT NULL REFERENCES crm.agent, product text NOT NULL, account text,
	deal_stage text NOT NULL, engage_date date, close_date date, close_value numeric);
CREATE TABLE crm.pipeline (opportunity_id text, sales_agent text, product text, account text, deal_stage text,
	engage_date text, close_date text, close_value text, engage_quarter text, close_quarter text);
\copy crm.account FROM PROGRAM 'cat "$CRM_DATA/accounts.csv"' WITH (FORMAT csv, HEADER)
\copy crm.agent FROM PROGRAM 'cat "$CRM_DATA/sales_teams.csv"' WITH (FORMAT csv, HEADER)
\copy crm.pipeline FROM PROGRAM 'cat "$CRM_DATA/sales_pipeline.csv"' WITH (FORMAT csv, HEADER)

CREATE TABLE crm.event AS
SELECT row_number() OVER (ORDER BY at NULLS LAST, closing, opportunity_id) AS n, e.*
  FROM (SELECT to_date(engage_date, 'DD-MM-YY') AS at, false AS closing, p.* FROM crm.pipeline p
		UNION ALL
		SELECT to_date(close_date, 'DD-MM-YY'), true, p.* FROM crm.pipeline p WHERE close_date IS NOT NULL) AS e;
CREATE UNIQUE INDEX ON crm.event (n);
VACUUM ANALYZE crm.event;

-- Each event is a transaction of its own with the sales agent as actor.
CREATE PROCEDURE crm.replay() LANGUAGE plpgsql AS $$
DECLARE
	e record;
BEGIN
	FOR i IN 1 .. (SELECT count(*) FROM crm.event) LOOP
		SELECT * INTO e FROM crm.event WHERE n = i;
		PERFORM set_config('provenance.actor', e.sales_agent, true);
		IF e.closing THEN
			UPDATE crm.opportunity SET deal_stage = e.deal_stage, close_date = e.at, close_value = e.close_value::numeric
				WHERE opportunity_id = e.opportunity_id;
		ELSE
			INSERT INTO crm.opportunity (opportunity_id, sales_agent, product, account, deal_stage, engage_date)
			VALUES (e.opportunity_id, e.sales_agent, e.product, e.account,
				CASE WHEN e.at IS NULL THEN 'Prospecting' ELSE 'Engaging' END, e.at);
		END IF;
		COMMIT;
	END LOOP;
END $$;
