package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"ratchet/pipeline"
	"ratchet/pipeline/domain/decide"
	"ratchet/pipeline/platform/bus"
	"ratchet/pipeline/store/messages"
	"ratchet/pipeline/text/foreign"
)

// Letter is a dead letter and its position in DEAD.
type Letter struct {
	Sequence uint64        `json:"sequence"` // in DEAD
	At       string        `json:"at"`       // pipeline time at which it was dead-lettered
	Stage    string        `json:"stage"`    // the stage that dead-lettered it
	ASIN     string        `json:"asin,omitempty"`
	Retried  bool          `json:"retried"` // it was offered again
	Dead     pipeline.Dead `json:"dead"`
}

// DeadFilter selects dead letters; the zero value of each part selects all.
type DeadFilter struct {
	Stage  string
	Reason string
	Open   bool // only those that were not retried
}

// DeadLetters returns the selected letters, oldest first.
func DeadLetters(ctx context.Context, b *bus.Bus, f DeadFilter) ([]Letter, error) {
	retried, err := retriedLetters(ctx, b)
	if err != nil {
		return nil, err
	}
	var out []Letter
	err = bus.ScanJSON(ctx, b, pipeline.StreamDead, bus.From{}, func(r bus.Read, d pipeline.Dead) error {
		l := letterOf(r, d)
		l.Retried = retried[messages.Origin(pipeline.StreamDead, r.Sequence)]
		if (f.Stage == "" || l.Stage == f.Stage) && (f.Reason == "" || d.Reason == f.Reason) && (!f.Open || !l.Retried) {
			out = append(out, l)
		}
		return nil
	})
	return out, err
}

func letterOf(r bus.Read, d pipeline.Dead) Letter {
	l := Letter{Sequence: r.Sequence, At: r.Header.Get(pipeline.HeaderAt), Dead: d}
	if tokens := strings.SplitN(r.Subject, ".", 3); len(tokens) == 3 {
		l.Stage = tokens[1]
	}
	if asin := d.Subject[strings.LastIndexByte(d.Subject, '.')+1:]; pipeline.ValidASIN(asin) {
		l.ASIN = asin
	}
	return l
}

