\set ECHO none
-- chains(table, columns): each row's entries in the order of their leaves, with
-- the values of those columns; a mark where a leaf does not hold the hash of
-- the one before. settle(): seals, and returns what verification finds and
-- where a tagged table differs from what its history says: nothing.
CREATE FUNCTION crm.chains(target regclass, shown name[] DEFAULT '{v}')
	RETURNS TABLE (key text, chain text) LANGUAGE sql AS $$
	SELECT k, string_agg(op || CASE WHEN op = 'delete' THEN ''
				ELSE (SELECT ' ' || string_agg(coalesce(image->>c, '-'), ' ' ORDER BY n) FROM unnest(shown) WITH ORDINALITY AS s (c, n)) END ||
			CASE WHEN prev_hash::text = expected THEN '' ELSE ' (not linked)' END, ', ' ORDER BY leaf_index)
	FROM (SELECT *, (SELECT string_agg(value, ',') FROM jsonb_each_text(h.key)) AS k,
			coalesce(lag(leaf_hash) OVER (PARTITION BY h.key ORDER BY leaf_index)::text, repeat('0', 64)) AS expected
		FROM provenance.changes(target, '-infinity', 'infinity') AS h WHERE h.key IS NOT NULL) AS e
	GROUP BY k ORDER BY length(k), k
$$;
CREATE FUNCTION crm.settle() RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
	t regclass;
BEGIN
	PERFORM provenance.seal();
	RETURN QUERY SELECT code || ': ' || object || ': ' || message FROM provenance.verify();
	FOR t IN SELECT format('%I.%I', schema_name, table_name)::regclass FROM provenance.registry WHERE untagged_at IS NULL LOOP
		RETURN QUERY EXECUTE format('SELECT %2$L || d::text FROM (
			(TABLE %1$s EXCEPT ALL SELECT * FROM provenance.as_of(NULL::%1$s, %3$L)) UNION ALL
			(SELECT * FROM provenance.as_of(NULL::%1$s, %3$L) EXCEPT ALL TABLE %1$s)) AS d', t, t || ' differs: ', 'infinity');
	END LOOP;
END $$;
\set ECHO all
