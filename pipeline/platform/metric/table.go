package metric

// The processes.
const (
	every       = "every daemon"
	stages      = "watermarker, peeker, committer"
	tokend      = "tokend"
	watermarker = "watermarker"
	refresher   = "refresher"
	recorder    = "recorder"
	notifier    = "notifier"
)

// Reported by every daemon.
var (
	BuildInfo     = gauge(every, "ratchet_build_info", "1; the build is the label.", "daemon", "version")
	Ready         = gauge(every, "ratchet_daemon_ready", "1 while /readyz reports no reason against it; 0 also when it does not run.", "daemon")
	State         = gauge(every, "ratchet_daemon_state", "1 for the state it is in, 0 for the others.", "daemon", "state")
	Stuck         = gauge(every, "ratchet_daemon_stuck", "1 while nothing gets done although there are work and tokens and nothing is paused.", "daemon")
	NATSConnected = gauge(every, "ratchet_nats_connected", "1 while its connection to NATS is up.", "daemon")
	ProgressAge   = gauge(every, "ratchet_daemon_progress_age_seconds", "Since the last decision or write.", "daemon")
	PaidAge       = gauge(every, "ratchet_daemon_paid_age_seconds", "Since the last paid call.", "daemon")
	Failures      = total(every, "ratchet_failures_total", "Steps that failed and were retried.", "daemon")
	Retries       = total(every, "ratchet_retries_total", "Work that was returned for redelivery, by reason; inserts that were retried.", "daemon", "reason")
	DeadLettered  = total(every, "ratchet_dead_letters_total", "Messages that it could not process and stored in DEAD.", "daemon")
)

// Spending and its results.
var (
	Spent     = total(stages, "ratchet_tokens_spent_total", "Tokens that Keepa reported for calls.", "stage", "kind")
	Calls     = total(stages, "ratchet_calls_total", "Calls to Keepa by result: answered, failed or unknown (no answer arrived).", "stage", "kind", "result")
	Decisions = total(stages, "ratchet_decisions_total", "Verdicts.", "look", "outcome", "reason")
)

// The budget, from tokend.
var (
	Balance      = gauge(tokend, "ratchet_balance_tokens", "The projected balance; negative in debt.")
	BalanceKnown = gauge(tokend, "ratchet_balance_known", "1 once Keepa has reported the balance to this leader.")
	BalanceAge   = gauge(tokend, "ratchet_balance_age_seconds", "Since Keepa last reported the balance.")
	Capacity     = gauge(tokend, "ratchet_balance_capacity_tokens", "Where the balance stops growing.")
	Refill       = gauge(tokend, "ratchet_refill_tokens_per_second", "What the plan brings; times 60 is the plan's figure.")
	Mode         = gauge(tokend, "ratchet_mode", "1 for the mode: burst, recharge, paused, nospend or unknown.", "mode")
	KeyRefused   = gauge(tokend, "ratchet_key_refused", "1 while Keepa answers that the key is wrong or must be paid for.")
	WishRefused  = gauge(tokend, "ratchet_wish_refused", "1 while the mode or policy that the operator wrote is not in effect.")
	Drift        = gauge(tokend, "ratchet_drift_tokens", "Tokens that no claim of ours explains, ever; signed.")
	Expired      = total(tokend, "ratchet_tokens_expired_total", "Tokens that vanished at a full bucket, ever.")
	ClaimsOpen   = gauge(tokend, "ratchet_claims_open", "Open claims: calls in progress, or whose worker died.", "stage")
	ClaimsTokens = gauge(tokend, "ratchet_claims_open_tokens", "Tokens in open claims.", "stage")
	Credit       = gauge(tokend, "ratchet_credit_tokens", "Tokens granted and not claimed.", "stage")
	Price        = gauge(tokend, "ratchet_price_tokens", "What one item of the stage costs on average; absent before the first call.", "stage")
	Waiting      = gauge(tokend, "ratchet_waiting", "Work that was never delivered. The lane glance costs nothing.", "stage", "lane")
	InWork       = gauge(tokend, "ratchet_in_work", "Work that is delivered and not settled.", "stage", "lane")
	Affordable   = gauge(tokend, "ratchet_waiting_affordable", "Work of paid lanes that the stage could pay for now, if it had all free tokens; 0 while paused.", "stage")
	DeadLetters  = gauge(tokend, "ratchet_dead_letters", "Messages in DEAD.")
	ClaimsLost   = total(tokend, "ratchet_claims_lost_total", "Claims whose worker died.")
	CellsRebuilt = total(tokend, "ratchet_grants_rebuilt_total", "Grants that could not be read and were rebuilt from the ledger.")
)

