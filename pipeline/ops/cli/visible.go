package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"ratchet/pipeline"
	"ratchet/pipeline/domain/visibility"
	"ratchet/pipeline/platform/bus"
	"ratchet/pipeline/platform/warehouse"
	"ratchet/pipeline/store/settled"
)

// Visible returns the visible deals, for lists, counts, status, the summary and the doctor.
//
//	ClickHouse answers, holds these streams' deals,      ─yes─▶ views deal_states, visible_deals
//	and has what they held when it was asked               │
//	                                                       no
//	                                                       └───▶ package visibility over DEALS and VERDICTS
//
// Both return the same deals for the same messages. The source of an answer names which of them it was, and the
// sequences of the streams up to which it counts.
type Visible struct {
	b   *bus.Bus
	url string
	w   *warehouse.Warehouse // nil before the first connection

	reading sync.Mutex
	reader  *reader // what was read of the streams; nil before
	counter *reader // the same for counts, in a tenth of the memory

	because atomic.Pointer[string] // why ClickHouse could not answer last

	// Patience is how long to wait for the recorder to store what the streams hold.
	Patience time.Duration
	// Within bounds a ClickHouse that takes connections and does not answer.
	Within time.Duration
}

const (
	// reachWithin bounds the first connection to ClickHouse.
	reachWithin = 3 * time.Second
	// viewWithin is the default of Within.
	viewWithin = 10 * time.Second
	// recordWithin is longer than a row takes to reach ClickHouse.
	recordWithin = 2500 * time.Millisecond
	// recordedEvery is how often the recorder's progress is checked meanwhile.
	recordedEvery = 50 * time.Millisecond
)

// NewVisible uses the ClickHouse at the URL; only the streams if the URL is empty or "none". It connects when first
// needed. Close it.
func NewVisible(b *bus.Bus, clickhouse string) *Visible {
	if clickhouse == "none" {
		clickhouse = ""
	}
	return &Visible{b: b, url: clickhouse, Patience: recordWithin, Within: viewWithin}
}

// Close ends the connections to ClickHouse.
func (v *Visible) Close() {
	if v.w != nil {
		_ = v.w.Close() // it was only read
	}
}

// Source is what answered, and up to which sequences.
type Source struct {
	From    string               `json:"from"`              // clickhouse or streams
	Because string               `json:"because,omitempty"` // why ClickHouse did not answer
	AsOf    visibility.Sequences `json:"as_of"`             // the sequences up to which it counts
}

// The sources.
const (
	fromClickHouse = "clickhouse"
	fromStreams    = "streams"
)

// String formats the source for people.
func (s Source) String() string {
	glue := "; "
	if s.From == fromClickHouse {
		glue = ", "
	}
	return s.Which() + glue + "as of " + s.AsOf.String()
}

// Which formats the source for people, without the sequences.
func (s Source) Which() string {
	if s.From == fromClickHouse {
		return "from ClickHouse"
	}
	return "from the streams, since " + s.Because
}

// Deals are the visible deals and the counts, up to the same sequences.
type Deals struct {
	Visible []Deal // with a version since then, the most profitable first
	Counts  visibility.Counts
	Source
}

// String returns the counts in one line.
func (d Deals) String() string {
	return fmt.Sprintf("%d found, %d stored, %d visible (%s)", d.Counts.Found, d.Counts.Stored, d.Counts.Visible, d.Source)
}

// counted is the visible deals and the counts of one state.
type counted struct {
	shown  []visibility.Shown
	counts visibility.Counts
}

// countedSince reads the deals with a version since then from a Fold.
func countedSince(since time.Time) func(*visibility.Fold) counted {
	return func(book *visibility.Fold) counted {
		return counted{book.Visible(since), visibility.Count(book.States())}
	}
}

// All returns the visible deals with a version since then, and the counts.
func (v *Visible) All(ctx context.Context, since time.Time) (d Deals, err error) {
	all, from, err := ask(ctx, v, &v.reader,
		func(ctx context.Context, w *warehouse.Warehouse) (a counted, err error) {
			if a.counts, err = w.Counts(ctx); err == nil {
				a.shown, err = w.Visible(ctx, since, members)
			}
			return a, err
		},
		countedSince(since))
	if err != nil {
		return d, err
	}
	d.Counts, d.Source = all.counts, from
	d.Visible, err = dealsOf(all.shown)
	return d, err
}

