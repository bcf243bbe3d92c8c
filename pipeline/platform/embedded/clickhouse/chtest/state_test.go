package chtest

import (
	"bytes"
	"context"
	"strings"
	"testing"
	"time"
)

// The cause of a hang is found in the state that is logged before the engine is stopped.
func TestAnEngineTellsWhatItDoes(t *testing.T) {
	t.Parallel()
	e := Own(t)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_, _ = e.post(context.Background(), "SELECT count() FROM system.numbers WHERE number % 7 = 8 AND 'endless' != ''") // the engine's end ends it
	}()
	for until := time.Now().Add(time.Minute); !strings.Contains(e.ask("SELECT query FROM system.processes WHERE query NOT LIKE '%processes%'"), "endless"); {
		if time.Now().After(until) {
			t.Fatal("the statement never began")
		}
	}
	var said bytes.Buffer
	e.dump(&said)
	<-ended
	for _, words := range []string{"system.processes: query:", "endless", "system.merges: database", "httpd.(*Server).stream < "} {
		if !strings.Contains(said.String(), words) {
			t.Errorf("no %q in what it says:\n%s", words, said.String())
		}
	}
}
