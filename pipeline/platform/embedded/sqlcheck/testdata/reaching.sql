SELECT * FROM url('http://HERE/', CSV, 'a Int')
INSERT INTO FUNCTION url('http://HERE/', CSV, 'a Int') VALUES (1)
SELECT * FROM s3('http://HERE/bucket/x', NOSIGN, CSV, 'a Int')
SELECT * FROM remote('HERE', system.one)
SELECT * FROM mysql('HERE', 'd', 't', 'u', 'p')
SELECT * FROM postgresql('HERE', 'd', 't', 'u', 'p')
SELECT * FROM mongodb('HERE', 'd', 't', 'u', 'p', 'a Int')
SELECT * FROM redis('HERE', 'k', 'k Int')
CREATE TABLE x (a Int) ENGINE = URL('http://HERE/', CSV)
CREATE TABLE x (a Int) ENGINE = S3('http://HERE/bucket/x', CSV)
CREATE TABLE x (a Int) ENGINE = MySQL('HERE', 'd', 't', 'u', 'p')
CREATE DATABASE x ENGINE = MySQL('HERE', 'd', 'u', 'p')
CREATE DATABASE x ENGINE = PostgreSQL('HERE', 'd', 'u', 'p')
CREATE TABLE x (a Int) ENGINE = Distributed('default', 'system', 'one')
CREATE TABLE x (a Int) ENGINE = MergeTree ORDER BY a SETTINGS disk = disk(type = web, endpoint = 'http://HERE/')
CREATE TABLE x (a Int) ENGINE = MergeTree ORDER BY a SETTINGS disk = disk(type = s3, endpoint = 'http://HERE/bucket/x/')
CREATE TABLE x (a Int) ENGINE = MergeTree ORDER BY a SETTINGS disk = disk(type = object_storage, object_storage_type = local, metadata_type = local, path = 'NEW/')
CREATE DICTIONARY x (a UInt64) PRIMARY KEY a SOURCE(HTTP(url 'http://HERE/' format CSV)) LAYOUT(FLAT()) LIFETIME(1)
CREATE DICTIONARY x (a UInt64) PRIMARY KEY a SOURCE(EXECUTABLE(command 'touch NEW' format CSV)) LAYOUT(FLAT()) LIFETIME(1)
CREATE TABLE x (a Int) ENGINE = Executable('x', CSV)
SELECT * FROM executable('x', CSV, 'a Int')
CREATE TABLE x (a Int) ENGINE = EmbeddedRocksDB(0, 'NEW') PRIMARY KEY a
CREATE TABLE x (a Int) ENGINE = SQLite('NEW', 't')
SELECT * FROM file('SECRET', LineAsString)
SELECT file('SECRET')
SELECT `fil\x65`('SECRET')
SELECT arrayMap(x -> file(x), ['SECRET'])
WITH file('SECRET') AS x SELECT x
SELECT * FROM default.`SECRET`
SELECT * FROM filesystem('/')
DESCRIBE file('SECRET', CSV)
EXPLAIN SELECT * FROM file('SECRET', LineAsString)
CREATE FUNCTION leak AS x -> file(x)
CREATE VIEW x AS SELECT file('SECRET')
CREATE TABLE x ENGINE = Memory AS SELECT file('SECRET')
INSERT INTO t SELECT length(file('SECRET'))
INSERT INTO t VALUES (length(file('SECRET')))
INSERT INTO t VALUES (1) (length(file('SECRET')))
INSERT INTO t VALUES (length(`fil\x65`('SECRET')))
INSERT INTO t SETTINGS input_format_values_interpret_expressions = 1 VALUES (1) (length(file('SECRET')))
INSERT INTO FUNCTION file('NEW', CSV, 'a Int') VALUES (1)
CREATE TABLE x (a Int) ENGINE = File(CSV)
CREATE DATABASE x ENGINE = Filesystem('/')
ATTACH TABLE x FROM 'NEW' (a Int) ENGINE = MergeTree ORDER BY a
SELECT 1 INTO OUTFILE 'NEW'
INSERT INTO t FROM INFILE 'SECRET' FORMAT CSV
INSERT INTO t VALUES (1); SELECT 1 INTO OUTFILE 'NEW'
INSERT INTO t VALUES (1); INSERT INTO t FROM INFILE 'SECRET' FORMAT CSV
SELECT 1 FORMAT JSON; SELECT 1 INTO OUTFILE 'NEW'
BACKUP TABLE t TO File('NEW')
RESTORE TABLE t FROM File('SECRET')
SYSTEM FLUSH LOGS
SYSTEM SHUTDOWN
SYSTEM STOP MERGES
SYSTEM DROP MARK CACHE
CREATE NAMED COLLECTION x AS a = 1
CREATE USER x
GRANT ALL ON *.* TO default
SET dialect = 'kusto'
