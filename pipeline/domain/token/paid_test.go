package token

import (
	"testing"
	"time"

	"ratchet/pipeline"
)

func TestTheOutcomeOfACallFollowsFromTheLedger(t *testing.T) {
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
	found := func(minute, since, tokens int) pipeline.Entry {
		e := drift(minute, tokens)
		e.Note = NoteDrift(at(since))
		return e
	}
	unknown := func(claim string, minute int) pipeline.Entry { return closed(claim, minute, 0, NoteUnknown+": cut") }
	for name, tc := range map[string]struct {
		calls  []Call
		ledger []pipeline.Entry
		closed int // minute up to which the books are closed; 0 for all
		want   Attempts
	}{
		"nothing was called":                           {nil, []pipeline.Entry{drift(1, 5)}, 0, Attempts{}},
		"it was answered and cost tokens":              {calls(1), []pipeline.Entry{closed("a", 1, 6, "")}, 0, Attempts{Calls: 1, Paid: 1, Answered: 1}},
		"it was answered for nothing":                  {calls(1), []pipeline.Entry{closed("a", 1, 0, "")}, 0, Attempts{Calls: 1, Answered: 1}},
		"it failed for nothing":                        {calls(1), []pipeline.Entry{closed("a", 1, 0, "failed: server")}, 0, Attempts{Calls: 1}},
		"it failed and cost tokens":                    {calls(1), []pipeline.Entry{closed("a", 1, 6, "failed: server")}, 0, Attempts{Calls: 1, Paid: 1}},
		"its price is unknown, nothing drifts":         {calls(1), []pipeline.Entry{closed("a", 1, 0, NoteUnknown+": cut")}, 0, Attempts{Calls: 1}},
		"its price is unknown, a drift after":          {calls(1), []pipeline.Entry{closed("a", 1, 0, NoteUnknown+": cut"), drift(2, 6)}, 0, Attempts{Calls: 1, Paid: 1}},
		"tokens came back":                             {calls(1), []pipeline.Entry{closed("a", 1, 0, NoteUnknown+": cut"), drift(2, -6)}, 0, Attempts{Calls: 1}},
		"its worker died, nothing drifts":              {calls(1), nil, 0, Attempts{Calls: 1}},
		"its worker died, a drift after":               {calls(1), []pipeline.Entry{drift(2, 6)}, 0, Attempts{Calls: 1, Paid: 1}},
		"a drift is of the call before it":             {calls(2), []pipeline.Entry{drift(2, 6)}, 0, Attempts{Calls: 2, Paid: 1}},
		"a drift before the first does not count":      {[]Call{{"a", at(5)}}, []pipeline.Entry{drift(2, 6)}, 0, Attempts{Calls: 1}},
		"a drift may be of any since the last closing": {calls(3), []pipeline.Entry{unknown("a", 1), unknown("b", 11), unknown("c", 21), found(22, 5, 6)}, 0, Attempts{Calls: 3, Paid: 2}},
		"a drift is of no call before that closing":    {calls(2), []pipeline.Entry{unknown("a", 1), unknown("b", 11), found(12, 9, 6)}, 0, Attempts{Calls: 2, Paid: 1}},
		"the books are open":                           {calls(3), []pipeline.Entry{unknown("a", 1), unknown("b", 11)}, 10, Attempts{Calls: 3, Doubtful: 1}},
		"what is known is in no doubt":                 {calls(2), []pipeline.Entry{closed("a", 1, 6, ""), closed("b", 11, 0, "failed: server")}, -1, Attempts{Calls: 2, Paid: 1, Answered: 1}},
		"one of each": {
			calls(4),
			[]pipeline.Entry{closed("a", 1, 6, ""), closed("b", 11, 0, "failed: refused"), closed("c", 21, 0, NoteUnknown), drift(22, 6)},
			0,
			Attempts{Calls: 4, Paid: 2, Answered: 1},
		},
	} {
		up := at(60)
		if tc.closed != 0 {
			up = at(tc.closed)
		}
		if got := AttemptsOf(tc.calls, tc.ledger, up); got != tc.want {
			t.Errorf("%s: got %+v, want %+v", name, got, tc.want)
		}
	}
}

func TestWorkThatKeepaRejectsAloneIsAskedForThreeTimes(t *testing.T) {
	t.Parallel()
	calls := []Call{{Claim: "a"}, {Claim: "b"}, {Claim: "c"}}
	ledger := func(items int, note string) (out []pipeline.Entry) {
		out = append(out, pipeline.Entry{Event: pipeline.EventClose, Claim: "others", API: reading(100, 5)})
		for _, c := range calls {
			out = append(out, pipeline.Entry{Event: pipeline.EventClose, Claim: c.Claim, Items: items, Note: note})
		}
		return out
	}
	for name, tc := range map[string]struct {
		ledger []pipeline.Entry
		over   bool
	}{
		"three times":                 {ledger(1, NoteRejected), true},
		"twice":                       {ledger(1, NoteRejected)[:3], false},
		"all work is rejected":        {ledger(1, NoteRejected)[1:], false},
		"among others":                {ledger(2, NoteRejected), false},
		"a server that fails":         {ledger(1, "failed: server"), false},
		"a bad key is not the work's": {ledger(1, "failed: bad_key"), false},
	} {
		got := AttemptsOf(calls, tc.ledger, time.Time{})
		if got.Over() != tc.over || got.Spent() {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

func TestWorkWaitsWhileItsCallsMayHaveBeenPaidForAsOftenAsWorkMayBe(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		t            Attempts
		waits, spent bool
	}{
		{Attempts{}, false, false},
		{Attempts{Paid: 2}, false, false},
		{Attempts{Doubtful: 2}, false, false},
		{Attempts{Doubtful: 3}, true, false},
		{Attempts{Paid: 2, Doubtful: 1}, true, false},
		{Attempts{Paid: 3, Doubtful: 5}, false, true},
	} {
		if c.t.Waits() != c.waits || c.t.Spent() != c.spent {
			t.Errorf("%+v: waits %t, spent %t", c.t, c.t.Waits(), c.t.Spent())
		}
	}
}
