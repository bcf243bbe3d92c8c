package page

import (
	"bytes"
	"cmp"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"time"
)

// pace is how quickly pages follow changes, machine time.
type pace struct {
	calm  time.Duration // the least time between two changes of a page
	fresh time.Duration // how often a page is rendered without a change, because it shows ages
	look  time.Duration // the least time between two readings of the state
}

// usualPace is the pace outside of tests.
var usualPace = pace{calm: 300 * time.Millisecond, fresh: 30 * time.Second, look: 2 * time.Second}

// sendWithin bounds one write to a browser; one that does not read is disconnected.
const sendWithin = 10 * time.Second

// views are the views that are kept current, by name.
var views = map[string]func() view{dealsName: dealsView, dealName: dealView, machineName: machineView, replaysName: replaysView}

// eventsOf returns the address of a view's changes since it was rendered.
func eventsOf(v view, a asked, at string) string {
	if views[v.name] == nil {
		return ""
	}
	q := url.Values{}
	maps.Copy(q, a.query)
	q.Set("view", v.name)
	q.Set("at", at)
	if a.asin != "" {
		q.Set("asin", a.asin)
	}
	return "/events?" + q.Encode()
}

// events sends the changes of a page until it is closed.
func (s *Server) events(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	of := views[q.Get("view")]
	if of == nil {
		http.Error(w, "there is no such view", http.StatusNotFound)
		return
	}
	v, a := of(), asked{asin: q.Get("asin"), query: q}
	at := q.Get("at")
	if last := r.Header.Get("Last-Event-ID"); last != "" {
		at = last
	}
	for _, name := range []string{"view", "at", "asin"} {
		a.query.Del(name)
	}
	sub, leave, ok := s.hub.join(v.topics(a)...)
	if !ok {
		w.Header().Set("Retry-After", "30")
		http.Error(w, "too many pages are open", http.StatusServiceUnavailable)
		return
	}
	defer leave()
	s.machine.hint.Give()
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("X-Accel-Buffering", "no")
	l := eventWriter{to: http.NewResponseController(w), w: w}
	l.err = l.to.SetReadDeadline(time.Time{}) // nothing more is read, and no deadline may end it
	l.send("hello", "", s.epoch)
	s.follow(r, v, a, sub, &l, at)
}

// follow sends the differences from what the page shows, when it is woken and at intervals.
func (s *Server) follow(r *http.Request, v view, a asked, sub *subscriber, l *eventWriter, at string) {
	fresh := time.NewTicker(cmp.Or(v.fresh, s.pace.fresh))
	defer fresh.Stop()
	shown := ""
	for stale := true; l.err == nil; {
		if stale {
			if html, now, err := s.render(r.Context(), v, a); err == nil && now != at {
				at = now
				l.send("fragment", at, string(html))
			}
		}
		if html := s.machine.header(); html != shown {
			shown = html
			l.send("pulse", "", html)
		}
		l.send("", "", "")
		select { // changes that come close together are sent together
		case <-r.Context().Done():
			return
		case <-s.hub.done:
			return
		case <-time.After(s.pace.calm):
		}
		select {
		case <-r.Context().Done():
			return
		case <-s.hub.done:
			return
		case <-sub.wake:
			stale = sub.stale.Swap(false)
		case <-fresh.C:
			stale = true
		}
	}
}

// eventWriter writes server-sent events to one browser. After an error it writes nothing.
type eventWriter struct {
	to  *http.ResponseController
	w   http.ResponseWriter
	err error
}

// send sends an event; one without a name only shows that the connection works.
func (l *eventWriter) send(event, id, data string) {
	if l.err != nil {
		return
	}
	var out bytes.Buffer
	if id != "" {
		fmt.Fprintf(&out, "id: %s\n", id)
	}
	if event == "" {
		out.WriteString(":\n\n")
	} else {
		fmt.Fprintf(&out, "event: %s\n", event)
		for part := range bytes.Lines([]byte(data)) {
			fmt.Fprintf(&out, "data: %s\n", bytes.TrimRight(part, "\r\n"))
		}
		out.WriteByte('\n')
	}
	if l.err = l.to.SetWriteDeadline(time.Now().Add(sendWithin)); l.err != nil {
		return
	}
	if _, l.err = l.w.Write(out.Bytes()); l.err == nil {
		l.err = l.to.Flush()
	}
}
