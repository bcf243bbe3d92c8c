package metric

import "ratchet/pipeline"

// states are the possible states of a heartbeat.
var states = []string{"idle", "working", "waiting_for_tokens", "standby", "circuit_open", "stuck"}

// series are the counters of a daemon's heartbeat that are exported, each with its labels after the
// daemon's. They start at 0, because Prometheus sees no increase in a series that appears with 1.
func series(daemon string) map[string]count {
	spender := map[string]count{"failures": {Failures, ""}, "dead": {DeadLettered, ""}}
	for _, reason := range RetryReasons() {
		spender["again_"+reason] = count{Retries, reason}
	}
	switch daemon {
	case tokend:
		return map[string]count{"failed_turns": {Failures, ""}, "claims_lost": {ClaimsLost, ""}, "cells_rebuilt": {CellsRebuilt, ""}}
	case recorder:
		return map[string]count{"failures": {Failures, ""}, "buried": {DeadLettered, ""}, "retries": {Retries, "clickhouse"}}
	case notifier:
		return map[string]count{"failures": {Failures, ""}}
	case watermarker:
		for _, event := range []string{"opened", "filled", "expired"} {
			spender["gap_"+event] = count{GapEvents, event}
		}
		spender["rows"], spender["candidates"] = count{RowsRead, ""}, count{Candidates, ""}
	}
	return spender
}

type count struct {
	metric *Metric
	label  string
}

// RetryReasons are the reasons for which work is returned for redelivery.
func RetryReasons() []string {
	return []string{"nospend", "unfunded", "ordered", "elsewhere", "part", "left_out", "price", "rules", "call_failed", "step_failed"}
}

// Beat puts the metrics of a heartbeat.
func Beat(put Put, h pipeline.Heartbeat, connected bool) {
	d := h.Daemon
	put(BuildInfo, 1, d, h.Build)
	put(NATSConnected, Truth(connected), d)
	put(Stuck, Truth(h.Stuck != "" || h.State == "stuck"), d)
	OneOf(put, State, h.State, states, d)
	Age(put, ProgressAge, h.At, h.LastProgress, d)
	Age(put, PaidAge, h.At, h.LastPaid, d)
	for name, c := range series(d) {
		var labels []string
		for _, l := range c.metric.Labels {
			if l == "daemon" {
				labels = append(labels, d)
			} else {
				labels = append(labels, c.label)
			}
		}
		put(c.metric, float64(h.Counters[name]), labels...)
	}
}
