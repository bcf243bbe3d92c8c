package notify_test

import (
	"maps"
	"slices"
	"testing"
	"time"
	_ "time/tzdata" // Berlin, wherever the tests run

	"pgregory.net/rapid"

	"ratchet/pipeline/domain/notify"
)

func zone(t interface{ Fatal(...any) }, name string) *time.Location {
	z, err := time.LoadLocation(name)
	if err != nil {
		t.Fatal(err)
	}
	return z
}

func policy(t interface{ Fatal(...any) }, quiet, digest string) notify.Policy {
	q, err := notify.ParseQuiet(quiet)
	if err != nil {
		t.Fatal(err)
	}
	d, err := notify.ParseDigest(digest)
	if err != nil {
		t.Fatal(err)
	}
	return notify.Policy{Quiet: q, Digest: d, Zone: zone(t, "Europe/Berlin")}
}

func TestADealIsDueAtOnceAfterTheQuietHoursOrWithTheNextDigest(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ quiet, digest, found, due string }{
		{"", "each", "2026-03-02 09:30", "2026-03-02 09:30"},
		{"22:00-07:00", "each", "2026-03-02 21:59", "2026-03-02 21:59"},
		{"22:00-07:00", "each", "2026-03-02 22:00", "2026-03-03 07:00"},
		{"22:00-07:00", "each", "2026-03-03 06:59", "2026-03-03 07:00"},
		{"22:00-07:00", "each", "2026-03-03 07:00", "2026-03-03 07:00"},
		{"12:00-13:00", "each", "2026-03-03 12:30", "2026-03-03 13:00"},
		{"", "hourly", "2026-03-02 09:00", "2026-03-02 10:00"},
		{"", "hourly", "2026-03-02 09:59", "2026-03-02 10:00"},
		{"22:00-07:00", "hourly", "2026-03-02 21:30", "2026-03-03 07:00"},
		{"", "daily", "2026-03-02 07:59", "2026-03-02 08:00"},
		{"", "daily@18:30", "2026-03-02 18:30", "2026-03-03 18:30"},
		{"22:00-07:00", "daily@23:00", "2026-03-02 12:00", "2026-03-03 07:00"},
		// The clock goes from 02:00 to 03:00 on 29 March 2026, and from 03:00 to 02:00 on 25 October.
		{"22:00-02:30", "each", "2026-03-28 23:00", "2026-03-29 03:00"},
		{"22:00-02:30", "each", "2026-03-29 01:59", "2026-03-29 03:00"},
		{"22:00-02:30", "hourly", "2026-03-29 01:30", "2026-03-29 03:00"},
		{"22:00-07:00", "each", "2026-03-28 23:00", "2026-03-29 07:00"},
		{"22:00-07:00", "each", "2026-10-24 23:00", "2026-10-25 07:00"},
	} {
		p := policy(t, c.quiet, c.digest)
		if got := p.Due(clock(t, p, c.found)); !got.Equal(clock(t, p, c.due)) {
			t.Errorf("quiet %q, %s: found %s, due %s, want %s", c.quiet, c.digest, c.found, got.In(p.Zone), c.due)
		}
	}
}

func TestWhatIsNotSentBeforeQuietHoursIsOneMessageAtTheirEnd(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		digest, now string
		found       []string
		groups      int
		wake        string
	}{
		{"each", "2026-03-02 21:50", []string{"2026-03-02 21:40", "2026-03-02 21:41"}, 2, ""},
		{"each", "2026-03-02 22:00", []string{"2026-03-02 21:40", "2026-03-02 21:41"}, 0, "2026-03-03 07:00"},
		{"each", "2026-03-02 23:30", []string{"2026-03-02 21:40", "2026-03-02 21:41"}, 0, "2026-03-03 07:00"},
		{"each", "2026-03-03 06:59", []string{"2026-03-02 21:40", "2026-03-02 23:41"}, 0, "2026-03-03 07:00"},
		{"each", "2026-03-03 07:00", []string{"2026-03-02 21:40", "2026-03-02 21:41", "2026-03-02 23:00"}, 1, ""},
		{"each", "2026-03-03 09:00", []string{"2026-03-02 21:40", "2026-03-03 07:00", "2026-03-03 08:00"}, 3, ""},
		{"hourly", "2026-03-02 23:30", []string{"2026-03-02 20:30"}, 0, "2026-03-03 07:00"},
		{"hourly", "2026-03-03 07:00", []string{"2026-03-02 20:30", "2026-03-02 21:30"}, 1, ""},
		{"daily@06:00", "2026-03-03 07:30", []string{"2026-03-02 05:30", "2026-03-02 21:30"}, 1, ""},
		{"daily@18:30", "2026-03-02 23:30", []string{"2026-03-02 12:00", "2026-03-02 19:00"}, 0, "2026-03-03 07:00"},
	} {
		p := policy(t, "22:00-07:00", c.digest)
		var found []time.Time
		for _, f := range c.found {
			found = append(found, clock(t, p, f))
		}
		groups, wake := p.Plan(found, clock(t, p, c.now))
		if len(groups) != c.groups || c.wake == "" != wake.IsZero() || c.wake != "" && !wake.Equal(clock(t, p, c.wake)) {
			t.Errorf("%s, found %v: at %s the messages %v, then %s; want %d, then %q", c.digest, c.found, c.now, groups, wake, c.groups, c.wake)
		}
	}
}

