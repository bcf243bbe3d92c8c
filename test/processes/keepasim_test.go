package processes_test

import (
	"encoding/json"
	"net/http"
	"testing"
	"time"

	"ratchet/test/child"
)

func TestTheSimulatedKeepaIsAProcessOfItsOwn(t *testing.T) {
	if testing.Short() {
		t.Skip("builds and runs a process")
	}
	addr := child.FreeAddress(t)
	p := start(t, "keepasim", nil, "--addr", addr, "--rate", "7", "--balance", "42")
	var envelope struct{ TokensLeft, RefillRate int }
	for over := time.Now().Add(30 * time.Second); ; {
		res, err := http.Get("http://" + addr + "/token?key=any")
		if err == nil {
			err = json.NewDecoder(res.Body).Decode(&envelope)
			res.Body.Close()
			if err != nil {
				t.Fatal(err)
			}
			break
		}
		if time.Now().After(over) {
			t.Fatalf("no answer on %s: %v", addr, err)
		}
		<-time.After(20 * time.Millisecond)
	}
	if envelope.TokensLeft != 42 || envelope.RefillRate != 7 {
		t.Errorf("balance %d at %d a minute, want 42 at 7", envelope.TokensLeft, envelope.RefillRate)
	}
	child.Stop(t, p)
}
