-- dead: What could not be processed, and why?
--
-- Columns:
--   stage, reason  who gave it up, and why
--   messages       how many
--   newest         pipeline time, UTC
--   example_key    an ASIN where there is one: `ratchet why` tells more
--   example_error  what went wrong with the newest
--   origin         stream and sequence of the newest
-- Parameters:
--   since  DateTime  = -7d  from when, pipeline time, UTC
SELECT
    stage, reason,
    uniqExact(row_id) AS messages,
    max(at) AS newest,
    argMax(key, row_id) AS example_key,
    argMax(error, row_id) AS example_error,
    argMax(concat(toString(origin_stream), ' ', toString(origin_sequence)), row_id) AS origin
FROM dead
WHERE at >= {since:DateTime('UTC')}
GROUP BY stage, reason
ORDER BY messages DESC, stage, reason;