// Each passes on the visible deals with a version since then, in an order, one by one as they arrive, and returns the
// counts as of the same sequences. The first must be here within a time. An error after that leaves an incomplete list.
func (v *Visible) Each(ctx context.Context, within time.Duration, since time.Time, by By, each func(Deal) error) (d Deals, err error) {
	bounded, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	var arriving *warehouse.Arriving
	defer func() {
		if arriving != nil {
			arriving.Close()
		}
	}()
	ctx, end := context.WithCancel(ctx)
	defer end()
	all, from, err := ask(bounded, v, &v.reader,
		func(bounded context.Context, w *warehouse.Warehouse) (a counted, err error) {
			if arriving != nil {
				arriving.Close() // what it returned is out of date
				arriving = nil
			}
			if a.counts, err = w.Counts(bounded); err != nil {
				return a, err
			}
			late := context.AfterFunc(bounded, end) // only the first must be here by then
			arriving, err = w.Arrive(ctx, since, members, by.sql())
			if !late() {
				err = bounded.Err()
			}
			return a, err
		},
		countedSince(since))
	if err != nil {
		return d, err
	}
	d.Counts, d.Source = all.counts, from
	if from.From == fromClickHouse {
		return d, eachOf(arriving, each)
	}
	deals, err := dealsOf(all.shown)
	if err != nil {
		return d, err
	}
	by.sort(deals)
	for _, deal := range deals {
		if err := each(deal); err != nil {
			return d, err
		}
	}
	return d, nil
}

// eachOf passes on deals that arrive.
func eachOf(a *warehouse.Arriving, each func(Deal) error) error {
	for {
		s, ok, err := a.Next()
		if err != nil || !ok {
			return err
		}
		d, err := dealOf(s)
		if err == nil {
			err = each(d)
		}
		if err != nil {
			return err
		}
	}
}

// List returns the visible deals with a version since then, the most profitable first.
func (v *Visible) List(ctx context.Context, since time.Time) ([]Deal, Source, error) {
	shown, from, err := ask(ctx, v, &v.reader,
		func(ctx context.Context, w *warehouse.Warehouse) ([]visibility.Shown, error) {
			return w.Visible(ctx, since, members)
		},
		func(book *visibility.Fold) []visibility.Shown { return book.Visible(since) })
	if err != nil {
		return nil, from, err
	}
	deals, err := dealsOf(shown)
	return deals, from, err
}

// Count returns the counts of the deals.
func (v *Visible) Count(ctx context.Context) (visibility.Counts, Source, error) {
	return ask(ctx, v, &v.counter,
		func(ctx context.Context, w *warehouse.Warehouse) (visibility.Counts, error) { return w.Counts(ctx) },
		func(book *visibility.Fold) visibility.Counts { return visibility.Count(book.States()) })
}

// ask queries ClickHouse, or reads the streams with the reader if it cannot answer.
func ask[T any](ctx context.Context, v *Visible, by **reader, view func(context.Context, *warehouse.Warehouse) (T, error),
	streams func(*visibility.Fold) T,
) (T, Source, error) {
	bounded, cancel := context.WithTimeout(ctx, v.Within)
	defer cancel()
	var answer T
	why := v.ready(bounded)
	if why == nil {
		var at visibility.Sequences
		at, why = settled.Ask(bounded, v.b, v.w, func(ctx context.Context) (err error) { answer, err = view(ctx, v.w); return err })
		if why == nil {
			return answer, Source{From: fromClickHouse, AsOf: at}, nil
		}
	}
	from := Source{From: fromStreams, Because: why.Error()}
	if errors.Is(why, context.DeadlineExceeded) {
		from.Because = fmt.Sprintf("ClickHouse did not answer within %s", v.Within)
	}
	v.reading.Lock()
	defer v.reading.Unlock()

	because := from.Because
	v.because.Store(&because)
	r, err := readAll(ctx, v.b, *by, by == &v.counter)
	if *by = r; err != nil {
		return answer, from, err
	}
	from.AsOf = r.to
	return streams(&r.book), from, nil
}

var errNone = errors.New("there is no ClickHouse")

