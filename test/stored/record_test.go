// Package stored reads back what earlier releases stored. testdata has a directory for each release, with
// one message of each kind of stream and bucket. Before a release, add its own:
//
//	make stored RELEASE=0.2.0
package stored

import (
	"encoding/json"
	"flag"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ratchet/pipeline"
	"ratchet/pipeline/committer"
	"ratchet/pipeline/domain/action"
	"ratchet/pipeline/domain/shedding"
	"ratchet/pipeline/domain/watermark"
	"ratchet/pipeline/ops/cli"
	"ratchet/pipeline/ops/notifier"
	"ratchet/pipeline/ops/replay"
	"ratchet/pipeline/peeker"
	"ratchet/pipeline/platform/bus"
	"ratchet/pipeline/sim/keepasim"
	"ratchet/pipeline/tokend"
	"ratchet/pipeline/watermarker"
	"ratchet/schemas"
	"ratchet/test/desk"
)

var record = flag.String("record", "", "record one message of each kind as those of this release")

func TestRecord(t *testing.T) {
	if *record == "" {
		t.Skip("run with -record RELEASE before a release")
	}
	d := desk.New(t, 600)
	stop := run(t, d)
	dir := filepath.Join("testdata", *record)
	if err := os.MkdirAll(dir, 0o750); err != nil {
		t.Fatal(err)
	}
	found, missing := map[string]*file{}, []string(nil)
	for _, k := range kinds() {
		if found[k.name] = newest(t, d.Bus, k); found[k.name] == nil {
			missing = append(missing, k.name)
		}
	}
	stop()
	if len(missing) > 0 {
		t.Fatalf("the run stored no %v", missing)
	}
	for _, k := range kinds() {
		body, err := json.MarshalIndent(found[k.name], "", "  ")
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, k.name+".json"), append(body, '\n'), 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// newest returns the newest message of a kind with what it must contain; nil if there is none.
func newest(t *testing.T, b *bus.Bus, k kind) (out *file) {
	t.Helper()
	host, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	err = b.Scan(t.Context(), k.stream, bus.From{Subjects: []string{k.subject}}, func(r bus.Read) error {
		if (len(r.Body) > 0 || k.name == "attempt") && strings.Contains(r.Subject+"\n"+string(r.Body), k.has) {
			f := fileOf(r)
			anonymous := func(s string) string { return strings.ReplaceAll(s, host+".", "host.") }
			f.Subject, f.Text = anonymous(f.Subject), anonymous(f.Text)
			for _, values := range f.Header {
				for i := range values {
					values[i] = anonymous(values[i])
				}
			}
			out = &f
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// run runs every daemon on a simulated list with two queries, and does everything
// that an operator does. It returns what stops the daemons.
func run(t *testing.T, d *desk.Desk) func() {
	t.Helper()
	target := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	t.Cleanup(target.Close)
	dir := t.TempDir()
	for _, name := range []string{"first", "second"} {
		if err := os.WriteFile(filepath.Join(dir, name+".json"), schemas.UsedBooksQuery, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var stop []func()
	stop = append(stop, d.Run(t, tokend.Run, nil))
	stop = append(stop, d.Run(t, watermarker.Run, map[string]string{"QUERIES": dir}))
	stop = append(stop, d.Run(t, peeker.Run, nil))
	stop = append(stop, d.Run(t, committer.Run, nil))
	stop = append(stop, d.Run(t, notifier.Run, map[string]string{"NOTIFY_TARGETS": target.URL, "NOTIFY_SINCE": "24h"}))
	put := func(bucket, key, value string) {
		t.Helper()
		kv, err := d.Bus.Store(t.Context(), bucket)
		if err == nil {
			_, err = kv.Put(t.Context(), key, []byte(value))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	put(pipeline.BucketTokens, pipeline.KeyPolicy, `{"floor":1,"weights":{"peeker":3},"ceilings":{"commit":14}}`)
	put(pipeline.BucketTokens, pipeline.KeyMode, "run")
	lines, err := json.Marshal(shedding.Lines{Lines: []shedding.Line{{UpTo: 1, BelowCents: 1, At: d.Env.Now(), Waiting: 400, Decidable: 300, PatienceS: 60, Price: 2.5, Income: 300, Hand: 5}}})
	if err != nil {
		t.Fatal(err)
	}
	put(pipeline.BucketTokens, pipeline.KeyShed, string(lines))
	if _, err := d.Bus.Publish(t.Context(), bus.Message{Subject: pipeline.SubjectCandidate(1, pipeline.SourceLive, "B000000000"), Schema: "nothing.v1", ID: "damaged", Body: []byte(`{"asin":5}`)}); err != nil {
		t.Fatal(err)
	}
	if _, err := cli.ApplyRules(t.Context(), d.Bus, pipeline.AppliedRules{Rules: string(schemas.UsedBooks), RuleSet: "9b1c42aa", File: "books.yaml", By: "user@host", At: d.Env.Now()}); err != nil {
		t.Fatal(err)
	}
	queries := pipeline.AppliedQueries{By: "user@host", At: d.Env.Now()}
	for _, name := range []string{"first", "second"} {
		queries.Queries = append(queries.Queries, pipeline.AppliedQuery{Name: name, Query: schemas.UsedBooksQuery})
	}
	if _, err := cli.ApplyQueries(t.Context(), d.Bus, queries); err != nil {
		t.Fatal(err)
	}
	price, asin, at := int64(1250), d.ASINs(keepasim.Good)[0], d.Env.Now().Truncate(time.Millisecond)
	for _, a := range []action.Action{
		{Kind: action.Buy, Target: action.Target{By: action.ByASIN, Domain: 1, Value: asin}, At: at, PriceCents: &price, Condition: "good", On: "2026-03-02", Copy: 2},
		{Kind: action.Ignore, Target: action.Target{By: action.ByBrand, Value: "acme"}, At: at, Until: at.Add(24 * time.Hour)},
	} {
		if _, err := cli.Act(t.Context(), d.Bus, a); err != nil {
			t.Fatal(err)
		}
	}
	for stream, least := range map[string]uint64{
		pipeline.StreamDeals: 3, pipeline.StreamDead: 1, pipeline.BucketStream(pipeline.BucketPosted): 1, pipeline.BucketStream(pipeline.BucketStock): 3, pipeline.BucketStream(pipeline.BucketSeen): 20,
		pipeline.BucketStream(pipeline.BucketStatus): 5,
	} {
		desk.Await(t, "messages of "+stream, func() bool {
			n, err := d.Bus.Held(t.Context(), stream)
			return err == nil && n >= least
		})
	}
	sweep := pipeline.SubjectLedger(pipeline.StageWatermarker, pipeline.EventSweep)
	desk.Await(t, "a sweep", func() bool {
		swept, err := d.Bus.Newest(t.Context(), pipeline.StreamLedger, []string{sweep}, bus.Until{})
		return err == nil && len(swept) > 0 && newest(t, d.Bus, value[watermark.State]("", pipeline.BucketWatermarks, "1.first", `"last_sweep"`)) != nil
	})
	if _, err := replay.Rejects(t.Context(), d.Bus, schemas.UsedBooks, 1, d.Env.Now().Add(-24*time.Hour), func(replay.Step) {}); err != nil {
		t.Fatal(err)
	}
	return func() {
		for _, f := range stop {
			f()
		}
	}
}