// The list, from the watermarker.
var (
	ListLag      = gauge(watermarker, "ratchet_list_lag_seconds", "Since the list was last read completely.", "query")
	ListOverdue  = gauge(watermarker, "ratchet_list_overdue_seconds", "How long the next read has been due.", "query")
	ListInterval = gauge(watermarker, "ratchet_list_interval_seconds", "Between two reads, as the list's traffic requires.", "query")
	ListRows     = gauge(watermarker, "ratchet_list_rows", "Rows of the whole list, when Keepa last reported them.", "query")
	GapsOwed     = gauge(watermarker, "ratchet_gaps_owed", "Spans below the watermark that are not read yet: kind gap, or seam (between two pages, left to a sweep).", "query", "kind")
	GapEvents    = total(watermarker, "ratchet_gap_events_total", "Gaps opened, filled, and expired: their rows have left the list.", "event")
	RowsRead     = total(watermarker, "ratchet_list_rows_read_total", "Rows of the list that were read.")
	Candidates   = total(watermarker, "ratchet_candidates_total", "Candidates that the list brought.")
)

// The stored deals, from the refresher.
var (
	Stock             = gauge(refresher, "ratchet_stock_deals", "Deals in its work list: held, stale, expired or gone. How many are visible is ratchet_deals.", "state")
	RefreshWanted     = gauge(refresher, "ratchet_refresh_wanted_per_second", "Refreshes that the stock asks for.")
	RefreshAffordable = gauge(refresher, "ratchet_refresh_affordable_per_second", "Refreshes that their share of tokens pays for.")
)

// ClickHouse, from the recorder.
var (
	ClickHouseUp    = gauge(recorder, "ratchet_clickhouse_up", "1 while ClickHouse accepts rows.")
	RecorderLag     = gauge(recorder, "ratchet_recorder_lag_seconds", "How old the newest recorded message is while more wait; 0 when none waits.", "stream")
	RecorderPending = gauge(recorder, "ratchet_recorder_pending", "Messages that wait to be recorded.", "stream")
	RecorderRows    = total(recorder, "ratchet_recorder_rows_total", "Rows stored.", "stream")
	RecorderInsert  = gauge(recorder, "ratchet_recorder_insert_seconds", "How long the last insert took.")
	Deals           = gauge(recorder, "ratchet_deals", "Deals: found (of the stored), stored, visible, stale (of the visible), expired, invalid or set_aside (hidden).", "state")
	DealsAsOf       = gauge(recorder, "ratchet_deals_sequence", "The sequence of a stream up to which ratchet_deals counts.", "stream")
)

// What targets were sent, from the notifier. A target is its number in the list, since its address is a secret.
var (
	NotifySent    = total(notifier, "ratchet_notifications_sent_total", "Messages that the target took.", "target", "service")
	NotifyRefused = total(notifier, "ratchet_notifications_refused_total", "Messages that the target will never take and that were set aside, ever.", "target", "service")
	NotifyWaiting = gauge(notifier, "ratchet_notifications_waiting", "Deals that are not sent yet: they wait for the digest, the end of quiet hours, or a target that fails.", "target", "service")
	NotifyFailing = gauge(notifier, "ratchet_notifications_failing", "1 while the last message was not taken and is retried.", "target", "service")
)
