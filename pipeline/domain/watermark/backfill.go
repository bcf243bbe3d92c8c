package watermark

// Before reports whether a row is older than our reading: the list's first sweep has not ended, and its price is
// half a day old, and so likely to hold for longer. Such rows are the backfill: they are worth a look, and never
// delay new rows. keepaNow may be off by minutes; it only chooses the lane.
func (s State) Before(row, keepaNow Mark, p Plan) bool {
	return s.LastSweep.IsZero() && keepaNow-row > Mark(p.Backfill.Minutes())
}
