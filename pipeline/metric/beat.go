package metric

import (
	"strings"

	"ratchet/pipeline"
)

// states are those of a heartbeat.
var states = []string{"idle", "working", "waiting_for_tokens", "standby", "circuit_open", "stuck"}

// counted are the counters of heartbeats that are metrics without a further label; by whom, where it matters.
var counted = []struct {
	name   string
	metric *Metric
}{
	{"failures", Failures},
	{"failed_turns", Failures},
	{"dead", Buried},
	{"buried", Buried},
	{"claims_lost", ClaimsLost},
	{"cells_rebuilt", CellsRebuilt},
	{"rows", RowsRead},
	{"candidates", Candidates},
}

// Beat puts what a heartbeat says.
func Beat(put Put, h pipeline.Heartbeat, connected bool) {
	d := h.Daemon
	put(BuildInfo, 1, d, h.Build)
	put(NATSConnected, Truth(connected), d)
	put(Stuck, Truth(h.Stuck != "" || h.State == "stuck"), d)
	OneOf(put, State, h.State, states, d)
	Age(put, ProgressAge, h.At, h.LastProgress, d)
	Age(put, PaidAge, h.At, h.LastPaid, d)
	for _, c := range counted {
		if n, ok := h.Counters[c.name]; ok {
			put(c.metric, float64(n), d)
		}
	}
	reasons(put, h)
}

// reasons are the counters whose name has the value of a label.
func reasons(put Put, h pipeline.Heartbeat) {
	for name, n := range h.Counters {
		switch code, again := strings.CutPrefix(name, "again_"); {
		case again:
			put(Retries, float64(n), h.Daemon, code)
		case name == "retries":
			put(Retries, float64(n), h.Daemon, "clickhouse")
		case strings.HasPrefix(name, "gap_"):
			put(GapEvents, float64(n), strings.TrimPrefix(name, "gap_"))
		}
	}
}
