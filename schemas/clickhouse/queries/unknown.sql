-- unknown: Which inputs do the looks want and not know?
--
-- Columns:
--   look, input  what was unknown, and when it was wanted
--   verdicts     that were reached without it
--   percent      of the look's verdicts, percent
--   rejected     of them
-- Parameters:
--   since  DateTime  = -7d   from when, pipeline time, UTC
--   run    String    = live  the run: live, or the name of a replay
SELECT
    look, input, verdicts,
    round(100 * verdicts / of, 1) AS percent,
    rejected
FROM
(
    SELECT
        toString(look) AS look, toString(arrayJoin(if(empty(unknown), [''], unknown))) AS input,
        uniqExact(row_id) AS verdicts,
        uniqExactIf(row_id, outcome = 'reject') AS rejected
    FROM verdicts
    WHERE run = {run:String} AND at >= {since:DateTime('UTC')}
    GROUP BY look, input
) AS u
INNER JOIN
(
    SELECT toString(look) AS look, uniqExact(row_id) AS of
    FROM verdicts
    WHERE run = {run:String} AND at >= {since:DateTime('UTC')}
    GROUP BY look
) AS t USING (look)
WHERE input != ''
ORDER BY verdicts DESC, look, input;
