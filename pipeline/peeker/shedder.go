package peeker

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"time"

	"ratchet/pipeline"
	"ratchet/pipeline/domain/shedding"
	"ratchet/pipeline/domain/token"
	"ratchet/pipeline/platform/bus"
	"ratchet/pipeline/worker"
)

// shedder is the peek loop's state for shedding: the lines that any peeker has drawn, and the work in the lanes
// that may be shed which no peeker has taken yet.
type shedder struct {
	*peeker
	cell      bus.Cell // of the lines
	balance   bus.Cell // tokend's
	lines     shedding.Lines
	lanes     map[pipeline.Source][]shedding.Waiting // by sequence; only while too much waits
	scanned   uint64                                 // sequence up to which the lanes were read
	checkedAt time.Time

	peeked, survived int // peeks of this process, for the price of a decision
}

const (
	// checkEvery is how often, in pipeline time, a peeker checks whether too much waits.
	checkEvery = 2 * time.Minute
	// deciding is the part of the income that looks may spend; the rest is for the list.
	deciding = 0.85
	// usualCommit is assumed until a commit was paid for.
	usualCommit = 6.5
	// mostCommit exceeds the price of any commit.
	mostCommit = 1000
	// shedBatch is the most work that one step sheds.
	shedBatch = 100
)

func (p *peeker) newShedder(ctx context.Context) (*shedder, error) {
	kv, err := p.bus.Store(ctx, p.bus.Own(pipeline.BucketTokens))
	if err != nil {
		return nil, err
	}
	return &shedder{
		peeker: p, cell: bus.NewCell(kv, pipeline.KeyShed), balance: bus.NewCell(kv, pipeline.KeyBalance),
		lanes: map[pipeline.Source][]shedding.Waiting{},
	}, nil
}

// check drops what other peekers have taken. Every checkEvery it reads the lines, and draws a further one if more
// waits than tokens can decide within the patience.
func (f *shedder) check(ctx context.Context, backlogs map[string]bus.Backlog, wish token.Wish) error {
	f.prune(backlogs)
	now := f.env.Now()
	if !f.checkedAt.IsZero() && now.Sub(f.checkedAt) < checkEvery {
		return nil
	}
	if err := f.readLines(ctx); err != nil {
		return err
	}
	waiting := 0
	for _, s := range pipeline.Sources() {
		if once(s) {
			waiting += backlogs[f.durable(s)].Pending
		}
	}
	means, known, err := f.means(ctx, backlogs)
	if err != nil {
		return err
	}
	tooMuch := f.cfg.Shed && known && wish == token.Run && means.Exceeded(waiting)
	if !tooMuch && len(f.lines.Lines) == 0 {
		clear(f.lanes)
		f.scanned, f.checkedAt = 0, now
		return nil
	}
	if err := f.scan(ctx, backlogs); err != nil {
		return err
	}
	if tooMuch {
		if err := f.draw(ctx, backlogs, means, now); err != nil {
			return err
		}
	}
	f.checkedAt = now
	return nil
}

func (f *shedder) readLines(ctx context.Context) error {
	raw, _, err := f.cell.Read(ctx)
	if err != nil {
		return err
	}
	ls, err := bus.Decode[shedding.Lines](f.cell, raw)
	if f.status.Cell(pipeline.KeyShed, err); err != nil {
		return nil // the earlier lines hold; the next one drawn replaces the value
	}
	f.lines = ls // none for a deleted key
	return nil
}

// means returns what deciding can spend, according to tokend's last balance; false while that is unknown.
func (f *shedder) means(ctx context.Context, backlogs map[string]bus.Backlog) (shedding.Means, bool, error) {
	var b token.Balance
	raw, _, err := f.balance.Read(ctx)
	if err != nil || raw == nil || json.Unmarshal(raw, &b) != nil || b.Rate <= 0 {
		return shedding.Means{}, false, err
	}
	commit := b.Stages[pipeline.StageCommitter].Price
	if token.ValidFigures(b.Est, b.Rate) != nil || commit > mostCommit {
		return shedding.Means{}, false, nil
	}
	if commit <= 0 {
		commit = usualCommit
	}
	hand := float64(max(0, b.Est))
	for _, t := range pipeline.Tiers() {
		l := backlogs[f.bus.Own(pipeline.DurableCommit(t))]
		hand -= commit * float64(l.Pending+l.Unsettled)
	}
	return shedding.Means{
		PerHour: deciding * 60 * float64(b.Rate), Hand: int(hand), Patience: f.cfg.Patience,
		Price: shedding.Price(token.PricePeek, commit, f.peeked, f.survived),
	}, true, nil
}

