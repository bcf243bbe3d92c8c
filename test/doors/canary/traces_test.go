package canary_test

import (
	"fmt"
	"slices"
	"testing"

	"ratchet/test/desk"
	"ratchet/test/metrics/traces"
)

// awaitDeal waits for the whole trace of a deal, from the list's row to its row in ClickHouse, and looks at each span.
func awaitDeal(t *testing.T, c *traces.Collector) {
	t.Helper()
	var deal []traces.Span
	desk.Await(t, "the whole trace of a deal", func() bool {
		for _, spans := range c.Traces() {
			if len(missing(spans)) == 0 {
				deal = spans
				return true
			}
		}
		return false
	})
	ids, roots := map[string]bool{}, 0
	for _, s := range deal {
		ids[s.ID] = true
	}
	for _, s := range deal {
		switch {
		case s.Parent == "":
			roots++
			if s.Name != "candidate" || s.Trace[:24] != s.Facts["ratchet.work_id"] {
				t.Errorf("the trace %s begins with %+v", s.Trace, s)
			}
		case !ids[s.Parent]:
			t.Errorf("the parent of %+v is in no span", s)
		}
		if s.TookNano < 0 {
			t.Errorf("%+v ends before it begins", s)
		}
	}
	if roots != 1 {
		t.Errorf("%d spans begin the trace, want the candidate alone", roots)
	}
	absent(t, "what a collector of traces was sent", c.Raw())
}

// missing are the spans that a deal's trace has not, as SERVICE: NAME.
func missing(spans []traces.Span) []string {
	want := []string{
		"watermarker: candidate", "watermarker: keepa", "watermarker: store", "peeker: wait", "peeker: glance", "peeker: peek", "peeker: claim",
		"peeker: keepa", "committer: wait", "committer: commit", "committer: claim", "committer: keepa", "committer: store", "committer: decide",
		"committer: publish", "committer: settle", "recorder: record VERDICTS", "recorder: record DEALS",
	}
	for _, s := range spans {
		name := s.Service + ": " + s.Name
		if s.Service == "recorder" {
			name += " " + s.Facts["messaging.destination.name"]
		}
		want = slices.DeleteFunc(want, func(w string) bool { return w == name })
		if s.Name == "commit" && s.Facts["ratchet.outcome"] != "accept" {
			return []string{fmt.Sprintf("the accept: it is %s", s.Facts["ratchet.outcome"])}
		}
	}
	return want
}
