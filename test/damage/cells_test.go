package damage_test

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"ratchet/pipeline"
	"ratchet/pipeline/bus"
	"ratchet/pipeline/console"
	"ratchet/pipeline/onebox"
)

// visibleWithin is how long a key that cannot be read may go unnoticed.
const visibleWithin = 30 * time.Second

// values are what is put in place of a key's value.
func values() map[string][]byte {
	return map[string][]byte{
		"not JSON":     []byte(`{"epoch":`),
		"another type": []byte(`["what", "is", "this"]`),
		"negative":     []byte(`{"epoch":0,"issued":-5,"claimed":-5,"settled":-5,"est":-5,"mark":-5,"interval_s":-5,"rate":-5,"floor":-5000000,"creation_date":-5,"id":-5}`),
		"huge epoch":   []byte(`{"epoch":18446744073709551615,"issued":9000000000000000000,"mark":9000000000000000000,"floor":9000000000000000000,"creation_date":9000000000000000000,"id":9000000000000000000}`),
		"1 MB":         bytes.Repeat([]byte("x"), 1<<20),
		"deleted":      nil,
	}
}

// own are the keys that nobody but us writes and that heal by themselves.
func own(bucket, key string) bool {
	switch bucket {
	case pipeline.BucketTokens:
		return key != pipeline.KeyMode && key != pipeline.KeyPolicy && key != pipeline.KeyShed
	case pipeline.BucketStock:
		return key == pipeline.KeyBooks
	}
	return bucket != pipeline.BucketWatermarks
}

// rewritten are the buckets whose own keys are written again without anything to decide.
func rewritten(bucket string) bool {
	return bucket == pipeline.BucketTokens || bucket == pipeline.BucketLeaders || bucket == pipeline.BucketStatus || bucket == pipeline.BucketStock
}

// harmless are the damages that a key may have: an absent mode is run, and so on.
func harmless(bucket, key, how string) bool {
	switch how {
	case "deleted":
		return true
	case "huge epoch", "negative":
		return bucket == pipeline.BucketTokens && key == pipeline.KeyShed // other fields than its own: it is empty
	}
	return false
}

// TestAKeyThatCannotBeReadStopsWhatRestsOnItAndHeals damages every kind of key of every bucket in a
// pipeline that runs.
func TestAKeyThatCannotBeReadStopsWhatRestsOnItAndHeals(t *testing.T) {
	log := &lines{}
	box, err := start(t, t.TempDir(), log)
	if err != nil {
		t.Fatal(err)
	}
	defer box.Stop(context.WithoutCancel(t.Context()))
	await(t, "a deal", log, func() bool { return last(t, box.Bus, pipeline.StreamDeals) > 0 })
	put(t, box.Bus, pipeline.BucketTokens, pipeline.KeyPolicy, []byte(`{"policy":"steady"}`))
	put(t, box.Bus, pipeline.BucketTokens, pipeline.KeyMode, []byte(`run`))
	for _, at := range keys(t, box) {
		for how, value := range values() {
			if skipped(at, how) {
				continue
			}
			t.Run(fmt.Sprintf("%s/%s %s", at[0], at[1], how), func(t *testing.T) { spoil(t, box, log, at[0], at[1], how, value) })
		}
	}
	if f := read(t, box.Bus, nil); len(f.twice) > 0 {
		t.Errorf("paid for twice: %v", f.twice)
	}
	s := look(t, box)
	t.Logf("balance %d, drift %d", s.Balance.Tokens, s.Balance.Drift)
}

// skipped leaves the short form with one way for each key, and two for those that stop spending.
func skipped(at [2]string, how string) bool {
	switch {
	case whole:
		return false
	case testing.Short() && (at[0] == pipeline.BucketStatus || at[0] == pipeline.BucketSeen):
		return true
	case how == "not JSON":
		return false
	}
	return testing.Short() || at[0] != pipeline.BucketTokens || how != "huge epoch" && how != "deleted"
}

