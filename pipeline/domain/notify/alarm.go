package notify

import (
	"maps"
	"slices"
	"time"
)

// Alarm is something that is wrong, or was.
type Alarm struct {
	Name  string `json:"name"`  // stuck:peeker, keepa, engine, list:1.used-books
	Says  string `json:"says"`  // what is wrong, in words
	Ended bool   `json:"ended"` // it is over
}

// Confirm is how long something must be wrong before it is an alarm, machine time: a daemon that restarts is none.
const Confirm = 30 * time.Second

// Watch is what is wrong and since when. The zero Watch is of a pipeline in which nothing is wrong.
type Watch map[string]wrong

type wrong struct {
	since time.Time
	says  string
}

// See is the watch after a look at what is wrong, by name. What is wrong again after it was not begins again.
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

// Alarms is what has been wrong for long enough.
func (w Watch) Alarms(now time.Time) map[string]string {
	out := map[string]string{}
	for name, is := range w {
		if now.Sub(is.since) >= Confirm {
			out[name] = is.says
		}
	}
	return out
}

// Changes are the messages by which a target that was sent some alarms learns of those that are, the ended ones first.
// Other words about an alarm are no change. An alarm that stopped being wrong before it was sent is never sent.
func Changes(sent, now map[string]string) []Alarm {
	var out []Alarm
	for _, name := range slices.Sorted(maps.Keys(sent)) {
		if _, still := now[name]; !still {
			out = append(out, Alarm{Name: name, Says: sent[name], Ended: true})
		}
	}
	for _, name := range slices.Sorted(maps.Keys(now)) {
		if _, known := sent[name]; !known {
			out = append(out, Alarm{Name: name, Says: now[name]})
		}
	}
	return out
}
