package refresher

import (
	"encoding/json"
	"fmt"
	"reflect"
	"runtime"
	"strings"
	"testing"
	"time"

	"ratchet/pipeline"
	"ratchet/pipeline/domain/refresh"
	"ratchet/test/desk"
)

// mostBytes is the bar for what a refresher holds of a holding.
const mostBytes = 300

// many is how many holdings are measured.
const many = 100_000

// large is a holding with a row of the size that Keepa's rows have.
func large(n int) refresh.Holding {
	at := desk.T0.Add(-time.Duration(n) * time.Second)
	return refresh.Holding{
		Identity: pipeline.Identity{Domain: 1, ASIN: fmt.Sprintf("B%09d", n), PriceType: 2, CreationDate: int64(7_000_000 + n)},
		State:    refresh.Stale, Why: refresh.StaleWaiting, Since: at, Found: at, Confirmed: at, Checked: at, Cents: int64(n),
		Due: at, Offered: at, Failed: 1, Ran: time.Hour, Missing: []string{"seller"}, Attempt: 1, Repaired: at, Seq: uint64(n),
		Queries: []string{"used-books"}, ListedAt: at, Row: json.RawMessage(`{"title":"` + strings.Repeat("x", 3000) + `"}`),
	}
}

// fill reads holdings as a load does, and returns the bytes that stay for each.
func fill(t testing.TB, n int) float64 {
	t.Helper()
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	s := newStock()
	for i := range n {
		h := large(i)
		key := pipeline.KeySeen(h.Identity)
		body, err := json.Marshal(h)
		if err != nil {
			t.Fatal(err)
		}
		read, err := readHolding(key, body, desk.T0)
		if err != nil {
			t.Fatal(err)
		}
		s.put(key, read, uint64(i))
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	runtime.KeepAlive(s)
	return float64(after.HeapAlloc-before.HeapAlloc) / float64(n)
}

func BenchmarkBytesAHolding(b *testing.B) {
	for b.Loop() {
		bytes := fill(b, many)
		b.ReportMetric(bytes, "bytes/holding")
		if bytes > mostBytes {
			b.Errorf("%.0f bytes a holding, want at most %d", bytes, mostBytes)
		}
	}
}

// TestAHoldingTakesAtMost300Bytes runs alone: other tests' memory would be counted.
func TestAHoldingTakesAtMost300Bytes(t *testing.T) { //nolint:paralleltest // it measures the whole process
	if bytes := fill(t, many/10); bytes > mostBytes {
		t.Errorf("%.0f bytes a holding, want at most %d", bytes, mostBytes)
	}
}

func TestWhatIsKeptOfAHoldingIsAllButItsRow(t *testing.T) {
	t.Parallel()
	s := newStock()
	whole := large(7)
	bare := refresh.Holding{Identity: whole.Identity, State: refresh.Held}
	bare.ASIN, bare.Queries = "B000000099", []string{}
	for _, h := range []refresh.Holding{whole, bare} {
		s.put(pipeline.KeySeen(h.Identity), h, 9)
		want := h
		want.Row = nil
		if got := s.holding(pipeline.KeySeen(h.Identity)); !reflect.DeepEqual(got, want) {
			t.Errorf("got  %+v\nwant %+v", got, want)
		}
	}
	news := whole
	news.Cents = 1
	added := bare
	added.ASIN = "B000000050"
	var got []string
	for h := range s.with(map[string]refresh.Holding{pipeline.KeySeen(news.Identity): news, pipeline.KeySeen(added.Identity): added}) {
		got = append(got, fmt.Sprintf("%s %d", h.ASIN, h.Cents))
	}
	if want := []string{"B000000007 1", "B000000050 0", "B000000099 0"}; !reflect.DeepEqual(got, want) {
		t.Errorf("with news %q, want %q", got, want)
	}
}
