package visibility_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"testing"
	"time"

	"ratchet/pipeline"
	"ratchet/pipeline/domain/visibility"
)

// stored returns a message as its stream holds it, with headers NAME, VALUE …
func stored(schema, body string, headers ...string) pipeline.Stored {
	m := pipeline.Stored{Sequence: 7, StoredAt: t0, Body: []byte(body), Header: map[string][]string{pipeline.HeaderSchema: {schema}}}
	for i := 0; i < len(headers); i += 2 {
		m.Header[headers[i]] = headers[i+1 : i+2]
	}
	return m
}

const (
	aVersion = `{"domain":1,"asin":"A","price_type":2,"profit_cents":5,"decided_at":"2026-03-02T10:00:00Z"}`
	aVerdict = `{"domain":1,"asin":"A","price_type":2,"look":"peek","outcome":"reject","reason":"low_roi","inputs":{"b":1.50,"a":null},"decided_at":"2026-03-02T10:00:00Z"}`
)

// reasonOf returns the reason why a message cannot be recorded; "" if it can.
func reasonOf(t *testing.T, err error) string {
	t.Helper()
	var never *pipeline.Unrecordable
	if err != nil && !errors.As(err, &never) {
		t.Errorf("%v gives no reason", err)
	}
	if err == nil {
		return ""
	}
	return never.Reason
}

func TestAnUnreadableMessageIsDeadLetteredWithAReason(t *testing.T) {
	t.Parallel()
	late := func(m pipeline.Stored) pipeline.Stored { m.Sequence = 1 << 32; return m }
	early := func(m pipeline.Stored) pipeline.Stored { m.StoredAt = time.Unix(0, 0).UTC(); return m }
	version := func(m pipeline.Stored) error { _, err := visibility.ReadVersion(m); return err }
	verdict := func(m pipeline.Stored) error { _, err := visibility.ReadVerdict(m); return err }
	const dealV1, verdictV1 = pipeline.SchemaDealV1, pipeline.SchemaVerdict
	for _, c := range []struct {
		name   string
		read   func(pipeline.Stored) error
		m      pipeline.Stored
		reason string
	}{
		{"a version", version, stored(pipeline.SchemaDeal, aVersion), ""},
		{"a version of before", version, stored(dealV1, aVersion), ""},
		{"a verdict", verdict, stored(verdictV1, aVerdict), ""},
		{"a time that cannot be read", version, stored(dealV1, aVersion, pipeline.HeaderAt, "yesterday"), pipeline.UnknownMessage},
		{"although the body has a better one", verdict, stored(verdictV1, aVerdict, pipeline.HeaderAt, "yesterday"), pipeline.UnknownMessage},
		{"a sequence too high", verdict, late(stored(verdictV1, aVerdict)), pipeline.UnknownMessage},
		{"stored before there were streams", verdict, early(stored(verdictV1, aVerdict)), pipeline.BadRow},
		{"no schema", version, stored("", aVersion), pipeline.UnknownSchema},
		{"another stream's schema", version, stored(verdictV1, aVersion), pipeline.UnknownSchema},
		{"a later schema", version, stored("deal.v3", aVersion), pipeline.UnknownSchema},
		{"first of all a time that cannot be read", version, stored("deal.v3", `{`, pipeline.HeaderAt, "?"), pipeline.UnknownMessage},
		{"nothing", version, stored(dealV1, ``), pipeline.BadMessage},
		{"null", version, stored(dealV1, `null`), pipeline.BadMessage},
		{"half a version", version, stored(dealV1, aVersion[:20]), pipeline.BadMessage},
		{"a version of no product", version, stored(dealV1, `{"domain":1,"price_type":2}`), pipeline.BadMessage},
		{"a version of no domain", version, stored(dealV1, `{"asin":"A","price_type":2}`), pipeline.BadMessage},
		{"an invalid number", version, stored(dealV1, `{"domain":1,"asin":"A","profit_cents":"much"}`), pipeline.BadMessage},
		{"an invalid source", version, stored(dealV1, `{"domain":1,"asin":"A","source":5}`), pipeline.BadMessage},
		{"a price type too high", version, stored(dealV1, `{"domain":1,"asin":"A","price_type":65536}`), pipeline.BadRow},
		{"decided before there were deals", version, stored(dealV1, `{"domain":1,"asin":"A","decided_at":"1800-01-01T00:00:00Z"}`), pipeline.BadRow},
		{"of such a time", version, stored(dealV1, `{"domain":1,"asin":"A"}`, pipeline.HeaderAt, "1800-01-01T00:00:00Z"), pipeline.BadRow},
		{"of such a time, but decided later", version, stored(dealV1, aVersion, pipeline.HeaderAt, "1800-01-01T00:00:00Z"), ""},
		{"half a verdict", verdict, stored(verdictV1, aVerdict[:40]), pipeline.BadMessage},
		{"a verdict of no look", verdict, stored(verdictV1, `{"domain":1,"asin":"A","outcome":"reject","decided_at":"2026-03-02T10:00:00Z"}`), pipeline.BadMessage},
		{"a verdict of no time", verdict, stored(verdictV1, `{"domain":1,"asin":"A","outcome":"reject","look":"peek"}`), pipeline.BadMessage},
		{"inputs that are none", verdict, stored(verdictV1, `{"domain":1,"asin":"A","outcome":"reject","look":"peek","decided_at":"2026-03-02T10:00:00Z","inputs":5}`), ""},
		{"a verdict of a negative domain", verdict, stored(verdictV1, `{"domain":-1,"asin":"A","outcome":"reject","look":"peek","decided_at":"2026-03-02T10:00:00Z"}`), pipeline.BadRow},
		{"a price that no column holds", verdict, stored(verdictV1, `{"domain":1,"asin":"A","outcome":"reject","look":"peek","decided_at":"2026-03-02T10:00:00Z","tokens":4294967296}`), pipeline.BadRow},
	} {
		err := c.read(c.m)
		if got := reasonOf(t, err); got != c.reason {
			t.Errorf("%s: %q, want %q (%v)", c.name, got, c.reason, err)
		}
	}
}

