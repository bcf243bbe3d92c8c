-- Written by docs/roles_test.go from pipeline/platform/roles; change that and run `make golden`.
--
-- The users of a ClickHouse server of your own, with the least rights. Run it once as an administrator, with
-- passwords of yours:
--   clickhouse-client --param_writer=… --param_reader=… --param_migrator=… --queries-file users.sql
-- compose.yaml takes the same from users.xml.

-- the recorder: writes and looks up, defines nothing
CREATE USER IF NOT EXISTS writer IDENTIFIED WITH sha256_password BY {writer:String};
GRANT SELECT, INSERT ON ratchet.* TO writer;
GRANT ALTER DELETE ON ratchet.deal_facts TO writer;
GRANT OPTIMIZE ON ratchet.deal_facts TO writer;

-- people, reports and dashboards
CREATE USER IF NOT EXISTS reader IDENTIFIED WITH sha256_password BY {reader:String};
GRANT SELECT ON ratchet.* TO reader;

-- ratchet topology apply: creates and changes the tables
CREATE USER IF NOT EXISTS migrator IDENTIFIED WITH sha256_password BY {migrator:String};
GRANT CREATE DATABASE, CREATE TABLE, CREATE VIEW, DROP TABLE, DROP VIEW, ALTER, SELECT, INSERT, TRUNCATE, OPTIMIZE, SHOW ON ratchet.* TO migrator;
