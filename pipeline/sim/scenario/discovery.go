package scenario

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"ratchet/pipeline"
	"ratchet/pipeline/domain/keepa"
	"ratchet/pipeline/domain/watermark"
	"ratchet/pipeline/platform/bus"
)

// censusEvery is the interval between two censuses of the list,
// pipeline time; never shorter than censusLeast of the machine's.
const (
	censusEvery = 3 * time.Minute
	censusLeast = 100 * time.Millisecond
)

// discovery is what the list actually held during a run, and what the watermarker claimed to have seen of it.
type discovery struct {
	rig *Rig

	mu     sync.Mutex
	there  map[watermark.Row]*watermark.Sighting // rows that the last census saw
	left   []watermark.Sighting
	states map[string][]watermark.Written // by key, in order
	claims []watermark.Proof
}

// Discovered are the figures of discovery. They compare it with the census of the list.
type Discovered struct {
	Rows           map[watermark.Fate]int `json:"rows,omitempty"`                // stays of rows on the list, by fate
	UnseenEstimate float64                `json:"unseen_estimate,omitempty"`     // by the watermarker
	Gaps           map[pipeline.Event]int `json:"gaps,omitempty"`                // the ledger's lines about the list
	GapRowsMissed  int                    `json:"gap_rows_missed,omitempty"`     // in gaps that expired, estimated
	Outages        int                    `json:"outages,omitempty"`             // gaps of ten hours or more
	FoundPolls     float64                `json:"found_p95_polls,omitempty"`     // polls until a new price was found
	FoundOldHours  float64                `json:"found_old_max_hours,omitempty"` // until an old date was found
}

func newDiscovery(r *Rig) *discovery {
	return &discovery{rig: r, there: map[watermark.Row]*watermark.Sighting{}, states: map[string][]watermark.Written{}}
}

// observe records every state that the watermarker writes, and what it claims.
func (d *discovery) observe(m *nats.Msg) {
	var s watermark.State
	if json.Unmarshal(m.Data, &s) != nil {
		return // deleted by an operator
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	now := d.rig.Env.Now()
	states := d.states[m.Subject]
	if len(states) > 0 {
		if c, ok := watermark.ProofOf(states[len(states)-1].State, s, now); ok {
			d.claims = append(d.claims, c)
		}
	}
	d.states[m.Subject] = append(states, watermark.Written{State: s, At: now})
}

// run takes the census until stop is closed.
func (d *discovery) run(ctx context.Context, stop <-chan struct{}) {
	tick := time.NewTicker(max(censusLeast, d.rig.Env.Clock.Machine(censusEvery)))
	defer tick.Stop()
	for {
		select {
		case <-stop:
			return
		case <-ctx.Done():
			return
		case <-tick.C:
			d.count()
		}
	}
}

// count takes one census. A row that a census misses has left; if it comes again, that is another stay.
func (d *discovery) count() {
	before := d.rig.Env.Now()
	census := d.rig.Sim.Census()
	after := d.rig.Env.Now()
	d.mu.Lock()
	defer d.mu.Unlock()
	seen := make(map[watermark.Row]bool, len(census))
	for _, c := range census {
		row := watermark.Row{ASIN: c.ASIN, At: watermark.Mark(c.CreationDate)}
		seen[row] = true
		if s := d.there[row]; s != nil {
			s.Last = before
		} else {
			d.there[row] = &watermark.Sighting{Row: row, First: after, Last: before, Listed: true}
		}
	}
	if len(census) == 0 {
		return // no query yet
	}
	for row, s := range d.there {
		if !seen[row] {
			s.Listed = false
			d.left = append(d.left, *s)
			delete(d.there, row)
		}
	}
}

// sightings returns all stays that a census saw.
func (d *discovery) sightings() []watermark.Sighting {
	out := slices.Clone(d.left)
	for _, s := range d.there {
		out = append(out, *s)
	}
	return out
}

// balance fills in the discovery figures, row by row.
func (f *Figures) balance(ctx context.Context, r *Rig, d *discovery, w workSet) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	books := watermark.Audit{Proofs: d.claims, Found: w.fate}
	for _, states := range d.states {
		last := states[len(states)-1].State
		books.Owed = append(books.Owed, last.Gaps...)
		f.UnseenEstimate += last.Unseen
	}
	gone, err := f.gaps(ctx, r.Bus)
	if err != nil {
		return err
	}
	books.Gone = gone
	all := d.sightings()
	sum, missing := books.Balance(all)
	f.Rows = sum
	f.RowsUnaccounted += sum[watermark.Unaccounted]
	for _, m := range missing[:min(3, len(missing))] {
		f.Notes = append(f.Notes, fmt.Sprintf("unaccounted: %s dated %s, listed from %s to %s",
			m.ASIN, keepa.Minute(m.At).Time().Format(time.DateTime), m.First.Format(time.DateTime), m.Last.Format(time.DateTime)))
	}
	f.latency(all, d.states, w)
	return nil
}

func (f *Figures) latency(all []watermark.Sighting, states map[string][]watermark.Written, w workSet) {
	var found []watermark.Found
	for _, s := range all {
		if at, ok := w.offered[s.Row]; ok {
			found = append(found, watermark.Found{Sighting: s, At: at})
		}
	}
	for _, key := range slices.Sorted(maps.Keys(states)) {
		polls, old := watermark.Latency(found, states[key], func(t time.Time) watermark.Mark { return watermark.Mark(keepa.FromTime(t)) })
		f.FoundPolls, f.FoundOldHours = max(f.FoundPolls, polls), max(f.FoundOldHours, math.Round(100*old.Hours())/100)
	}
}

// outage is the least length of a gap that only an outage leaves.
const outage = 10 * 60 // minutes

// gaps counts the ledger's events about gaps, and returns the gaps that expired.
func (f *Figures) gaps(ctx context.Context, b *bus.Bus) ([]watermark.Gap, error) {
	var gone []watermark.Gap
	opened := map[string]time.Time{}
	f.Gaps = map[pipeline.Event]int{}
	err := bus.ScanJSON(ctx, b, pipeline.StreamLedger, bus.From{Subjects: []string{"ledger." + string(pipeline.StageWatermarker) + ".>"}},
		func(_ bus.Read, e pipeline.Entry) error {
			switch e.Event {
			case pipeline.EventGapOpened:
				opened[e.Note] = e.At
				if e.From > 0 && e.To-e.From >= outage {
					f.Outages++
				}
			case pipeline.EventGapExpired:
				gone = append(gone, watermark.Gap{ID: e.Note, From: watermark.Mark(e.From), To: watermark.Mark(e.To), RowsEstimate: e.RowsEstimate})
				f.GapRowsMissed += e.RowsEstimate
			case pipeline.EventGapFilled, pipeline.EventPoll, pipeline.EventSweep:
			default:
				return nil
			}
			f.Gaps[e.Event]++
			return nil
		})
	return gone, err
}

// fate returns the fate of a row that was offered as a candidate.
func (w workSet) fate(r watermark.Row) (watermark.Fate, bool) {
	f, ok := w.fates[r]
	return f, ok
}
