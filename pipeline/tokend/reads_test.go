package tokend

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"ratchet/pipeline"
	"ratchet/pipeline/domain/keepa"
	"ratchet/pipeline/domain/token"
	"ratchet/pipeline/domain/token/plan"
	"ratchet/pipeline/domain/watermark"
	"ratchet/pipeline/platform/bus"
	"ratchet/pipeline/sim/keepasim"
)

// stalled is a bucket whose server lists no key before the caller's time is over.
type stalled struct{ jetstream.KeyValue }

// lister ends with its context, without an error, as the client library's does.
type lister chan string

func (stalled) ListKeys(ctx context.Context, _ ...jetstream.WatchOpt) (jetstream.KeyLister, error) {
	keys := make(lister)
	context.AfterFunc(ctx, func() { close(keys) })
	return keys, nil
}

func (l lister) Keys() <-chan string { return l }
func (l lister) Stop() error         { return nil }

func TestAListOfWatermarksThatEndsEarlyIsNotTakenForTheWhole(t *testing.T) {
	t.Parallel()
	d := &tokend{marks: stalled{}}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if polls, err := d.readPolls(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("polls %v, %v", polls, err)
	}
}

// TestATokendReadsOnlyWhatItsOwnPlanPaysFor has a plan de beside the first one: survivors of amazon.de wait, and its
// list is due before that of amazon.com.
func TestATokendReadsOnlyWhatItsOwnPlanPaysFor(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1, keepasim.Options{Rate: 5, Balance: 100})
	if err := w.bus.Apply(t.Context(), bus.Provision{Plans: plan.Map{"de": {keepa.DomainDE}}}); err != nil {
		t.Fatal(err)
	}
	w.survivors(pipeline.LookGlance, "live", 2)
	for _, asin := range w.asn[:5] {
		subject := pipeline.SubjectSurvivor(int(keepa.DomainDE), pipeline.LookGlance, "live", asin)
		if _, err := w.bus.Publish(t.Context(), bus.Message{Subject: subject, ID: subject, Schema: pipeline.SchemaSurvivor, Body: []byte("{}")}); err != nil {
			t.Fatal(err)
		}
	}
	due := map[string]time.Time{"1.used-books": t0.Add(time.Hour), "3.used-books": t0}
	marks, err := w.bus.Store(t.Context(), pipeline.BucketWatermarks)
	for key, at := range due {
		raw, _ := json.Marshal(watermark.State{NextPoll: at})
		if err == nil {
			_, err = marks.Put(t.Context(), key, raw)
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	for p, want := range map[pipeline.Plan]struct {
		peeks int
		poll  time.Time
	}{"": {2, due["1.used-books"]}, "de": {5, due["3.used-books"]}} {
		d := w.tokend()
		if d.bus, err = d.bus.As(t.Context(), p); err != nil {
			t.Fatal(err)
		}
		got, err := d.readDemand(t.Context())
		if err != nil || got.Backlogs[pipeline.StagePeeker] != (token.Backlog{Pending: want.peeks}) || !slices.EqualFunc(got.Polls, []time.Time{want.poll}, time.Time.Equal) {
			t.Errorf("plan %q reads %v and polls %v (%v), want %d peeks and the poll at %s", p, got.Backlogs, got.Polls, err, want.peeks, want.poll)
		}
	}
}
