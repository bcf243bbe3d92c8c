package metrics_test

import (
	"context"
	"encoding/json"
	"strings"
	"testing"

	"ratchet/pipeline"
	"ratchet/pipeline/peeker"
	"ratchet/pipeline/platform/bus"
	"ratchet/pipeline/platform/daemon"
	"ratchet/pipeline/platform/process"
	"ratchet/test/desk"
	"ratchet/test/metrics/traces"
)

// traced runs a daemon as its process does, with the variables of its settings.
func traced(ctx context.Context, env process.Env) error {
	env, end, err := daemon.Traced(ctx, env, "peeker")
	if err != nil {
		return err
	}
	defer end()
	return peeker.Run(ctx, env)
}

func TestADeadLetterStaysInTheTraceOfItsWork(t *testing.T) {
	t.Parallel()
	d, c := desk.New(t, 1), traces.Listen(t)
	stop := d.Run(t, traced, map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": c.URL})
	const work = "00112233445566778899aabb"
	poison := bus.Message{Subject: "candidate.1.live.B00POISON0", Schema: "candidate.v999", ID: "poison", WorkID: work, Body: []byte("{")}
	if _, err := d.Bus.Publish(t.Context(), poison); err != nil {
		t.Fatal(err)
	}
	var header string
	desk.Await(t, "the dead letter", func() bool {
		err := bus.ScanJSON(t.Context(), d.Bus, pipeline.StreamDead, bus.From{}, func(r bus.Read, _ pipeline.Dead) error {
			header = r.Header.Get(pipeline.HeaderTraceparent)
			return nil
		})
		return err == nil && header != ""
	})
	stop()
	spans := c.Traces()[work+"00000000"]
	if len(spans) == 0 {
		t.Fatalf("no span of the work; there are %+v", c.Spans())
	}
	for _, s := range spans {
		if s.Name == "glance" && (s.Failed != "unreadable" || s.Service != "peeker" || !strings.Contains(header, s.Trace+"-"+s.ID)) {
			t.Errorf("the letter has %s, the span is %+v", header, s)
		}
	}
	body, err := json.Marshal(spans)
	if err != nil || strings.Contains(string(body), "candidate.v999") {
		t.Errorf("the spans repeat what the message holds: %s, %v", body, err)
	}
}

func TestWithoutTracesTheHeaderNamesTheWorkUnrecorded(t *testing.T) {
	t.Parallel()
	d := desk.New(t, 1)
	d.Run(t, traced, nil)
	const work = "00112233445566778899aabb"
	poison := bus.Message{
		Subject: "candidate.1.live.B00POISON0", Schema: "candidate.v999", ID: "poison", WorkID: work, Body: []byte("{"),
		Header: map[string]string{pipeline.HeaderTraceparent: "00-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa-bbbbbbbbbbbbbbbb-01"}, // of another message
	}
	if _, err := d.Bus.Publish(t.Context(), poison); err != nil {
		t.Fatal(err)
	}
	letters := 0
	desk.Await(t, "the dead letter", func() bool {
		err := d.Bus.Scan(t.Context(), pipeline.StreamDead, bus.From{}, func(bus.Read) error { letters++; return nil })
		return err == nil && letters > 0
	})
	for _, stream := range []string{pipeline.StreamCandidates, pipeline.StreamDead} {
		if err := d.Bus.Scan(t.Context(), stream, bus.From{}, func(r bus.Read) error {
			if h := r.Header.Get(pipeline.HeaderTraceparent); !strings.HasPrefix(h, "00-"+work+"00000000-") || !strings.HasSuffix(h, "-00") {
				t.Errorf("%s #%d has the header %q", stream, r.Sequence, h)
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
	}
}
