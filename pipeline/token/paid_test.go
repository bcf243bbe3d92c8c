package token

import (
	"testing"
	"time"

	"ratchet/pipeline"
)

func TestWhatBecameOfACallIsReadOffTheLedger(t *testing.T) {
	t.Parallel()
	at := func(minute int) time.Time { return time.Date(2026, 3, 2, 9, minute, 0, 0, time.UTC) }
	calls := func(n int) (cs []Call) {
		for i := range n {
			cs = append(cs, Call{Claim: string(rune('a' + i)), At: at(10 * i)})
		}
		return cs
	}
	closed := func(claim string, minute, tokens int, note string) pipeline.Entry {
		return pipeline.Entry{Event: pipeline.EventClose, Claim: claim, At: at(minute), Tokens: tokens, Note: note}
	}
	drift := func(minute, tokens int) pipeline.Entry {
		return pipeline.Entry{Event: pipeline.EventDrift, At: at(minute), Tokens: tokens}
	}
	for name, tc := range map[string]struct {
		calls  []Call
		ledger []pipeline.Entry
		want   Tally
	}{
		"nothing was called":                   {nil, []pipeline.Entry{drift(1, 5)}, Tally{}},
		"it was answered and cost tokens":      {calls(1), []pipeline.Entry{closed("a", 1, 6, "")}, Tally{Calls: 1, Paid: 1, Answered: 1}},
		"it was answered for nothing":          {calls(1), []pipeline.Entry{closed("a", 1, 0, "")}, Tally{Calls: 1, Answered: 1}},
		"it failed for nothing":                {calls(1), []pipeline.Entry{closed("a", 1, 0, "failed: server")}, Tally{Calls: 1}},
		"it failed and cost tokens":            {calls(1), []pipeline.Entry{closed("a", 1, 6, "failed: server")}, Tally{Calls: 1, Paid: 1}},
		"its price is unknown, nothing drifts": {calls(1), []pipeline.Entry{closed("a", 1, 0, NoteUnknown+": cut")}, Tally{Calls: 1}},
		"its price is unknown, a drift after":  {calls(1), []pipeline.Entry{closed("a", 1, 0, NoteUnknown+": cut"), drift(2, 6)}, Tally{Calls: 1, Paid: 1}},
		"tokens came back":                     {calls(1), []pipeline.Entry{closed("a", 1, 0, NoteUnknown+": cut"), drift(2, -6)}, Tally{Calls: 1}},
		"its worker died, nothing drifts":      {calls(1), nil, Tally{Calls: 1}},
		"its worker died, a drift after":       {calls(1), []pipeline.Entry{drift(2, 6)}, Tally{Calls: 1, Paid: 1}},
		"a drift is of the call before it":     {calls(2), []pipeline.Entry{drift(2, 6)}, Tally{Calls: 2, Paid: 1}},
		"a drift before the first is nobody's": {[]Call{{"a", at(5)}}, []pipeline.Entry{drift(2, 6)}, Tally{Calls: 1}},
		"one of each": {
			calls(4),
			[]pipeline.Entry{closed("a", 1, 6, ""), closed("b", 11, 0, "failed: refused"), closed("c", 21, 0, NoteUnknown), drift(22, 6)},
			Tally{Calls: 4, Paid: 2, Answered: 1},
		},
	} {
		if got := TallyOf(tc.calls, tc.ledger); got != tc.want {
			t.Errorf("%s: got %+v, want %+v", name, got, tc.want)
		}
	}
}
