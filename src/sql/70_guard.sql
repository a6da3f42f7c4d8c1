-- The guard: what must not happen to the ledger and to tagged tables.

CREATE FUNCTION refuse_change() RETURNS trigger
	LANGUAGE c AS 'MODULE_PATHNAME', 'provenance_refuse_change';
REVOKE ALL ON FUNCTION refuse_change() FROM PUBLIC;
COMMENT ON FUNCTION refuse_change() IS 'refuses UPDATE, DELETE and TRUNCATE of the ledger''s tables';

CREATE FUNCTION ignore_foreign() RETURNS trigger
	LANGUAGE c AS 'MODULE_PATHNAME', 'provenance_ignore_foreign';
REVOKE ALL ON FUNCTION ignore_foreign() FROM PUBLIC;
COMMENT ON FUNCTION ignore_foreign() IS 'has a subscriber''s apply pass over the rows of another database''s ledger';

CREATE TRIGGER provenance_refuse BEFORE UPDATE OR DELETE OR TRUNCATE ON log_identity EXECUTE FUNCTION refuse_change();
CREATE TRIGGER provenance_foreign BEFORE INSERT OR UPDATE OR DELETE ON log_identity FOR EACH ROW EXECUTE FUNCTION ignore_foreign();
CREATE TRIGGER provenance_foreign_truncate BEFORE TRUNCATE ON log_identity EXECUTE FUNCTION ignore_foreign();
ALTER TABLE log_identity ENABLE REPLICA TRIGGER provenance_foreign, ENABLE REPLICA TRIGGER provenance_foreign_truncate;
CREATE TRIGGER provenance_refuse BEFORE UPDATE OR DELETE OR TRUNCATE ON log_key EXECUTE FUNCTION refuse_change();
CREATE TRIGGER provenance_foreign BEFORE INSERT OR UPDATE OR DELETE ON log_key FOR EACH ROW EXECUTE FUNCTION ignore_foreign();
CREATE TRIGGER provenance_foreign_truncate BEFORE TRUNCATE ON log_key EXECUTE FUNCTION ignore_foreign();
ALTER TABLE log_key ENABLE REPLICA TRIGGER provenance_foreign, ENABLE REPLICA TRIGGER provenance_foreign_truncate;
CREATE TRIGGER provenance_refuse BEFORE UPDATE OR DELETE OR TRUNCATE ON registry EXECUTE FUNCTION refuse_change();
CREATE TRIGGER provenance_foreign BEFORE INSERT OR UPDATE OR DELETE ON registry FOR EACH ROW EXECUTE FUNCTION ignore_foreign();
CREATE TRIGGER provenance_foreign_truncate BEFORE TRUNCATE ON registry EXECUTE FUNCTION ignore_foreign();
ALTER TABLE registry ENABLE REPLICA TRIGGER provenance_foreign, ENABLE REPLICA TRIGGER provenance_foreign_truncate;
CREATE TRIGGER provenance_refuse BEFORE UPDATE OR DELETE OR TRUNCATE ON shape EXECUTE FUNCTION refuse_change();
CREATE TRIGGER provenance_foreign BEFORE INSERT OR UPDATE OR DELETE ON shape FOR EACH ROW EXECUTE FUNCTION ignore_foreign();
CREATE TRIGGER provenance_foreign_truncate BEFORE TRUNCATE ON shape EXECUTE FUNCTION ignore_foreign();
ALTER TABLE shape ENABLE REPLICA TRIGGER provenance_foreign, ENABLE REPLICA TRIGGER provenance_foreign_truncate;
CREATE TRIGGER provenance_refuse BEFORE UPDATE OR DELETE OR TRUNCATE ON context EXECUTE FUNCTION refuse_change();
CREATE TRIGGER provenance_foreign BEFORE INSERT OR UPDATE OR DELETE ON context FOR EACH ROW EXECUTE FUNCTION ignore_foreign();
CREATE TRIGGER provenance_foreign_truncate BEFORE TRUNCATE ON context EXECUTE FUNCTION ignore_foreign();
ALTER TABLE context ENABLE REPLICA TRIGGER provenance_foreign, ENABLE REPLICA TRIGGER provenance_foreign_truncate;
CREATE TRIGGER provenance_refuse BEFORE UPDATE OR DELETE OR TRUNCATE ON entry EXECUTE FUNCTION refuse_change();
CREATE TRIGGER provenance_foreign BEFORE INSERT OR UPDATE OR DELETE ON entry FOR EACH ROW EXECUTE FUNCTION ignore_foreign();
CREATE TRIGGER provenance_foreign_truncate BEFORE TRUNCATE ON entry EXECUTE FUNCTION ignore_foreign();
ALTER TABLE entry ENABLE REPLICA TRIGGER provenance_foreign, ENABLE REPLICA TRIGGER provenance_foreign_truncate;
CREATE TRIGGER provenance_refuse BEFORE UPDATE OR DELETE OR TRUNCATE ON leaf_run EXECUTE FUNCTION refuse_change();
CREATE TRIGGER provenance_foreign BEFORE INSERT OR UPDATE OR DELETE ON leaf_run FOR EACH ROW EXECUTE FUNCTION ignore_foreign();
CREATE TRIGGER provenance_foreign_truncate BEFORE TRUNCATE ON leaf_run EXECUTE FUNCTION ignore_foreign();
ALTER TABLE leaf_run ENABLE REPLICA TRIGGER provenance_foreign, ENABLE REPLICA TRIGGER provenance_foreign_truncate;
CREATE TRIGGER provenance_refuse BEFORE UPDATE OR DELETE OR TRUNCATE ON seq_block EXECUTE FUNCTION refuse_change();
CREATE TRIGGER provenance_foreign BEFORE INSERT OR UPDATE OR DELETE ON seq_block FOR EACH ROW EXECUTE FUNCTION ignore_foreign();
CREATE TRIGGER provenance_foreign_truncate BEFORE TRUNCATE ON seq_block EXECUTE FUNCTION ignore_foreign();
ALTER TABLE seq_block ENABLE REPLICA TRIGGER provenance_foreign, ENABLE REPLICA TRIGGER provenance_foreign_truncate;
CREATE TRIGGER provenance_refuse BEFORE UPDATE OR DELETE OR TRUNCATE ON tree_node EXECUTE FUNCTION refuse_change();
CREATE TRIGGER provenance_foreign BEFORE INSERT OR UPDATE OR DELETE ON tree_node FOR EACH ROW EXECUTE FUNCTION ignore_foreign();
CREATE TRIGGER provenance_foreign_truncate BEFORE TRUNCATE ON tree_node EXECUTE FUNCTION ignore_foreign();
ALTER TABLE tree_node ENABLE REPLICA TRIGGER provenance_foreign, ENABLE REPLICA TRIGGER provenance_foreign_truncate;
CREATE TRIGGER provenance_refuse BEFORE UPDATE OR DELETE OR TRUNCATE ON head EXECUTE FUNCTION refuse_change();
CREATE TRIGGER provenance_foreign BEFORE INSERT OR UPDATE OR DELETE ON head FOR EACH ROW EXECUTE FUNCTION ignore_foreign();
CREATE TRIGGER provenance_foreign_truncate BEFORE TRUNCATE ON head EXECUTE FUNCTION ignore_foreign();
ALTER TABLE head ENABLE REPLICA TRIGGER provenance_foreign, ENABLE REPLICA TRIGGER provenance_foreign_truncate;
CREATE TRIGGER provenance_refuse BEFORE UPDATE OR DELETE OR TRUNCATE ON table_head EXECUTE FUNCTION refuse_change();
CREATE TRIGGER provenance_foreign BEFORE INSERT OR UPDATE OR DELETE ON table_head FOR EACH ROW EXECUTE FUNCTION ignore_foreign();
CREATE TRIGGER provenance_foreign_truncate BEFORE TRUNCATE ON table_head EXECUTE FUNCTION ignore_foreign();
ALTER TABLE table_head ENABLE REPLICA TRIGGER provenance_foreign, ENABLE REPLICA TRIGGER provenance_foreign_truncate;
CREATE TRIGGER provenance_refuse BEFORE UPDATE OR DELETE OR TRUNCATE ON seal_state EXECUTE FUNCTION refuse_change();
CREATE TRIGGER provenance_foreign BEFORE INSERT OR UPDATE OR DELETE ON seal_state FOR EACH ROW EXECUTE FUNCTION ignore_foreign();
CREATE TRIGGER provenance_foreign_truncate BEFORE TRUNCATE ON seal_state EXECUTE FUNCTION ignore_foreign();
ALTER TABLE seal_state ENABLE REPLICA TRIGGER provenance_foreign, ENABLE REPLICA TRIGGER provenance_foreign_truncate;
CREATE TRIGGER provenance_refuse BEFORE UPDATE OR DELETE OR TRUNCATE ON checkpoint_note EXECUTE FUNCTION refuse_change();
CREATE TRIGGER provenance_foreign BEFORE INSERT OR UPDATE OR DELETE ON checkpoint_note FOR EACH ROW EXECUTE FUNCTION ignore_foreign();
CREATE TRIGGER provenance_foreign_truncate BEFORE TRUNCATE ON checkpoint_note EXECUTE FUNCTION ignore_foreign();
ALTER TABLE checkpoint_note ENABLE REPLICA TRIGGER provenance_foreign, ENABLE REPLICA TRIGGER provenance_foreign_truncate;
CREATE TRIGGER provenance_refuse BEFORE UPDATE OR DELETE OR TRUNCATE ON checkpoint_timestamp EXECUTE FUNCTION refuse_change();
CREATE TRIGGER provenance_foreign BEFORE INSERT OR UPDATE OR DELETE ON checkpoint_timestamp FOR EACH ROW EXECUTE FUNCTION ignore_foreign();
CREATE TRIGGER provenance_foreign_truncate BEFORE TRUNCATE ON checkpoint_timestamp EXECUTE FUNCTION ignore_foreign();
ALTER TABLE checkpoint_timestamp ENABLE REPLICA TRIGGER provenance_foreign, ENABLE REPLICA TRIGGER provenance_foreign_truncate;
CREATE TRIGGER provenance_refuse BEFORE UPDATE OR DELETE OR TRUNCATE ON worker_state EXECUTE FUNCTION refuse_change();
CREATE TRIGGER provenance_foreign BEFORE INSERT OR UPDATE OR DELETE ON worker_state FOR EACH ROW EXECUTE FUNCTION ignore_foreign();
CREATE TRIGGER provenance_foreign_truncate BEFORE TRUNCATE ON worker_state EXECUTE FUNCTION ignore_foreign();
ALTER TABLE worker_state ENABLE REPLICA TRIGGER provenance_foreign, ENABLE REPLICA TRIGGER provenance_foreign_truncate;
CREATE TRIGGER provenance_refuse BEFORE UPDATE OR DELETE OR TRUNCATE ON incarnation EXECUTE FUNCTION refuse_change();
CREATE TRIGGER provenance_foreign BEFORE INSERT OR UPDATE OR DELETE ON incarnation FOR EACH ROW EXECUTE FUNCTION ignore_foreign();
CREATE TRIGGER provenance_foreign_truncate BEFORE TRUNCATE ON incarnation EXECUTE FUNCTION ignore_foreign();
ALTER TABLE incarnation ENABLE REPLICA TRIGGER provenance_foreign, ENABLE REPLICA TRIGGER provenance_foreign_truncate;
CREATE TRIGGER provenance_refuse BEFORE UPDATE OR DELETE OR TRUNCATE ON key_handover EXECUTE FUNCTION refuse_change();
CREATE TRIGGER provenance_foreign BEFORE INSERT OR UPDATE OR DELETE ON key_handover FOR EACH ROW EXECUTE FUNCTION ignore_foreign();
CREATE TRIGGER provenance_foreign_truncate BEFORE TRUNCATE ON key_handover EXECUTE FUNCTION ignore_foreign();
ALTER TABLE key_handover ENABLE REPLICA TRIGGER provenance_foreign, ENABLE REPLICA TRIGGER provenance_foreign_truncate;

