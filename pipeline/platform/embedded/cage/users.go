package cage

// Users is the embedded ClickHouse's file of users: what the one user of the engine may do: everything in the database, and nothing that reaches out of it. What
// is missing is SOURCES (file, url, s3, remote, mysql and the like, as functions and as engines), SYSTEM, BACKUP,
// dictionaries, named collections, and users. A disk of one's own, chosen by a table's settings, would be a way round;
// a dialect would be another language than the one that the statements are checked in.
const Users = `<clickhouse>
    <profiles><default><constraints>
        <merge_tree_disk><const/></merge_tree_disk>
        <dialect><const/></dialect>
    </constraints></default></profiles>
    <quotas><default></default></quotas>
    <users><default>
        <password></password>
        <networks><ip>::/0</ip></networks>
        <profile>default</profile>
        <quota>default</quota>
        <grants>
            <query>GRANT SHOW, SELECT, INSERT, ALTER, CREATE DATABASE, CREATE TABLE, CREATE VIEW, CREATE TEMPORARY TABLE, CREATE FUNCTION, DROP, UNDROP TABLE, TRUNCATE, OPTIMIZE, CHECK, KILL QUERY, KILL TRANSACTION ON *.*</query>
            <query>GRANT SET DEFINER ON *</query>
        </grants>
    </default></users>
</clickhouse>
`
