-- stalls: Is it stuck, or is it bad luck? The longest times without a paid call and without a decision, by day
--
-- Stuck: long times without a paid call. Bad luck: calls and decisions continue, and nothing is accepted (ask
-- rejections). A stall is a time in which work waited, the operator let us spend and the balance was above zero. Work
-- waits from a survivor's verdict to the next look at it, and a poll from when it is due to when it is paid for. A
-- decision is a verdict that ends its work. The balance is what Keepa said with the last call; at or below zero it is
-- projected to rise by the rate. What operators paused (pause, nospend) is left out. Times of less than five minutes
-- are not a stall. One that continues ends at until; what waits then is looked for among the survivors of the three
-- days before it began.
--
-- Columns:
--   day                  pipeline time, UTC
--   paid_calls           that day
--   decisions            that day
--   no_call_minutes      the longest stall without a paid call that touched the day, all of it, minutes
--   no_call_from         when it began, pipeline time, UTC
--   no_call_until        when it ended
--   ended_by             the stage that paid then; paused or nospend where the operator ended it; going_on if
--                        nothing did
--   balance_before       what Keepa said before it, tokens
--   no_decision_minutes  the longest stall without a decision that touched the day, all of it, minutes
--   no_decision_from     when it began, pipeline time, UTC
--   no_decision_until    when it ended
--   minutes_stalled      of the day in stalls of more than 10 minutes without a paid call, minutes
--   minutes_paused       of the day in which the operator did not let us spend, minutes
--   waiting              works that wait at until while a stall goes on
-- Parameters:
--   since  DateTime  = -7d  from the start of which day, pipeline time, UTC
--   until  DateTime  = -0m  up to when, pipeline time, UTC; not after now, where nothing is known
WITH
    -- The slot of the last call or decision, whichever is older: before since, and before until.
    (
        SELECT
        (
            least(maxIf(slot, last_call > 0 AND slot < toStartOfDay({since:DateTime('UTC')})), maxIf(slot, last_decision > 0 AND slot < toStartOfDay({since:DateTime('UTC')}))),
            least(maxIf(slot, last_call > 0), maxIf(slot, last_decision > 0))
        )
        FROM work_slots
        WHERE slot < {until:DateTime('UTC')}
    ) AS newest,
    -- Milliseconds since 1970, 0 for none: the slot's start; the first call, who paid it, the last one; the balance
    -- after it, and from when it is above zero where it is not; the first decision, whether a paid look made it, the
    -- last one; the first survivor, the last one; listed, and due. Arrays, since a year of slots in them takes a tenth
    -- of what windows do.
    slots AS
    (
        SELECT arraySort(r -> r.1, groupArray(
        (
            began,
            if(first_call = 4294967295, 0, began + intDiv(first_call, 4)),
            first_call % 4,
            last_call_at,
            toInt64(bitAnd(bitShiftRight(last_call, 22), 4194303)) - 2097152 AS balance,
            if(last_call = 0 OR balance > 0 OR balance = -2097152, 0, last_call_at + intDiv(60000 * (1 - balance), greatest(1, bitAnd(last_call, 4194303)))),
            if(first_decision = 4294967295, 0, began + intDiv(first_decision, 2)),
            first_decision % 2 = 0,
            if(last_decision = 0, 0, began + last_decision - 1),
            if(first_survivor = 4294967295, 0, began + first_survivor),
            if(last_survivor = 0, 0, began + last_survivor - 1),
            if(listed = 4294967295, 0, 1000 * listed),
            if(due = 4294967295, 0, 1000 * due)
        ))) AS s, max(next_due) AS poll_due
        FROM
        (
            SELECT
                1000 * toInt64(toUnixTimestamp(slot)) AS began,
                toInt64(min(w.first_call)) AS first_call, max(w.last_call) AS last_call,
                if(last_call = 0, 0, began + toInt64(bitShiftRight(last_call, 44)) - 1) AS last_call_at,
                toInt64(min(w.first_decision)) AS first_decision, toInt64(max(w.last_decision)) AS last_decision,
                toInt64(min(w.first_survivor)) AS first_survivor, toInt64(max(w.last_survivor)) AS last_survivor,
                toInt64(toUnixTimestamp(min(w.listed_at))) AS listed, toInt64(toUnixTimestamp(min(w.due_at))) AS due,
                1000 * toInt64(toUnixTimestamp(max(w.next_due_at))) AS next_due
            FROM work_slots AS w
            WHERE slot < {until:DateTime('UTC')} AND slot >= newest.1
            GROUP BY slot
        )
    ),
    -- Of each slot what is true after its last call, or its last decision; of what comes later the nearest.
    kinds AS
    (
        SELECT
            arrayJoin(['call', 'decision']) AS kind,
            poll_due,
            if(kind = 'call', s.2, s.7) AS first,
            if(kind = 'call', s.4, s.9) AS last,
            arrayMap((p, d) -> if(kind = 'call', p, if(d, 1, 0)), s.3, s.8) AS who,
            arrayFill((v, at) -> at > 0, s.5, s.4) AS balance,
            arrayFill((v, at) -> at > 0, s.6, s.4) AS positive,
            s.11 AS last_survivor,
            arrayPopFront(arrayPushBack(arrayReverseFill(x -> x > 0, s.10), 0)) AS later_survivor,
            arrayReverseFill(x -> x > 0, s.12) AS listed,
            arrayReverseFill(x -> x > 0, s.13) AS due,
            arrayMap((at, here, later) -> if(here > at, here, later), last, last_survivor, later_survivor) AS survivor
        FROM slots
    ),
    -- From what came last before: 1 to 2, who ended it (4: nobody yet), and of the beginning the balance, from when it
    -- is above zero, the next survivor; of the end since when what was paid for had been listed, and the poll due.
    -- bitAnd and not AND: the planner takes ten milliseconds for each AND above so many subqueries.
    gaps AS
    (
        SELECT
            kind, poll_due,
            arrayJoin(arrayFilter(g -> bitAnd(g.1 > 0, g.2 - g.1 > 300000), arrayZip(
                arrayPushFront(arrayFill(x -> x > 0, last), 0),
                arrayPushBack(first, toInt64(1000 * toUnixTimestamp({until:DateTime('UTC')}))),
                arrayPushBack(who, 4),
                arrayPushFront(arrayFill((v, at) -> at > 0, balance, last), 0),
                arrayPushFront(arrayFill((v, at) -> at > 0, positive, last), 0),
                arrayPushFront(arrayFill((v, at) -> at > 0, survivor, last), 0),
                arrayPushBack(listed, 0),
                arrayPushBack(due, 0)))) AS g
        FROM kinds
    ),
    -- What the operator stopped: from, to, the mode.
    pauses AS
    (
        SELECT arrayFilter(p -> p.3 IN ('paused', 'nospend'), arrayZip(m.1, arrayPopFront(arrayPushBack(m.1, toInt64(1000 * toUnixTimestamp({until:DateTime('UTC')})))), m.3)) AS stops
        FROM
        (
            SELECT arraySort(r -> (r.1, r.2), groupArray((toUnixTimestamp64Milli(at), row_id, toString(mode)))) AS m
            FROM modes
            WHERE at < {until:DateTime('UTC')}
        )
    ),
    -- What waits at until. It is looked for only if the last call or decision is longer ago than a slot.
    waiting AS
    (
        SELECT count() AS works, min(began) AS works_since
        FROM
        (
            SELECT work_id, toUnixTimestamp64Milli(min(v.at)) AS began
            FROM verdicts AS v
            WHERE run = 'live' AND ((look = 'glance' AND outcome = 'survive') OR look IN ('peek', 'commit')) AND at < {until:DateTime('UTC')}
                AND at >= if(newest.2 + 300 < {until:DateTime('UTC')}, greatest(newest.2, toDateTime(259200, 'UTC')) - 259200, {until:DateTime('UTC')})
            GROUP BY work_id
            HAVING max(look = 'commit') = 0 AND max(look = 'peek' AND outcome != 'survive') = 0
        )
        WHERE work_id NOT IN (SELECT JSONExtractString(header, 'Work-Id', 1) FROM dead WHERE at < {until:DateTime('UTC')} AND at >= {until:DateTime('UTC')} - 2592000)
    ),
    -- Who pays for a peek or a commit has a survivor; where none came since the last call, it had waited from there.
    spans AS
    (
        SELECT
            kind, works, stops, g.2 AS until, g.3 AS who, g.4 AS balance,
            greatest(g.1, g.5, least(
                multiIf(who = 4, if(works > 0, works_since, until), bitAnd(g.6 > 0, g.6 <= until), g.6, who IN (1, 2), if(g.7 > g.1, g.7, g.1), until),
                if(g.7 > 0, g.7, until),
                multiIf(kind = 'decision', until, who = 4, if(poll_due > 0, poll_due, until), g.8 > 0, g.8, until))) AS from,
            arrayFilter(p -> bitAnd(p.2 > from, p.1 < until), stops) AS stopped
        FROM gaps
        CROSS JOIN pauses
        CROSS JOIN waiting
    ),
    stalls AS
    (
        SELECT
            kind, balance, works,
            arrayJoin(arrayFilter(p -> p.2 > p.1, arrayZip(
                arrayPushFront(stopped.2, from),
                arrayPushBack(stopped.1, until),
                arrayPushBack(stopped.3, ['', 'peeker', 'committer', 'watermarker', 'going_on'][1 + who])))) AS stall
        FROM spans
    ),
    -- A stall belongs to each day that it touches.
    days AS
    (
        SELECT day, toUInt64(groupBitmapMerge(w.calls)) AS calls, toUInt64(groupBitmapMerge(w.decisions)) AS decisions, 0 AS began, 0 AS ended, '' AS what, '' AS ended_by, 0 AS balance, 0 AS works
        FROM work_days AS w
        WHERE day >= toDate({since:DateTime('UTC')}) AND day <= toDate({until:DateTime('UTC')})
        GROUP BY day
        UNION ALL
        SELECT toDate(arrayJoin(range(intDiv(stall.1, 86400000), intDiv(stall.2 + 86399999, 86400000)))), 0, 0, stall.1, stall.2, kind, stall.3, balance, if(stall.3 = 'going_on', works, 0)
        FROM stalls
        UNION ALL
        SELECT toDate(arrayJoin(range(intDiv(stop.1, 86400000), intDiv(stop.2 + 86399999, 86400000)))), 0, 0, stop.1, stop.2, 'pause', '', 0, 0
        FROM (SELECT arrayJoin(stops) AS stop FROM pauses)
    )
