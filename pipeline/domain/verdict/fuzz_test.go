package verdict

import (
	"encoding/json"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"

	"ratchet/pipeline"
	"ratchet/pipeline/domain/keepa"
	"ratchet/schemas"
)

// told matches every complaint: the line and the field, except those about the whole file.
var told = regexp.MustCompile(`^(line \d+: .+|the file is too long.*|not YAML.*|and \d+ more)$`)

// FuzzRules: any rule file is refused with a reason or it decides, and its decisions are complete.
func FuzzRules(f *testing.F) {
	f.Add(string(schemas.UsedBooks))
	f.Add(oneRule("glance", "used_cents * 2 > new_cents", "need"))
	f.Add(oneRule("commit", "roi_percent < 10 or landed_cents / used_cents > 3", "reject"))
	f.Add(oneRule("peek", "max(used_avg90_cents, sale_count) % rank == 0", "pass"))
	f.Add("name: x\nrules: {}\n")
	f.Add(oneRule("glance", "max(1, rank) == 1 or used_cents % max(rank, 1) == 0", "pass"))
	f.Add(rulesOf("settings: {prep_cents: 2.75, tax_percent: 5%}\nthresholds:\n  a: 010\n"))
	f.Add("\ufeffname: x\r\n---\r\nname: &a !b |\r\n  y\r\n")
	row := keepa.DealRow{ASIN: "A", Current: keepa.Values{-1, 900, 2000, 5000}}
	f.Fuzz(func(t *testing.T, text string) {
		j, err := NewJudge([]byte(text))
		if err != nil {
			for _, line := range strings.Split(err.Error(), "\n") {
				if !told.MatchString(line) {
					t.Errorf("refused without line and field: %q", line)
				}
			}
			return
		}
		outcomes, err := j.Explain(pipeline.LookCommit, row, &keepa.Product{ASIN: "A", Stats: &keepa.Stats{Current: row.Current}}, nil, now)
		if err != nil {
			t.Fatal(err)
		}
		for _, o := range outcomes {
			if o.Error != "" {
				t.Errorf("%s was accepted, and fails: %s", o.Rule.When, o.Error)
			}
		}
		for _, found := range []Finding{j.Glance(row, now), j.Peek(row, keepa.Product{ASIN: "A"}, now), j.Commit(row, keepa.Product{ASIN: "A"}, nil, now)} {
			if found.Outcome == "" || found.Reason == "" || (found.Outcome == pipeline.Reject) != (found.RuleID != "") {
				t.Errorf("incomplete: %+v", found)
			}
		}
	})
}

// FuzzKept: kept inputs are read as encoding/json reads them, or not at all.
func FuzzKept(f *testing.F) {
	j, err := NewJudge(schemas.UsedBooks)
	if err != nil {
		f.Fatal(err)
	}
	whole := map[string]any{}
	for _, name := range j.Needs(pipeline.LookPeek) {
		whole[name] = nil
	}
	whole["has_used"], whole["sale_count"], whole["roi_percent"] = true, 3, 12.5
	body, err := json.Marshal(whole)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(body)
	f.Add([]byte(`{"has_used":true}`))
	f.Add([]byte(`{"a":{"b":1}}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		s := j.Redecider(pipeline.LookPeek)
		thought, ok := s.Decide(body)
		if !ok {
			return
		}
		if thought.Outcome == "" || thought.Reason == "" {
			t.Errorf("incomplete: %+v", thought)
		}
		var plain map[string]any
		if json.Unmarshal(body, &plain) != nil {
			return // it is laxer about what it need not read
		}
		kept := s.Kept()
		for _, name := range slices.Sorted(maps.Keys(kept)) {
			was, named := plain[name]
			a, errA := json.Marshal(kept[name])
			b, errB := json.Marshal(was)
			if !named || (kept[name] == nil) != (was == nil) || errA != nil || errB != nil {
				t.Errorf("%s: read as %s, is %s", name, a, b)
			}
		}
	})
}
