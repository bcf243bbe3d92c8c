package bus_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"ratchet/pipeline"
	"ratchet/pipeline/domain/keepa"
	"ratchet/pipeline/domain/token/plan"
	"ratchet/pipeline/platform/bus"
	"ratchet/pipeline/platform/process"
	"ratchet/test/streams"
)

var german = plan.Map{"de": {keepa.DomainDE}}

// waiting puts work of amazon.de in front of the first plan, whose only work of amazon.com is settled: of the
// six survivors the first is settled, so many are in work, and the others wait.
func waiting(t *testing.T, b *bus.Bus, inWork int) {
	t.Helper()
	var ms []bus.Message
	for i := range 7 {
		domain := 3
		if i == 0 {
			domain = 1
		}
		ms = append(ms, survivor(domain, i))
	}
	if err := b.PublishAll(t.Context(), ms); err != nil {
		t.Fatal(err)
	}
	in, err := b.Inlet(t.Context(), pipeline.StreamSurvivors, "peek-live")
	if err != nil {
		t.Fatal(err)
	}
	items, err := in.Take(t.Context(), 2+inWork, time.Second)
	if err != nil || len(items) != 2+inWork {
		t.Fatalf("%d items, %v", len(items), err)
	}
	for _, it := range items[:2] {
		if err := it.Settle.Done(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	for settled := uint64(0); settled < 2; { // the server takes acknowledgements when it comes to it
		if settled, _, err = b.Settled(t.Context(), pipeline.StreamSurvivors, "peek-live"); err != nil {
			t.Fatal(err)
		}
	}
}

func survivor(domain, n int) bus.Message {
	asin := fmt.Sprintf("B0%d000000%d", domain, n)
	return bus.Message{Subject: pipeline.SubjectSurvivor(domain, pipeline.LookGlance, "live", asin), Schema: pipeline.SchemaSurvivor, ID: asin, Body: []byte("{}")}
}

// taken returns the subjects that a durable delivers.
func taken(t *testing.T, b *bus.Bus, durable string) []string {
	t.Helper()
	in, err := b.Inlet(t.Context(), pipeline.StreamSurvivors, durable)
	if err != nil {
		t.Fatal(err)
	}
	items, err := in.Take(t.Context(), 100, 500*time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, it := range items {
		out = append(out, it.Subject)
	}
	return out
}

func TestANewPlanTakesItsMarketplaceWithAllThatWaits(t *testing.T) {
	t.Parallel()
	_, b := streams.Open(t)
	waiting(t, b, 2)
	if err := b.Apply(t.Context(), bus.Provision{Plans: german}); err != nil {
		t.Fatal(err)
	}
	complete(t, b)
}

// complete fails unless plan de has all that was not settled of its marketplace, and each plan what comes from now on.
func complete(t *testing.T, b *bus.Bus) {
	t.Helper()
	if err := b.PublishAll(t.Context(), []bus.Message{survivor(1, 8), survivor(3, 9)}); err != nil {
		t.Fatal(err)
	}
	var want []string
	for _, n := range []int{2, 3, 4, 5, 6, 9} {
		want = append(want, survivor(3, n).Subject)
	}
	if got := taken(t, b, "peek-live_de"); !slices.Equal(got, want) {
		t.Errorf("plan de gets %v, want %v", got, want)
	}
	if got, want := taken(t, b, "peek-live"), []string{survivor(1, 8).Subject}; !slices.Equal(got, want) {
		t.Errorf("the first plan gets %v, want %v", got, want)
	}
	if found, err := b.Differences(t.Context()); err != nil || len(found) > 0 {
		t.Errorf("differences: %v, %v", found, err)
	}
}

func TestAnApplyThatDiesAnywhereIsCompletedByTheNext(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("starts a server for each step")
	}
	// After the map, some and all of the plan's consumers, and some that are narrowed.
	for _, step := range []int{0, 4, 11, 16} {
		t.Run(fmt.Sprint(step), func(t *testing.T) {
			t.Parallel()
			_, b := streams.Open(t)
			waiting(t, b, 0)
			ctx, die := context.WithCancel(t.Context())
			defer die()
			n := 0
			err := b.Apply(ctx, bus.Provision{Plans: german, Done: func(bus.Difference, bool) {
				if n++; n > step {
					die()
				}
			}})
			if err != nil && ctx.Err() == nil {
				t.Fatal(err)
			}
			if err := b.Apply(t.Context(), bus.Provision{}); err != nil { // as every later start does, without knowing the plans
				t.Fatal(err)
			}
			complete(t, b)
		})
	}
}

func TestAPlanIsNeitherChangedNorRemovedNorUsedBeforeItExists(t *testing.T) {
	if testing.Short() {
		t.Skip("creates the topology of several plans")
	}
	t.Parallel()
	env, b := streams.Open(t)
	var usage *process.UsageError
	if err := b.For(t.Context(), "de"); !errors.As(err, &usage) || !strings.Contains(err.Error(), "topology apply --plans") {
		t.Errorf("a plan that does not exist: %v", err)
	}
	if err := b.Apply(t.Context(), bus.Provision{Plans: german}); err != nil {
		t.Fatal(err)
	}
	for _, other := range []plan.Map{{}, {"de": {keepa.DomainDE, keepa.DomainFR}}} {
		if err := b.Apply(t.Context(), bus.Provision{Plans: other}); !errors.As(err, &usage) {
			t.Errorf("to %v: %v, want a usage error", other, err)
		}
	}
	if err := b.Ensure(t.Context()); err != nil {
		t.Fatal(err)
	}
	de, err := bus.OpenFor(t.Context(), streams.Config(), env, "peeker", "de")
	if err != nil {
		t.Fatal(err)
	}
	defer de.Close()
	if !de.Serves(3) || de.Serves(1) || de.Own(pipeline.BucketTokens) != "TOKENS_de" {
		t.Errorf("plan de serves 3: %t, 1: %t, its bucket is %s", de.Serves(3), de.Serves(1), de.Own(pipeline.BucketTokens))
	}
	if err := de.Route(1); err == nil || !strings.Contains(err.Error(), "served by plan main") {
		t.Errorf("amazon.com to plan de: %v", err)
	}
	if err := de.Route(99); err == nil || !strings.Contains(err.Error(), "no marketplace") {
		t.Errorf("marketplace 99: %v", err)
	}
	for _, name := range []string{"KV_TOKENS", "KV_TOKENS_de"} {
		infos, err := b.Infos(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		found := false
		for _, i := range infos {
			found = found || i.Config.Name == name
		}
		if !found {
			t.Errorf("the status does not ask for %s", name)
		}
	}
}

func TestLeasesOfTwoPlansAreApart(t *testing.T) {
	t.Parallel()
	env, b := streams.Open(t)
	if err := b.Apply(t.Context(), bus.Provision{Plans: german}); err != nil {
		t.Fatal(err)
	}
	de, err := bus.OpenFor(t.Context(), streams.Config(), env, "tokend", "de")
	if err != nil {
		t.Fatal(err)
	}
	defer de.Close()
	for _, one := range []*bus.Bus{b, de} {
		if leads, _, err := bus.NewLease(one, pipeline.KeyLeader).Hold(t.Context()); err != nil || !leads {
			t.Errorf("a tokend of plan %s leads: %t, %v", one.Plan(), leads, err)
		}
	}
}