SELECT
    day, paid_calls, decisions,
    round(longest.1 / 60000, 1) AS no_call_minutes,
    if(longest.1 = 0, NULL, fromUnixTimestamp64Milli(longest.2, 'UTC')) AS no_call_from,
    if(longest.1 = 0, NULL, fromUnixTimestamp64Milli(longest.3, 'UTC')) AS no_call_until,
    longest.4 AS ended_by,
    if(longest.1 = 0, NULL, nullIf(longest.5, -2097152)) AS balance_before,
    round(undecided.1 / 60000, 1) AS no_decision_minutes,
    if(undecided.1 = 0, NULL, fromUnixTimestamp64Milli(undecided.2, 'UTC')) AS no_decision_from,
    if(undecided.1 = 0, NULL, fromUnixTimestamp64Milli(undecided.3, 'UTC')) AS no_decision_until,
    round(stalled / 60000, 1) AS minutes_stalled,
    round(paused / 60000, 1) AS minutes_paused,
    waiting
FROM
(
    SELECT
        day,
        sum(d.calls) AS paid_calls,
        sum(d.decisions) AS decisions,
        maxIf((ended - began, began, ended, ended_by, balance), what = 'call') AS longest,
        maxIf((ended - began, began, ended, ended_by, balance), what = 'decision') AS undecided,
        sumIf((least(ended, 86400000 * (1 + toUInt16(day))) - greatest(began, 86400000 * toUInt16(day)) AS of_day) * (ended - began > 600000), what = 'call') AS stalled,
        sumIf(of_day, what = 'pause') AS paused,
        max(works) AS waiting
    FROM days AS d
    WHERE day >= toDate({since:DateTime('UTC')})
    GROUP BY day
)
ORDER BY day DESC;
