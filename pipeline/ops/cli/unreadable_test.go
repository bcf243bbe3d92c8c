package cli_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"ratchet/pipeline"
	"ratchet/pipeline/domain/visibility"
	"ratchet/pipeline/ops/cli"
	"ratchet/pipeline/platform/bus"
	"ratchet/pipeline/platform/embedded/clickhouse/chtest"
	"ratchet/pipeline/recorder"
	"ratchet/test/desk"
)

// draft is a message before it is published.
type draft struct {
	header  nats.Header
	members map[string]json.RawMessage
	last    func(body string) string
}

// flaw is a fault of a message.
type flaw struct {
	name  string
	make  func(*draft)
	apart bool // the message is not about the deal itself, or has no effect
}

func with(name, value string) func(*draft) {
	return func(d *draft) { d.members[name] = json.RawMessage(value) }
}
func without(name string) func(*draft) { return func(d *draft) { delete(d.members, name) } }
func headed(name string, values ...string) func(*draft) {
	return func(d *draft) {
		if d.header[name] = values; len(values) == 0 {
			delete(d.header, name)
		}
	}
}

func written(f func(string) string) func(*draft) { return func(d *draft) { d.last = f } }

// flaws returns those of versions and of verdicts. Most affect only one of the two.
func flaws() []flaw {
	out := []flaw{
		{name: "none", make: func(*draft) {}},
		{name: "of a replay", make: headed(pipeline.HeaderRunID, "lax"), apart: true},
		{name: "of no price type", make: without("price_type"), apart: true},
		{name: "of a price type that is null", make: with("price_type", "null"), apart: true},
		{name: "of no domain", make: without("domain"), apart: true},
		{name: "of domain 0", make: with("domain", "0"), apart: true},
		{name: "of a domain that is null", make: with("domain", "null"), apart: true},
		{name: "of no profit", make: with("profit_cents", "null"), apart: true},
		{name: "without headers", make: func(d *draft) { d.header = nats.Header{} }},
		{name: "nothing", make: written(func(string) string { return "" })},
		{name: "null", make: written(func(string) string { return "null" })},
		{name: "a list", make: written(func(s string) string { return "[" + s + "]" })},
		{name: "a half", make: written(func(s string) string { return s[:len(s)/2] })},
		{name: "and a half", make: written(func(s string) string { return s + s[:len(s)/2] })},
		{name: "spread out", make: written(func(s string) string { return "\n" + strings.ReplaceAll(s, ",", " ,\n ") + "\n" })},
		{name: "twice the domain", make: written(func(s string) string { return `{"domain":"x",` + s[1:] })},
		{name: "no text", make: written(func(s string) string { return `{"title":"` + "\xff\xfe" + `",` + s[1:] })},
	}
	for name, values := range map[string][][]string{
		pipeline.HeaderSchema: {nil, {""}, {"deal.v2"}, {"verdict.v2"}, {pipeline.SchemaLedger}, {"deal.v2", pipeline.SchemaDeal}},
		pipeline.HeaderAt: {
			nil,
			{""},
			{"yesterday"},
			{"2026-03-02"},
			{"2026-03-02T09:00:00"},
			{"2026-03-02T09:00:00.123456789+02:00"},
			{"1800-01-01T00:00:00Z"},
			{"2106-01-01T00:00:00Z"},
			{"9999-12-31T23:59:59Z"},
			{"0001-01-01T00:00:00Z"},
			{"1772442000"},
			{"2026-02-30T00:00:00Z"},
		},
		pipeline.HeaderRunID:  {nil, {""}},
		pipeline.HeaderWorkID: {nil, {""}},
		pipeline.HeaderMsgID:  {nil},
		pipeline.HeaderBuild:  {nil},
	} {
		for _, v := range values {
			out = append(out, flaw{name: fmt.Sprintf("%s %q", name, v), make: headed(name, v...)})
		}
	}
	for _, name := range []string{pipeline.HeaderSchema, pipeline.HeaderAt} {
		out = append(out, flaw{name: "small " + name, make: func(d *draft) { d.header[strings.ToLower(name)] = d.header[name]; delete(d.header, name) }})
	}
	for name, values := range map[string][]string{
		"asin":           {``, `""`, `null`, `5`, `["A"]`},
		"domain":         {`-1`, `65536`, `1.5`, `"1"`, `true`, `99999999999999999999`},
		"price_type":     {`-1`, `65536`, `2.5`, `"2"`, `{}`},
		"creation_date":  {``, `null`, `-5`, `"x"`, `9223372036854775808`},
		"decided_at":     {``, `null`, `""`, `"soon"`, `5`, `"0001-01-01T00:00:00Z"`, `"0001-01-01T00:00:00.000Z"`, `"1800-01-01T00:00:00Z"`, `"2106-01-01T00:00:00Z"`, `"2026-03-02T23:00:00+02:00"`},
		"source":         {``, `null`, `5`, `"other"`, `[]`},
		"title":          {``, `null`, `5`, `""`, `"\u0000"`, `"\ud800"`},
		"TITLE":          {`"T"`, `5`},
		"Decided_At":     {`"2026-03-02T21:30:00Z"`},
		"response_ids":   {`null`, `[ ]`, `[null]`, `"1"`, `[5]`, `{}`},
		"profit_cents":   {`"12"`, `12.5`, `1e3`, `9223372036854775807`, `9223372036854775808`},
		"tokens":         {``, `null`, `2147483648`, `-2147483649`, `"6"`, `1.5`},
		"tokens_spent":   {`2147483648`, `"x"`},
		"work_id":        {`5`, `"x"`},
		"Work_ID":        {`5`},
		"confirmed_at":   {`"x"`},
		"stale_because":  {`5`},
		"found_at":       {`"soon"`, `"0001-01-01T00:00:00Z"`},
		"market_cents":   {`{"new":5}`, `{"new":"5"}`, `{ }`, `{"new":null}`},
		"categories":     {`["Books",null]`, `[ ]`, `"Books"`},
		"seller_quality": {`"x"`, `1e400`, `0.5`},
		"look":           {``, `null`, `""`, `5`},
		"outcome":        {``, `null`, `""`, `5`},
		"reason":         {`5`},
		"inputs":         {``, `null`, `5`, `[]`, `{"a":1e999}`, `"x"`},
		"unknown":        {`null`, `[null]`, `"x"`},
		"queries":        {`null`, `"x"`},
		"listed_at":      {`null`, `"soon"`, `"0001-01-01T00:00:00Z"`},
		"deal":           {`null`, `5`, `{"asin":5}`},
	} {
		for _, v := range values {
			f := flaw{name: name + " " + v, make: with(name, v)}
			if v == "" {
				f = flaw{name: "no " + name, make: without(name)}
			}
			out = append(out, f)
		}
	}
	slices.SortFunc(out, func(a, b flaw) int { return strings.Compare(a.name, b.name) })
	return out
}

// oddly is a version, or a verdict that rejects it, with flaws.
func oddly(asin, schema string, made []flaw) *nats.Msg {
	subject, kind := pipeline.SubjectDeal(1, 2, asin), "profit_cents"
	d := draft{last: func(s string) string { return s }, members: map[string]json.RawMessage{
		"domain": json.RawMessage(`1`), "asin": fmt.Appendf(nil, "%q", asin), "price_type": json.RawMessage(`2`), "creation_date": json.RawMessage(`7`),
		"title": json.RawMessage(`"Glass"`), "source": json.RawMessage(`"live"`), "tokens": json.RawMessage(`6`), kind: json.RawMessage(`900`),
		"sale_price_cents": json.RawMessage(`5000`), "decided_at": json.RawMessage(`"2026-03-02T21:00:00Z"`),
	}}
	if schema == pipeline.SchemaVerdict {
		subject = pipeline.SubjectVerdict(1, pipeline.LookPeek, pipeline.Reject, asin)
		for name, value := range map[string]string{"look": `"peek"`, "outcome": `"reject"`, "reason": `"low_roi"`, "inputs": `{}`} {
			d.members[name] = json.RawMessage(value)
		}
	}
	d.header = nats.Header{
		pipeline.HeaderSchema: {schema}, pipeline.HeaderAt: {"2026-03-02T21:00:00.000Z"}, pipeline.HeaderRunID: {pipeline.RunLive},
		pipeline.HeaderWorkID: {"w" + asin}, pipeline.HeaderMsgID: {schema + asin}, pipeline.HeaderBuild: {"test"},
	}
	for _, f := range made {
		f.make(&d)
	}
	body, err := json.Marshal(d.members)
	if err != nil {
		body = []byte(err.Error()) // no JSON either
	}
	return &nats.Msg{Subject: subject, Header: d.header, Data: []byte(d.last(string(body)))}
}

