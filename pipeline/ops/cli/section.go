package cli

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"ratchet/pipeline/text/foreign"
)

// Section is a part of the status: a table, with sentences below it.
type Section struct {
	Name  string
	Heads []string
	Rows  [][]string
	Says  []string
}

// Sections returns the status in parts, each as Write prints it; daemons with their build.
func (s Status) Sections() []Section {
	daemons := s.daemons()
	daemons.Heads = append(daemons.Heads, "BUILD", "INSTANCE")
	for i, h := range s.Daemons {
		daemons.Rows[i] = append(daemons.Rows[i], shown(h.Build), shown(h.Instance))
	}
	daemons.Says = printed(s.writeAgain, s.writeLag, s.writeMissing)
	lists := s.lists()
	lists.Says = printed(s.writeQueries)
	return []Section{
		s.stages(), daemons, lists, s.notified(), s.streams(),
		{Name: "Rules", Says: printed(s.writeRules)},
		{Name: "Stored deals", Says: printed(func(p *lines) { p.f("%s%s", s.Deals.sentence(), s.Stock.sentence(s.At, s.worth)) })},
	}
}

// printed returns what is printed, by line, without empty lines.
func printed(prints ...func(*lines)) []string {
	var text strings.Builder
	p := &lines{w: tabwriter.NewWriter(&text, 0, 4, 2, ' ', 0)}
	for _, print := range prints {
		print(p)
	}
	_ = p.flush() // a builder takes everything
	var out []string
	for line := range strings.Lines(text.String()) {
		if line = strings.TrimSpace(line); line != "" {
			out = append(out, line)
		}
	}
	return out
}

// section prints a table, if it has a heading.
func (l *lines) section(s Section) {
	if s.Heads == nil {
		return
	}
	l.f("\n%s\n", strings.Join(s.Heads, "\t"))
	for _, r := range s.Rows {
		l.f("%s\n", strings.Join(r, "\t"))
	}
}

func (s Status) stages() Section {
	out := Section{Name: "Stages", Heads: []string{"STAGE", "FREE WAITING", "PAID WAITING", "IN WORK", "CREDIT", "OPEN CLAIMS", "PRICE (MOST)"}}
	for _, st := range s.Stages {
		out.Rows = append(out.Rows, []string{
			st.Plan.With(string(st.Stage)), strconv.Itoa(st.Free), strconv.Itoa(st.Waiting), strconv.Itoa(st.InWork), strconv.Itoa(st.Credit), strconv.Itoa(st.Open), st.price(),
		})
	}
	return out
}

func (s Status) daemons() Section {
	out := Section{Name: "Daemons", Heads: []string{"DAEMON", "STATE", "LAST PROGRESS", "LAST PAID CALL", "LAST ERROR"}}
	for _, h := range s.Daemons {
		out.Rows = append(out.Rows, []string{h.Plan.With(h.Daemon), orDash(h.State), Ago(s.At, h.LastProgress), Ago(s.At, h.LastPaid), shown(h.LastError)})
	}
	return out
}

func (s Status) writeMissing(p *lines) {
	if len(s.Missing) > 0 {
		p.f("no heartbeat from: %s\n", strings.Join(s.Missing, ", "))
	}
}

func (s Status) lists() Section {
	out := Section{Name: "Lists", Heads: []string{"WATERMARK", "READ", "NEXT POLL", "INTERVAL", "WHY", "GAPS OWED", "LAST SWEEP", "ROWS", "CAME AND WENT"}}
	for _, k := range slices.Sorted(maps.Keys(s.Watermarks)) {
		m := s.Watermarks[k]
		out.Rows = append(out.Rows, []string{
			k, Ago(s.At, m.ReadAt), next(s.At, m), fmt.Sprint(time.Duration(m.IntervalS) * time.Second), orDash(m.Why), owed(m), Ago(s.At, m.LastSweep),
			strconv.Itoa(m.Rows), estimate(m.Unseen),
		})
	}
	return out
}

// notified returns the targets of the notifier, if any.
func (s Status) notified() Section {
	out := Section{Name: "Notified"}
	for _, h := range s.Daemons {
		for _, n := range notifiedBy(h) {
			out.Heads = []string{"NOTIFIED", "SENT", "WAITING", "NEXT", "REFUSED", "LAST REFUSED", "LAST ERROR"}
			out.Rows = append(out.Rows, []string{
				shown(n.Target), strconv.Itoa(n.Sent), strconv.Itoa(n.Waiting), ahead(s.At, n.Next), strconv.Itoa(n.Refused), shown(n.LastRefused), shown(n.LastError),
			})
		}
	}
	return out
}

// streams returns what the streams hold. What a stream has deleted cannot be replayed, and what RESPONSES has deleted
// must be paid for again.
func (s Status) streams() Section {
	out := Section{Name: "Streams"}
	for _, st := range s.Streams {
		size, oldest := bytesOf(st.Bytes), "–"
		if st.MaxBytes > 0 {
			size += " of " + bytesOf(uint64(st.MaxBytes))
		}
		if st.Fills != "" {
			size += ", full in " + st.Fills
		}
		if !st.Oldest.IsZero() {
			oldest = Ago(time.Now(), st.Oldest)
		}
		kept := "ever"
		if st.MaxAgeS > 0 {
			kept = brief(time.Duration(st.MaxAgeS) * time.Second)
		}
		out.Heads = []string{"STREAM", "MESSAGES", "SIZE", "OLDEST", "KEPT FOR", "GONE"}
		out.Rows = append(out.Rows, []string{st.Name, strconv.FormatUint(st.Messages, 10), size, oldest, kept, strconv.FormatUint(st.Gone, 10)})
	}
	return out
}

// shown formats foreign text for a cell.
func shown(s string) string { return orDash(foreign.Of(s).String()) }
