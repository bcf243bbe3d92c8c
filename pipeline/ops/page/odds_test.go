package page_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"ratchet/pipeline/ops/page"
	"ratchet/pipeline/platform/embedded/clickhouse/chtest"
	"ratchet/pipeline/recorder"
	"ratchet/pipeline/sim/keepasim"
	"ratchet/test/desk"
)

func TestWhatWasEarnedIsDrawnBesideWhatWasExpected(t *testing.T) {
	whole(t)
	d, dsn := desk.New(t, 1), chtest.Database(t)
	d.Run(t, recorder.Run, map[string]string{"CLICKHOUSE_URL": dsn})
	for _, asin := range d.ASINs(keepasim.Good)[:12] {
		accepts(t, d, asin)
	}
	s := open(t, d, page.Options{ClickHouse: dsn})
	var body string
	desk.Await(t, "ClickHouse has what was earned", func() bool {
		s.ForgetOdds()
		_, body = get(t, s.URL()+"replays")
		return strings.Contains(body, "chart-calibration")
	})
	if !strings.Contains(body, "<th scope=\"col\" class=\"n\">earned each</th>") || strings.Contains(body, "Odds of a loss") {
		t.Errorf("the table is missing, or odds are shown that were not scored: %s", body)
	}
}

func TestTheOddsAreScoredByAButton(t *testing.T) {
	t.Parallel()
	d := desk.New(t, 1)
	for _, asin := range d.ASINs(keepasim.Good)[:12] {
		accepts(t, d, asin)
	}
	s := open(t, d, page.Options{})
	_, body := get(t, s.URL()+"replays")
	if strings.Contains(body, "chart-calibration") || !strings.Contains(body, "counted by ClickHouse: there is none") {
		t.Errorf("they were not scored: %s", body)
	}
	form := url.Values{"token": {tokenOf.FindStringSubmatch(body)[1]}, "measure": {"1"}, "back": {"/replays"}}
	if code, to := request(t, http.MethodPost, s.URL()+"act", form, nil); code != 303 || to != "/replays?measured=1" {
		t.Errorf("got %d, %s", code, to)
	}
	desk.Await(t, "the stored answers are scored", func() bool {
		_, body = get(t, s.URL()+"replays")
		return strings.Contains(body, "Scored at")
	})
	if !strings.Contains(body, ": 12 products") || !strings.Contains(body, "<title>Odds of a loss</title>") || !strings.Contains(body, "<title>Odds of a sale in six months</title>") {
		t.Errorf("got %s", body)
	}
}
