package gateway

import (
	"errors"
	"net/http"
	"sync/atomic"
	"testing"
	"time"
)

func TestNoCallStartsUnderAnOldClaimAndNoneOutlivesIts(t *testing.T) {
	t.Parallel()
	c := claim(t)
	var calls atomic.Int32
	url := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		calls.Add(1)
		_, _ = w.Write([]byte(envelope + `,"products":[]}`))
	})
	g := newGateway(t, url, time.Hour)
	kind := func(age time.Duration) ErrorKind {
		g.now = func() time.Time { return c.StartBy().Add(age) }
		_, err := g.Products(t.Context(), c, 1, []string{"B000000001"}, false)
		var e *Error
		if errors.As(err, &e) {
			return e.Kind
		}
		return ""
	}
	if got := kind(-time.Second); got != "" || calls.Load() != 1 {
		t.Errorf("within its first half: %q, %d calls", got, calls.Load())
	}
	for _, age := range []time.Duration{0, time.Second, time.Hour} {
		if got := kind(age); got != TooLate || calls.Load() != 1 {
			t.Errorf("%s after its first half: %q, %d calls", age, got, calls.Load())
		}
	}
	// A call ends with its claim, however long the configured time.
	for _, timeout := range []time.Duration{time.Hour, time.Second} {
		g := newGateway(t, url, timeout)
		now := c.StartBy().Add(-time.Minute)
		g.now = func() time.Time { return now }
		var ends time.Time
		g.http = &http.Client{Transport: tripper(func(r *http.Request) (*http.Response, error) {
			ends, _ = r.Context().Deadline()
			return nil, errors.New("not sent")
		})}
		_, _ = g.Products(t.Context(), c, 1, []string{"B000000001"}, false)
		want := c.Deadline()
		if timeout < time.Minute {
			want = now.Add(timeout)
		}
		if !ends.Equal(want) {
			t.Errorf("with %s a call ends %s after its claim", timeout, ends.Sub(c.Deadline()))
		}
	}
}

// tripper answers requests.
type tripper func(*http.Request) (*http.Response, error)

func (f tripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }
