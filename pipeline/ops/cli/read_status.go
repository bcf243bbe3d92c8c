package cli

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"ratchet/pipeline/domain/watermark"
	"ratchet/pipeline/platform/bus"
)

// statusWithin bounds reading the status if the caller sets no limit.
const statusWithin = 10 * time.Second

// part is a piece of the status. Parts are read concurrently, so that one that does not answer delays no other.
type part struct {
	name string
	read func(*Status, context.Context, *bus.Bus)
}

func parts() []part {
	return []part{
		{"tokens", func(s *Status, ctx context.Context, b *bus.Bus) { s.failed = s.readTokens(ctx, b) }},
		{"what waits", (*Status).readWaiting},
		{"daemons", (*Status).readDaemons},
		{"watermarks", (*Status).readWatermarks},
		{"streams", (*Status).readStreams},
		{"servers", (*Status).readStore},
		{"the stock", (*Status).readStock},
		{"rules", (*Status).readRules},
		{"queries", (*Status).readQueries},
	}
}

// ReadStatus reads the status until ctx ends, and names in Late the parts that have not answered by then.
// Unreadable parts are left out, because a status that fails when something is wrong is useless; only NATS itself
// must answer.
func ReadStatus(ctx context.Context, b *bus.Bus) (Status, error) { return readParts(ctx, b, parts()) }

// ReadStatusAndCounts is ReadStatus with the counts of the deals, from the ClickHouse at the URL or from the streams.
func ReadStatusAndCounts(ctx context.Context, b *bus.Bus, clickhouse string) (Status, error) {
	v := NewVisible(b, clickhouse)
	v.Patience = countPatience
	count := part{countPart, func(s *Status, ctx context.Context, _ *bus.Bus) {
		defer v.Close()
		s.Count(ctx, v)
	}}
	s, err := readParts(ctx, b, append(parts(), count))
	for i, late := range s.Late {
		if why := v.because.Load(); late == countPart && why != nil {
			s.Late[i] += ", since " + *why
		}
	}
	return s, err
}

const (
	countPart = "how many deals are visible"
	// countPatience is how long a count in a hurry waits for the recorder.
	countPatience = 200 * time.Millisecond
)

// work reads the part of the status about tokens and the work that waits for them.
func work(ctx context.Context, b *bus.Bus) (Status, error) { return readParts(ctx, b, parts()[:2]) }

// readParts reads the parts concurrently. Each fills its own Status; that of a late part is not used.
func readParts(ctx context.Context, b *bus.Bus, parts []part) (Status, error) {
	ctx, cancel := context.WithTimeout(ctx, statusWithin)
	defer cancel()
	// A part ends before the deadline, so that it can return what it has.
	end, _ := ctx.Deadline()
	early, stop := context.WithDeadline(ctx, end.Add(-time.Until(end)/8))
	defer stop()
	read := make([]chan Status, len(parts))
	for i, p := range parts {
		read[i] = make(chan Status, 1)
		go func() {
			var s Status
			if p.read(&s, early, b); early.Err() != nil {
				s.Late = []string{p.name} // it may be incomplete
			}
			read[i] <- s
		}()
	}
	s := Status{At: time.Now().UTC(), Wish: "run", Watermarks: map[string]watermark.State{}, plan: b.Plan()}
	for i, p := range parts {
		select {
		case one := <-read[i]:
			if one.failed != nil && len(one.Late) == 0 {
				return s, one.failed
			}
			s.add(one)
		case <-ctx.Done():
			s.Late = append(s.Late, p.name)
		}
	}
	if len(s.Late) == len(parts) {
		return s, errSilent
	}
	s.conclude()
	return s, nil
}

var errSilent = errors.New("NATS takes connections and does not answer in time; see `nats server check connection`")

// add merges a part.
func (s *Status) add(p Status) {
	if p.Balance != nil {
		s.Balance = p.Balance
	}
	s.Plans = append(s.Plans, p.Plans...)
	if p.Wish != "" {
		s.Wish = p.Wish
	}
	if !p.At.IsZero() {
		s.At = p.At
	}
	for _, one := range p.Stages {
		s.stage(one)
	}
	maps.Copy(s.Watermarks, p.Watermarks)
	s.Daemons, s.Missing = append(s.Daemons, p.Daemons...), append(s.Missing, p.Missing...)
	s.unrecorded += p.unrecorded
	s.Late = append(s.Late, p.Late...)
	s.Streams, s.Bad = append(s.Streams, p.Streams...), append(s.Bad, p.Bad...)
	if p.Deals != nil {
		s.Deals = p.Deals
	}
	if p.Stock != nil {
		s.Stock = p.Stock
	}
	if p.Rules != nil {
		s.Rules = p.Rules
	}
	if p.Queries != nil {
		s.Queries = p.Queries
	}
	if p.Store != nil && s.Store != nil {
		p.Store.Wrong = append(p.Store.Wrong, s.Store.Wrong...)
	}
	if p.Store != nil {
		s.Store = p.Store
	}
}

// stage merges a part's figures of a stage.
func (s *Status) stage(one StageStatus) {
	i := slices.IndexFunc(s.Stages, func(st StageStatus) bool { return st.Stage == one.Stage && st.Plan == one.Plan })
	if i < 0 {
		s.Stages = append(s.Stages, one)
		return
	}
	st := &s.Stages[i]
	st.Free, st.Waiting, st.InWork = st.Free+one.Free, st.Waiting+one.Waiting, st.InWork+one.InWork
	st.Credit, st.Open = st.Credit+one.Credit, st.Open+one.Open
	st.Price, st.Worst = max(st.Price, one.Price), max(st.Worst, one.Worst)
}

// conclude adds what follows from several parts.
func (s *Status) conclude() {
	s.addRules()
	s.addQueries()
	s.missing()
	s.Stuck = s.stuck()
}

// lateness returns what has not answered, for people; empty if everything has.
func (s Status) lateness() string {
	if len(s.Late) == 0 {
		return ""
	}
	return fmt.Sprintf("No answer in time: %s.", strings.Join(s.Late, "; "))
}
