package damage_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"ratchet/pipeline"
	"ratchet/pipeline/ops/cli"
	"ratchet/pipeline/ops/replay"
	"ratchet/pipeline/ops/standalone"
	"ratchet/pipeline/platform/bus"
	"ratchet/schemas"
)

// visibleWithin is how long a key that cannot be read may go unnoticed.
const visibleWithin = 30 * time.Second

// ways are the ways to damage a value.
func ways() []string {
	return []string{"not JSON", "another type", "negative", "huge epoch", "1 MB", "deleted"}
}

// value is what is put in the place of a right one; nil where the key is deleted. Numbers change where there are any.
func value(how string, right []byte) []byte {
	switch how {
	case "not JSON":
		return []byte(`{"epoch":`)
	case "another type":
		return []byte(`["what", "is", "this"]`)
	case "negative":
		return numbers(right, -5, []byte(`{"epoch":0,"issued":-5,"claimed":-5,"settled":-5,"est":-5,"mark":-5,"interval_s":-5,"rate":-5,"floor":-5000000,"creation_date":-5,"id":-5}`))
	case "huge epoch":
		return numbers(right, 9e18, []byte(`{"epoch":18446744073709551615,"issued":9000000000000000000,"mark":9000000000000000000,"floor":9000000000000000000,"creation_date":9000000000000000000,"id":9000000000000000000}`))
	case "1 MB":
		return bytes.Repeat([]byte("x"), 1<<20)
	}
	return nil
}

// numbers is a JSON object with every number replaced but those that say what it is about; without any, another object.
func numbers(right []byte, by int64, other []byte) []byte {
	var all map[string]any
	if json.Unmarshal(right, &all) != nil {
		return other
	}
	changed := 0
	var in func(v any) any
	in = func(v any) any {
		switch v := v.(type) {
		case float64:
			changed++
			return by
		case map[string]any:
			for k := range v {
				if k != "domain" && k != "price_type" {
					v[k] = in(v[k])
				}
			}
		case []any:
			for i := range v {
				v[i] = in(v[i])
			}
		}
		return v
	}
	raw, err := json.Marshal(in(all))
	if err != nil || changed == 0 {
		return other
	}
	return raw
}

// own are the keys that nobody but us writes and that heal by themselves.
func own(bucket, key string) bool {
	switch bucket {
	case pipeline.BucketTokens:
		return key != pipeline.KeyMode && key != pipeline.KeyPolicy && key != pipeline.KeyShed
	case pipeline.BucketStock:
		return key == pipeline.KeyCheckpoint
	}
	return bucket != pipeline.BucketWatermarks && bucket != pipeline.BucketRuns
}

// rewritten are the keys of ours that are written again without anything to decide. What SEEN, WANTS and POSTED keep
// is written again when that deal comes by again: nothing rests on it until then.
func rewritten(bucket string) bool {
	return bucket == pipeline.BucketTokens || bucket == pipeline.BucketLeaders || bucket == pipeline.BucketStatus || bucket == pipeline.BucketStock
}

// runs is the box with every bucket in use: two queries, a webhook, a replay.
func runs(t *testing.T, log *lines) *standalone.Box {
	t.Helper()
	queries := t.TempDir()
	for _, name := range []string{"first", "second"} {
		if err := os.WriteFile(filepath.Join(queries, name+".json"), schemas.UsedBooksQuery, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	hook := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }))
	t.Cleanup(hook.Close)
	box, err := startWith(t, t.TempDir(), log, map[string]string{"QUERIES": queries, "NOTIFY_TARGETS": hook.URL})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { box.Stop(context.WithoutCancel(t.Context())) })
	await(t, "a deal", log, func() bool { return last(t, box.Bus, pipeline.StreamDeals) > 0 })
	put(t, box.Bus, pipeline.BucketTokens, pipeline.KeyPolicy, []byte(`{"policy":"steady"}`))
	put(t, box.Bus, pipeline.BucketTokens, pipeline.KeyMode, []byte(`run`))
	put(t, box.Bus, pipeline.BucketTokens, pipeline.KeyShed, []byte(`{"lines":[{"up_to":1,"below_cents":100,"unknown_cents":100}]}`))
	r, err := replay.Open(t.Context(), box.Bus, nil, replay.Options{Look: pipeline.LookPeek, Rules: schemas.UsedBooks, Run: theRun, Depth: replay.Inputs}, nil)
	if err == nil {
		err = r.Run(t.Context(), nil)
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, bucket := range []string{pipeline.BucketStock, pipeline.BucketWants, pipeline.BucketPosted} {
		await(t, "a key in "+bucket, log, func() bool { return anyKey(t, box, bucket) != "" })
	}
	return box
}

// theRun is the replay whose record is damaged.
const theRun = "again"

// anyKey is the first key of a bucket, except for the refresher's books; empty without one.
func anyKey(t *testing.T, box *standalone.Box, bucket string) string {
	t.Helper()
	kv, err := box.Bus.Store(t.Context(), bucket)
	if err != nil {
		t.Fatal(err)
	}
	all, err := kv.Keys(t.Context())
	if err != nil {
		return "" // nothing is in it now
	}
	slices.Sort(all)
	i := slices.IndexFunc(all, func(k string) bool { return k != pipeline.KeyCheckpoint })
	if i < 0 {
		return ""
	}
	return all[i]
}

