package worker_test

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"time"

	"ratchet/pipeline/domain/decide"
	"ratchet/pipeline/domain/keepa"
	"ratchet/pipeline/domain/verdict"
	"ratchet/pipeline/platform/process"
	"ratchet/pipeline/worker"
	"ratchet/schemas"
)

func TestAFieldOfAnotherTypeIsWarnedAboutOnceCountedAlwaysAndShown(t *testing.T) {
	t.Parallel()
	judge, err := verdict.NewJudge(schemas.UsedBooks)
	if err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	status := worker.NewStatus(process.Env{})
	body := []byte(`{"asin":"A","title":{"text":"secret words"},"brand":7,"csv":[]}`)
	for range 3 {
		r := decide.Peek(judge, decide.Work{}, decide.Answer{ID: "1", Key: "A", Body: body}, 1, nil, time.Now())
		if r.Unreadable != nil || len(r.Changed) != 2 {
			t.Fatalf("got %v, %v", r.Unreadable, r.Changed)
		}
		status.Changed(slog.New(slog.NewTextHandler(&log, nil)), r.Changed)
	}
	lines := strings.Split(strings.TrimSpace(log.String()), "\n")
	if len(lines) != 2 || !strings.Contains(lines[0], "field=title") || !strings.Contains(lines[1], "field=brand") || strings.Contains(log.String(), "secret") {
		t.Errorf("logged %q", lines)
	}
	beat := status.Beat()
	if got, _ := beat.Detail["changed_fields"].([]string); len(got) != 2 || got[0] != "brand" || beat.Counters["changed_fields"] != 6 {
		t.Errorf("the heartbeat says %v", beat)
	}
	status.Changed(slog.New(slog.DiscardHandler), []*keepa.TypeError{{Path: "binding"}})
	if got, _ := beat.Detail["changed_fields"].([]string); len(got) != 2 {
		t.Error("a heartbeat that was handed out changed")
	}
}