func TestAMessageHasARunAndATime(t *testing.T) {
	t.Parallel()
	const mine = "2026-03-01T00:00:00.123Z"
	v, err := visibility.ReadVersion(stored(pipeline.SchemaDeal, `{"domain":1,"asin":"A","found_at":"0001-01-01T00:00:00Z","title":"T"}`))
	if err != nil || v.Run != pipeline.RunLive || !v.At.Equal(t0) || v.Sequence != 7 || len(v.Members) != 3 {
		t.Errorf("published by hand: %+v, %v; want it live, at the time of storage, without the zero time", v, err)
	}
	v, err = visibility.ReadVersion(stored(pipeline.SchemaDeal, `{"domain":1,"asin":"A"}`, pipeline.HeaderAt, mine, pipeline.HeaderRunID, "lax", pipeline.HeaderWorkID, "w", pipeline.HeaderMsgID, "m"))
	if err != nil || v.Run != "lax" || v.WorkID != "w" || v.MsgID != "m" || v.At.Format(pipeline.TimeFormat) != mine {
		t.Errorf("of a replay: %+v, %v", v, err)
	}
	v, err = visibility.ReadVersion(stored(pipeline.SchemaDeal, aVersion, pipeline.HeaderAt, mine))
	if err != nil || !v.At.Equal(t0.Add(time.Hour)) {
		t.Errorf("decided later: %+v, %v", v, err)
	}
	w, err := visibility.ReadVerdict(stored(pipeline.SchemaVerdict, aVerdict, pipeline.HeaderAt, mine))
	if err != nil || !w.At.Equal(w.DecidedAt) || string(w.Inputs) != `{"b":1.50,"a":null}` || w.Verdict.Inputs != nil {
		t.Errorf("a verdict: %+v, %v; want its inputs as they came", w, err)
	}
}

func TestASimulatedVersionHasNoLinksWhateverItsMessageSays(t *testing.T) {
	t.Parallel()
	const links = `,"url":"https://www.amazon.com/dp/B000000001","keepa_url":"https://keepa.com/#!product/1-B000000001"}`
	for more, want := range map[string][2]string{
		links: {`"https://www.amazon.com/dp/B000000001"`, `"https://keepa.com/#!product/1-B000000001"`},
		`,"simulated":false,"url":"","keepa_url":"javascript:0"}`: {`"https://www.amazon.com/dp/B000000001"`, `"https://keepa.com/#!product/1-B000000001"`},
		`,"simulated":true` + links:                               {},
		`,"simulated": true ,"url":"","keepa_url":""}`:            {},
	} {
		v, err := visibility.ReadVersion(stored(pipeline.SchemaDeal, `{"domain":1,"asin":"B000000001"`+more))
		if got := [2]string{string(v.Members["url"]), string(v.Members["keepa_url"])}; err != nil || got != want {
			t.Errorf("%s: links %v, want %v; %v", more, got, want, err)
		}
	}
}

// FuzzRead checks what the users of the two readers rely on: an unreadable message has
// a reason, and a readable one has every value that a row and the book need.
func FuzzRead(f *testing.F) {
	for _, body := range []string{aVersion, aVerdict, `{"domain":1,"asin":"A","categories":[ ],"decided_at":"0001-01-01T00:00:00Z"}`, `null`, `{"ASIN":"A","Domain":1}`} {
		f.Add(body, "", "live")
		f.Add(body, "2026-03-02T10:00:00Z", "")
	}
	f.Fuzz(func(t *testing.T, body, at, run string) {
		headers := []string{pipeline.HeaderAt, at, pipeline.HeaderRunID, run}
		var b visibility.Fold
		v, err := visibility.ReadVersion(stored(pipeline.SchemaDeal, body, headers...))
		if reasonOf(t, err) == "" {
			numbers := v.Numbers()
			if v.ASIN == "" || v.Domain == 0 || v.Run == "" || v.Fits(numbers[:]...) != nil || !json.Valid([]byte(body)) {
				t.Errorf("read %+v of %s", v, body)
			}
			b.Version(v)
		}
		w, err := visibility.ReadVerdict(stored(pipeline.SchemaVerdict, body, headers...))
		if reasonOf(t, err) == "" {
			numbers := w.Numbers()
			if w.ASIN == "" || w.Look == "" || w.Outcome == "" || w.At.IsZero() || w.Run == "" || w.Fits(numbers[:]...) != nil || !json.Valid([]byte(body)) {
				t.Errorf("read %+v of %s", w, body)
			}
			b.Verdict(w)
		}
		if states := b.States(); visibility.Count(states).Visible != len(b.Visible(time.Time{})) {
			t.Error(fmt.Sprint("counted ", states))
		}
	})
}