// clock is a time of the policy's zone.
func clock(t *testing.T, p notify.Policy, text string) time.Time {
	t.Helper()
	at, err := time.ParseInLocation("2006-01-02 15:04", text, p.Zone)
	if err != nil {
		t.Fatal(err)
	}
	return at
}

// aPolicy draws quiet hours and a digest; anInstant one near a change of the clock.
func aPolicy(t *rapid.T) notify.Policy {
	return notify.Policy{
		Quiet:  notify.Quiet{From: rapid.IntRange(0, 1439).Draw(t, "from"), To: rapid.IntRange(0, 1439).Draw(t, "to")},
		Digest: notify.Digest{Every: rapid.SampledFrom([]notify.Every{notify.Each, notify.Hourly, notify.Daily}).Draw(t, "every"), At: rapid.IntRange(0, 1439).Draw(t, "at")},
		Zone:   zone(t, rapid.SampledFrom([]string{"UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe"}).Draw(t, "zone")),
	}
}

func anInstant(t *rapid.T, name string) time.Time {
	near := rapid.SampledFrom([]time.Time{
		time.Date(2026, 3, 28, 12, 0, 0, 0, time.UTC), time.Date(2026, 10, 24, 12, 0, 0, 0, time.UTC), time.Date(2026, 7, 1, 0, 0, 0, 0, time.UTC),
	}).Draw(t, "near")
	return near.Add(time.Duration(rapid.Int64Range(0, int64(48*time.Hour)).Draw(t, name)))
}

func TestNothingIsDueBeforeItWasFoundOrInQuietHoursAndWhatWasFoundLaterNotEarlier(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		p := aPolicy(t)
		a, b := anInstant(t, "a"), anInstant(t, "b")
		if b.Before(a) {
			a, b = b, a
		}
		due := p.Due(a)
		switch {
		case due.Before(a):
			t.Fatalf("found %s, due %s", a, due)
		case p.Silent(due):
			t.Fatalf("due %s, within quiet hours %s", due.In(p.Zone), p.Quiet)
		case p.Due(b).Before(due):
			t.Fatalf("found %s, due %s; found %s, due %s", a, due, b, p.Due(b))
		case due.Sub(a) > 75*time.Hour:
			t.Fatalf("found %s, due only %s", a, due)
		}
	})
}

func TestEveryDealIsInOneMessageOrWaitsAndMessagesAreWhatWaitedTogether(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		p, now := aPolicy(t), anInstant(t, "now")
		found := make([]time.Time, rapid.IntRange(0, 20).Draw(t, "n"))
		for i := range found {
			found[i] = anInstant(t, "found")
		}
		due := func(i int) time.Time { return p.DueAt(now, found[i])[0] }
		groups, wake := p.Plan(found, now)
		if p.Silent(now) && len(groups) > 0 {
			t.Fatalf("%d messages at %s, within quiet hours %s", len(groups), now.In(p.Zone), p.Quiet)
		}
		in, sent := map[int]int{}, map[int64]bool{}
		for _, g := range groups {
			if at := due(g[0]); !at.Equal(found[g[0]]) { // delayed
				if sent[at.Unix()] {
					t.Fatalf("two messages of what was due %s: %v", at, groups)
				}
				sent[at.Unix()] = true
			}
			for _, i := range g {
				in[i]++
				if at := due(i); at.After(now) || !at.Equal(due(g[0])) || len(g) > 1 && at.Equal(found[i]) {
					t.Fatalf("deal of %s, due %s, is in a message with one due %s at %s", found[i], at, due(g[0]), now)
				}
			}
		}
		var first time.Time
		for i, f := range found {
			at := due(i)
			if want := map[bool]int{true: 0, false: 1}[at.After(now)]; in[i] != want {
				t.Fatalf("the deal of %s, due %s, is in %d messages at %s", f, at, in[i], now)
			}
			if at.After(now) && (first.IsZero() || at.Before(first)) {
				first = at
			}
		}
		if !wake.Equal(first) {
			t.Fatalf("wake %s, want %s", wake, first)
		}
	})
}

