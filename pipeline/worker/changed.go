package worker

import (
	"log/slog"
	"maps"
	"slices"

	"ratchet/pipeline/domain/keepa"
)

// Changed reports fields of Keepa's answers that have an unexpected type and that
// no decision needs. Each is counted, but logged only once in the life of the
// process, since a changed field comes with every answer. The heartbeat names them.
func (p *Status) Changed(log *slog.Logger, fields []*keepa.TypeError) {
	for _, f := range fields {
		if p.changed(f.Path) {
			log.Warn("keepa changed a field's type, it is left out", "field", f.Path, "want", f.Want, "got", f.Got)
		}
	}
}

// changed counts a field and reports whether it is the first time.
func (p *Status) changed(path string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.h.Counters["changed_fields"]++
	known, _ := p.h.Detail["changed_fields"].([]string)
	if slices.Contains(known, path) {
		return false
	}
	// A heartbeat that was handed out may be being encoded: it keeps its own map and list.
	known = append(slices.Clone(known), path)
	slices.Sort(known)
	detail := maps.Clone(p.h.Detail)
	detail["changed_fields"] = known
	p.h.Detail = detail
	return true
}
