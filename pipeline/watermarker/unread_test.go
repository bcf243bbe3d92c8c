package watermarker_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"ratchet/pipeline"
	"ratchet/pipeline/platform/bus"
	"ratchet/pipeline/watermarker"
	"ratchet/test/desk"
)

// spoilt is a Keepa that says the prices of the third row of the first page as text.
func spoilt(t *testing.T, sim http.Handler) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Header.Del("Accept-Encoding")
		said := httptest.NewRecorder()
		sim.ServeHTTP(said, r)
		body := said.Body.Bytes()
		var page map[string]any
		if json.Unmarshal(body, &page) == nil {
			if deals, ok := page["deals"].(map[string]any); ok {
				if rows, ok := deals["dr"].([]any); ok && len(rows) > 2 {
					rows[2].(map[string]any)["current"] = "twelve" //nolint:forcetypeassert // a row is an object
				}
			}
			body, _ = json.Marshal(page) //nolint:errchkjson // it was JSON
		}
		w.WriteHeader(said.Code)
		_, _ = w.Write(body) // the daemon may have stopped
	}))
	t.Cleanup(server.Close)
	return server.URL
}

func TestARowThatCannotBeReadCostsTheOthersNothing(t *testing.T) {
	t.Parallel()
	d := desk.New(t, speed)
	d.Grant(t, pipeline.StageWatermarker, credit)
	env := map[string]string{"KEEPA_URL": spoilt(t, d.Sim)}
	for k, v := range often {
		env[k] = v
	}
	d.Run(t, watermarker.Run, env)
	desk.Await(t, "two sweeps", func() bool { return len(ledger(t, d, pipeline.EventSweep)) >= 2 })
	// One row of each of the three pages.
	if n := len(candidates(t, d)); n != 397 {
		t.Errorf("%d candidates, want 397", n)
	}
	var letters []string
	err := bus.ScanJSON(t.Context(), d.Bus, pipeline.StreamDead, bus.From{}, func(_ bus.Read, l pipeline.Dead) error {
		letters = append(letters, l.Reason+": "+l.Error.String())
		return nil
	})
	if err != nil || len(letters) != 3 {
		t.Fatalf("%d dead letters (%v), want one for each row, once: %v", len(letters), err, letters)
	}
	if want := "unreadable_row: decode deals.dr[2].current: want"; !strings.HasPrefix(letters[0], want) {
		t.Errorf("the letter says %q, want %q", letters[0], want)
	}
}
