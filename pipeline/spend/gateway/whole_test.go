package gateway

import (
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"ratchet/pipeline/domain/token"
)

func TestACutAnswerIsReportedWithItsCost(t *testing.T) {
	t.Parallel()
	c := claim(t)
	for body, whole := range map[string]bool{
		envelope + `,"products":[{"asin":"B000000001"}]}`: true,
		envelope + `,"products":[{"asin":"B000000001"}`:   false,
	} {
		g := newGateway(t, serve(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(body)) }), time.Minute)
		a, err := g.Products(t.Context(), c, 1, []string{"B000000001"}, false)
		if err != nil || (a.Part == nil) != whole || a.Consumed != 6 || !a.ConsumedKnown {
			t.Errorf("%s: part %v, cost %d (%t), %v", body, a.Part, a.Consumed, a.ConsumedKnown, err)
		}
	}
}

func TestARedirectIsNotFollowed(t *testing.T) {
	t.Parallel()
	var calls atomic.Int32
	elsewhere := serve(t, func(http.ResponseWriter, *http.Request) { calls.Add(1) })
	g := newGateway(t, serve(t, func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, elsewhere+r.URL.RequestURI(), http.StatusTemporaryRedirect)
	}), time.Minute)
	if _, err := g.Token(t.Context()); err == nil || calls.Load() != 0 {
		t.Errorf("the key went elsewhere %d times, %v", calls.Load(), err)
	}
}

func TestARejectedRequestIsTheOneThatTheLedgerNames(t *testing.T) {
	t.Parallel()
	if got := "failed: " + string(Rejected); got != token.NoteRejected {
		t.Errorf("a claim is closed with %q, and attempts count %q", got, token.NoteRejected)
	}
}
