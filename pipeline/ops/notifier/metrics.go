package notifier

import (
	"strconv"

	"ratchet/pipeline/platform/metric"
)

// metrics puts what each target was sent.
func (n *notifier) metrics(put metric.Put) {
	for _, l := range n.senders {
		s := l.status()
		target := []string{strconv.Itoa(l.target.Number), l.target.Kind}
		put(metric.NotifySent, float64(s.Sent), target...)
		put(metric.NotifyRefused, float64(s.Refused), target...)
		put(metric.NotifyWaiting, float64(s.Waiting), target...)
		put(metric.NotifyFailing, metric.Truth(s.LastError != ""), target...)
	}
}