// retriedLetters returns the letters that candidates or survivors name as their origin.
func retriedLetters(ctx context.Context, b *bus.Bus) (map[string]bool, error) {
	out := map[string]bool{}
	for stream, subject := range map[string]string{
		pipeline.StreamCandidates: "candidate.>", pipeline.StreamSurvivors: "survivor.>",
	} {
		err := b.Scan(ctx, stream, bus.From{Subjects: []string{subject}, Headers: true}, func(r bus.Read) error {
			if from := r.Header.Get(pipeline.HeaderOrigin); strings.HasPrefix(from, pipeline.StreamDead+"/") {
				out[from] = true
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return out, nil
}

// DeadLetter returns a letter by its sequence in DEAD.
func DeadLetter(ctx context.Context, b *bus.Bus, sequence uint64) (Letter, error) {
	s, err := b.Fetcher(ctx, pipeline.StreamDead)
	if err != nil {
		return Letter{}, err
	}
	found, err := s.Read(ctx, []uint64{sequence})
	if err != nil {
		return Letter{}, err
	}
	r, ok := found[sequence]
	if !ok {
		return Letter{}, fmt.Errorf("DEAD has no letter %d; `ratchet dead ls` lists them", sequence)
	}
	var d pipeline.Dead
	if err := json.Unmarshal(r.Body, &d); err != nil {
		return Letter{}, fmt.Errorf("decode letter %d: %w", sequence, err)
	}
	return letterOf(r, d), nil
}

// Retry publishes a letter again and returns its subject. Readable work becomes a candidate of source retry with a
// further attempt: a new unit of work, so that its verdicts are new. It uses the answers that are stored for the work
// and costs no token; with pay it uses none of them. Unreadable work is published unchanged, for a build that can read
// it. Retrying a letter twice publishes it once.
func Retry(ctx context.Context, b *bus.Bus, l Letter, pay bool) (string, error) {
	if len(l.Dead.Header[pipeline.HeaderQuery]) > 0 {
		return retryRows(ctx, b, l)
	}
	d, err := withBody(ctx, b, l.Dead)
	if err != nil {
		return "", err
	}
	var m bus.Message
	switch d.Stream {
	case pipeline.StreamCandidates:
		m = again(l, d, pipeline.SchemaCandidate, pay)
	case pipeline.StreamSurvivors:
		if err := storedFor(l, pay); err != nil {
			return "", err
		}
		m = again(l, d, pipeline.SchemaSurvivor, pay)
	case "":
		return "", fmt.Errorf("retry letter %d: it came from no stream", l.Sequence)
	default:
		// It is still in its stream, and its consumer can be reset; publishing it again would duplicate it for the
		// other consumers.
		return "", fmt.Errorf("retry letter %d: message %d of %s failed in the recorder; after repairing the cause, run: nats consumer reset %s %s --sequence %d -f",
			l.Sequence, d.Sequence, d.Stream, d.Stream, pipeline.DurableRecorder(d.Stream), d.Sequence)
	}
	if _, err := b.Publish(ctx, m); err != nil {
		return "", fmt.Errorf("retry letter %d: %w", l.Sequence, err)
	}
	return m.Subject, nil
}

// Free reports whether a retry can decide from what is stored: only then does Retry without pay do something.
func (l Letter) Free() bool {
	return len(l.Dead.Header[pipeline.HeaderQuery]) > 0 || l.Dead.Stream == pipeline.StreamCandidates ||
		l.Dead.Stream == pipeline.StreamSurvivors && storedFor(l, false) == nil
}

// Next returns the command that retries a letter.
func (l Letter) Next() string {
	switch {
	case l.Free():
		return fmt.Sprintf("ratchet dead retry %d", l.Sequence)
	case l.Dead.Stream == pipeline.StreamSurvivors:
		return fmt.Sprintf("ratchet dead retry --pay %d", l.Sequence)
	}
	return fmt.Sprintf("ratchet dead show %d", l.Sequence)
}

// storedFor returns an error if the paid call gave no answer to decide from: only paying again helps.
func storedFor(l Letter, pay bool) error {
	if pay || l.Dead.Reason != decide.ReasonNotFound && l.Dead.Reason != decide.ReasonNoAnswer {
		return nil
	}
	return fmt.Errorf("retry letter %d: no answer is stored to decide it from; `ratchet dead retry --pay %d` asks Keepa again", l.Sequence, l.Sequence)
}

// withBody reads a body that was too large for the letter from its stream.
func withBody(ctx context.Context, b *bus.Bus, d pipeline.Dead) (pipeline.Dead, error) {
	if len(d.Body) > 0 || d.Stream == "" {
		return d, nil
	}
	s, err := b.JS.Stream(ctx, d.Stream)
	if err != nil {
		return d, fmt.Errorf("inspect stream %s: %w", d.Stream, err)
	}
	m, err := s.GetMsg(ctx, d.Sequence)
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return d, fmt.Errorf("message %d has left %s, and the letter has no body: it cannot be retried", d.Sequence, d.Stream)
	}
	if err != nil {
		return d, fmt.Errorf("read message %d of %s: %w", d.Sequence, d.Stream, err)
	}
	d.Subject, d.Header, d.Body = m.Subject, m.Header, m.Data
	return d, nil
}

// again returns the message that retries a letter.
func again(l Letter, d pipeline.Dead, schema string, pay bool) bus.Message {
	origin := map[string]string{pipeline.HeaderOrigin: messages.Origin(pipeline.StreamDead, l.Sequence)}
	w, err := messages.Work(schema, d.Header, d.Body)
	if err != nil {
		head := func(name string) string {
			if v := d.Header[name]; len(v) > 0 {
				return v[0]
			}
			return ""
		}
		return bus.Message{
			Subject: d.Subject, Schema: head(pipeline.HeaderSchema), WorkID: head(pipeline.HeaderWorkID),
			ID: fmt.Sprintf("retry:dead-%d", l.Sequence), Header: origin, Body: d.Body,
		}
	}
	c := w.Survivor.Candidate
	c.Source, c.Attempt, c.NotBefore = pipeline.SourceRetry, c.Attempt+1, time.Time{}
	generation := pipeline.AttemptGeneration(pipeline.SourceRetry, c.Attempt)
	if c.Pay = pay; pay {
		c.AnswersOf, generation = "", pipeline.AttemptGeneration("pay", c.Attempt)
	} else if c.AnswersOf == "" {
		c.AnswersOf = w.ID
	}
	m := messages.Candidate("retry", c.WorkID(generation), c)
	m.Header = origin
	return m
}

// WriteLetters prints letters as a table, or as one JSON array.
func WriteLetters(w io.Writer, letters []Letter, format string) error {
	if format == "json" {
		if letters == nil {
			letters = []Letter{}
		}
		e := json.NewEncoder(w)
		e.SetIndent("", "  ")
		return e.Encode(letters)
	}
	if len(letters) == 0 {
		_, err := fmt.Fprintln(w, "No dead letters.")
		return err
	}
	p := &lines{w: tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)}
	p.f("letter\tat\tstage\treason\tASIN\tfrom\ttries\tretried\terror\n")
	for _, l := range letters {
		retried := "no"
		if l.Retried {
			retried = "yes"
		}
		p.f("%d\t%s\t%s\t%s\t%s\t%s #%d\t%d\t%s\t%s\n", l.Sequence, l.At, l.Stage, l.Dead.Reason, orDash(l.ASIN), orDash(l.Dead.Stream), l.Dead.Sequence,
			l.Dead.Deliveries, retried, l.Dead.Error.Short(60))
	}
	return p.flush()
}

// Write prints everything about a letter.
func (l Letter) Write(w io.Writer) error {
	d := l.Dead
	p := &lines{w: tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)}
	p.f("letter\t%d\ndead-lettered\t%s by %s\nreason\t%s\nerror\t%s\nfrom\t%s #%d on %s\ntries\t%d\n",
		l.Sequence, l.At, l.Stage, d.Reason, orDash(d.Error.String()), orDash(d.Stream), d.Sequence, d.Subject, d.Deliveries)
	for _, name := range slices.Sorted(maps.Keys(d.Header)) {
		p.f("%s:\t%s\n", name, foreign.Of(strings.Join(d.Header[name], ", ")))
	}
	if err := p.flush(); err != nil {
		return err
	}
	if len(d.Body) == 0 {
		_, err := fmt.Fprintf(w, "\nThe body was too large for the letter: nats stream get %s %d\n", d.Stream, d.Sequence)
		return err
	}
	_, err := fmt.Fprintf(w, "\n%s\n", foreign.Block(d.Body))
	return err
}
