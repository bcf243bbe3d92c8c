package worker

import (
	"log/slog"
	"maps"
	"slices"

	"ratchet/pipeline/domain/keepa"
)

// Changed reports fields of Keepa's answers whose type is not what it used to be and
// that no decision needs: each is counted, and warned about once while the process
// lives, since a field that changed comes with every answer. The heartbeat names them.
func (p *Pulse) Changed(log *slog.Logger, fields []*keepa.TypeError) {
	for _, f := range fields {
		if p.changed(f.Path) {
			log.Warn("keepa changed a field's type, it is left out", "field", f.Path, "want", f.Want, "got", f.Got)
		}
	}
}

// changed counts a field and says whether it is the first time.
func (p *Pulse) changed(path string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.h.Counters["changed_fields"]++
	known, _ := p.h.Detail["changed_fields"].([]string)
	if slices.Contains(known, path) {
		return false
	}
	// A heartbeat that was handed out is being encoded: it keeps its own map and list.
	known = append(slices.Clone(known), path)
	slices.Sort(known)
	detail := maps.Clone(p.h.Detail)
	if detail == nil {
		detail = map[string]any{}
	}
	detail["changed_fields"] = known
	p.h.Detail = detail
	return true
}
