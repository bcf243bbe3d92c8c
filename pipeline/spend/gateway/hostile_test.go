package gateway

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"ratchet/pipeline/platform/process"
)

// head begins an answer whose payload is worth keeping, and element is one element of it.
const (
	head    = envelope + `,"products":[`
	element = `{"asin":"B000000001","title":"0123456789012345678901234567890123456789"},`
)

// endless writes an answer that does not end until the caller stops reading.
func endless(w io.Writer) {
	_, err := io.WriteString(w, head)
	block := []byte(strings.Repeat(element, 1000))
	for err == nil {
		_, err = w.Write(block)
	}
}

// hostile are the answers that take memory or time.
var hostile = map[string]http.HandlerFunc{
	"endless":             func(w http.ResponseWriter, _ *http.Request) { endless(w) },
	"zip bomb":            bomb(head, strings.Repeat(element, 20_000)),
	"zip bomb of nothing": bomb("", strings.Repeat("\x00", 1<<20)),
	"endless refusal": func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusInternalServerError)
		endless(w)
	},
	"endless header": func(w http.ResponseWriter, _ *http.Request) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		defer conn.Close()
		_, err = io.WriteString(conn, "HTTP/1.1 200 OK\r\n")
		for err == nil {
			_, err = io.WriteString(conn, "X-Endless: "+strings.Repeat("x", 1000)+"\r\n")
		}
	},
	"a byte now and then": func(w http.ResponseWriter, r *http.Request) {
		flush := http.NewResponseController(w)
		for _, b := range []byte(head + strings.Repeat(element, 1000)) {
			_, _ = w.Write([]byte{b})
			_ = flush.Flush()
			select {
			case <-r.Context().Done():
				return
			case <-time.After(5 * time.Millisecond):
			}
		}
	},
	"no end": func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, head+element)
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	},
}

// bomb is a compressed answer that does not end.
func bomb(head, block string) http.HandlerFunc {
	first, more := zip(head), zip(block) // a reader takes several as one
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Encoding", "gzip")
		_, err := w.Write(first)
		for err == nil {
			_, err = w.Write(more)
		}
	}
}

func zip(s string) []byte {
	var buf bytes.Buffer
	z := gzip.NewWriter(&buf)
	_, _ = io.WriteString(z, s) // a buffer takes it
	_ = z.Close()
	return buf.Bytes()
}

func TestEveryAnswerEndsByItsSizeOrByTime(t *testing.T) {
	t.Parallel()
	const patience = 700 * time.Millisecond
	for name, answer := range hostile {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := newGateway(t, serve(t, answer), patience)
			for endpoint, limit := range map[string]int{"token": maxToken, "deal": maxDeals, "seller": maxSellers, "product": maxProducts} {
				ctx, cancel := context.WithTimeout(t.Context(), patience)
				began := time.Now()
				a, err := g.call(ctx, endpoint, url.Values{})
				cancel()
				if took := time.Since(began); took > time.Minute {
					t.Errorf("/%s took %s", endpoint, took)
				}
				if err == nil && a.Part == nil {
					t.Errorf("/%s: no error", endpoint)
				}
				var e *Error
				if errors.As(err, &e) && len(e.Body) > limit || len(a.Body) > limit {
					t.Errorf("/%s: %d bytes are kept, the limit is %d", endpoint, len(a.Body), limit)
				}
			}
		})
	}
}

func TestAQuestionAboutTheBalanceEndsByTime(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if _, err := newGateway(t, serve(t, hostile["no end"]), 100*time.Millisecond).Token(ctx); ctx.Err() != nil {
		t.Errorf("it ended with the test's patience: %v", err)
	}
}

func TestWhatCameOfATooLargeAnswerIsKept(t *testing.T) {
	t.Parallel()
	g := newGateway(t, serve(t, hostile["zip bomb"]), time.Minute)
	a, err := g.call(t.Context(), "product", url.Values{"offers": {"20"}})
	var cut *Error
	if err != nil || !errors.As(a.Part, &cut) || cut.Kind != Malformed || len(a.Body) != maxOffers || a.Consumed != 6 {
		t.Errorf("%d bytes for %d tokens, %v, %v", len(a.Body), a.Consumed, a.Part, err)
	}
	for size, fits := range map[int]bool{64 << 10: true, 64<<10 + 1: false} {
		body := envelope + `,"x":"` + strings.Repeat("y", size-len(envelope)-len(`,"x":""}`)) + `"}`
		_, err := newGateway(t, serve(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, body) }), time.Minute).Token(t.Context())
		if (err == nil) != fits {
			t.Errorf("/token with %d bytes: %v", len(body), err)
		}
	}
}

// askEnv makes the test binary the child that calls a hostile Keepa.
const askEnv = "RATCHET_GATEWAY_ASK"

// fourAnswersMemory is how much memory a process with four concurrent calls may take.
const fourAnswersMemory = 300 << 20

func TestFourHostileAnswersAtOnceStayWithin300MB(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("it moves a gigabyte, and the race detector takes memory of its own")
	}
	if _, err := os.Stat("/proc/self/status"); err != nil {
		t.Skip("this system does not say how much memory a process took")
	}
	for _, name := range []string{"endless", "zip bomb", "zip bomb of nothing", "endless refusal", "endless header"} {
		exe, err := os.Executable()
		if err != nil {
			t.Fatal(err)
		}
		cmd := exec.CommandContext(t.Context(), exe, "-test.run=^TestMain$")
		cmd.Env = append(cmd.Environ(), askEnv+"="+serve(t, hostile[name]))
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("%s: %v: %s", name, err, out)
		}
		bytes, err := strconv.Atoi(strings.TrimSpace(string(out)))
		t.Logf("%s: %d MB", name, bytes>>20)
		if err != nil || bytes > fourAnswersMemory || bytes < 1<<20 {
			t.Errorf("%s: %s bytes, want at most %d", name, out, fourAnswersMemory)
		}
	}
}

func TestMain(m *testing.M) {
	if at := os.Getenv(askEnv); at != "" {
		if err := askFour(at); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// askFour makes four concurrent calls, twice, and keeps each answer
// until the next call, as workers do. It prints the maximum memory used.
func askFour(at string) error {
	g, err := New(Config{URL: at, Key: key, Timeout: time.Minute}, process.Env{Clock: process.RealClock(), Version: "test"})
	if err != nil {
		return err
	}
	var kept [4]Answer
	for range 2 {
		var asking sync.WaitGroup
		for i := range kept {
			kept[i] = Answer{}
			asking.Go(func() { kept[i], _ = g.call(context.Background(), "product", url.Values{}) })
		}
		asking.Wait()
	}
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return err
	}
	lines := bufio.NewScanner(bytes.NewReader(status))
	for lines.Scan() {
		if f := strings.Fields(lines.Text()); f[0] == "VmHWM:" {
			kb, err := strconv.Atoi(f[1])
			fmt.Println(kb << 10)
			return err
		}
	}
	return errors.New("no VmHWM")
}
