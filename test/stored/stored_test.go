package stored

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/nats-io/nats.go"

	"ratchet/pipeline"
	"ratchet/pipeline/platform/bus"
	"ratchet/test/streams"
)

// file is a stored message as testdata keeps it.
type file struct {
	Subject string              `json:"subject"`
	Header  map[string][]string `json:"header,omitempty"`
	Text    string              `json:"text,omitempty"`   // the body
	Packed  []byte              `json:"packed,omitempty"` // the body, where that is not text
}

func fileOf(r bus.Read) file {
	f := file{Subject: r.Subject, Header: r.Header, Text: string(r.Body)}
	if !utf8.Valid(r.Body) {
		f.Text, f.Packed = "", r.Body
	}
	return f
}

func (f file) body() []byte {
	if f.Packed != nil {
		return f.Packed
	}
	return []byte(f.Text)
}

// publish stores the message as it was stored. Headers of the server's own are for the write, except for the id.
func (f file) publish(t *testing.T, b *bus.Bus) pipeline.Stored {
	t.Helper()
	m := &nats.Msg{Subject: f.Subject, Header: nats.Header{}, Data: f.body()}
	for name, values := range f.Header {
		if name == pipeline.HeaderMsgID || !strings.HasPrefix(name, "Nats-") {
			m.Header[name] = values
		}
	}
	ack, err := b.JS.PublishMsg(t.Context(), m)
	if err != nil {
		t.Fatal(err)
	}
	return pipeline.Stored{Subject: f.Subject, Sequence: ack.Sequence, StoredAt: time.Now(), Header: m.Header, Body: m.Data}
}

// releases are the directories of testdata: the releases whose messages this build must read.
func releases(t *testing.T) []string {
	t.Helper()
	all, err := filepath.Glob("testdata/*")
	if err != nil || len(all) == 0 {
		t.Fatal("no stored messages in testdata", err)
	}
	return all
}

func TestWhatEarlierReleasesStoredIsReadWithoutLosingAField(t *testing.T) {
	t.Parallel()
	for _, release := range releases(t) {
		t.Run(filepath.Base(release), func(t *testing.T) {
			t.Parallel()
			_, b := streams.Open(t)
			for _, k := range kinds() {
				raw, err := os.ReadFile(filepath.Join(release, k.name+".json"))
				if os.IsNotExist(err) && release != latest(t) {
					continue // the kind came later
				}
				var f file
				if err == nil {
					err = json.Unmarshal(raw, &f)
				}
				if err != nil {
					t.Errorf("%s: %v", k.name, err)
					continue
				}
				for _, fault := range k.check(t, b, f.publish(t, b)) {
					t.Errorf("%s of %s: %s", k.name, filepath.Base(release), fault)
				}
			}
		})
	}
}

func latest(t *testing.T) string { all := releases(t); return all[len(all)-1] }

// check reads a message and returns what is wrong with the result.
func (k kind) check(t *testing.T, b *bus.Bus, m pipeline.Stored) []string {
	t.Helper()
	v, err := k.read(t, b, m)
	if err != nil {
		return []string{"cannot be read: " + err.Error()}
	}
	out := k.lostHeaders(m, v)
	if !json.Valid(m.Body) || k.headers != nil && reflect.TypeOf(v).Kind() == reflect.Struct && k.name[:2] != "ve" {
		return out // an answer is compared byte by byte, and a mode is a word
	}
	again, err := json.Marshal(v)
	if err != nil {
		return append(out, err.Error())
	}
	return append(out, lost("", parse(t, m.Body), parse(t, again))...)
}

// lostHeaders returns the headers that no decoder returns as they were stored.
func (k kind) lostHeaders(m pipeline.Stored, v any) []string {
	if strings.HasPrefix(m.Subject, "$KV.") {
		return nil
	}
	o, err := m.Origin()
	if err != nil {
		return []string{"origin: " + err.Error()}
	}
	have := map[string]string{
		pipeline.HeaderSchema: m.Schema(), pipeline.HeaderWorkID: o.WorkID, pipeline.HeaderRunID: o.Run, pipeline.HeaderBuild: o.Build,
		pipeline.HeaderMsgID: o.MsgID, pipeline.HeaderAt: o.At.Format(pipeline.TimeFormat),
	}
	if k.headers != nil {
		maps.Copy(have, k.headers(v))
	}
	var out []string
	for _, name := range slices.Sorted(maps.Keys(m.Header)) {
		if want := m.Header[name][0]; name != pipeline.HeaderTraceparent && have[name] != want { // the trace is derived from the Work-Id
			out = append(out, fmt.Sprintf("header %s: %q was stored, %q is read", name, want, have[name]))
		}
	}
	return out
}

func parse(t *testing.T, body []byte) any {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		t.Fatal(err)
	}
	return v
}

// lost returns the fields of a stored value that are absent from the one that was read, or differ there.
func lost(path string, stored, read any) []string {
	switch s := stored.(type) {
	case map[string]any:
		r, ok := read.(map[string]any)
		if !ok {
			break
		}
		var out []string
		for _, name := range slices.Sorted(maps.Keys(s)) {
			if _, has := r[name]; !has {
				out = append(out, fmt.Sprintf("field %s%s: %v is lost", path, name, s[name]))
				continue
			}
			out = append(out, lost(path+name+".", s[name], r[name])...)
		}
		return out
	case []any:
		r, ok := read.([]any)
		if !ok || len(r) != len(s) {
			break
		}
		var out []string
		for i := range s {
			out = append(out, lost(fmt.Sprintf("%s%d.", path, i), s[i], r[i])...)
		}
		return out
	}
	if reflect.DeepEqual(stored, read) {
		return nil
	}
	return []string{fmt.Sprintf("field %s: %v was stored, %v is read", strings.TrimSuffix(path, "."), stored, read)}
}

func TestALostFieldIsNamed(t *testing.T) {
	t.Parallel()
	stored := parse(t, []byte(`{"a":1,"b":[{"c":"x"},2],"d":null}`))
	for read, want := range map[string]string{
		`{"a":1,"b":[{"c":"x"},2],"d":null,"more":1}`: "[]",
		`{"a":1,"b":[{},2],"d":null}`:                 "[field b.0.c: x is lost]",
		`{"a":2,"b":[{"c":"x"},2],"d":null}`:          "[field a: 1 was stored, 2 is read]",
		`{"a":1,"b":[{"c":"x"}],"d":null}`:            "[field b: [map[c:x] 2] was stored, [map[c:x]] is read]",
		`{"a":1,"b":[{"c":"x"},2]}`:                   "[field d: <nil> is lost]",
	} {
		if got := fmt.Sprint(lost("", stored, parse(t, []byte(read)))); got != want {
			t.Errorf("%s: %s, want %s", read, got, want)
		}
	}
}
