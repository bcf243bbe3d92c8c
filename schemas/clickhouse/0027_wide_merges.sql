-- deal_versions: merged column by column, whatever its size.
--
-- ClickHouse does so from 131,072 rows on. With a hundred columns and a whole message in a row, smaller parts took several
-- hundred megabytes to merge at once; column by column they take half of that.
ALTER TABLE deal_versions MODIFY SETTING vertical_merge_algorithm_min_rows_to_activate = 1;
