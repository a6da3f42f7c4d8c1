-- Partners: whose checkpoints this database believes. The registry itself is
-- readable for nobody, because of the pseudonym keys in it.

CREATE FUNCTION add_partner(name text, VARIADIC vkeys text[]) RETURNS void
	LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'provenance_add_partner';
REVOKE EXECUTE ON FUNCTION add_partner(text, text[]) FROM PUBLIC;
COMMENT ON FUNCTION add_partner(text, text[]) IS 'a partner whose checkpoints this database believes if one of these keys signed them; again: replaces keys';

CREATE FUNCTION add_partner(name text, vkeys text[], witnesses text[], quorum int) RETURNS void
	LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'provenance_add_partner_witnessed';
REVOKE EXECUTE ON FUNCTION add_partner(text, text[], text[], int) FROM PUBLIC;
COMMENT ON FUNCTION add_partner(text, text[], text[], int) IS 'a partner whose checkpoints this database believes if so many of those witnesses cosigned them too';

CREATE FUNCTION remove_partner(name text) RETURNS void
	LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'provenance_remove_partner';
REVOKE EXECUTE ON FUNCTION remove_partner(text) FROM PUBLIC;
COMMENT ON FUNCTION remove_partner(text) IS 'nothing more is taken from that partner; what was merged stays';

CREATE FUNCTION resolve_fork(name text, reason text) RETURNS void
	LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'provenance_resolve_fork';
REVOKE EXECUTE ON FUNCTION resolve_fork(text, text) FROM PUBLIC;
COMMENT ON FUNCTION resolve_fork(text, text) IS 'an administrator trusts a forked partner again; the evidence stays';

CREATE FUNCTION set_pseudonym_key(name text, key bytea) RETURNS void
	LANGUAGE c VOLATILE PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'provenance_set_pseudonym_key';
REVOKE EXECUTE ON FUNCTION set_pseudonym_key(text, bytea) FROM PUBLIC;
COMMENT ON FUNCTION set_pseudonym_key(text, bytea) IS 'the 32 bytes agreed with that partner, from which pseudonyms of subjects are made; NULL: none';

CREATE VIEW partner AS
	SELECT p.name, p.origin, p.state, p.vkeys, c.size, c.note AS checkpoint, c.seen_at,
		   coalesce((SELECT sum(m.new_entries)::bigint
					 FROM partner_log AS l JOIN merge AS m ON m.origin = l.origin
					 WHERE l.partner_id = p.partner_id), 0) AS entries,
		   p.witnesses, p.quorum, p.added_at, p.removed_at
		FROM partner_registry AS p
		LEFT JOIN LATERAL (
			SELECT s.size, s.note, s.seen_at
				FROM partner_log AS l JOIN partner_checkpoint AS s ON s.log_id = l.log_id
				WHERE l.partner_id = p.partner_id
				ORDER BY s.seen_at DESC, s.log_id DESC, s.size DESC LIMIT 1) AS c ON true
		ORDER BY p.name;
COMMENT ON VIEW partner IS 'partners, their keys, the last checkpoint seen of each, what was merged, and whether they are trusted';

CREATE VIEW fork_evidence AS
	SELECT f.fork_id, p.name AS partner, f.origin, f.kind, f.found_at, f.note_a, f.note_b, f.proof_a, f.proof_b, f.leaf_a, f.leaf_b,
		   f.resolved_at, f.resolved_by, f.reason
		FROM fork_record AS f LEFT JOIN partner_registry AS p ON p.partner_id = f.partner_id
		ORDER BY f.fork_id;
GRANT SELECT ON fork_evidence TO PUBLIC;
COMMENT ON VIEW fork_evidence IS 'contradictions that partners signed, each verifiable by anyone; nothing in them is a value';
