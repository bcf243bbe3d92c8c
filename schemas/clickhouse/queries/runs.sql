-- runs: Which runs are there, and what did each decide?
--
-- Columns:
--   run                 live, or the name of a replay
--   first_at, last_at   pipeline time of the first and last verdict, UTC
--   verdicts            of all looks
--   accepted            deals found
--   tokens              what the looks cost
--   rule_sets           versions of the rules that decided
--   builds              builds that decided
-- Parameters: none
SELECT run, first_at, last_at, verdicts, accepted, tokens, rule_sets, builds
FROM runs
ORDER BY run = 'live' DESC, last_at DESC;
