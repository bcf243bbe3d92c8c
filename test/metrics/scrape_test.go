package metrics_test

import (
	"io"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// A scrape is what /metrics answered: of each metric its series, each a value by label.
type scrape map[string][]map[string]string

var (
	seriesLine = regexp.MustCompile(`^([a-z_]+)(?:\{(.*)\})? \S+$`)
	labelPair  = regexp.MustCompile(`([a-z_]+)="((?:[^"\\]|\\.)*)"`)
)

func scraped(t *testing.T, addr string) (scrape, string) {
	t.Helper()
	resp, err := http.Get("http://" + addr + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("%s: %v: %s", resp.Status, err, body)
	}
	out := scrape{}
	for line := range strings.Lines(string(body)) {
		m := seriesLine.FindStringSubmatch(strings.TrimSpace(line))
		if m == nil || strings.HasPrefix(line, "#") {
			continue
		}
		series := map[string]string{}
		for _, pair := range labelPair.FindAllStringSubmatch(m[2], -1) {
			series[pair[1]] = pair[2]
		}
		out[m[1]] = append(out[m[1]], series)
	}
	return out, string(body)
}

// labels are those of a metric.
func (s scrape) labels(metric string) []string {
	all := map[string]bool{}
	for _, series := range s[metric] {
		for l := range series {
			all[l] = true
		}
	}
	return slices.Sorted(maps.Keys(all))
}

// values are those of one label of a metric.
func (s scrape) values(metric, label string) map[string]bool {
	all := map[string]bool{}
	for _, series := range s[metric] {
		if v, ok := series[label]; ok {
			all[v] = true
		}
	}
	return all
}

var (
	selector = regexp.MustCompile(`\b((?:ratchet|process|go)_[a-z0-9_]+)(?:\{([^}]*)\})?`)
	matcher  = regexp.MustCompile(`([a-z_]+)\s*(?:=~|!~|!=|=)\s*"([^"]*)"`)
	grouping = regexp.MustCompile(`\b(?:by|on|ignoring|without)\s*\(([^)]*)\)`)
)

// wrong is what an expression, and labels that are shown with it, name and the scrape has not.
func (s scrape) wrong(expr string, shown ...string) []string {
	var out []string
	has := map[string]bool{"instance": true, "job": true} // by Prometheus itself
	has["plan"] = true                                    // of the processes of a named plan
	found := selector.FindAllStringSubmatch(expr, -1)
	if len(found) == 0 {
		return []string{"names no metric"}
	}
	for _, m := range found {
		if len(s[m[1]]) == 0 {
			out = append(out, "no metric "+m[1])
		}
		for _, l := range s.labels(m[1]) {
			has[l] = true
		}
		for _, want := range matcher.FindAllStringSubmatch(m[2], -1) {
			for v := range strings.SplitSeq(want[2], "|") {
				if v != "" && !s.values(m[1], want[1])[v] { // an empty value is that of series without the label
					out = append(out, m[1]+" has no "+want[1]+"="+v)
				}
			}
		}
	}
	for _, g := range grouping.FindAllStringSubmatch(expr, -1) {
		for l := range strings.SplitSeq(g[1], ",") {
			shown = append(shown, strings.TrimSpace(l))
		}
	}
	for _, l := range shown {
		if l != "" && !has[l] {
			out = append(out, "no label "+l)
		}
	}
	return out
}