// scan reads what was added to the lanes since the last scan.
func (f *shedder) scan(ctx context.Context, backlogs map[string]bus.Backlog) error {
	var subjects []string
	from := uint64(math.MaxUint64)
	for _, s := range pipeline.Sources() {
		if !once(s) {
			continue
		}
		subjects = append(subjects, f.bus.Subjects(fmt.Sprintf("survivor.%%s.%s.%s.>", pipeline.LookGlance, s))...)
		if l := backlogs[f.durable(s)]; l.Pending > 0 {
			from = min(from, l.Delivered+1)
		}
	}
	if from == math.MaxUint64 {
		return nil // nothing waits
	}
	return f.bus.Scan(ctx, pipeline.StreamSurvivors, bus.From{Subjects: subjects, Sequence: max(from, f.scanned+1)}, func(r bus.Read) error {
		f.scanned = r.Sequence
		var s struct {
			Source pipeline.Source `json:"source"`
			Cents  *int64          `json:"expected_value_cents"`
		}
		if json.Unmarshal(r.Body, &s) == nil && r.Sequence > backlogs[f.durable(s.Source)].Delivered {
			f.lanes[s.Source] = append(f.lanes[s.Source], shedding.Waiting{Seq: r.Sequence, Cents: s.Cents})
		}
		return nil // the loop makes it a dead letter
	})
}

// draw adds a line, which is stored before any peeker applies it.
func (f *shedder) draw(ctx context.Context, backlogs map[string]bus.Backlog, m shedding.Means, now time.Time) error {
	floor := uint64(math.MaxUint64)
	for _, s := range pipeline.Sources() {
		if l := backlogs[f.durable(s)]; once(s) && l.Pending+l.Unsettled > 0 {
			floor = min(floor, l.Settled)
		}
	}
	drawn := false
	var line shedding.Line
	ls, err := bus.ChangeOwn(ctx, f.cell, func(ls shedding.Lines) (shedding.Lines, bool, error) {
		var waiting []shedding.Waiting
		for _, lane := range f.lanes {
			for _, w := range lane {
				if _, is := ls.Find(w.Seq, w.Cents); !is {
					waiting = append(waiting, w)
				}
			}
		}
		if line, drawn = shedding.Draw(waiting, m, now); !drawn {
			return ls, false, nil
		}
		return ls.With(line, floor), true, nil
	})
	if err != nil {
		return fmt.Errorf("draw a line through what waits: %w", err)
	}
	f.lines = ls
	if drawn {
		f.status.Count("lines", 1)
		f.env.Log.Warn("more work waits than tokens can decide, the least valuable is shed", "waiting", line.Waiting,
			"decidable", line.Decidable, "below_cents", line.BelowCents, "patience", m.Patience, "price", math.Round(100*m.Price)/100)
	}
	return nil
}

// shed returns a lane whose next work is below a line, and how many
// consecutive items: they are shed without a claim, whatever the balance.
func (f *shedder) shed() (pipeline.Source, int) {
	for _, s := range pipeline.Sources() {
		n := 0
		for _, w := range f.lanes[s] {
			if _, is := f.lines.Find(w.Seq, w.Cents); !is || n == shedBatch {
				break
			}
			n++
		}
		if n > 0 {
			return s, n
		}
	}
	return "", 0
}

// prune drops what a peeker has taken and what the stream has deleted. A take for it would return nothing, or work
// above the line, which needs a claim.
func (f *shedder) prune(backlogs map[string]bus.Backlog) {
	for s := range f.lanes {
		l := backlogs[f.durable(s)]
		if l.Pending == 0 {
			delete(f.lanes, s)
			continue
		}
		f.taken(s, l.Delivered)
	}
}

// taken drops what was taken from a lane up to a sequence.
func (f *shedder) taken(s pipeline.Source, upTo uint64) {
	f.lanes[s] = slices.DeleteFunc(f.lanes[s], func(w shedding.Waiting) bool { return w.Seq <= upTo })
}

// split removes what is below a line from the work that would have to be paid for. Redelivered work is
// compared with the newest lines, because the worker that had it before may have shed it under one of them.
func (f *shedder) split(ctx context.Context, units []worker.Unit, of []int, facts []fact) ([]int, error) {
	for _, i := range of {
		if units[i].Deliveries > 1 && once(units[i].Survivor.Source) {
			if err := f.readLines(ctx); err != nil {
				return nil, err
			}
			break
		}
	}
	var pay []int
	for _, i := range of {
		l, is := f.lines.Find(units[i].Sequence, units[i].Survivor.ExpectedValueCents)
		if is && once(units[i].Survivor.Source) {
			facts[i].Line = &l
		} else {
			pay = append(pay, i)
		}
	}
	return pay, nil
}

// counted counts the verdict of a peek.
func (f *shedder) counted(v pipeline.Verdict) {
	switch v.Outcome {
	case pipeline.Survive:
		f.peeked, f.survived = f.peeked+1, f.survived+1
	case pipeline.Reject:
		f.peeked++
	case pipeline.Accept, pipeline.Confirm, pipeline.Fail, pipeline.Shed:
	}
}
