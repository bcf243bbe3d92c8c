package process

import (
	"fmt"
	"strconv"
	"time"
)

// Clock is pipeline time: the machine's time, or one that starts at Epoch and runs Speed
// times as fast from Start on. Processes that share the three values share the clock.
type Clock struct {
	Epoch time.Time // pipeline time at Start
	Start time.Time // machine time at which the clock began
	Speed float64   // pipeline seconds per machine second; 1 or more
}

// RealClock is the machine's clock.
func RealClock() Clock { return Clock{Speed: 1} }

// NewClock returns a clock that shows epoch now and runs speed times as fast as the machine's.
func NewClock(epoch time.Time, speed float64) Clock {
	return Clock{Epoch: epoch, Start: time.Now(), Speed: speed}
}

// Now returns the clock's time, UTC.
func (c Clock) Now() time.Time {
	if c.Start.IsZero() {
		return time.Now().UTC()
	}
	return c.Epoch.Add(time.Duration(float64(time.Since(c.Start)) * c.Speed)).UTC()
}

// Machine converts a pipeline duration to machine time.
func (c Clock) Machine(d time.Duration) time.Duration {
	if c.Start.IsZero() || c.Speed <= 0 {
		return d
	}
	return time.Duration(float64(d) / c.Speed)
}

// Pipeline converts a machine duration to pipeline time.
func (c Clock) Pipeline(d time.Duration) time.Duration {
	if c.Start.IsZero() || c.Speed <= 0 {
		return d
	}
	return time.Duration(float64(d) * c.Speed)
}

// After fires once after d of pipeline time.
func (c Clock) After(d time.Duration) <-chan time.Time { return time.After(c.Machine(d)) }

// The variables through which processes share a clock.
const (
	envEpoch = "RATCHET_CLOCK_EPOCH"
	envStart = "RATCHET_CLOCK_START"
	envSpeed = "RATCHET_CLOCK_SPEED"
)

// Environ returns the clock as environment variables for child processes; none for the machine's clock.
func (c Clock) Environ() []string {
	if c.Start.IsZero() {
		return nil
	}
	return []string{
		envEpoch + "=" + c.Epoch.UTC().Format(time.RFC3339Nano),
		envStart + "=" + c.Start.UTC().Format(time.RFC3339Nano),
		envSpeed + "=" + strconv.FormatFloat(c.Speed, 'g', -1, 64),
	}
}

// ClockFrom reads the clock that a parent process set; without one it is the machine's.
func ClockFrom(lookup func(string) (string, bool)) (Clock, error) {
	epoch, ok := lookup(envEpoch)
	if !ok || epoch == "" {
		return RealClock(), nil
	}
	start, _ := lookup(envStart)
	speed, _ := lookup(envSpeed)
	var c Clock
	var err error
	if c.Epoch, err = time.Parse(time.RFC3339Nano, epoch); err != nil {
		return c, fmt.Errorf("%s: %w", envEpoch, err)
	}
	if c.Start, err = time.Parse(time.RFC3339Nano, start); err != nil {
		return c, fmt.Errorf("%s: %w", envStart, err)
	}
	if c.Speed, err = strconv.ParseFloat(speed, 64); err != nil || c.Speed < 1 {
		return c, fmt.Errorf("%s: want a number of at least 1, got %q", envSpeed, speed)
	}
	return c, nil
}

// MachineNow is the machine's time, which is never scaled. It is for leases, claim lifetimes, circuit breakers
// and whatever else guards against processes and networks, not for anything that Keepa or a user would date.
func MachineNow() time.Time { return time.Now() }

// MachineSince returns the machine time that has passed since t.
func MachineSince(t time.Time) time.Duration { return time.Since(t) }

// MachineUntil returns the machine time until t; negative once it has passed.
func MachineUntil(t time.Time) time.Duration { return time.Until(t) }
