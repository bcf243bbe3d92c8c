// Package metrics_test holds the alerts and the pages for Grafana against what a real run says.
package metrics_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"

	"ratchet/pipeline"
	"ratchet/pipeline/ops/standalone"
	"ratchet/pipeline/platform/bus"
	"ratchet/pipeline/platform/embedded/clickhouse/chtest"
	"ratchet/pipeline/platform/machinetest"
	"ratchet/pipeline/platform/metric"
	"ratchet/test/desk"
)

const deploy = "../../deploy"

// seriesMost is how many series of ours one process may have.
const seriesMost = 600

func TestWhatAlertsAndPagesNameExistsInARealRun(t *testing.T) {
	if testing.Short() {
		t.Skip("a run with a ClickHouse takes seconds")
	}
	t.Parallel()
	target := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer target.Close()
	box, err := standalone.Start(t.Context(), standalone.Options{
		Data: t.TempDir(), World: standalone.Simulated, ClickHouse: chtest.Database(t), Settings: map[string]string{"NOTIFY_TARGETS": target.URL},
		Probes: "127.0.0.1:0", Speed: 300, Seed: 1, Rate: 60, Balance: standalone.FullBucket, Log: slog.New(slog.DiscardHandler), Version: "test",
	})
	if err != nil {
		t.Fatal(err)
	}
	defer box.Stop(context.Background())
	var s scrape
	var body, missing string
	defer func() {
		if missing != "" {
			t.Logf("there never was %s", missing)
		}
	}()
	desk.Await(t, "every metric of the table, and a deal", func() bool {
		s, body = scraped(t, box.Probes)
		if missing = s.missing(); missing == "" && !accepted.MatchString(body) {
			missing = "an accepted deal"
		}
		return missing == ""
	})
	box.StopStages()
	_, last := scraped(t, box.Probes)
	t.Run("what was spent is what the ledger says", func(t *testing.T) { asTheLedger(t, box.Bus, last) })
	t.Run("every label is that of the table", func(t *testing.T) { sameLabels(t, s) })
	t.Run("nothing that came from Keepa is a label", func(t *testing.T) { bounded(t, s, body) })
	t.Run("alerts", func(t *testing.T) {
		for _, r := range rules(t) {
			for _, w := range s.wrong(r.Expr, shownIn(fmt.Sprint(r.Annotations))...) {
				t.Errorf("%s: %s", r.Alert, w)
			}
		}
	})
	for name, page := range pages(t) {
		t.Run(name, func(t *testing.T) {
			for _, p := range page.Panels {
				for _, target := range p.Targets {
					for _, w := range s.wrong(target.Expr, shownIn(target.LegendFormat)...) {
						t.Errorf("panel %q: %s: %s", p.Title, target.Expr, w)
					}
				}
			}
		})
	}
}

// missing is the first metric of the table that the scrape has not.
func (s scrape) missing() string {
	for _, m := range metric.Table() {
		if len(s[m.Name]) == 0 {
			return m.Name
		}
	}
	return ""
}

// accepted is the series that begins at zero with the committer's start, once it has counted a deal.
var accepted = regexp.MustCompile(`(?m)^ratchet_decisions_total\{look="commit",outcome="accept",reason="ok"\} [1-9]`)

var spentLine = regexp.MustCompile(`(?m)^ratchet_tokens_spent_total\{kind="(.*)",stage="(.*)"\} (\S+)$`)

