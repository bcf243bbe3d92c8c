package recorder

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"ratchet/pipeline/platform/process"
)

func TestTheLagIsTheAgeOfWhatWasSeenLastWhileMoreWaits(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	p := newPulse(func() time.Time { return now })
	lag := func() float64 { return p.beat().Detail["VERDICTS"].(progress).LagS } //nolint:forcetypeassert // it was put there
	p.saw("VERDICTS", 7, 100, now.Add(-90*time.Second))
	if got := lag(); got != 90 {
		t.Errorf("behind: %v s, want 90", got)
	}
	p.saw("VERDICTS", 107, 0, now.Add(-time.Hour))
	if got := lag(); got != 0 {
		t.Errorf("nothing waits: %v s, want 0", got)
	}
}

func TestTakesThatFailForHalfAMinuteMakeTheRecorderStuckUntilOneSucceeds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := newPulse(process.MachineNow)
		stuck := func(want bool) {
			t.Helper()
			if h := p.beat(); (h.State == "stuck") != want || (h.Stuck != "") != want {
				t.Errorf("state %s (%s), stuck should be %v", h.State, h.Stuck, want)
			}
		}
		p.waits("DEALS", 3)
		p.takeFailed("VERDICTS", errLine)
		time.Sleep(stuckAfter - time.Second)
		p.takeFailed("VERDICTS", errLine)
		stuck(false)
		time.Sleep(time.Second)
		stuck(true)
		p.takeDone("DEALS")
		stuck(true)
		p.takeDone("VERDICTS")
		stuck(false)
	})
}

func TestAPingReportsClickHouseAwayAndBackUnlessInsertsFail(t *testing.T) {
	t.Parallel()
	p, noAnswer := newPulse(process.MachineNow), errors.New("no answer")
	for _, step := range []struct {
		what string
		do   func()
		away bool
	}{
		{"a ping fails", func() { p.pinged(noAnswer) }, true},
		{"a ping succeeds", func() { p.pinged(nil) }, false},
		{"a ping and an insert fail", func() { p.pinged(noAnswer); p.away(errLine) }, true},
		{"a ping succeeds, inserts still fail", func() { p.pinged(nil) }, true},
		{"an insert succeeds", func() { p.back() }, false},
		{"an insert and a ping fail", func() { p.away(errLine); p.pinged(noAnswer) }, true},
		{"a ping succeeds, inserts fail", func() { p.pinged(nil) }, true},
		{"an insert succeeds again", func() { p.back() }, false},
		{"a ping fails again", func() { p.pinged(noAnswer) }, true},
		{"an insert succeeds after it", func() { p.back() }, false},
	} {
		if step.do(); (p.beat().State == "stuck") != step.away {
			t.Errorf("%s: state %s", step.what, p.beat().State)
		}
	}
}

// silent is a sink that does not answer a ping.
type silent struct{ blank }

func (silent) Ping(context.Context) error { return errLine }

func TestARecorderWithoutWorkNoticesThatClickHouseIsAway(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		dial := func(context.Context) (sink, error) { return silent{}, nil }
		r := newRecorder(Config{}, process.Env{Clock: process.RealClock(), Log: slog.New(slog.DiscardHandler)}, nil, dial)
		_, err := r.store.open(t.Context())
		must(t, err)
		ctx, stop := context.WithCancel(t.Context())
		go r.ping(ctx)
		time.Sleep(pingEvery + time.Second)
		if h := r.pulse.beat(); h.State != "stuck" || h.LastError != errLine.Error() {
			t.Errorf("state %s, last error %q", h.State, h.LastError)
		}
		stop()
		synctest.Wait()
	})
}
