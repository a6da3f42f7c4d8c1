CREATE EXTENSION provenance;
SELECT provenance.setup('bench-' || txid_current() || '.example');

-- image: bytes of an image, for the floor
CREATE FUNCTION crm.record(target regclass, image int) RETURNS void LANGUAGE sql AS $$
	SELECT provenance.tag(target)
$$;
