package plans_test

import (
	"bytes"
	"path/filepath"
	"slices"
	"testing"

	"ratchet/pipeline"
	"ratchet/pipeline/committer"
	"ratchet/pipeline/domain/keepa"
	"ratchet/pipeline/ops/backup"
	"ratchet/pipeline/peeker"
	"ratchet/pipeline/platform/bus"
	"ratchet/pipeline/tokend"
	"ratchet/pipeline/watermarker"
	"ratchet/test/streams"
)

func TestABackupKeepsTheBooksOfBothPlans(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("decides 800 candidates")
	}
	w := newWorld(t)
	all := []run{tokend.Run, watermarker.Run, peeker.Run, committer.Run}
	stops := []func(){w.start("", all...), w.start("de", all...)}
	w.await("both have bought something and not all", func() bool {
		_, com := w.decided(keepa.DomainCom)
		_, de := w.decided(keepa.DomainDE)
		return com > 20 && de > 20
	})
	for _, stop := range stops {
		stop() // the books are compared to the message, so nothing may be under way
	}
	dir := filepath.Join(t.TempDir(), "set")
	if _, err := backup.Save(t.Context(), dir, backup.Source{Bus: w.bus, Build: "test", Say: t.Logf}); err != nil {
		t.Fatal(err)
	}
	set, err := backup.Read(dir)
	if err != nil {
		t.Fatal(err)
	}
	env, _ := streams.Start(t, "")
	restored, err := bus.Connect(t.Context(), streams.Config(), env, "test")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(restored.Close)
	if err := set.Restore(t.Context(), dir, backup.Target{Bus: restored, Say: t.Logf}); err != nil {
		t.Fatal(err)
	}
	if plans, err := restored.Plans(t.Context()); err != nil || plans.String() != "de=de" {
		t.Errorf("the plans are %v (%v), want de=de", plans, err)
	}
	for _, bucket := range []string{pipeline.BucketTokens, pipeline.Plan("de").Own(pipeline.BucketTokens)} {
		have, want := values(t, restored, bucket), values(t, w.bus, bucket)
		if len(want) < 4 || len(have) != len(want) {
			t.Errorf("%s has %d keys, want the %d of before, at least 4", bucket, len(have), len(want))
		}
		for key, value := range want {
			if !bytes.Equal(have[key], value) {
				t.Errorf("%s: %s is %s, want %s", bucket, key, have[key], value)
			}
		}
	}
	if found, err := restored.Differences(t.Context()); err != nil || len(found) > 0 {
		t.Errorf("differences: %v, %v", found, err)
	}

	w.bus = restored
	for p, k := range w.keys {
		k.env.NATSOptions = env.NATSOptions
		w.start(p, all...)
	}
	for p, k := range w.keys {
		w.await("everything of plan "+p.String()+" is decided", func() bool { n, _ := w.decided(k.domain); return n == 400 })
		w.booksAgree(k)
		if n := len(k.sim.Account().Repeated()); n > 0 {
			t.Errorf("plan %s paid for %d answers again", p, n)
		}
	}
}

// values are those of a bucket, by key.
func values(t *testing.T, b *bus.Bus, bucket string) map[string][]byte {
	t.Helper()
	out := map[string][]byte{}
	err := b.Scan(t.Context(), pipeline.BucketStream(bucket), bus.From{Newest: true}, func(r bus.Read) error {
		out[r.Subject] = slices.Clone(r.Body)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestANumberThatIsNoMarketplaceIsADeadLetterOfTheFirstPlan(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	strays := []string{"candidate.99.live.B000000001", "candidate.us.live.B000000002", "survivor.7.peek.a.B000000003"}
	for _, subject := range append(strays, "candidate.3.live.B000000004", "survivor.3.peek.a.B000000005") {
		if _, err := w.bus.Publish(t.Context(), bus.Message{Subject: subject, Schema: "x", ID: subject, WorkID: "x", Body: []byte("{}")}); err != nil {
			t.Fatal(err)
		}
	}
	w.start("", peeker.Run)
	w.await("the strays have left", func() bool {
		n := 0
		for _, stream := range []string{pipeline.StreamCandidates, pipeline.StreamSurvivors} {
			settled, _, err := w.bus.Settled(t.Context(), stream, pipeline.DurableStray)
			if err == nil {
				n += int(settled) //nolint:gosec // small
			}
		}
		return n == 5
	})
	var got []string
	err := bus.ScanJSON(t.Context(), w.bus, pipeline.StreamDead, bus.From{}, func(_ bus.Read, d pipeline.Dead) error {
		got = append(got, d.Subject)
		return nil
	})
	if slices.Sort(got); err != nil || !slices.Equal(got, strays) {
		t.Errorf("dead letters of %v (%v), want of %v", got, err, strays)
	}
}
