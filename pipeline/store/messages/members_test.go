package messages

import (
	"encoding/json"
	"reflect"
	"testing"
	"time"

	"ratchet/pipeline"
)

func TestADecidedSurvivorIsReadAsAnyOther(t *testing.T) {
	t.Parallel()
	value := int64(-7)
	want := pipeline.Survivor{
		Candidate: pipeline.Candidate{
			Identity: pipeline.Identity{Domain: 1, ASIN: "B000000001", PriceType: 2, CreationDate: 7_000_000},
			Queries:  []string{`a"b@1`, "c"}, Source: pipeline.SourceLive, ListSeenAt: time.Date(2026, 1, 5, 0, 0, 0, 0, time.UTC),
			Row: json.RawMessage(`{"asin":"B000000001","title":"a \"row\": [1,{}]","current":[-1,null,3]}`),
		},
		Look: pipeline.LookGlance, RuleSet: "r", ExpectedValueCents: &value, TokensSpent: 1, ResponseIDs: []string{"4"},
	}
	body, err := json.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	header := map[string][]string{pipeline.HeaderSchema: {pipeline.SchemaSurvivor}, pipeline.HeaderWorkID: {"w"}}
	plain, err := Work(pipeline.SchemaSurvivor, header, body)
	if err != nil {
		t.Fatal(err)
	}
	got, err := Decided(header, body)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, plain) || !reflect.DeepEqual(got.Survivor, want) {
		t.Errorf("got %+v\nwant %+v", got, plain)
	}
}

func FuzzMembersAreThoseOfTheObject(f *testing.F) {
	for _, s := range []string{`{"a":1,"b":[1,{"c":"}"}],"d":"x\"y"}`, `{}`, ` { "a" : null } `, `{"a":1`, `[1]`, `{"a"}`, ``} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		got := map[string]any{}
		err := Members(b, func(name, value []byte) error {
			var n string
			var v any
			if json.Unmarshal([]byte(`"`+string(name)+`"`), &n) == nil && json.Unmarshal(value, &v) == nil {
				got[n] = v
			}
			return nil
		})
		var want map[string]any
		if json.Unmarshal(b, &want) != nil || want == nil {
			return // what is not an object may be partly read or rejected, and must not panic
		}
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Fatalf("%s: got %v (%v), want %v", b, got, err, want)
		}
	})
}
