-- Rejects and marks are in deal_facts. The tables before it go in a file of their own: 0043_facts reads them, and a crash makes all
-- statements of a file run again.
DROP VIEW IF EXISTS deal_rejects_mv;
DROP VIEW IF EXISTS deal_marks_mv;
DROP TABLE IF EXISTS deal_rejects;
DROP TABLE IF EXISTS deal_marks;