// ready reports why ClickHouse cannot answer for these streams; nil if it can.
func (v *Visible) ready(ctx context.Context) error {
	if v.url == "" {
		return errNone
	}
	if v.w == nil {
		bounded, cancel := context.WithTimeout(ctx, reachWithin)
		defer cancel()
		w, err := warehouse.Reach(bounded, v.url)
		if err != nil {
			return err
		}
		v.w = w
	}
	if err := v.recorded(ctx); err != nil {
		return err
	}
	return v.ours(ctx)
}

// recorded waits until ClickHouse has what the streams hold now, at most for the patience.
func (v *Visible) recorded(ctx context.Context) error {
	over := time.NewTimer(v.Patience)
	defer over.Stop()
	for _, stream := range []string{pipeline.StreamDeals, pipeline.StreamVerdicts, pipeline.StreamActions} {
		settled, until, err := v.b.Settled(ctx, stream, pipeline.DurableRecorder(stream))
		for err == nil && settled < until {
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-over.C:
				return fmt.Errorf("ClickHouse is %d messages behind %s; see the recorder in `ratchet status`", until-settled, stream)
			case <-time.After(recordedEvery):
				settled, _, err = v.b.Settled(ctx, stream, pipeline.DurableRecorder(stream))
			}
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// ours returns an error unless ClickHouse holds the deals of these streams.
func (v *Visible) ours(ctx context.Context) error {
	span, err := v.b.Span(ctx, pipeline.StreamDeals)
	if err != nil {
		return err
	}
	newest, deals, err := v.w.Filled(ctx)
	switch {
	case err != nil:
		return err
	case newest>>32 != uint64(span.Made) && newest > 0:
		return errors.New("ClickHouse holds the deals of other streams; see CLICKHOUSE_URL and NATS_URL")
	case deals >= int(span.Subjects): //nolint:gosec // a count
		return nil
	case deals == 0:
		return fmt.Errorf("ClickHouse holds 0 deals and the streams %d; to fill it again see \"Visible deals\" in docs/operate.md", span.Subjects)
	}
	// Some subjects may hold only messages that the recorder dead-letters.
	held, err := readable(ctx, v.b)
	if err == nil && deals < held {
		err = fmt.Errorf("ClickHouse holds %d deals and the streams %d; to fill it again see \"Visible deals\" in docs/operate.md", deals, held)
	}
	return err
}

// examineMost is how many deals Examine names.
const examineMost = 5

// examineTimes is how often the two are compared before a difference is reported: a deal may change between the two
// answers.
const examineTimes = 3

// Examine counts the deals, and compares ClickHouse with the streams if both answer. The error names deals that differ.
func (v *Visible) Examine(ctx context.Context) (string, error) {
	var odd []string
	var r *reader
	for range examineTimes {
		var err error
		r, err = readAll(ctx, v.b, r, true)
		switch {
		case errors.Is(err, jetstream.ErrStreamNotFound):
			return "not counted: no pipeline has run on this NATS yet", nil
		case err != nil && ctx.Err() != nil:
			return "not compared: to read DEALS and VERDICTS takes longer than this check waits", nil
		case err != nil:
			return "", err
		}
		book := &r.book
		if why := v.ready(ctx); why != nil {
			return (&DealCounts{Counts: visibility.Count(book.States()), Source: Source{From: fromStreams, Because: why.Error(), AsOf: r.to}}).String(), nil
		}
		var states []visibility.State
		at, err := settled.Ask(ctx, v.b, v.w, func(ctx context.Context) (err error) { states, err = v.w.States(ctx); return err })
		if err != nil {
			return "", err
		}
		if odd = differing(states, book.States()); len(odd) == 0 {
			return (&DealCounts{Counts: visibility.Count(states), Source: Source{From: fromClickHouse, AsOf: at}}).String() + " The streams agree.", nil
		}
	}
	return "", fmt.Errorf("ClickHouse and the streams differ about %d deals, as %s; see \"Visible deals\" in docs/operate.md",
		len(odd), strings.Join(odd[:min(len(odd), examineMost)], ", "))
}

// differing returns the deals of the streams whose state differs in ClickHouse.
func differing(view, streams []visibility.State) (asins []string) {
	has := map[visibility.DealKey]visibility.State{}
	for _, s := range view {
		has[s.DealKey] = s
	}
	for _, s := range streams {
		if in := has[s.DealKey]; in.HiddenBecause != s.HiddenBecause || in.DealKey != s.DealKey {
			asins = append(asins, s.ASIN)
		}
	}
	return asins
}
