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

// Watch records problems and since when they exist. The zero Watch has not looked yet.
type Watch struct {
	since  time.Time // of the first look
	wrongs map[string]wrong
}

type wrong struct {
	since time.Time
	says  string
}

// Observe returns the watch after an observation of the current problems, by name. A problem that returns starts again.
func (w Watch) Observe(wrongs map[string]string, now time.Time) Watch {
	next := Watch{since: now, wrongs: map[string]wrong{}}
	if !w.since.IsZero() && !now.Before(w.since) {
		next.since = w.since
	}
	for name, says := range wrongs {
		since := now
		if before, known := w.wrongs[name]; known && !now.Before(before.since) {
			since = before.since
		}
		next.wrongs[name] = wrong{since: since, says: says}
	}
	return next
}

// Alarms returns the problems that have lasted long enough. known is false until the watch has looked for as long:
// whether an alarm of before is over cannot be known sooner.
func (w Watch) Alarms(now time.Time) (alarms map[string]string, known bool) {
	alarms = map[string]string{}
	for name, is := range w.wrongs {
		if now.Sub(is.since) >= Confirm {
			alarms[name] = is.says
		}
	}
	return alarms, !w.since.IsZero() && now.Sub(w.since) >= Confirm
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
