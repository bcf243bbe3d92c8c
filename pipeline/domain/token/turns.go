package token

import "ratchet/pipeline"

// LaneWeights divide the peeker's tokens among its lanes.
func LaneWeights() map[pipeline.Source]int {
	return map[pipeline.Source]int{
		pipeline.SourceLive: 60, pipeline.SourceGap: 15, pipeline.SourceRefresh: 15,
		pipeline.SourceBackfill: 5, pipeline.SourceRepair: 5, pipeline.SourceRetry: 5,
	}
}

// Turns count how often each lane was served, or left its turn to others.
type Turns map[pipeline.Source]int

// Next returns the lane with work that has had the least of its weight; "" without work. Empty lanes become level with
// it, so that they do not save up turns: with work again a lane has its share, not everything that it left to others.
func (t Turns) Next(waiting map[pipeline.Source]int) pipeline.Source {
	weights := LaneWeights()
	var next pipeline.Source
	score := 0.0
	for _, s := range pipeline.Sources() {
		if waiting[s] == 0 {
			continue
		}
		if sc := float64(t[s]+1) / float64(weights[s]); next == "" || sc < score {
			next, score = s, sc
		}
	}
	if next == "" {
		return ""
	}
	for _, s := range pipeline.Sources() {
		if waiting[s] == 0 {
			t[s] = max(t[s], t[next]*weights[s]/weights[next])
		}
	}
	return next
}
