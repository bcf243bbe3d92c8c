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
	"path"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"ratchet/pipeline/domain/keepa"
	"ratchet/pipeline/platform/process"
	"ratchet/pipeline/store/responses"
)

// head begins an answer whose payload is worth keeping, and element is one element of it.
const (
	head    = envelope + `,"products":[`
	element = `{"asin":"B000000001","title":"0123456789012345678901234567890123456789"},`
)

// endless writes an answer that does not end until the caller stops reading: a beginning, and then elements.
func endless(w io.Writer, head, element string) {
	_, err := io.WriteString(w, head)
	block := []byte(strings.Repeat(element, max(1, 75_000/len(element))))
	for err == nil {
		_, err = w.Write(block)
	}
}

// without is an answer without end whose every element is this one.
func without(head, element string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { endless(w, head, element) }
}

// hostile are the answers that take memory or time.
var hostile = map[string]http.HandlerFunc{
	"endless":             without(head, element),
	"endless key":         without(head, strings.Replace(element, "0123456789", url.QueryEscape(key), 1)), // which is scrubbed
	"endless numbers":     without(head, "1,"),
	"endless sellers":     without(envelope+`,"sellers":{`, `"A":1,`),
	"endless rows":        without(envelope+`,"deals":{"dr":[`, `{"asin":"B000000001"},`),
	"endless empty rows":  without(envelope+`,"deals":{"dr":[`, "{},"),
	"zip bomb":            bomb(head, strings.Repeat(element, 20_000)),
	"zip bomb of nothing": bomb("", strings.Repeat("\x00", 1<<20)),
	"zip bomb in disguise": func(w http.ResponseWriter, r *http.Request) {
		bomb(head, strings.Repeat(element, 20_000))(plain{w}, r)
	},
	"endless refusal": func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusInternalServerError)
		endless(w, head, element)
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

// whole are complete answers about one product that takes more memory decoded than encoded.
var whole = map[string]http.HandlerFunc{
	"a huge product":       filled(maxProducts, `{"asin":"B000000001","offers":[`, `{},`, `{}]}`),
	"a product of offers":  filled(large, `{"asin":"B000000001","offers":[`, `{},`, `{}]}`),
	"a product of orders":  filled(large, `{"asin":"B000000001","liveOffersOrder":[`, `1,`, `1]}`),
	"a product of history": filled(large, `{"asin":"B000000001","csv":[`, `[],`, `[1]]}`),
	"a product of changes": filled(large, `{"asin":"B000000001",`, `"title":1,`, `"title":1}`),
	"a product of text":    filled(large, `{"asin":"B000000001","title":"\n`, `a`, `"}`),
}

// filled is an answer below a size: a beginning, as many elements as fit, and an end.
func filled(size int, first, element, last string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		first, last := head+first, last+"]}"
		_, err := io.WriteString(w, first)
		block := []byte(strings.Repeat(element, 1000))
		for n := (size - len(first) - len(last)) / len(block); n > 0 && err == nil; n-- {
			_, err = w.Write(block)
		}
		if err == nil {
			_, _ = io.WriteString(w, last)
		}
	}
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

// plain is an answer that does not name its encoding.
type plain struct{ http.ResponseWriter }

func (plain) Header() http.Header { return http.Header{} }

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
			if testing.Short() && name == "endless key" {
				t.Skip("the race detector takes most of a minute for a name of 40 MB")
			}
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

func TestAHundredLongTrackedBooksFitIntoOneAnswer(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("it reads 40 MB, which the race detector takes half a minute for")
	}
	var body strings.Builder
	body.WriteString(head)
	for i := range MaxASINs {
		fmt.Fprintf(&body, `{"asin":"B%09d","title":"%s"},`, i, strings.Repeat("x", 400_000))
	}
	said := zip(strings.TrimSuffix(body.String(), ",") + "]}")
	g := newGateway(t, serve(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(said) }), time.Minute)
	a, err := g.call(t.Context(), "product", url.Values{})
	if err != nil || a.Part != nil || len(a.Body) < MaxASINs*400_000 {
		t.Errorf("%d bytes of %d, %v, %v", len(a.Body), body.Len(), a.Part, err)
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
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	ask := func(name, endpoint string, answer http.HandlerFunc) {
		cmd := exec.CommandContext(t.Context(), exe, "-test.run=^TestMain$")
		cmd.Env = append(cmd.Environ(), askEnv+"="+serve(t, answer)+"/"+endpoint)
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("%s, /%s: %v: %s", name, endpoint, err, out)
		}
		bytes, err := strconv.Atoi(strings.TrimSpace(string(out)))
		t.Logf("%s, /%s: %d MB", name, endpoint, bytes>>20)
		if err != nil || bytes > fourAnswersMemory || bytes < 1<<20 {
			t.Errorf("%s, /%s: %s bytes, want at most %d", name, endpoint, out, fourAnswersMemory)
		}
	}
	for endpoint, names := range map[string][]string{
		"product": {"endless", "endless key", "endless numbers", "zip bomb", "zip bomb of nothing", "zip bomb in disguise", "endless refusal", "endless header"},
		"seller":  {"endless sellers"},
		"deal":    {"endless rows", "endless empty rows"},
	} {
		for _, name := range names {
			ask(name, endpoint, hostile[name])
		}
	}
	for name, answer := range whole {
		ask(name, "product", answer)
	}
}

// readings are how the workers read the answers of the endpoints, and what they keep of them.
var readings = map[string]func(body []byte) any{
	"product": func(body []byte) any { return parts(keepa.CutProducts(body), keepa.DecodeProduct) },
	"seller":  func(body []byte) any { return parts(keepa.CutSellers(body), keepa.DecodeSeller) },
	"deal": func(body []byte) any {
		page, err := keepa.DecodeDealPage(body)
		return []any{page, err}
	},
}

// parts are the elements that were asked for, each as it is stored and read again.
func parts[T any](all keepa.Elements, decode func([]byte) (T, error)) any {
	found, extra := all.For([]string{"A", "B000000001"})
	kept := []any{found, extra, all.Separated()}
	for _, e := range found {
		body, _ := responses.Fit(e.Body)
		v, err := decode(body)
		kept = append(kept, v, err)
	}
	return kept
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

// askFour makes four concurrent calls, twice, reads each answer and keeps it until
// the next call, as workers do. It prints the maximum memory used.
func askFour(at string) error {
	at, endpoint := path.Split(at)
	g, err := New(Config{URL: at, Key: key, Timeout: time.Minute}, process.Env{Clock: process.RealClock(), Version: "test"})
	if err != nil {
		return err
	}
	var kept [4]struct {
		Answer
		of any
	}
	for range 2 {
		var asking sync.WaitGroup
		for i := range kept {
			k := &kept[i]
			k.Answer, k.of = Answer{}, nil
			asking.Go(func() {
				var err error
				if k.Answer, err = g.call(context.Background(), endpoint, url.Values{}); err == nil {
					k.of = readings[endpoint](k.Body)
				}
			})
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
