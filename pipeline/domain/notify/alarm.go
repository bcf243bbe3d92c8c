package notify

import (
	"maps"
	"slices"
	"time"
)

// Alarm is a problem that began or ended.
type Alarm struct {
	Name  string `json:"name"`  // stuck:peeker, keepa, engine, list:1.used-books
	Text  string `json:"says"`  // what is wrong, in words
	Ended bool   `json:"ended"` // it is over
}

// Confirm is how long a problem must last before it is an alarm, machine time: a daemon that restarts is not an alarm.
const Confirm = 30 * time.Second

// Watch records problems and since when they exist. The zero Watch has no problems.
type Watch map[string]wrong

type wrong struct {
	since time.Time
	says  string
}

// See returns the watch after a look at the current problems, by name. A problem that returns starts again.
func (w Watch) See(wrongs map[string]string, now time.Time) Watch {
	next := Watch{}
	for name, says := range wrongs {
		since := now
		if before, known := w[name]; known && !now.Before(before.since) {
			since = before.since
		}
		next[name] = wrong{since: since, says: says}
	}
	return next
}

// Alarms returns the problems that have lasted long enough.
func (w Watch) Alarms(now time.Time) map[string]string {
	out := map[string]string{}
	for name, is := range w {
		if now.Sub(is.since) >= Confirm {
			out[name] = is.says
		}
	}
	return out
}

// Changes returns the messages that bring a target from the alarms sent to those of now, the ended ones
// first. A new text of an alarm is not a change. An alarm that ended before it was sent is never sent.
func Changes(sent, now map[string]string) []Alarm {
	var out []Alarm
	for _, name := range slices.Sorted(maps.Keys(sent)) {
		if _, still := now[name]; !still {
			out = append(out, Alarm{Name: name, Text: sent[name], Ended: true})
		}
	}
	for _, name := range slices.Sorted(maps.Keys(now)) {
		if _, known := sent[name]; !known {
			out = append(out, Alarm{Name: name, Text: now[name]})
		}
	}
	return out
}
