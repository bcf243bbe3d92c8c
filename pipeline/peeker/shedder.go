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
	"ratchet/pipeline/domain/verdict"
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

	peeked shedding.Peeked // by this process
}

const (
	// checkEvery is how often, in pipeline time, a peeker checks whether too much waits.
	checkEvery = 2 * time.Minute
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
func (s *shedder) check(ctx context.Context, backlogs map[string]bus.Backlog, wish token.Wish) error {
	s.prune(backlogs)
	now := s.env.Now()
	if !s.checkedAt.IsZero() && now.Sub(s.checkedAt).Abs() < checkEvery {
		return nil
	}
	if err := s.readLines(ctx); err != nil {
		return err
	}
	waiting := map[pipeline.Source]int{}
	for _, source := range pipeline.Sources() {
		if once(source) {
			waiting[source] = backlogs[s.durable(source)].Pending
		}
	}
	means, known, err := s.means(ctx, backlogs)
	if err != nil {
		return err
	}
	tooMuch := s.cfg.Shed && known && wish == token.Run && means.Exceeded(waiting[pipeline.SourceLive]+waiting[pipeline.SourceGap], waiting[pipeline.SourceBackfill])
	if !tooMuch && len(s.lines.Lines) == 0 {
		clear(s.lanes)
		s.scanned, s.checkedAt = 0, now
		return nil
	}
	if err := s.scan(ctx, backlogs); err != nil {
		return err
	}
	if tooMuch {
		if err := s.draw(ctx, backlogs, means, now); err != nil {
			return err
		}
	}
	s.checkedAt = now
	return nil
}

func (s *shedder) readLines(ctx context.Context) error {
	raw, _, err := s.cell.Read(ctx)
	if err != nil {
		return err
	}
	ls, err := bus.Decode[shedding.Lines](s.cell, raw)
	if s.status.Cell(pipeline.KeyShed, err); err != nil {
		return nil // the earlier lines hold; the next one drawn replaces the value
	}
	s.lines = ls // none for a deleted key
	return nil
}

// means returns what deciding can spend, according to tokend's last balance; false while that is unknown.
func (s *shedder) means(ctx context.Context, backlogs map[string]bus.Backlog) (shedding.Means, bool, error) {
	var b token.Balance
	raw, _, err := s.balance.Read(ctx)
	if err != nil || raw == nil || json.Unmarshal(raw, &b) != nil {
		return shedding.Means{}, false, err
	}
	commits := 0
	for _, t := range pipeline.Tiers() {
		l := backlogs[s.bus.Own(pipeline.DurableCommit(t))]
		commits += l.Pending + l.Unsettled
	}
	m, known := shedding.MeansOf(b, commits, s.peeked, s.cfg.Patience)
	return m, known, nil
}

// scan reads what was added to the lanes since the last scan.
func (s *shedder) scan(ctx context.Context, backlogs map[string]bus.Backlog) error {
	var subjects []string
	from := uint64(math.MaxUint64)
	for _, source := range pipeline.Sources() {
		if !once(source) {
			continue
		}
		subjects = append(subjects, s.bus.Subjects(fmt.Sprintf("survivor.%%s.%s.%s.>", pipeline.LookGlance, source))...)
		if l := backlogs[s.durable(source)]; l.Pending > 0 {
			from = min(from, l.Delivered+1)
		}
	}
	if from == math.MaxUint64 {
		return nil // nothing waits
	}
	return s.bus.Scan(ctx, pipeline.StreamSurvivors, bus.From{Subjects: subjects, Sequence: max(from, s.scanned+1)}, func(r bus.Read) error {
		s.scanned = r.Sequence
		var survivor struct {
			Source pipeline.Source `json:"source"`
			Cents  *int64          `json:"expected_value_cents"`
		}
		if json.Unmarshal(r.Body, &survivor) == nil && r.Sequence > backlogs[s.durable(survivor.Source)].Delivered {
			s.lanes[survivor.Source] = append(s.lanes[survivor.Source], shedding.Waiting{Seq: r.Sequence, Source: survivor.Source, Cents: survivor.Cents})
		}
		return nil // the loop makes it a dead letter
	})
}

// draw adds lines, which are stored before any peeker applies them.
func (s *shedder) draw(ctx context.Context, backlogs map[string]bus.Backlog, m shedding.Means, now time.Time) error {
	floor := uint64(math.MaxUint64)
	for _, source := range pipeline.Sources() {
		if l := backlogs[s.durable(source)]; once(source) && l.Pending+l.Unsettled > 0 {
			floor = min(floor, l.Settled)
		}
	}
	var drawn []shedding.Line
	ls, err := bus.ChangeOwn(ctx, s.cell, func(ls shedding.Lines) (shedding.Lines, bool, error) {
		var waiting []shedding.Waiting
		for _, lane := range s.lanes {
			for _, w := range lane {
				if _, is := ls.Find(w); !is {
					waiting = append(waiting, w)
				}
			}
		}
		drawn = shedding.Draw(waiting, m, now)
		for _, l := range drawn {
			ls = ls.With(l, floor)
		}
		return ls, len(drawn) > 0, nil
	})
	if err != nil {
		return fmt.Errorf("draw a line through what waits: %w", err)
	}
	s.lines = ls
	s.status.Count("lines", len(drawn))
	for _, l := range drawn {
		s.env.Log.Warn("more work waits than tokens can decide, the least valuable is shed", "waiting", l.Waiting, "decidable", l.Decidable,
			"below_cents", l.BelowCents, "patience", time.Duration(l.PatienceS)*time.Second, "price", math.Round(100*l.Price)/100)
	}
	return nil
}

// shed returns a lane whose next work is below a line, and how many
// consecutive items: they are shed without a claim, whatever the balance.
func (s *shedder) shed() (pipeline.Source, int) {
	for _, source := range pipeline.Sources() {
		n := 0
		for _, w := range s.lanes[source] {
			if _, is := s.lines.Find(w); !is || n == shedBatch {
				break
			}
			n++
		}
		if n > 0 {
			return source, n
		}
	}
	return "", 0
}

// prune drops what a peeker has taken and what the stream has deleted. A take for it would return nothing, or work
// above the line, which needs a claim.
func (s *shedder) prune(backlogs map[string]bus.Backlog) {
	for source := range s.lanes {
		l := backlogs[s.durable(source)]
		if l.Pending == 0 {
			delete(s.lanes, source)
			continue
		}
		s.taken(source, l.Delivered)
	}
}

// taken drops what was taken from a lane up to a sequence.
func (s *shedder) taken(source pipeline.Source, upTo uint64) {
	s.lanes[source] = slices.DeleteFunc(s.lanes[source], func(w shedding.Waiting) bool { return w.Seq <= upTo })
}

// split removes what is below a line from the work that would have to be paid for. Redelivered work is
// compared with the newest lines, because the worker that had it before may have shed it under one of them.
func (s *shedder) split(ctx context.Context, units []worker.Unit, of []int, facts []fact) ([]int, error) {
	for _, i := range of {
		if units[i].Deliveries > 1 && once(units[i].Survivor.Source) {
			if err := s.readLines(ctx); err != nil {
				return nil, err
			}
			break
		}
	}
	var pay []int
	for _, i := range of {
		u := units[i].Survivor
		l, is := s.lines.Find(shedding.Waiting{Seq: units[i].Sequence, Source: u.Source, Cents: u.ExpectedValueCents})
		if is && once(units[i].Survivor.Source) {
			facts[i].Line = &l
		} else {
			pay = append(pay, i)
		}
	}
	return pay, nil
}

// counted counts the verdict of a peek.
func (s *shedder) counted(v pipeline.Verdict) {
	switch v.Outcome {
	case pipeline.Survive:
		s.peeked.All, s.peeked.Survived = s.peeked.All+1, s.peeked.Survived+1
	case pipeline.Reject:
		s.peeked.All++
		if _, free := v.Inputs[verdict.InputAnswerAge]; free {
			s.peeked.Free++
		}
	case pipeline.Accept, pipeline.Confirm, pipeline.Fail, pipeline.Shed:
	}
}