// keys is one key of each kind.
func keys(t *testing.T, box *onebox.Box) [][2]string {
	t.Helper()
	out := [][2]string{
		{pipeline.BucketTokens, pipeline.KeyBalance},
		{pipeline.BucketTokens, pipeline.KeyMode},
		{pipeline.BucketTokens, pipeline.KeyPolicy},
		{pipeline.BucketTokens, pipeline.KeyShed},
		{pipeline.BucketLeaders, pipeline.KeyLeader},
		{pipeline.BucketStock, pipeline.KeyBooks},
	}
	for _, s := range pipeline.Stages() {
		out = append(out, [2]string{pipeline.BucketTokens, pipeline.KeyGrant(s)})
	}
	for _, bucket := range []string{pipeline.BucketWatermarks, pipeline.BucketSeen, pipeline.BucketStock, pipeline.BucketOrders, pipeline.BucketStatus} {
		kv, err := box.Bus.Store(t.Context(), bucket)
		if err != nil {
			t.Fatal(err)
		}
		all, err := kv.Keys(t.Context())
		if err != nil {
			continue // nothing is in it now
		}
		slices.Sort(all)
		i := slices.IndexFunc(all, func(k string) bool { return k != pipeline.KeyBooks })
		if i >= 0 {
			out = append(out, [2]string{bucket, all[i]})
		}
	}
	return out
}

// spoil puts a value in the place of a key's, and the right one back where it does not heal.
func spoil(t *testing.T, box *onebox.Box, log *lines, bucket, key, how string, value []byte) {
	t.Helper()
	kv, err := box.Bus.Store(t.Context(), bucket)
	if err != nil {
		t.Fatal(err)
	}
	var right []byte
	if e, err := kv.Get(t.Context(), key); err == nil {
		right = bytes.Clone(e.Value())
	}
	began := time.Now()
	verdicts := last(t, box.Bus, pipeline.StreamVerdicts)
	put(t, box.Bus, bucket, key, value)
	if !own(bucket, key) && !harmless(bucket, key, how) {
		named(t, box, log, bucket, key)
		t.Logf("named after %s", time.Since(began).Round(time.Millisecond))
	}
	if bucket != pipeline.BucketWatermarks { // without its list a pipeline of one query runs dry
		await(t, "other stages go on", log, func() bool { return last(t, box.Bus, pipeline.StreamVerdicts) > verdicts })
	}
	switch {
	case !own(bucket, key):
		put(t, box.Bus, bucket, key, right)
	case rewritten(bucket):
		await(t, "it is written again", log, func() bool {
			e, err := kv.Get(t.Context(), key)
			return err == nil && !bytes.Equal(e.Value(), value)
		})
	}
	healed(t, box, log)
	if d := time.Since(began); own(bucket, key) && d > visibleWithin {
		t.Errorf("healed after %s, want %s", d, visibleWithin)
	}
}

// named waits until the status and its check name the key.
func named(t *testing.T, box *onebox.Box, log *lines, bucket, key string) {
	t.Helper()
	began := time.Now()
	name := bucket + "/" + key
	await(t, name+" is named", log, func() bool {
		err := look(t, box).Check()
		return err != nil && (strings.Contains(err.Error(), name) || strings.Contains(err.Error(), key+":"))
	})
	if d := time.Since(began); d > visibleWithin {
		t.Errorf("%s is named after %s, want %s", name, d, visibleWithin)
	}
}

// healed waits until nothing is stuck.
func healed(t *testing.T, box *onebox.Box, log *lines) {
	t.Helper()
	var err error
	await(t, "it heals", log, func() bool { err = look(t, box).Check(); return err == nil })
}

func look(t *testing.T, box *onebox.Box) console.Status {
	t.Helper()
	s, err := console.Look(t.Context(), box.Bus)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func put(t *testing.T, b *bus.Bus, bucket, key string, value []byte) {
	t.Helper()
	kv, err := b.Store(t.Context(), bucket)
	if err != nil {
		t.Fatal(err)
	}
	if value == nil {
		if err := kv.Delete(t.Context(), key); err != nil {
			t.Fatal(err)
		}
		return
	}
	if _, err := kv.Put(t.Context(), key, value); err != nil {
		t.Fatal(err)
	}
}

func last(t *testing.T, b *bus.Bus, stream string) uint64 {
	t.Helper()
	n, err := b.Last(t.Context(), stream)
	if err != nil {
		t.Fatal(err)
	}
	return n
}
