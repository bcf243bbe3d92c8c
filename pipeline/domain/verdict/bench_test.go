package verdict

import (
	"testing"
	"time"

	"ratchet/pipeline/domain/keepa"
)

// The bars: decisions a second on one core, from decoded inputs.
const (
	glanceBar = 20_000
	peekBar   = 2_000
)

// reach reports the loop's decisions a second, and fails below the bar.
func reach(b *testing.B, bar float64) {
	b.Helper()
	took := b.Elapsed()
	if took < 100*time.Millisecond {
		return // a trial run: too short to say anything
	}
	rate := float64(b.N) / took.Seconds()
	b.ReportMetric(rate, "decisions/s")
	b.ReportMetric(bar, "bar/s")
	if rate < bar {
		b.Errorf("%.0f decisions a second, want at least %.0f", rate, bar)
	}
}

// BenchmarkDecisions decides captured rows and captured products, which are several times larger than a book's usual
// answer. Run it with -cpu 1.
func BenchmarkDecisions(b *testing.B) {
	j := defaultJudge(b)
	b.Run("glance", func(b *testing.B) {
		var rows []keepa.DealRow
		for _, body := range capturedFiles(b, "deal/*.gz") {
			page, err := keepa.DecodeDealPage(body)
			if err != nil {
				b.Fatal(err)
			}
			rows = append(rows, page.Rows...)
		}
		for i := 0; b.Loop(); i++ {
			j.Glance(rows[i%len(rows)], now)
		}
		reach(b, glanceBar)
	})
	_, products := capturedProducts(b)
	rows, at := make([]keepa.DealRow, len(products)), make([]time.Time, len(products))
	for i, p := range products {
		rows[i], at[i] = rowOf(p), p.LastUpdate.Time()
	}
	b.Run("peek", func(b *testing.B) {
		for i := 0; b.Loop(); i++ {
			n := i % len(products)
			j.Peek(rows[n], products[n], at[n])
		}
		reach(b, peekBar)
	})
	b.Run("commit", func(b *testing.B) {
		for i := 0; b.Loop(); i++ {
			n := i % len(products)
			j.Commit(rows[n], products[n], nil, at[n])
		}
		reach(b, peekBar)
	})
}
