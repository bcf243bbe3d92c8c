// Package trace makes OpenTelemetry spans of what happens to a unit of work, through all daemons:
//
//	candidate ─▶ wait, glance ─▶ wait, peek ─▶ wait, commit ─▶ record
//	 list row      CANDIDATES      claim, keepa, store, decide, publish, settle
//
// One unit of work is one trace. Its id is made of the Work-Id, so that a redelivery, a retry of a step and a daemon
// that got no recorded header all land in it; the header traceparent adds which span caused which. A message whose
// header names another trace is linked to that one and stays in the trace of its work. A replay makes no spans.
//
// The standard variables turn it on (see Read). Without them every *Tracer, *Step and *SubSpan is nil: their methods
// return at once and allocate nothing, and the headers name the trace with the flag that it is not recorded.
package trace