// TestAKeyThatCannotBeReadStopsWhatRestsOnItAndHeals damages every kind of key of every bucket in a
// pipeline that runs.
func TestAKeyThatCannotBeReadStopsWhatRestsOnItAndHeals(t *testing.T) {
	if testing.Short() {
		t.Skip("damages each key of a pipeline that runs")
	}
	log := &lines{}
	box := runs(t, log)
	for _, at := range keys(t, box) {
		for _, how := range ways() {
			if skipped(at, how) {
				continue
			}
			t.Run(fmt.Sprintf("%s/%s %s", at[0], at[1], how), func(t *testing.T) { spoil(t, box, log, at[0], at[1], how) })
		}
	}
	if f := read(t, box.Bus, nil); len(f.twice) > 0 {
		t.Errorf("paid for twice: %v", f.twice)
	}
	s := look(t, box)
	t.Logf("balance %d, drift %d", s.Balance.Est, s.Balance.Drift)
}

// skipped leaves the form that CI runs with one way for each key, and three for the balance, on which most rests.
func skipped(at [2]string, how string) bool {
	if whole || how == "not JSON" {
		return false
	}
	return at[1] != pipeline.KeyBalance || how != "huge epoch" && how != "deleted"
}

// keys is one key of each kind.
func keys(t *testing.T, box *standalone.Box) [][2]string {
	t.Helper()
	out := [][2]string{
		{pipeline.BucketTokens, pipeline.KeyBalance},
		{pipeline.BucketTokens, pipeline.KeyMode},
		{pipeline.BucketTokens, pipeline.KeyPolicy},
		{pipeline.BucketTokens, pipeline.KeyShed},
		{pipeline.BucketLeaders, pipeline.KeyLeader},
		{pipeline.BucketStock, pipeline.KeyCheckpoint},
	}
	for _, s := range pipeline.Stages() {
		out = append(out, [2]string{pipeline.BucketTokens, pipeline.KeyGrant(s)})
	}
	for _, bucket := range []string{
		pipeline.BucketWatermarks, pipeline.BucketSeen, pipeline.BucketStock, pipeline.BucketOrders, pipeline.BucketStatus, pipeline.BucketWants,
		pipeline.BucketPosted, pipeline.BucketRuns,
	} {
		if key := anyKey(t, box, bucket); key != "" { // ORDERS may hold none just now
			out = append(out, [2]string{bucket, key})
		}
	}
	return out
}

// spoil puts a value in the place of a key's, and the right one back where it does not heal.
func spoil(t *testing.T, box *standalone.Box, log *lines, bucket, key, how string) {
	t.Helper()
	kv, err := box.Bus.Store(t.Context(), bucket)
	if err != nil {
		t.Fatal(err)
	}
	var right []byte
	if e, err := kv.Get(t.Context(), key); err == nil {
		right = bytes.Clone(e.Value())
	}
	began, wrong := time.Now(), value(how, right)
	verdicts := last(t, box.Bus, pipeline.StreamVerdicts)
	put(t, box.Bus, bucket, key, wrong)
	switch {
	case bucket == pipeline.BucketRuns:
		refused(t, box, key, how)
	case !own(bucket, key) && how != "deleted": // an absent mode is run, and so on
		named(t, box, log, bucket, key)
		t.Logf("named after %s", time.Since(began).Round(time.Millisecond))
	}
	await(t, "other stages go on", log, func() bool { return last(t, box.Bus, pipeline.StreamVerdicts) > verdicts })
	switch {
	case !own(bucket, key):
		put(t, box.Bus, bucket, key, right)
	case rewritten(bucket):
		await(t, "it is written again", log, func() bool {
			e, err := kv.Get(t.Context(), key)
			return err == nil && !bytes.Equal(e.Value(), wrong)
		})
	}
	healed(t, box, log)
	limit := visibleWithin
	if bucket == pipeline.BucketStatus { // its next writing is the next heartbeat
		limit += bus.StatusTTL / 3
	}
	if d := time.Since(began); own(bucket, key) && d > limit {
		t.Errorf("healed after %s, want %s", d, limit)
	}
	if bucket == pipeline.BucketRuns {
		if _, err := replay.Open(t.Context(), box.Bus, nil, replay.Options{Run: key, Resume: true}, nil); err != nil {
			t.Errorf("it is right again: %v", err)
		}
	}
}

// refused resumes a replay from its record. Nothing that runs rests on it, so nothing is stuck.
func refused(t *testing.T, box *standalone.Box, run, how string) {
	t.Helper()
	_, err := replay.Open(t.Context(), box.Bus, nil, replay.Options{Run: run, Resume: true}, nil)
	switch {
	case err == nil:
		t.Error("the replay resumes from a value that is not a record")
	case how != "deleted" && !strings.Contains(err.Error(), "nats kv del RUNS "+run):
		t.Errorf("the replay says %v, want the next step", err)
	}
}

// named waits until the status and its check name the key.
func named(t *testing.T, box *standalone.Box, log *lines, bucket, key string) {
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
func healed(t *testing.T, box *standalone.Box, log *lines) {
	t.Helper()
	var err error
	await(t, "it heals", log, func() bool { err = look(t, box).Check(); return err == nil })
}

func look(t *testing.T, box *standalone.Box) cli.Status {
	t.Helper()
	s, err := cli.ReadStatus(t.Context(), box.Bus)
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
