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

// Follows reports whether a price that began in the minute m is later than one that began in another, and stands. A
// date that no price can have does not stand, since it would hide every real price: one that lies days after the
// instant at which the price was known (zero: not known), or after the latest price.
func (m Minute) Follows(other Minute, known time.Time) bool {
	return m > other && m < LatestPrice && (known.IsZero() || m <= FromTime(known.Add(farAhead)))
}
