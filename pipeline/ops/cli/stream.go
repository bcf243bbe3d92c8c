package cli

import (
	"context"
	"fmt"
	"slices"
	"time"

	"ratchet/pipeline"
	"ratchet/pipeline/platform/bus"
)

// StreamStatus is what a stream holds, its limits, and how much it has deleted.
type StreamStatus struct {
	Name     string    `json:"name"`
	Messages uint64    `json:"messages"`
	Bytes    uint64    `json:"bytes"`
	MaxBytes int64     `json:"max_bytes"`          // below 1: no limit
	Oldest   time.Time `json:"oldest,omitzero"`    // when the oldest message was stored, machine time; zero if absent
	MaxAgeS  int64     `json:"max_age_s"`          // 0: no limit
	Gone     uint64    `json:"gone"`               // messages that were deleted
	Fills    string    `json:"fills_in,omitempty"` // when the size limit, not the age limit, deletes first, at the rate so far
}

func (s *Status) readStreams(ctx context.Context, b *bus.Bus) {
	all, err := b.Infos(ctx)
	for _, i := range all {
		if slices.Contains(pipeline.Streams(), i.Config.Name) {
			s.Streams = append(s.Streams, streamStatus(i.Config.Name, bus.SpanOf(i), time.Now()))
		}
	}
	s.Store = &Store{}
	for _, i := range all {
		if wrong := replicasOf(i); wrong != "" {
			s.Store.Wrong = append(s.Store.Wrong, i.Config.Name+": "+wrong+".")
		}
	}
	for _, name := range bus.Silent(err) {
		s.Store.Wrong = append(s.Store.Wrong, name+": does not answer; it may have no leader.")
	}
}

func streamStatus(name string, span bus.Span, now time.Time) StreamStatus {
	st := StreamStatus{
		Name: name, Messages: span.Messages, Bytes: span.Bytes, MaxBytes: span.Limit, MaxAgeS: int64(span.Age / time.Second),
		Gone: span.Last - span.Messages,
	}
	if span.Messages == 0 {
		return st
	}
	st.Oldest = span.Oldest.UTC()
	// Less than a day of messages does not give a rate: it shows only the start.
	if age := now.Sub(span.Oldest); age > 24*time.Hour && span.Limit > 0 && span.Bytes > 0 && st.Gone == 0 {
		full := time.Duration(float64(age) * (float64(span.Limit)/float64(span.Bytes) - 1))
		if span.Age == 0 || age+full < span.Age {
			st.Fills = brief(full)
		}
	}
	return st
}

// writeLag prints how far ClickHouse is behind, if it is.
func (s Status) writeLag(p *lines) {
	for _, h := range s.Daemons {
		for _, st := range s.Streams {
			line, _ := h.Detail[st.Name].(map[string]any)
			if lag, _ := line["lag_s"].(float64); h.Daemon == "recorder" && lag >= 1 {
				p.f("ClickHouse is %s behind %s; %v messages wait\n", brief(time.Duration(lag*float64(time.Second))), st.Name, line["pending"])
			}
		}
	}
}

// bytesOf formats a size in powers of ten, like the limits.
func bytesOf(n uint64) string {
	for _, u := range []struct {
		size uint64
		name string
	}{{1e9, "GB"}, {1e6, "MB"}, {1e3, "kB"}} {
		if n >= u.size {
			return fmt.Sprintf("%.3g %s", float64(n)/float64(u.size), u.name)
		}
	}
	return fmt.Sprintf("%d B", n)
}
