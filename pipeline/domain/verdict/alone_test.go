package verdict_test

import (
	"net/url"
	"reflect"
	"testing"
	"time"

	"ratchet/pipeline/domain/verdict"
	"ratchet/pipeline/sim/keepasim"
	"ratchet/schemas"
)

func TestAJudgeThatReusesItsMemoryFindsTheSame(t *testing.T) {
	t.Parallel()
	j, err := verdict.NewJudge(schemas.UsedBooks)
	if err != nil {
		t.Fatal(err)
	}
	sim := keepasim.New(keepasim.Options{Now: func() time.Time { return t0 }, Instant: true, Rate: 5000, Catalogue: keepasim.BacklogOf(3, 300), Key: "k"})
	sim.Start(t0)
	rows := listed(t, sim)
	if len(rows) == 0 {
		t.Fatal("nothing is listed")
	}
	alone := j.Alone()
	products := bought(t, sim, rows, url.Values{"stats": {"365"}, "offers": {"20"}})
	for round := range 2 {
		for _, row := range rows {
			p := products[row.ASIN]
			if got, want := alone.Peek(row, p, t0), j.Peek(row, p, t0); !reflect.DeepEqual(got, want) {
				t.Fatalf("%s in round %d: got %+v, want %+v", row.ASIN, round, got, want)
			}
		}
	}
}
