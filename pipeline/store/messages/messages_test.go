package messages

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"ratchet/pipeline"
	"ratchet/pipeline/domain/decide"
)

func aWork() decide.Work {
	id := pipeline.Identity{Domain: 1, ASIN: "B000000001", PriceType: 2, CreationDate: 7_000_000}
	return decide.Work{ID: "w1", Survivor: pipeline.Survivor{Candidate: pipeline.Candidate{
		Identity: id, Source: pipeline.SourceLive, Row: json.RawMessage(`{"asin":"B000000001"}`),
	}}}
}

func TestWhatIsPublishedNamesItsWorkAndRepeatsUnderOneID(t *testing.T) {
	t.Parallel()
	w := aWork()
	v := pipeline.Verdict{
		Identity: w.Survivor.Identity, Look: pipeline.LookPeek, Outcome: pipeline.Survive, Tier: pipeline.TierA, TokensSpent: 3,
		ResponseIDs: []string{"7"}, DecidedAt: time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC), Deal: json.RawMessage("{}"),
	}
	worth := int64(1234)
	v.ExpectedValueCents = &worth
	again := v
	again.DecidedAt = v.DecidedAt.Add(time.Hour)
	for name, pair := range map[string][2]string{
		"verdict":  {Verdict(pipeline.RunLive, "w1", "", v).ID, Verdict(pipeline.RunLive, "w1", "", again).ID},
		"deal":     {Deal("w1", v).ID, Deal("w1", again).ID},
		"survivor": {Survivor(w, v, "a").ID, Survivor(w, again, "a").ID},
	} {
		if pair[0] != pair[1] || !strings.Contains(pair[0], "w1") {
			t.Errorf("%s: decided again it bears %q, and before %q", name, pair[1], pair[0])
		}
	}
	if a, b := Verdict("r1", "w1", "S/1", v), Verdict(pipeline.RunLive, "w1", "S/1", v); a.ID == b.ID || a.Run != "r1" || a.WorkID != "w1" || a.Header[pipeline.HeaderOrigin] != "S/1" {
		t.Errorf("a replay's verdict: %+v", a)
	}
	m := Survivor(w, v, "a")
	var s pipeline.Survivor
	if err := json.Unmarshal(m.Body, &s); err != nil || s.TokensSpent != 3 || len(s.ResponseIDs) != 1 || s.Tier != pipeline.TierA || s.ExpectedValueCents == nil || *s.ExpectedValueCents != worth || m.Subject != "survivor.1.peek.a.B000000001" {
		t.Errorf("%s: %+v, %v", m.Subject, s, err)
	}
}

func TestAMessageThatContradictsItsHeadersIsRefused(t *testing.T) {
	t.Parallel()
	head := func(schema, work string) map[string][]string {
		return map[string][]string{pipeline.HeaderSchema: {schema}, pipeline.HeaderWorkID: {work}}
	}
	body := func(asin string) []byte {
		w := aWork()
		w.Survivor.ASIN = asin
		raw, _ := json.Marshal(w.Survivor) //nolint:errchkjson // it holds nothing that JSON cannot
		return raw
	}
	for name, c := range map[string]struct {
		head map[string][]string
		body []byte
		ok   bool
	}{
		"a candidate":               {head(pipeline.SchemaCandidate, "w1"), body("B000000001"), true},
		"another schema":            {head("ratchet.candidate.v0", "w1"), body("B000000001"), false},
		"no schema":                 {head("", "w1"), body("B000000001"), false},
		"no Work-Id":                {head(pipeline.SchemaCandidate, ""), body("B000000001"), false},
		"no JSON":                   {head(pipeline.SchemaCandidate, "w1"), []byte("{"), false},
		"an ASIN of another shape":  {head(pipeline.SchemaCandidate, "w1"), body("B00000.001"), false},
		"a row that cannot be read": {head(pipeline.SchemaCandidate, "w1"), []byte(`{"asin":"B000000001","row":[]}`), false},
	} {
		w, err := Work(pipeline.SchemaCandidate, c.head, c.body)
		if (err == nil) != c.ok || c.ok && (w.ID != "w1" || w.Row.ASIN != "B000000001") {
			t.Errorf("%s: %+v, %v", name, w, err)
		}
	}
}
