package page_test

import (
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"ratchet/pipeline"
	"ratchet/pipeline/ops/cli"
	"ratchet/pipeline/ops/page"
	"ratchet/pipeline/sim/keepasim"
	"ratchet/test/desk"
)

// counted is the number before some words; -1 where they are not there.
func counted(body, words string) int {
	m := regexp.MustCompile(`(\d+)\s+` + words).FindStringSubmatch(body)
	if m == nil {
		return -1
	}
	n, _ := strconv.Atoi(m[1])
	return n
}

func TestWhatIfPredictsTheEffectOfApplying(t *testing.T) {
	if testing.Short() {
		t.Skip("decides a dozen deals twice")
	}
	t.Parallel()
	d := desk.New(t, 1)
	machineRuns(t, d)
	hidden, deals := 0, d.ASINs(keepasim.Good)[:12]
	for _, asin := range deals {
		accepts(t, d, asin)
	}
	refused, profit := refuses(t, d)
	s := open(t, d, page.Options{})
	list, _, err := cli.NewVisible(d.Bus, "").List(t.Context(), time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	least := *list[len(list)/2].ProfitCents/100 + 1 // dollars
	for _, one := range list {
		if *one.ProfitCents < least*100 {
			hidden++
		}
	}
	if hidden == 0 || hidden == len(deals) {
		t.Fatalf("%d of %d deals earn less than %d: the test says nothing", hidden, len(deals), least)
	}
	if _, body := get(t, s.URL()+"whatif"); counted(body, `instead of 12`) != 12 || strings.Contains(body, "fewer deals") || strings.Contains(body, `name="apply"`) {
		t.Errorf("as now: %s", body)
	}
	stricter := "whatif?t-min_profit_cents=" + fmt.Sprint(least)
	_, body := get(t, s.URL()+stricter)
	if got := counted(body, "fewer deals"); got != hidden {
		t.Errorf("%d fewer deals, want %d: %s", got, hidden, body)
	}
	looser := fmt.Sprintf("whatif?t-min_profit_cents=%.2f&t-max_loss_chance=99.9&t-min_roi_percent=-500", float64(profit)/100)
	if _, more := get(t, s.URL()+looser); counted(more, "more deals") != 1 || !strings.Contains(more, "/deal/"+refused) || !strings.Contains(more, "no_profit 1") {
		t.Errorf("with all limits low %s is not a deal: %s", refused, more)
	}
	if _, wrong := get(t, s.URL()+"whatif?t-min_profit_cents=lots"); !strings.Contains(wrong, "want a number") {
		t.Error("an invalid number is accepted")
	}

	token := tokenOf.FindStringSubmatch(body)[1]
	set := regexp.MustCompile(`name="apply" value="([^"]+)"`).FindStringSubmatch(body)[1]
	form := url.Values{"token": {token}, "apply": {set}, "t-min_profit_cents": {fmt.Sprint(least)}, "back": {"/" + stricter}}
	for name, wrong := range map[string]url.Values{
		"a token": {"token": {"x"}}, "the current rules": {"apply": {"other"}}, "a change": {"t-min_profit_cents": {"3"}}, "a number": {"t-min_profit_cents": {"much"}},
	} {
		bad := url.Values{"quiet": {"1"}}
		for _, from := range []url.Values{form, wrong} {
			for k, v := range from {
				bad[k] = v
			}
		}
		if code, said := request(t, http.MethodPost, s.URL()+"act", bad, nil); code != 403 && code != 422 {
			t.Errorf("without %s: %d %s", name, code, said)
		}
	}
	if all, err := cli.AppliedRules(t.Context(), d.Bus); err != nil || len(all) != 0 {
		t.Fatalf("what was refused was applied: %v %v", all, err)
	}
	if code, to := request(t, http.MethodPost, s.URL()+"act", form, nil); code != 303 || !strings.Contains(to, "applied=1") {
		t.Fatalf("got %d, %s", code, to)
	}
	desk.Await(t, "the stored deals are decided again", func() bool {
		_, body = get(t, s.URL()+"whatif")
		return strings.Contains(body, "hidden now")
	})
	if got := counted(body, "hidden now"); got != hidden {
		t.Errorf("%d are hidden, want %d: %s", got, hidden, body)
	}
	if !strings.Contains(body, "version 1, which was applied") || !strings.Contains(body, fmt.Sprintf(`name="t-min_profit_cents" value="%d"`, least)) {
		t.Errorf("the new rules are not current: %s", body)
	}
	all, err := cli.AppliedRules(t.Context(), d.Bus)
	if err != nil || len(all) != 1 || !strings.Contains(all[0].Rules, fmt.Sprintf("min_profit_cents: %d\n", 100*least)) || !strings.Contains(all[0].Rules, "# Rules for buying used books") || !strings.Contains(all[0].By, "@") {
		t.Errorf("applied %+v, %v", all, err)
	}
	desk.Await(t, "they have left the list", func() bool {
		_, body := get(t, s.URL())
		return strings.Count(body, `<tr role="row" id="d-`) == len(deals)-hidden
	})
}

func TestALetterIsRetriedOnceByItsButton(t *testing.T) {
	if testing.Short() {
		t.Skip("runs a pipeline")
	}
	t.Parallel()
	d := desk.New(t, 1)
	machineRuns(t, d)
	asin := d.ASINs(keepasim.Good)[0]
	n := publishDead(t, d, asin)
	late := publish(t, d, pipeline.SubjectDead("committer", "late"), pipeline.SchemaDead, "dead:late", pipeline.Dead{
		Reason: "no_answer", Stream: pipeline.StreamSurvivors, Sequence: 1, Subject: "survivor.1.peek.a." + asin, Deliveries: 5, Body: []byte("{}"),
	})
	s := open(t, d, page.Options{})
	_, body := get(t, s.URL()+"machine")
	if !strings.Contains(body, fmt.Sprintf(`name="retry" value="%d"`, n)) || strings.Contains(body, fmt.Sprintf(`name="retry" value="%d"`, late)) || !strings.Contains(body, fmt.Sprintf("ratchet dead retry --pay %d", late)) {
		t.Fatalf("the letters cannot be retried: %s", body)
	}
	form := url.Values{"token": {tokenOf.FindStringSubmatch(body)[1]}, "retry": {fmt.Sprint(n)}, "back": {"/machine"}}
	if code, said := request(t, http.MethodPost, s.URL()+"act", url.Values{"retry": form["retry"], "token": {"none"}}, nil); code != 403 {
		t.Errorf("without its token: %d %s", code, said)
	}
	for range 2 {
		if code, to := request(t, http.MethodPost, s.URL()+"act", form, nil); code != 303 || to != fmt.Sprintf("/machine?retried=%d", n) {
			t.Errorf("got %d, %s", code, to)
		}
	}
	last, err := d.Bus.Last(t.Context(), pipeline.StreamCandidates)
	if err != nil || last != 1 {
		t.Errorf("%d candidates, %v", last, err)
	}
	desk.Await(t, "it has left the page", func() bool {
		_, body := get(t, s.URL()+"machine")
		return !strings.Contains(body, fmt.Sprintf(`name="retry" value="%d"`, n))
	})
	if code, said := request(t, http.MethodPost, s.URL()+"act", url.Values{"token": form["token"], "retry": {fmt.Sprint(late)}, "quiet": {"1"}}, nil); code != 422 || !strings.Contains(said, "--pay") {
		t.Errorf("one that costs tokens: %d %s", code, said)
	}
}

func TestTheMachineShowsTheBalanceAndTheGapsOverTime(t *testing.T) {
	t.Parallel()
	d := desk.New(t, 1)
	machineRuns(t, d)
	s := open(t, d, page.Options{})
	_, body := get(t, s.URL()+"machine")
	for _, want := range []string{
		"chart-timeline", "chart-pause", "chart-spans", "chart-span-open", "chart-span-filled", "chart-span-expired",
		"<td>2026-03-01 13:00</td><td>2026-03-01 18:00</td><td>pause</td>", "<td>2026-03-02 08:40</td><td>now</td><td>pause</td>", "ends at the latest at 2026-03-02 11:00",
		"<td>filled</td><td>2026-03-01 14:40</td><td>2026-03-01 19:40</td>", "<td>owed</td><td>2026-03-02 05:40</td><td>now</td>", "expired: its rows have left the list",
	} {
		if !strings.Contains(body, want) {
			t.Errorf("no %s", want)
		}
	}
	if t.Failed() {
		t.Log(body)
	}
}
