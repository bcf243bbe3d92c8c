package refresher

import (
	"ratchet/pipeline/domain/refresh"
	"ratchet/pipeline/platform/metric"
)

// metrics are those of the stock as of the last step; a keeper that stands by has none.
func (k *keeper) metrics(put metric.Put) {
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
