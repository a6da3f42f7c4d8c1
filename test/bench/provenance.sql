CREATE EXTENSION provenance;
SELECT provenance.setup('bench.example');
SELECT provenance.tag('crm.contact');
SELECT provenance.tag('crm.bulk');
