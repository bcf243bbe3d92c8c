package schemas_test

import (
	"bytes"
	"encoding/json"
	"io/fs"
	"maps"
	"path"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"ratchet/pipeline"
	"ratchet/pipeline/domain/action"
	"ratchet/pipeline/domain/shedding"
	"ratchet/pipeline/domain/token"
	"ratchet/pipeline/domain/watermark"
	"ratchet/pipeline/ops/notifier"
	"ratchet/pipeline/store/seen"
	"ratchet/schemas"
)

// words are the messages and their Go values. The headers of an answer are a map of text.
var words = map[string]any{
	"candidate.v1": pipeline.Candidate{},
	"survivor.v1":  pipeline.Survivor{},
	"verdict.v1":   pipeline.Verdict{},
	"ledger.v1":    pipeline.Entry{},
	"dead.v1":      pipeline.Dead{},
	"action.v1":    action.Action{},
	"response.v1":  map[string]string{},
	"watermark.v1": watermark.State{},
	"seen.v1":      pipeline.Seen{},
	"heartbeat.v1": pipeline.Heartbeat{},
	"rules.v1":     pipeline.AppliedRules{},
	"balance.v1":   token.Balance{},
	"grant.v1":     token.Grant{},
	"shed.v1":      shedding.Lines{},
	"policy.v1":    token.Rules{},
	"mode.v1":      token.Setting{},
	"wants.v1":     seen.Wants{},

	"notification.v1": notifier.Notification{},
	"queries.v1":      pipeline.AppliedQueries{},
}

func read(t *testing.T, name string) []byte {
	t.Helper()
	body, err := fs.ReadFile(schemas.Messages, name)
	if err != nil {
		t.Fatal(err)
	}
	return body
}

func parse(t *testing.T, body []byte) any {
	t.Helper()
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func compile(t *testing.T, word string) *jsonschema.Schema {
	t.Helper()
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	if err := c.AddResource(word, parse(t, read(t, "message/"+word+".json"))); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile(word)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestEverySchemaHasAGoValueAndATrueExample(t *testing.T) {
	t.Parallel()
	files, err := fs.Glob(schemas.Messages, "message/*.json")
	if err != nil {
		t.Fatal(err)
	}
	var have []string
	for _, f := range files {
		have = append(have, strings.TrimSuffix(path.Base(f), ".json"))
	}
	if want := slices.Sorted(maps.Keys(words)); !slices.Equal(have, want) {
		t.Errorf("schemas %v, Go values %v", have, want)
	}
	for word := range words {
		if err := compile(t, word).Validate(parse(t, read(t, "message/testdata/"+word+".json"))); err != nil {
			t.Errorf("%s: %v", word, err)
		}
	}
}

func TestAnExampleDecodesStrictlyAndEncodesToItself(t *testing.T) {
	t.Parallel()
	for word, value := range words {
		var golden bytes.Buffer
		if err := json.Compact(&golden, read(t, "message/testdata/"+word+".json")); err != nil {
			t.Fatal(err)
		}
		into := reflect.New(reflect.TypeOf(value))
		d := json.NewDecoder(bytes.NewReader(golden.Bytes()))
		d.DisallowUnknownFields()
		if err := d.Decode(into.Interface()); err != nil {
			t.Errorf("%s: %v", word, err)
			continue
		}
		again, err := json.Marshal(into.Interface())
		if err != nil {
			t.Fatal(err)
		}
		if reflect.TypeOf(value).Kind() == reflect.Map { // a map has no order to keep
			if !reflect.DeepEqual(parse(t, again), parse(t, golden.Bytes())) {
				t.Errorf("%s: %s became %s", word, golden.Bytes(), again)
			}
			continue
		}
		// JSON encoders may escape & and <; only the order and the values matter.
		if got := bytes.ReplaceAll(again, []byte(`\u0026`), []byte("&")); !bytes.Equal(got, golden.Bytes()) {
			t.Errorf("%s:\ngot  %s\nwant %s", word, got, golden.Bytes())
		}
	}
}

func TestTheSchemaNamesExactlyTheFieldsOfTheGoValueAndDescribesThem(t *testing.T) {
	t.Parallel()
	for word, value := range words {
		var s struct {
			Title      string                    `json:"title"`
			Closed     *bool                     `json:"additionalProperties"`
			Properties map[string]map[string]any `json:"properties"`
			Required   []string                  `json:"required"`
		}
		if err := json.Unmarshal(read(t, "message/"+word+".json"), &s); err != nil {
			t.Fatal(err)
		}
		if s.Closed == nil || *s.Closed {
			t.Errorf("%s is open", word)
		}
		if s.Title != "pipeline."+word {
			t.Errorf("%s calls itself %q", word, s.Title)
		}
		for name, p := range s.Properties {
			if p["description"] == nil {
				t.Errorf("%s: %s has no description", word, name)
			}
		}
		if reflect.TypeOf(value).Kind() == reflect.Map {
			continue
		}
		all, must := fields(reflect.TypeOf(value))
		if got := slices.Sorted(maps.Keys(s.Properties)); !slices.Equal(got, all) {
			t.Errorf("%s: the schema has %v, the Go value %v", word, got, all)
		}
		if got := slices.Sorted(slices.Values(s.Required)); !slices.Equal(got, must) {
			t.Errorf("%s: the schema requires %v, the Go value always has %v", word, got, must)
		}
	}
}

// fields returns the names that a struct encodes to, and those that it never leaves out.
func fields(t reflect.Type) (all, must []string) {
	for _, f := range reflect.VisibleFields(t) {
		name, opts, _ := strings.Cut(f.Tag.Get("json"), ",")
		if f.Anonymous || name == "" {
			continue
		}
		all = append(all, name)
		if !strings.Contains(opts, "omit") {
			must = append(must, name)
		}
	}
	slices.Sort(all)
	slices.Sort(must)
	return all, must
}

func TestASchemaRefusesWhatIsNotTheMessage(t *testing.T) {
	t.Parallel()
	for word, change := range map[string]func(map[string]any){
		"candidate.v1": func(m map[string]any) { m["asin"] = "short" },
		"verdict.v1":   func(m map[string]any) { m["outcome"] = "maybe" },
		"ledger.v1":    func(m map[string]any) { m["extra"] = 1 },
		"dead.v1":      func(m map[string]any) { delete(m, "reason") },
		"response.v1":  func(m map[string]any) { m["Request"] = "/product?key=secret" },
		"seen.v1":      func(m map[string]any) { m["decided_at"] = "yesterday" },
		"balance.v1":   func(m map[string]any) { m["state"] = "broke" },
		"grant.v1":     func(m map[string]any) { m["open"] = []any{} },
		"shed.v1":      func(m map[string]any) { delete(m, "lines") },
		"policy.v1":    func(m map[string]any) { m["weights"] = map[string]any{"recorder": json.Number("1")} },
		"mode.v1":      func(m map[string]any) { m["mode"] = "stop" },
		"wants.v1":     func(m map[string]any) { m["queries"] = []any{"used-books"} },
	} {
		v := parse(t, read(t, "message/testdata/"+word+".json"))
		change(v.(map[string]any))
		if err := compile(t, word).Validate(v); err == nil {
			t.Errorf("%s accepts %v", word, v)
		}
	}
}
