// Package notify decides what is sent to a target and when: quiet hours,
// digests, retries and alarms. It is pure; package notifier sends.
//
//	found ─Due─▶ at once, at the end of the quiet hours, or with the next digest
//	not sent by then ─DueAt─▶ now, or at the end of the quiet hours that began since
//
// The laws, each a property test: nothing is due before it was found or within quiet hours, and nothing is sent in
// them; what was found later is not due earlier; what is due at the same instant is one message, and no deal is in two.
package notify

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Policy is when the user wants to be notified. The zero Policy means of each deal, at once.
type Policy struct {
	Quiet  Quiet
	Digest Digest
	Zone   *time.Location // of quiet hours and digests; nil is UTC
}

// Quiet are hours of the day in which nothing is sent, as minutes since midnight;
// From after To spans midnight, and equal ones mean no quiet hours.
type Quiet struct{ From, To int }

// Digest is how many deals a message holds.
type Digest struct {
	Every Every
	At    int // of a daily digest: minutes since midnight
}

// Every is how often a digest is sent.
type Every string

// The digests. With Each there are no digests: every deal is a message.
const (
	Each   Every = "each"
	Hourly Every = "hourly"
	Daily  Every = "daily"
)

// morning is when a daily digest is sent unless another time is given.
const morning = 8 * 60

// minutesOfDay reads a time of day like 22:30.
func minutesOfDay(text string) (int, error) {
	at, err := time.Parse("15:04", text)
	if err != nil {
		return 0, fmt.Errorf("want a time of day like 22:30, got %q", text)
	}
	return at.Hour()*60 + at.Minute(), nil
}

// ParseQuiet reads quiet hours like 22:00-07:00; an empty text means no quiet hours.
func ParseQuiet(text string) (Quiet, error) {
	if text == "" {
		return Quiet{}, nil
	}
	from, to, _ := strings.Cut(text, "-")
	var q Quiet
	var err error
	if q.From, err = minutesOfDay(from); err == nil {
		q.To, err = minutesOfDay(to)
	}
	if err != nil || q.From == q.To {
		return Quiet{}, fmt.Errorf("want hours like 22:00-07:00, got %q", text)
	}
	return q, nil
}

// ParseDigest reads each, hourly, daily or daily@18:30.
func ParseDigest(text string) (Digest, error) {
	name, at, given := strings.Cut(text, "@")
	d := Digest{Every: Every(name)}
	switch {
	case !given && (d.Every == Each || d.Every == Hourly):
		return d, nil
	case d.Every == Daily && !given:
		d.At = morning
		return d, nil
	case d.Every == Daily:
		minutes, err := minutesOfDay(at)
		d.At = minutes
		return d, err
	}
	return Digest{}, fmt.Errorf("want each, hourly, daily or daily@18:30, got %q", text)
}

// String returns the quiet hours as they are configured.
func (q Quiet) String() string {
	if q.From == q.To {
		return "none"
	}
	return fmt.Sprintf("%02d:%02d-%02d:%02d", q.From/60, q.From%60, q.To/60, q.To%60)
}

// String returns the digest as it is configured.
func (d Digest) String() string {
	if d.Every == Daily {
		return fmt.Sprintf("daily@%02d:%02d", d.At/60, d.At%60)
	}
	return string(d.Every)
}

func (p Policy) zone() *time.Location {
	if p.Zone == nil {
		return time.UTC
	}
	return p.Zone
}

// Silent reports whether an instant is within the quiet hours.
func (p Policy) Silent(at time.Time) bool {
	return p.Quiet.holds(p.minutes(at))
}

// holds reports whether a time of day is within the quiet hours.
func (q Quiet) holds(minutes int) bool {
	if q.From < q.To {
		return q.From <= minutes && minutes < q.To
	}
	return q.From != q.To && (minutes >= q.From || minutes < q.To)
}

// minutes returns the time of day of an instant.
func (p Policy) minutes(at time.Time) int {
	at = at.In(p.zone())
	return at.Hour()*60 + at.Minute()
}

// Due returns when a deal that was found at an instant is sent.
func (p Policy) Due(found time.Time) time.Time {
	at := found
	switch p.Digest.Every {
	case Hourly:
		at = p.next(found, func(minutes int) bool { return minutes%60 == 0 })
	case Daily:
		at = p.next(found, func(minutes int) bool { return minutes == p.Digest.At })
	case Each:
	}
	if p.Silent(at) {
		at = p.quietEnd(at)
	}
	return at
}

// DueAt returns when deals are sent that were not sent before an instant: whatever the
// quiet hours of that instant hold, or the last ones held, is due at their end.
func (p Policy) DueAt(now time.Time, found ...time.Time) []time.Time {
	released, due := p.released(now), make([]time.Time, len(found))
	for i, at := range found {
		due[i] = latest(p.Due(at), released)
	}
	return due
}

// released returns the end of the quiet hours of an instant, or of the last ones before it; zero without any.
func (p Policy) released(now time.Time) time.Time {
	switch {
	case p.Quiet.From == p.Quiet.To:
		return time.Time{}
	case p.Silent(now):
		return p.quietEnd(now)
	}
	at := now.Truncate(time.Minute)
	for range mostMinutes {
		before := at.Add(-time.Minute)
		if p.Silent(before) {
			return at
		}
		at = before
	}
	return time.Time{}
}

// quietEnd returns the end of the quiet hours that an instant is in: the
// first minute outside them, because a change of the clock may skip their end.
func (p Policy) quietEnd(at time.Time) time.Time {
	return p.next(at, func(minutes int) bool { return !p.Quiet.holds(minutes) })
}

func latest(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// mostMinutes bounds the search for a time of day: a day has up to 25 hours,
// and the time of a digest that a change of the clock skips is a day later.
const mostMinutes = 49 * 60

// next returns the first whole minute after an instant with a wanted time of day. It walks the
// minutes, because days with a change of the clock have a different number of them.
func (p Policy) next(after time.Time, wanted func(minutesOfDay int) bool) time.Time {
	at := after.Truncate(time.Minute)
	for range mostMinutes {
		at = at.Add(time.Minute)
		if wanted(p.minutes(at)) {
			return at
		}
	}
	return at
}

// Plan returns which of the deals, by when they were found, are sent now: each group is one message, in
// the order in which they are due. wake is when the next of the others is due; zero without any.
func (p Policy) Plan(found []time.Time, now time.Time) (groups [][]int, wake time.Time) {
	together := map[int64]int{} // the group of each due minute
	all := p.DueAt(now, found...)
	order := make([]int, len(found))
	for i := range found {
		order[i] = i
	}
	slices.SortStableFunc(order, func(i, j int) int { return found[i].Compare(found[j]) })
	for _, i := range order {
		due := all[i]
		group, waited := together[due.Unix()]
		switch {
		case due.After(now):
			if wake.IsZero() || due.Before(wake) {
				wake = due
			}
		case !due.After(found[i]): // not delayed
			groups = append(groups, []int{i})
		case waited:
			groups[group] = append(groups[group], i)
		default:
			together[due.Unix()] = len(groups)
			groups = append(groups, []int{i})
		}
	}
	return groups, wake
}
