-- A morning in the CRM: three people and a web form change things. Who, why
-- and from where is stated with provenance.actor, .purpose and .source.
\set ON_ERROR_STOP on
\c - alice
SET application_name = 'crm-desktop';
SET provenance.purpose = 'account review';
UPDATE crm.contact SET status = 'active' WHERE contact_id = 42;
UPDATE crm.opportunity SET stage = 'won', amount = amount * 1.1 WHERE account_id = 7;
INSERT INTO crm.activity (contact_id, kind, at, note) VALUES (42, 'call', '2026-03-02 09:15+00', 'Renewal agreed on the phone');

\c - bruno
SET application_name = 'ticket-system';
SET provenance.purpose = 'support case 8841';
UPDATE crm.contact SET phone = '+49 30 5550142' WHERE contact_id = 42;
INSERT INTO crm.activity (contact_id, kind, at, note)
SELECT 42, 'ticket', '2026-03-02 10:00+00'::timestamptz + n * interval '1 minute', 'case 8841, message ' || n FROM generate_series(1, 5) n;

\c - carla
SET application_name = 'campaign-tool';
SET provenance.purpose = 'spring newsletter';
SET provenance.source = 'trade fair list, Hanover 2026';
UPDATE crm.contact SET status = 'dormant' WHERE status = 'lead' AND contact_id % 10 = 0;
DELETE FROM crm.contact WHERE contact_id IN (SELECT contact_id FROM crm.contact c
	WHERE c.contact_id % 3 <> 0 AND NOT EXISTS (SELECT FROM crm.activity a WHERE a.contact_id = c.contact_id) ORDER BY 1 LIMIT 3);

\c - webform
SET application_name = 'www.acme.example';
BEGIN;
SET LOCAL provenance.actor = 'customer:42';
SET LOCAL provenance.purpose = 'consent given in the preference centre';
SET LOCAL provenance.source = 'https://www.acme.example/preferences';
UPDATE crm.contact SET consent = NOT consent, email = 'new.address@example.net' WHERE contact_id = 42;
COMMIT;
BEGIN;
SET LOCAL provenance.actor = 'visitor';
INSERT INTO crm.contact (account_id, first_name, last_name, email, consent)
VALUES (12, 'Olga', 'Petrova', 'olga.petrova@example.org', true);
ROLLBACK;
