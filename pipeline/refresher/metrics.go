package refresher

import (
	"ratchet/pipeline/domain/refresh"
	"ratchet/pipeline/platform/metric"
)

// metrics puts the state of the stock after the last step; a standby puts nothing.
func (k *refresher) metrics(put metric.Put) {
	s := k.shown.Load()
	if s == nil {
		return
	}
	put(metric.Stock, float64(s.Held), string(refresh.Held))
	put(metric.Stock, float64(s.Stale), string(refresh.Stale))
	put(metric.Stock, float64(s.Expired), string(refresh.Expired))
	put(metric.Stock, float64(s.Gone), string(refresh.Gone))
	put(metric.RefreshWanted, s.Demand/3600)
	put(metric.RefreshAffordable, s.PerHour/3600)
}
