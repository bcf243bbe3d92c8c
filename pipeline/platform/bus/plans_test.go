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
	"ratchet/pipeline/domain/plan"
	"ratchet/pipeline/platform/bus"
	"ratchet/pipeline/platform/process"
	"ratchet/test/streams"
)

var german = plan.Map{"de": {keepa.DomainDE}}

// waiting publishes survivors of two marketplaces in front of the first plan's durable, and takes one without settling it.
func waiting(t *testing.T, b *bus.Bus) {
	t.Helper()
	var ms []bus.Message
	for i := range 6 {
		for _, domain := range []int{1, 3} {
			asin := fmt.Sprintf("B0%d000000%d", domain, i)
			ms = append(ms, bus.Message{Subject: pipeline.SubjectSurvivor(domain, pipeline.LookGlance, "live", asin), Schema: pipeline.SchemaSurvivor, ID: asin, Body: []byte("{}")})
		}
	}
	if err := b.PublishAll(t.Context(), ms); err != nil {
		t.Fatal(err)
	}
	in, err := b.Inlet(t.Context(), pipeline.StreamSurvivors, "peek-live")
	if err != nil {
		t.Fatal(err)
	}
	items, err := in.Take(t.Context(), 4, time.Second)
	if err != nil || len(items) != 4 {
		t.Fatalf("%d items, %v", len(items), err)
	}
	for _, it := range items[:2] { // one of each is settled, one of each is in work
		if err := it.Settle.Done(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
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
	waiting(t, b)
	if err := b.Apply(t.Context(), bus.Provision{Plans: german}); err != nil {
		t.Fatal(err)
	}
	fresh := pipeline.SubjectSurvivor(3, pipeline.LookGlance, "live", "B0NEW00000")
	if _, err := b.Publish(t.Context(), bus.Message{Subject: fresh, Schema: pipeline.SchemaSurvivor, ID: "new", Body: []byte("{}")}); err != nil {
		t.Fatal(err)
	}
	complete(t, b, fresh)
}

// complete fails unless the plan has every survivor of its marketplace that was not settled, and the first one no further ones.
func complete(t *testing.T, b *bus.Bus, fresh string) {
	t.Helper()
	de := taken(t, b, "peek-live_de")
	for i := 1; i < 6; i++ {
		if s := pipeline.SubjectSurvivor(3, pipeline.LookGlance, "live", fmt.Sprintf("B03000000%d", i)); !slices.Contains(de, s) {
			t.Errorf("%s is lost: plan de takes %v", s, de)
		}
	}
	if !slices.Contains(de, fresh) {
		t.Errorf("plan de does not get %s", fresh)
	}
	for _, s := range de {
		if !strings.HasPrefix(s, "survivor.3.") {
			t.Errorf("plan de gets %s", s)
		}
	}
	main := taken(t, b, "peek-live")
	for _, s := range main {
		if !strings.HasPrefix(s, "survivor.1.") {
			t.Errorf("the first plan gets %s", s)
		}
	}
	if len(main) != 4 { // one is settled, one in work
		t.Errorf("the first plan gets %v, want its 4 that wait", main)
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
	for step := range 24 {
		t.Run(fmt.Sprint(step), func(t *testing.T) {
			t.Parallel()
			_, b := streams.Open(t)
			waiting(t, b)
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
			fresh := pipeline.SubjectSurvivor(3, pipeline.LookGlance, "live", "B0NEW00000")
			if _, err := b.Publish(t.Context(), bus.Message{Subject: fresh, Schema: pipeline.SchemaSurvivor, ID: "new", Body: []byte("{}")}); err != nil {
				t.Fatal(err)
			}
			if plans, err := b.Plans(t.Context()); err != nil || len(plans) == 0 {
				t.Skip("it died before the plans were written: there is one key")
			}
			complete(t, b, fresh)
		})
	}
}

func TestAPlanIsNeitherChangedNorRemovedNorUsedBeforeItExists(t *testing.T) {
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