CREATE FUNCTION guard_start() RETURNS event_trigger
	LANGUAGE c AS 'MODULE_PATHNAME', 'provenance_guard_start';
REVOKE ALL ON FUNCTION guard_start() FROM PUBLIC;
COMMENT ON FUNCTION guard_start() IS 'before a DDL command: records partitions that it takes away; asks before the ledger is dropped';

CREATE FUNCTION guard_drop() RETURNS event_trigger
	LANGUAGE c AS 'MODULE_PATHNAME', 'provenance_guard_drop';
REVOKE ALL ON FUNCTION guard_drop() FROM PUBLIC;
COMMENT ON FUNCTION guard_drop() IS 'refuses to drop tagged tables and their triggers';

CREATE FUNCTION guard_end() RETURNS event_trigger
	LANGUAGE c AS 'MODULE_PATHNAME', 'provenance_guard_end';
REVOKE ALL ON FUNCTION guard_end() FROM PUBLIC;
COMMENT ON FUNCTION guard_end() IS 'after a DDL command: follows, or refuses, what became of tagged tables';

CREATE FUNCTION guard_rewrite() RETURNS event_trigger
	LANGUAGE c AS 'MODULE_PATHNAME', 'provenance_guard_rewrite';
REVOKE ALL ON FUNCTION guard_rewrite() FROM PUBLIC;
COMMENT ON FUNCTION guard_rewrite() IS 'notes which tables a DDL command rewrites';

-- At the end: nothing of this script is to be guarded.
CREATE EVENT TRIGGER provenance_guard_start ON ddl_command_start EXECUTE FUNCTION guard_start();
CREATE EVENT TRIGGER provenance_guard_drop ON sql_drop EXECUTE FUNCTION guard_drop();
CREATE EVENT TRIGGER provenance_guard_end ON ddl_command_end EXECUTE FUNCTION guard_end();
CREATE EVENT TRIGGER provenance_guard_rewrite ON table_rewrite EXECUTE FUNCTION guard_rewrite();
ALTER EVENT TRIGGER provenance_guard_start ENABLE ALWAYS;
ALTER EVENT TRIGGER provenance_guard_drop ENABLE ALWAYS;
ALTER EVENT TRIGGER provenance_guard_end ENABLE ALWAYS;
ALTER EVENT TRIGGER provenance_guard_rewrite ENABLE ALWAYS;
