package natsd

import (
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

func TestOnlyWhatNoLimitRemovedIsLost(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	limits := &server.StreamConfig{MaxAge: 24 * time.Hour, MaxBytes: 1000}
	bucket := &server.StreamConfig{MaxMsgsPer: 1}
	held := func(first, last, n uint64, c *server.StreamConfig) server.StreamDetail {
		return server.StreamDetail{Config: c, State: server.StreamState{FirstSeq: first, LastSeq: last, Msgs: n}}
	}
	full := held(50, 100, 51, limits)
	full.State.Bytes = 990
	holed := full
	holed.State.NumDeleted = 7
	before := mark{First: 1, Last: 100, Messages: 100, Oldest: now.Add(-time.Hour)}
	old := before
	old.Oldest = now.Add(-25 * time.Hour)
	for _, c := range []struct {
		name  string
		mark  mark
		held  server.StreamDetail
		there bool
		want  uint64
	}{
		{"nothing is", before, held(1, 100, 100, limits), true, 0},
		{"what was stored since is not counted against it", before, held(1, 150, 150, limits), true, 0},
		{"everything is", before, held(101, 100, 0, limits), true, 100},
		{"the second half is", before, held(1, 100, 50, limits), true, 50},
		{"the second half is, and more was stored", before, held(1, 110, 60, limits), true, 50},
		{"the stream is", before, server.StreamDetail{}, false, 100},
		{"what was due to leave is not", old, held(101, 100, 0, limits), true, 0},
		{"what had no room is not", before, full, true, 0},
		{"what was removed behind the first is, however full the stream", before, holed, true, 7},
		{"a value that another replaced is not", before, held(60, 140, 20, bucket), true, 0},
		{"every value of a bucket is", before, held(101, 100, 0, bucket), true, 100},
		{"nothing was there", mark{}, held(1, 0, 0, limits), true, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if got := c.mark.lost(c.held, c.there, now); got != c.want {
				t.Errorf("%d lost, want %d", got, c.want)
			}
		})
	}
}
