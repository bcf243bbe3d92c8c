package cage

// Users is the embedded ClickHouse's file of users. Its one user may do everything in the database, and nothing that
// reaches out of it. The missing rights are SOURCES (file, url, s3, remote, mysql and the like, as functions and as
// engines), SYSTEM, BACKUP, dictionaries, named collections, and users. A disk chosen by a table's settings would
// circumvent this; so would a dialect, which is another language than the one in which statements are checked.
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
