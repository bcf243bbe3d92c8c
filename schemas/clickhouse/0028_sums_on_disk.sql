-- Every sum: on the disk before the insert is confirmed, as the rows that it adds up are.
--
-- Rows were synced and the sums over them were not. A machine that lost its power within the half minute in which Linux writes
-- back by itself came up with rows whose messages were acknowledged and which no sum had: no message brings them again. Parts
-- that are merged are written back long before what they were merged of is removed.
ALTER TABLE balance_points MODIFY SETTING fsync_after_insert = 1, fsync_part_directory = 1;
ALTER TABLE call_days MODIFY SETTING fsync_after_insert = 1, fsync_part_directory = 1;
ALTER TABLE category_days MODIFY SETTING fsync_after_insert = 1, fsync_part_directory = 1;
ALTER TABLE clock_readings MODIFY SETTING fsync_after_insert = 1, fsync_part_directory = 1;
ALTER TABLE deal_facts MODIFY SETTING fsync_after_insert = 1, fsync_part_directory = 1;
ALTER TABLE deal_marks MODIFY SETTING fsync_after_insert = 1, fsync_part_directory = 1;
ALTER TABLE deal_rejects MODIFY SETTING fsync_after_insert = 1, fsync_part_directory = 1;
ALTER TABLE modes MODIFY SETTING fsync_after_insert = 1, fsync_part_directory = 1;
ALTER TABLE run_sums MODIFY SETTING fsync_after_insert = 1, fsync_part_directory = 1;
ALTER TABLE token_hours MODIFY SETTING fsync_after_insert = 1, fsync_part_directory = 1;
ALTER TABLE unknown_days MODIFY SETTING fsync_after_insert = 1, fsync_part_directory = 1;
ALTER TABLE verdict_days MODIFY SETTING fsync_after_insert = 1, fsync_part_directory = 1;
ALTER TABLE verdict_hours MODIFY SETTING fsync_after_insert = 1, fsync_part_directory = 1;
ALTER TABLE verdict_ids MODIFY SETTING fsync_after_insert = 1, fsync_part_directory = 1;
ALTER TABLE wait_days MODIFY SETTING fsync_after_insert = 1, fsync_part_directory = 1;
ALTER TABLE work_days MODIFY SETTING fsync_after_insert = 1, fsync_part_directory = 1;
ALTER TABLE work_slots MODIFY SETTING fsync_after_insert = 1, fsync_part_directory = 1;
ALTER TABLE schema_migrations MODIFY SETTING fsync_after_insert = 1, fsync_part_directory = 1;
