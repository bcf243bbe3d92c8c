package watermarker

import (
	"time"

	"ratchet/pipeline/domain/watermark"
	"ratchet/pipeline/platform/metric"
)

// metrics reports the lists that this instance reads. A standby reports none.
func (w *watermarker) metrics(put metric.Put) {
	now := w.env.Now()
	w.shown.Range(func(key, value any) bool {
		query, s := key.(string), value.(watermark.State)
		metric.Age(put, metric.ListLag, now, s.ReadAt, query)
		metric.Age(put, metric.ListOverdue, now, s.NextPoll, query)
		put(metric.ListInterval, (time.Duration(s.IntervalS) * time.Second).Seconds(), query)
		if s.Rows > 0 {
			put(metric.ListRows, float64(s.Rows), query)
		}
		put(metric.GapsOwed, float64(s.Driving()), query, "gap")
		put(metric.GapsOwed, float64(len(s.Gaps)-s.Driving()), query, "seam")
		return true
	})
}
