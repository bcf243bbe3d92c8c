package cli

import (
	"maps"
	"slices"
)

// writeAgain prints why work was returned and waits, by daemon.
func (s Status) writeAgain(p *lines) {
	for _, h := range s.Daemons {
		waiting, _ := h.Detail["waiting"].(map[string]any)
		for _, why := range slices.Sorted(maps.Keys(waiting)) {
			if n, _ := waiting[why].(float64); n > 0 {
				p.f("%s waiting: %.0f × %s\n", h.Daemon, n, why)
			}
		}
	}
}