func TestOnlyWhatATargetWillNeverTakeIsSetAside(t *testing.T) {
	t.Parallel()
	for status, want := range map[int]notify.Outcome{
		200: notify.Sent, 204: notify.Sent, 301: notify.Again, 400: notify.Refused, 401: notify.Refused, 404: notify.Refused, 408: notify.Again,
		413: notify.Refused, 429: notify.Again, 500: notify.Again, 503: notify.Again,
	} {
		if got := notify.OfStatus(status); got != want {
			t.Errorf("%d: %s, want %s", status, got, want)
		}
	}
	for code, want := range map[int]notify.Outcome{250: notify.Sent, 421: notify.Again, 451: notify.Again, 550: notify.Refused, 0: notify.Again} {
		if got := notify.OfReply(code); got != want {
			t.Errorf("%d: %s, want %s", code, got, want)
		}
	}
}

func TestAPauseIsAtLeastWhatTheTargetAsksForAndGrowsToFiveMinutes(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		n, draw := rapid.IntRange(1, 100).Draw(t, "failures"), rapid.Float64Range(0, 1).Draw(t, "draw")
		asked := time.Duration(rapid.Int64Range(0, int64(2*time.Hour)).Draw(t, "asked"))
		got := notify.Pause(n, asked, draw)
		if got < asked || got < 500*time.Millisecond || got > max(5*time.Minute, asked+time.Second) {
			t.Fatalf("%d failures, asked %s: %s", n, asked, got)
		}
		if notify.Pause(n+1, asked, draw) < got {
			t.Fatalf("shorter after failure %d", n+1)
		}
	})
}

func TestAnAlarmIsSentOnceWhenItBeginsAndOnceWhenItEnds(t *testing.T) {
	t.Parallel()
	t0 := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	sent := map[string]string{}
	var w notify.Watch
	var told []string
	for i, wrongs := range []map[string]string{
		{"a": "1"}, {"a": "2"}, {"a": "3"}, {"a": "4"}, {"a": "5", "b": "x"}, {"b": "x"}, {}, {"a": "6"}, {}, {"a": "7"}, {"a": "7"}, {"a": "7"}, {"a": "8"},
	} {
		now := t0.Add(time.Duration(i) * 10 * time.Second)
		w = w.Observe(wrongs, now)
		alarms, known := w.Alarms(now)
		if known != (i >= 3) {
			t.Fatalf("look %d: the alarms are known: %t", i, known)
		}
		for _, c := range notify.Changes(sent, alarms) {
			if c.Ended {
				told = append(told, "-"+c.Name)
				delete(sent, c.Name)
			} else {
				told = append(told, "+"+c.Name+c.Text)
				sent[c.Name] = c.Text
			}
		}
	}
	if want := []string{"+a4", "-a", "+a8"}; !slices.Equal(told, want) {
		t.Errorf("got %v, want %v; left %v", told, want, slices.Collect(maps.Keys(sent)))
	}
}

func TestWhatCannotBeReadAsHoursOrADigestIsAnError(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"22-07", "22:00", "22:00-22:00", "25:00-07:00", "-", "22:00-07:00-08:00"} {
		if q, err := notify.ParseQuiet(text); err == nil {
			t.Errorf("%q is %s", text, q)
		}
	}
	for _, text := range []string{"", "weekly", "hourly@10:00", "each@10:00", "daily@", "daily@7"} {
		if d, err := notify.ParseDigest(text); err == nil {
			t.Errorf("%q is %s", text, d)
		}
	}
	for _, text := range []string{"each", "hourly", "daily@08:00"} {
		if d, err := notify.ParseDigest(text); err != nil || d.String() != text {
			t.Errorf("%q is %s, %v", text, d, err)
		}
	}
}
