package warehouse_test

import (
	"errors"
	"strings"
	"testing"

	"ratchet/pipeline/platform/process"
	"ratchet/pipeline/platform/warehouse"
)

func TestAnUnknownParameterOfAQuestionIsNamedBeforeItIsAsked(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ question, name, value, says string }{
		{"funnel", "since", "2026-11-01", ""},
		{"funnel", "since", "2026-11-01 13:00:00", ""},
		{"funnel", "since", "2026-11-01T13:00:00-05:00", ""},
		{"funnel", "since", "1970-01-01", ""},
		{"funnel", "since", "-90m", ""},
		{"funnel", "since", "-0s", ""},
		{"funnel", "run", "it's; --", ""},
		{"deals", "limit", "0", ""},
		{"deals", "limit", "4294967295", ""},
		{"funnel", "since", "", "want a time"},
		{"funnel", "since", "tomorrow", "want a time"},
		{"funnel", "since", "1969-12-31", "want a time"},
		{"funnel", "since", "2107-01-01", "want a time"},
		{"funnel", "since", "-99999999999999999999d", "want a time"},
		{"funnel", "since", "-7d; DROP TABLE verdicts", "want a time"},
		{"funnel", "run", "a\nb", "backslashes"},
		{"funnel", "run", `a\b`, "backslashes"},
		{"deals", "limit", "-1", "want a number"},
		{"deals", "limit", "4294967296", "want a number"},
		{"deals", "limit", "1.5", "want a number"},
		{"deals", "limit", "", "want a number"},
		{"funnel", "sinze", "-7d", "since"},
		{"deal-states", "since", "-7d", "no parameters"},
	} {
		q, err := warehouse.Find(c.question)
		must(t, err)
		err = q.Check(map[string]string{c.name: c.value})
		var usage *process.UsageError
		switch {
		case c.says == "" && err == nil:
		case c.says == "" || !errors.As(err, &usage) || !strings.Contains(err.Error(), c.says) || !strings.Contains(err.Error(), c.question):
			t.Errorf("%s %s=%q: got %v, want %q in it", c.question, c.name, c.value, err, c.says)
		}
	}
}

func TestARunWithoutDecisionsIsNotAnAnswer(t *testing.T) {
	t.Parallel()
	w := open(t)
	_, err := w.Ask(t.Context(), "compare", nil) // the live run, of which nothing is there yet
	must(t, err)
	seed(t, w)
	_, err = w.Ask(t.Context(), "compare", map[string]string{"other": "stricter"})
	must(t, err)
	_, err = w.Ask(t.Context(), "compare", map[string]string{"other": "stricktor"})
	if err == nil || !strings.Contains(err.Error(), "live, stricter") {
		t.Errorf("got %v, want a refusal that names the runs", err)
	}
}