// TestTheRecorderDeadLettersExactlyWhatTheConsoleSkips publishes messages with one flaw and with two, each about its
// own product. A version that counts is listed; a verdict that counts hides the version before it. So the lists show
// whether the streams and the view count a message, and DEAD shows whether it is dead-lettered.
func TestTheRecorderDeadLettersExactlyWhatTheConsoleSkips(t *testing.T) {
	t.Parallel()
	d := desk.New(t, 1)
	dsn := chtest.Database(t)
	d.Run(t, recorder.Run, map[string]string{"CLICKHOUSE_URL": dsn, "RECORDER_FLUSH": "200ms"})
	all, pairs := flaws(), 3000
	if testing.Short() {
		pairs = 300
	}
	made := make([][]flaw, 0, len(all)+pairs)
	for _, f := range all {
		made = append(made, []flaw{f})
	}
	for r := rand.New(rand.NewPCG(1, 2)); pairs > 0; pairs-- {
		made = append(made, []flaw{all[r.IntN(len(all))], all[r.IntN(len(all))]})
	}
	publishOddly(t, d, made)

	lists := map[string][]cli.Deal{}
	for from, address := range map[string]string{"clickhouse": dsn, "streams": ""} {
		v := cli.NewVisible(d.Bus, address)
		defer v.Close()
		v.Patience, v.Within = 10*time.Minute, 5*time.Minute // whatever else the machine does
		deals, by, err := v.List(t.Context(), time.Time{})
		if err != nil || by.From != from {
			t.Fatalf("listed %s: %v; want it from %s", by, err, from)
		}
		lists[from] = deals
		if from == "clickhouse" {
			if text, err := v.Examine(t.Context()); err != nil || !strings.Contains(text, "The streams agree.") {
				t.Errorf("the doctor prints %s, %v", text, err)
			}
		}
	}
	view, streams := byASIN(t, lists["clickhouse"]), byASIN(t, lists["streams"])
	letters := deadLettered(t, d)
	read := 0
	for i, fs := range made {
		about := fs[0].name
		if len(fs) > 1 {
			about += ", " + fs[1].name
		}
		for _, schema := range []string{pipeline.SchemaDeal, pipeline.SchemaVerdict} {
			asin := asinOf(schema, i)
			if view[asin] != streams[asin] {
				t.Errorf("%s %s (%s): the view lists %q, the streams %q", schema, asin, about, view[asin], streams[asin])
			}
			dead, listed := letters[schema+asin], streams[asin] != ""
			if !dead {
				read++
			}
			apart := slices.ContainsFunc(fs, func(f flaw) bool { return f.apart })
			if counts := listed == (schema == pipeline.SchemaDeal); !apart && counts == dead {
				t.Errorf("%s %s (%s): dead-lettered %t, counts %t", schema, asin, about, dead, counts)
			}
		}
	}
	if read < len(made)/4 || read > 2*len(made)-len(made)/4 {
		t.Errorf("%d of %d messages were read: the test shows nothing", read, 2*len(made))
	}
}

