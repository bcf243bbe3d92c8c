package keepa

import "time"

// epochMinutes is the number of minutes from the Unix epoch to Keepa's, 2011-01-01T00:00Z.
const epochMinutes = 21_564_000

// Minute is Keepa's time: whole minutes since 2011-01-01T00:00Z. Dates before that are
// negative (publishing dates are). Zero is a real instant, so it cannot mean unknown.
type Minute int64

// FromTime returns the Keepa minute that t falls in.
func FromTime(t time.Time) Minute {
	s := t.Unix()
	m := s / 60
	if s%60 < 0 {
		m--
	}
	return Minute(m - epochMinutes)
}

// Time returns the instant, in UTC, at which the minute begins.
func (m Minute) Time() time.Time { return time.Unix((int64(m)+epochMinutes)*60, 0).UTC() }

// Add returns the minute d later, rounded down to whole minutes.
func (m Minute) Add(d time.Duration) Minute { return m + Minute(d/time.Minute) }

// LatestPrice is the year 2200: no price begins after it.
const LatestPrice = 99_404_640

// farAhead is more than any two clocks differ.
const farAhead = 48 * time.Hour

// Impossible reports whether no price that was known at an instant can have begun in the minute m, which lies days
// later. An earlier price is then not an older one. It is false without an instant.
func (m Minute) Impossible(known time.Time) bool {
	return !known.IsZero() && m > FromTime(known.Add(farAhead))
}
