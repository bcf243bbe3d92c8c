package cli_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"ratchet/pipeline"
	"ratchet/pipeline/ops/cli"
	"ratchet/pipeline/platform/bus"
	"ratchet/pipeline/platform/embedded/clickhouse/chtest"
	"ratchet/pipeline/platform/warehouse"
	"ratchet/pipeline/sim/keepasim"
	"ratchet/test/desk"
	"ratchet/test/streams"
)

// The limit of the status command, and what a test gives it on a busy machine.
const (
	statusWithin = 850 * time.Millisecond
	bound        = 2500 * time.Millisecond
)

// within reads the status as the command does, and fails where that takes too long.
func within(t *testing.T, b *bus.Bus, clickhouse string) (cli.Status, string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), statusWithin)
	defer cancel()
	began := time.Now()
	s, err := cli.ReadStatusAndCounts(ctx, b, clickhouse)
	if took := time.Since(began); took > bound {
		t.Errorf("the status took %v, want at most %v", took, bound)
	}
	var out bytes.Buffer
	if err := s.Write(&out); err != nil {
		t.Fatal(err)
	}
	return s, out.String(), err
}

// whole repeats the status until every part has answered in time: on a busy machine some do not.
func whole(t *testing.T, b *bus.Bus, clickhouse string) (s cli.Status, text string, err error) {
	t.Helper()
	desk.Await(t, "every part of the status", func() bool {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		s, err = cli.ReadStatusAndCounts(ctx, b, clickhouse)
		return err != nil || len(s.Late) == 0
	})
	var out bytes.Buffer
	if err := s.Write(&out); err != nil {
		t.Fatal(err)
	}
	return s, out.String(), err
}

// hole takes connections and never answers.
func hole(t *testing.T) string {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l.Addr().String()
}

func TestTheStatusAnswersWithinASecondThoughClickHouseHangs(t *testing.T) {
	t.Parallel()
	d := desk.New(t, desk.Soon)
	d.Accepted(t, d.ASINs(keepasim.Good)[0])
	s, text, err := within(t, d.Bus, "http://"+hole(t)+"/ratchet")
	if err != nil || s.Deals != nil || len(s.Late) == 0 || !strings.Contains(text, "No answer in time: how many deals are visible") {
		t.Errorf("late are %q, %v:\n%s", s.Late, err, text)
	}
}

// TestTheStatusAnswersWithinASecondWhateverTheNumberOfDeals is about 100,000 of them if RATCHET_DEALS is set.
func TestTheStatusAnswersWithinASecondWhateverTheNumberOfDeals(t *testing.T) {
	if testing.Short() {
		t.Skip("stores thousands of deals")
	}
	t.Parallel()
	n, err := strconv.Atoi(os.Getenv("RATCHET_DEALS"))
	if err != nil {
		n = 500
	}
	d := desk.New(t, desk.Soon)
	w := d.Work(t, d.ASINs(keepasim.Good)[0], pipeline.SourceLive, pipeline.FirstGeneration)
	d.Accepted(t, w.Survivor.ASIN)
	stored, err := d.Bus.Newest(t.Context(), pipeline.StreamDeals, []string{"deal.>"}, bus.Until{})
	if err != nil || len(stored) != 1 {
		t.Fatalf("%d deals, %v", len(stored), err)
	}
	var all []bus.Message
	for i := range n {
		asin := fmt.Sprintf("B%09d", i)
		all = append(all, bus.Message{
			Subject: pipeline.SubjectDeal(1, w.Survivor.PriceType, asin), Schema: pipeline.SchemaDeal, ID: asin, WorkID: asin,
			Body: bytes.ReplaceAll(stored[0].Body, []byte(w.Survivor.ASIN), []byte(asin)),
		})
	}
	if err := d.Bus.PublishAll(t.Context(), all); err != nil {
		t.Fatal(err)
	}
	for _, clickhouse := range []string{"http://127.0.0.1:9/ratchet", "http://" + hole(t) + "/ratchet"} {
		s, text, err := within(t, d.Bus, clickhouse)
		if err != nil || s.Deals == nil && !strings.Contains(text, "how many deals are visible") {
			t.Errorf("%d deals: %v\n%s", n, err, text)
		}
	}
}

func TestTheStatusAnswersWithinASecondThoughTheRecorderIsBehind(t *testing.T) {
	t.Parallel()
	address := chtest.Database(t)
	d := desk.New(t, desk.Soon)
	d.Accepted(t, d.ASINs(keepasim.Good)[0])
	w, err := warehouse.Open(t.Context(), address)
	if err == nil {
		err = w.Migrate(t.Context())
	}
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	s, text, err := whole(t, d.Bus, address)
	if err != nil || s.Deals == nil || s.Deals.From != "streams" || !strings.Contains(text, "messages behind DEALS") {
		t.Errorf("%+v, %q, %v:\n%s", s.Deals, s.Late, err, text)
	}
}

// proxy passes connections on until it is frozen. Then it takes what comes and
// passes nothing on, like a stopped server.
type proxy struct {
	l     net.Listener
	to    string
	stall chan struct{}
}

func newProxy(t *testing.T, to string) *proxy {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{l: l, to: to, stall: make(chan struct{})}
	var all sync.WaitGroup
	all.Go(func() { p.serve(t.Context(), &all) })
	t.Cleanup(func() { _ = l.Close() })
	return p
}

func (p *proxy) serve(ctx context.Context, all *sync.WaitGroup) {
	for {
		c, err := p.l.Accept()
		if err != nil {
			return
		}
		s, err := new(net.Dialer).DialContext(ctx, "tcp", p.to)
		if err != nil {
			_ = c.Close()
			continue
		}
		all.Go(func() { p.pass(c, s) })
		all.Go(func() { p.pass(s, c) })
	}
}

func (p *proxy) pass(from, to net.Conn) {
	defer from.Close()
	buf := make([]byte, 1<<16)
	for {
		n, err := from.Read(buf)
		select {
		case <-p.stall:
			_, _ = io.Copy(io.Discard, from) // until its end
			return
		default:
		}
		if _, e := to.Write(buf[:n]); err != nil || e != nil {
			return
		}
	}
}

func TestTheStatusAnswersWithinASecondThoughNATSFreezes(t *testing.T) {
	t.Parallel()
	env, srv := streams.Start(t, "127.0.0.1:0")
	streams.Connect(t, env)
	p := newProxy(t, strings.TrimPrefix(srv.URL(), "nats://"))
	env.NATSOptions = nil
	cfg := streams.Config()
	cfg.URL = "nats://" + p.l.Addr().String()
	b, err := bus.Connect(t.Context(), cfg, env, "test")
	if err != nil {
		t.Fatal(err)
	}
	defer b.Abandon()
	s, text, err := whole(t, b, "none")
	if err != nil || s.Store == nil || len(s.Store.Servers) != 1 || !s.Store.Servers[0].JetStream || len(s.Store.Wrong) > 0 {
		t.Errorf("before: %+v, %v\n%s", s.Store, err, text)
	}
	close(p.stall)
	if _, text, err = within(t, b, "none"); err == nil || !strings.Contains(err.Error(), "does not answer in time") {
		t.Errorf("frozen: %v\n%s", err, text)
	}
}