func asTheLedger(t *testing.T, b *bus.Bus, body string) {
	want, got := map[string]float64{}, map[string]float64{}
	err := bus.ScanJSON(t.Context(), b, pipeline.StreamLedger, bus.From{}, func(_ bus.Read, e pipeline.Entry) error {
		if e.Event == pipeline.EventClose && e.Tokens != 0 {
			want[string(e.PriceKind)+" by "+string(e.Stage)] += float64(e.Tokens)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range spentLine.FindAllStringSubmatch(body, -1) {
		if got[m[1]+" by "+m[2]], err = strconv.ParseFloat(m[3], 64); err != nil {
			t.Error(err)
		}
	}
	maps.DeleteFunc(got, func(_ string, n float64) bool { return n == 0 })
	if len(want) < 3 || !maps.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func sameLabels(t *testing.T, s scrape) {
	for _, m := range metric.Table() {
		if want := slices.Sorted(slices.Values(m.Labels)); !slices.Equal(s.labels(m.Name), want) {
			t.Errorf("%s has the labels %q, want %q", m.Name, s.labels(m.Name), want)
		}
	}
}

var asin = regexp.MustCompile(`\bB0[0-9A-Z]{8}\b|\b[0-9]{9}[0-9X]\b`)

func bounded(t *testing.T, s scrape, body string) {
	n := 0
	for name, series := range s {
		if !strings.HasPrefix(name, "ratchet_") {
			continue
		}
		n += len(series)
		for _, labels := range series {
			for l, v := range labels {
				if asin.MatchString(v) || strings.ContainsAny(v, " /") {
					t.Errorf("%s: %s=%q", name, l, v)
				}
			}
		}
	}
	if n > seriesMost {
		t.Errorf("%d series, want at most %d", n, seriesMost)
	}
	if strings.Contains(body, "://") {
		t.Error("an address is in the answer")
	}
	t.Logf("%d series, %d bytes", n, len(body))
}

// A rule is an alert of the file.
type rule struct {
	Alert       string            `yaml:"alert"`
	Expr        string            `yaml:"expr"`
	For         string            `yaml:"for"`
	Labels      map[string]string `yaml:"labels"`
	Annotations map[string]string `yaml:"annotations"`
}

func rules(t *testing.T) []rule {
	t.Helper()
	var file struct {
		Groups []struct {
			Name  string `yaml:"name"`
			Rules []rule `yaml:"rules"`
		} `yaml:"groups"`
	}
	if err := yaml.UnmarshalWithOptions(read(t, "prometheus/ratchet.rules.yml"), &file, yaml.Strict()); err != nil {
		t.Fatal(err)
	}
	var out []rule
	for _, g := range file.Groups {
		out = append(out, g.Rules...)
	}
	if len(out) == 0 {
		t.Fatal("no alerts")
	}
	return out
}

// A page is what of a dashboard asks Prometheus.
type page struct {
	Panels []struct {
		Title      string            `json:"title"`
		Datasource map[string]string `json:"datasource"`
		Targets    []struct {
			Expr         string            `json:"expr"`
			LegendFormat string            `json:"legendFormat"`
			Datasource   map[string]string `json:"datasource"`
		} `json:"targets"`
	} `json:"panels"`
}

func pages(t *testing.T) map[string]page {
	t.Helper()
	out := map[string]page{}
	for _, name := range []string{"reseller", "engineer"} {
		var p page
		if err := json.Unmarshal(read(t, "grafana/"+name+".json"), &p); err != nil || len(p.Panels) == 0 {
			t.Fatalf("%s: %d panels, %v", name, len(p.Panels), err)
		}
		out[name] = p
	}
	return out
}

func read(t *testing.T, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(deploy, name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

var shownLabel = regexp.MustCompile(`\{\{\s*(?:\$labels\.)?([a-z_]+)\s*\}\}`)

// shownIn are the labels that a legend or an annotation shows.
func shownIn(text string) []string {
	var out []string
	for _, m := range shownLabel.FindAllStringSubmatch(text, -1) {
		if m[1] != "end" { // of a condition
			out = append(out, m[1])
		}
	}
	return out
}

func TestEveryAlertHasItsSectionInTheManualOfOperation(t *testing.T) {
	t.Parallel()
	manual, err := os.ReadFile("../../docs/operate.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range rules(t) {
		if want := "docs/operate.md#" + strings.ToLower(r.Alert); r.Annotations["runbook_url"] != want {
			t.Errorf("%s: runbook_url is %q, want %q", r.Alert, r.Annotations["runbook_url"], want)
		}
		if !strings.Contains(string(manual), "\n### "+r.Alert+"\n") {
			t.Errorf("docs/operate.md has no heading %s", r.Alert)
		}
		if r.Annotations["summary"] == "" || !slices.Contains([]string{"info", "warning", "critical"}, r.Labels["severity"]) {
			t.Errorf("%s has no summary or severity", r.Alert)
		}
	}
}

func TestEveryAlertHasACaseThatFiresAndOneThatDoesNot(t *testing.T) {
	t.Parallel()
	body, err := os.ReadFile(filepath.Join("testdata", "alerts.yml"))
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Tests []struct {
			Cases []struct {
				Alert  string `yaml:"alertname"`
				Alerts []any  `yaml:"exp_alerts"`
			} `yaml:"alert_rule_test"`
		} `yaml:"tests"`
	}
	if err := yaml.Unmarshal(body, &file); err != nil {
		t.Fatal(err)
	}
	fires, quiet := map[string]bool{}, map[string]bool{}
	for _, one := range file.Tests {
		for _, c := range one.Cases {
			if len(c.Alerts) > 0 {
				fires[c.Alert] = true
			} else {
				quiet[c.Alert] = true
			}
		}
	}
	for _, r := range rules(t) {
		if !fires[r.Alert] || !quiet[r.Alert] {
			t.Errorf("%s: a case that fires: %t, one that does not: %t", r.Alert, fires[r.Alert], quiet[r.Alert])
		}
	}
}

func TestEveryPanelAsksTheVariableDatasource(t *testing.T) {
	t.Parallel()
	for name, p := range pages(t) {
		for _, panel := range p.Panels {
			for _, target := range panel.Targets {
				if panel.Datasource["uid"] != "${datasource}" || target.Datasource["uid"] != "${datasource}" {
					t.Errorf("%s: panel %q asks another datasource", name, panel.Title)
				}
			}
		}
	}
}

func TestPromtoolTakesTheAlertsAndWhatThePagesAsk(t *testing.T) {
	t.Parallel()
	tool, err := exec.LookPath("promtool")
	if err != nil {
		machinetest.Lacks(t, "promtool is not in PATH: install Debian's prometheus, or its promtool alone, as .ci/run does")
	}
	asked := filepath.Join(t.TempDir(), "pages.yml")
	var lines strings.Builder
	lines.WriteString("groups:\n- name: pages\n  rules:\n")
	n := 0
	for _, p := range pages(t) {
		for _, panel := range p.Panels {
			for _, target := range panel.Targets {
				n++
				fmt.Fprintf(&lines, "  - {record: 'page:%d', expr: '%s'}\n", n, strings.ReplaceAll(target.Expr, "$__rate_interval", "5m"))
			}
		}
	}
	if err := os.WriteFile(asked, []byte(lines.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{
		{"check", "rules", filepath.Join(deploy, "prometheus/ratchet.rules.yml")},
		{"check", "rules", asked},
		{"test", "rules", filepath.Join("testdata", "alerts.yml")},
	} {
		out, err := exec.CommandContext(t.Context(), tool, args...).CombinedOutput()
		if err != nil {
			t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
}