func TestAMessageBeyondTheLastRowIDIsNotRead(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	t.Parallel()
	d := desk.New(t, 1)
	dsn := chtest.Database(t)
	for _, name := range []string{pipeline.StreamDeals, pipeline.StreamVerdicts} {
		s, err := d.Bus.JS.Stream(t.Context(), name)
		if err == nil {
			err = s.Purge(t.Context(), jetstream.WithPurgeSequence(1<<32-1))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	publishOddly(t, d, [][]flaw{nil}) // of each stream the first has a sequence that a row id can hold
	d.Run(t, recorder.Run, map[string]string{"CLICKHOUSE_URL": dsn, "RECORDER_FLUSH": "50ms"})
	for from, address := range map[string]string{"clickhouse": dsn, "streams": ""} {
		v := cli.NewVisible(d.Bus, address)
		defer v.Close()
		v.Patience, v.Within = 10*time.Minute, 5*time.Minute
		deals, by, err := v.List(t.Context(), time.Time{})
		if err != nil || by.From != from || len(deals) != 1 || deals[0].ASIN != asinOf(pipeline.SchemaDeal, 0) {
			t.Errorf("listed %s: %+v, %v; want the first alone, from %s", by, deals, err, from)
		}
	}
	if dead := deadLettered(t, d); len(dead) != 1 || !dead[pipeline.SchemaDeal+asinOf(pipeline.SchemaVerdict, 0)] {
		t.Errorf("dead-lettered %v", dead)
	}
}

// asinOf is the product of message i of a schema.
func asinOf(schema string, i int) string {
	return strings.ToUpper(schema[:1]) + fmt.Sprintf("%09d", i)
}

func publishOddly(t *testing.T, d *desk.Desk, made [][]flaw) {
	t.Helper()
	var ms []*nats.Msg
	for i, fs := range made {
		ms = append(ms, oddly(asinOf(pipeline.SchemaDeal, i), pipeline.SchemaDeal, fs))
		asin := asinOf(pipeline.SchemaVerdict, i)
		ms = append(ms, oddly(asin, pipeline.SchemaDeal, nil), oddly(asin, pipeline.SchemaVerdict, fs))
	}
	for part := range slices.Chunk(ms, 500) {
		for _, m := range part {
			if _, err := d.Bus.JS.PublishMsgAsync(m); err != nil {
				t.Fatal(err)
			}
		}
		select {
		case <-d.Bus.JS.PublishAsyncComplete():
		case <-time.After(time.Minute):
			t.Fatal("not published within a minute")
		}
	}
	for name, want := range map[string]int{pipeline.StreamDeals: 2 * len(made), pipeline.StreamVerdicts: len(made)} {
		s, err := d.Bus.JS.Stream(t.Context(), name)
		if err != nil || int(s.CachedInfo().State.Msgs) != want { //nolint:gosec // a count
			t.Fatalf("%s holds %d messages, want %d: %v", name, s.CachedInfo().State.Msgs, want, err)
		}
	}
}

// deadLettered returns the messages on DEAD by schema and product, and checks that exactly the unreadable ones are
// there.
func deadLettered(t *testing.T, d *desk.Desk) map[string]bool {
	t.Helper()
	letters := map[string]map[uint64]bool{pipeline.StreamDeals: {}, pipeline.StreamVerdicts: {}}
	if err := bus.ScanJSON(t.Context(), d.Bus, pipeline.StreamDead, bus.From{}, func(_ bus.Read, l pipeline.Dead) error {
		letters[l.Stream][l.Sequence] = true
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	out := map[string]bool{}
	for stream, schema := range map[string]string{pipeline.StreamDeals: pipeline.SchemaDeal, pipeline.StreamVerdicts: pipeline.SchemaVerdict} {
		if err := d.Bus.Scan(t.Context(), stream, bus.From{}, func(r bus.Read) error {
			_, why := visibility.ReadVersion(r.Stored())
			if schema == pipeline.SchemaVerdict {
				_, why = visibility.ReadVerdict(r.Stored())
			}
			if (why != nil) != letters[stream][r.Sequence] {
				t.Errorf("%s #%d %v %s: dead-lettered %t, read %v", stream, r.Sequence, r.Header, r.Body, letters[stream][r.Sequence], why)
			}
			if letters[stream][r.Sequence] {
				out[schema+r.Subject[strings.LastIndex(r.Subject, ".")+1:]] = true
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
	}
	return out
}

// byASIN is what is shown of each product.
func byASIN(t *testing.T, deals []cli.Deal) map[string]string {
	t.Helper()
	out := map[string]string{}
	for _, d := range deals {
		text, err := json.Marshal(d)
		if err != nil {
			t.Fatal(err)
		}
		out[d.ASIN] += string(text)
	}
	return out
}
