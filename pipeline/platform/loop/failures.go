package loop

import (
	"log/slog"
	"time"

	"github.com/lmittmann/tint"
)

// Failures paces and logs the steps of a loop that fail one after the other.
type Failures struct {
	// Retry is the first pause, machine time.
	Retry time.Duration

	since  time.Time // since when every step fails; machine time
	logged string
}

// Last reports whether the last step failed.
func (f *Failures) Last() bool { return !f.since.IsZero() }

// Over records that a step succeeded.
func (f *Failures) Over() { f.since, f.logged = time.Time{}, "" }

// Add logs a failed step, unless the one before failed for the same reason, and returns the pause until the next one.
func (f *Failures) Add(log *slog.Logger, err error) time.Duration {
	if f.since.IsZero() {
		f.since = time.Now() //nolint:forbidigo // machine time: NATS or another service failed
	}
	pause := f.pause(time.Since(f.since)) //nolint:forbidigo // as above
	if err.Error() != f.logged {
		f.logged = err.Error()
		log.Warn("step failed, will retry", "pause", pause, tint.Err(err))
	}
	return pause
}

// pause is the time until the next step after steps have failed for a while: a
// share of it, so that work resumes soon after a short outage and a long one is left alone.
func (f *Failures) pause(failed time.Duration) time.Duration {
	return min(max(failed/20, f.Retry), 30*time.Second)
}
