package cli

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"ratchet/pipeline"
	"ratchet/pipeline/domain/token"
	"ratchet/pipeline/domain/watermark"
	"ratchet/pipeline/platform/bus"
	"ratchet/pipeline/text/foreign"
)

// Status is the state of the whole pipeline, from NATS.
type Status struct {
	At         time.Time                  `json:"at"`              // pipeline time of the freshest heartbeat; else the machine's
	Balance    *token.Balance             `json:"balance"`         // of the first plan
	Wish       string                     `json:"wish"`            // run, paused or nospend
	Plans      []PlanStatus               `json:"plans,omitempty"` // the others, where there are several keys
	Stages     []StageStatus              `json:"stages"`
	Watermarks map[string]watermark.State `json:"watermarks"`
	Daemons    []pipeline.Heartbeat       `json:"daemons"`
	Streams    []StreamStatus             `json:"streams"`
	Deals      *DealCounts                `json:"deals,omitempty"`
	Stock      *Stock                     `json:"stock,omitempty"`
	Rules      *Rules                     `json:"rules,omitempty"`
	Queries    *Queries                   `json:"queries,omitempty"`
	Missing    []string                   `json:"missing"`         // daemons without a heartbeat
	Bad        []BadKey                   `json:"bad,omitempty"`   // unreadable keys
	Stuck      []Stuck                    `json:"stuck,omitempty"` // what makes no progress and is not idle
	Store      *Store                     `json:"store,omitempty"`
	Late       []string                   `json:"late,omitempty"` // what did not answer in time and is left out

	plan       pipeline.Plan // whose rules and queries are shown
	unrecorded int           // messages that wait for a recorder, if one has run and none runs
	failed     error         // of a part that the status requires
}

// StageStatus is what waits for a stage.
type StageStatus struct {
	Stage   pipeline.Stage `json:"stage"`
	Plan    pipeline.Plan  `json:"plan,omitempty"` // absent: the first one
	Free    int            `json:"free_waiting"`   // waits for a look that costs nothing
	Waiting int            `json:"waiting"`        // waits for a look that costs tokens
	InWork  int            `json:"in_work"`        // delivered, not settled
	Credit  int            `json:"credit"`         // tokens granted and not claimed
	Open    int            `json:"open"`           // tokens in open claims
	Price   float64        `json:"price"`          // tokens for one, on average; 0 before the first call
	Worst   int            `json:"worst"`          // tokens for one, at most so far
}

// Health reads the part of the status that shows whether something is wrong: balance, daemons, watermarks, what is
// stuck.
func Health(ctx context.Context, b *bus.Bus) (Status, error) {
	s := Status{At: time.Now().UTC(), Wish: "run", Watermarks: map[string]watermark.State{}}
	if err := s.readTokens(ctx, b); err != nil {
		return s, err
	}
	s.readDaemons(ctx, b)
	s.readWatermarks(ctx, b)
	s.missing()
	s.Stuck = s.stuck()
	return s, nil
}

// Now returns pipeline time: that of the newest heartbeat, else the machine's.
func Now(ctx context.Context, b *bus.Bus) time.Time {
	s := Status{At: time.Now().UTC()}
	s.readDaemons(ctx, b)
	return s.At
}

func (s *Status) readTokens(ctx context.Context, b *bus.Bus) error {
	kv, err := b.Store(ctx, pipeline.BucketTokens)
	if errors.Is(err, jetstream.ErrBucketNotFound) {
		return fmt.Errorf("%w; no daemon has run on this NATS yet: start one with `ratchet up`", err)
	}
	if err != nil {
		return err
	}
	s.Balance = s.readBudget(ctx, kv, "")
	if e, err := kv.Get(ctx, pipeline.KeyMode); err == nil {
		s.Wish = s.readWish(kv.Bucket(), e.Value(), s.Balance)
	}
	return s.readPlans(ctx, b)
}

// readBudget reads what a plan has: its balance, nil where that is not known, and what it granted to each stage.
func (s *Status) readBudget(ctx context.Context, kv jetstream.KeyValue, p pipeline.Plan) *token.Balance {
	var balance *token.Balance
	var bal token.Balance
	if s.decode(ctx, kv, pipeline.KeyBalance, &bal) {
		balance = &bal
	}
	for _, stage := range pipeline.Stages() {
		line := StageStatus{Stage: stage, Plan: p, Price: bal.Stages[stage].Price, Worst: bal.Stages[stage].Worst}
		var g token.Grant
		if s.decode(ctx, kv, pipeline.KeyGrant(stage), &g) {
			line.Credit, line.Open = g.Credit(), g.Held()
		}
		s.Stages = append(s.Stages, line)
	}
	return balance
}

// readWish reads the operator's wish; of one that cannot be read the last that could holds.
func (s *Status) readWish(bucket string, raw []byte, b *token.Balance) string {
	wish, err := token.ParseWish(raw)
	if err == nil {
		return string(wish)
	}
	s.Bad = append(s.Bad, BadKey{Bucket: bucket, Key: pipeline.KeyMode, Error: err.Error()})
	if b != nil && b.Wish != "" {
		return string(b.Wish)
	}
	return string(wish)
}

// decode reads a key, and notes it if it is unreadable.
func (s *Status) decode(ctx context.Context, kv jetstream.KeyValue, key string, v any) bool {
	e, err := kv.Get(ctx, key)
	if err != nil {
		return false
	}
	if err := json.Unmarshal(e.Value(), v); err != nil {
		s.Bad = append(s.Bad, BadKey{Bucket: kv.Bucket(), Key: key, Error: err.Error()})
		return false
	}
	return true
}

func (s *Status) readWaiting(ctx context.Context, b *bus.Bus) {
	plans, err := b.Plans(ctx)
	if err != nil {
		return
	}
	lanes, err := b.Backlogs(ctx, pipeline.StreamSurvivors)
	for _, p := range plans.All() {
		add := func(stage pipeline.Stage, pending, work, free int) {
			s.stage(StageStatus{Stage: stage, Plan: p, Waiting: pending, InWork: work, Free: free})
		}
		if pending, work, err := b.Waiting(ctx, pipeline.StreamCandidates, p.Own(pipeline.DurableGlance)); err == nil {
			add(pipeline.StagePeeker, 0, work, pending)
		}
		if err != nil {
			continue
		}
		for _, src := range pipeline.Sources() {
			l := lanes[p.Own(pipeline.DurablePeek(src))]
			add(pipeline.StagePeeker, l.Pending, l.Unsettled, 0)
		}
		for _, tier := range pipeline.Tiers() {
			l := lanes[p.Own(pipeline.DurableCommit(tier))]
			add(pipeline.StageCommitter, l.Pending, l.Unsettled, 0)
		}
	}
}

// answerWithin is how long the daemons have to answer.
const answerWithin = 300 * time.Millisecond

// recorderName is the daemon that writes into ClickHouse, and does not run without it.
const recorderName = "recorder"

// expected returns every daemon of a complete pipeline.
func expected() []string {
	return []string{"tokend", "watermarker", "peeker", "committer", recorderName}
}

// readDaemons reads the heartbeats, and asks the daemons for newer ones: a stored heartbeat is up to 40 seconds old,
// which is long in scaled time.
func (s *Status) readDaemons(ctx context.Context, b *bus.Bus) {
	beats := map[string]pipeline.Heartbeat{}
	keep := func(value []byte) {
		var h pipeline.Heartbeat
		if json.Unmarshal(value, &h) != nil {
			return
		}
		if key := h.Key(); !h.At.Before(beats[key].At) {
			beats[key] = h
		}
	}
	each(ctx, b, pipeline.BucketStatus, func(_ string, value []byte) { keep(value) })
	for _, answer := range b.AskAll(ctx, append(expected(), notifierName), answerWithin) {
		keep(answer)
	}
	for _, h := range beats {
		s.Daemons = append(s.Daemons, h)
	}
	order := append(expected(), notifierName)
	slices.SortFunc(s.Daemons, func(a, b pipeline.Heartbeat) int {
		return cmp.Or(cmp.Compare(a.Plan, b.Plan), cmp.Compare(slices.Index(order, a.Daemon), slices.Index(order, b.Daemon)), cmp.Compare(a.Instance, b.Instance))
	})
	for _, name := range expected() {
		if !s.runs(name, "") {
			s.Missing = append(s.Missing, name)
		}
	}
	if slices.Contains(s.Missing, recorderName) {
		s.unrecorded = unrecorded(ctx, b)
	}
	var newest time.Time
	for _, h := range s.Daemons {
		if h.At.After(newest) {
			newest = h.At
		}
	}
	if !newest.IsZero() {
		s.At = newest
	}
}

// unrecorded returns how many messages wait for a recorder that took some before. The consumers exist without
// ClickHouse as well, and nothing was ever taken from them there.
func unrecorded(ctx context.Context, b *bus.Bus) (n int) {
	for _, stream := range pipeline.RecordedStreams() {
		c, err := b.JS.Consumer(ctx, stream, pipeline.DurableRecorder(stream))
		if err != nil {
			continue
		}
		if i := c.CachedInfo(); i.Delivered.Consumer > 0 {
			n += int(i.NumPending) + i.NumAckPending
		}
	}
	return n
}

func (s *Status) readWatermarks(ctx context.Context, b *bus.Bus) {
	each(ctx, b, pipeline.BucketWatermarks, func(key string, value []byte) {
		var w watermark.State
		if err := json.Unmarshal(value, &w); err != nil {
			s.Bad = append(s.Bad, BadKey{Bucket: pipeline.BucketWatermarks, Key: key, Error: err.Error()})
			return
		}
		if s.Watermarks == nil {
			s.Watermarks = map[string]watermark.State{}
		}
		s.Watermarks[key] = w
	})
}

// each calls f with every key of a bucket.
func each(ctx context.Context, b *bus.Bus, bucket string, f func(key string, value []byte)) {
	kv, err := b.Store(ctx, bucket)
	if err != nil {
		return
	}
	keys, err := bus.Keys(ctx, kv)
	if err != nil {
		return
	}
	for _, k := range keys {
		if e, err := kv.Get(ctx, k); err == nil {
			f(k, e.Value())
		}
	}
}

// price returns the price of one item: the mean, and the maximum in brackets.
func (s StageStatus) price() string {
	if s.Worst == 0 {
		return "–"
	}
	return fmt.Sprintf("%.2f (%d)", s.Price, s.Worst)
}

// Write prints the status for people.
func (s Status) Write(w io.Writer) error {
	p := &lines{w: tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)}
	p.f("%s\n%s\n", strings.Join(s.Headline(), "\n"), strings.Join(s.Budgets(), "\n"))
	stages := s.stages()
	stages.Heads[slices.Index(stages.Heads, "OPEN CLAIMS")] = "CLAIMS" // so that it fits 80 columns
	p.section(stages)
	p.section(s.daemons())
	s.writeAgain(p)
	s.writeLag(p)
	s.writeMissing(p)
	p.section(s.lists())
	s.writeRules(p)
	p.section(s.notified())
	s.writeQueries(p)
	p.section(s.streams())
	s.Store.write(p)
	p.f("%s%s", s.Deals.sentence(), s.Stock.sentence(s.At, s.worth))
	return p.flush()
}

// Headline returns what is stuck, a line each, or what the pipeline is doing.
func (s Status) Headline() []string {
	var out []string
	for _, st := range s.Stuck {
		out = append(out, "STUCK: "+st.String())
	}
	switch late := s.lateness(); {
	case late != "":
		out = append(out, late)
	case len(out) == 0:
		out = append(out, s.fine())
	}
	return out
}

// fine returns what the pipeline is doing if nothing is stuck.
func (s Status) fine() string {
	paid, free := s.waits()
	for _, p := range s.Plans {
		if p.Wish != "run" && s.Wish == "run" {
			return fmt.Sprintf("Not stuck: plan %s waits because you asked it to (%s); `ratchet resume` continues.", p.Plan, p.Wish)
		}
	}
	switch {
	case s.Wish != "run":
		return fmt.Sprintf("Not stuck: you paused it (%s); `ratchet resume` continues.", s.Wish)
	case s.Balance != nil && s.Balance.State == "recharge" && paid > 0:
		return fmt.Sprintf("Not stuck: %d wait for tokens, which come back at %d a minute.", paid, s.Balance.Rate)
	case paid+free > 0:
		return fmt.Sprintf("Not stuck: it works on %d.", paid+free)
	}
	return "Not stuck: nothing waits" + s.nextList() + "."
}

// nextList returns when the next list is read; "" if unknown.
func (s Status) nextList() string {
	var at time.Time
	for _, m := range s.Watermarks {
		if !m.NextPoll.IsZero() && (at.IsZero() || m.NextPoll.Before(at)) {
			at = m.NextPoll
		}
	}
	if at.IsZero() {
		return ""
	}
	return "; the next list is " + strings.Replace("read "+ahead(s.At, at), "read due", "due now", 1)
}

// next returns when the list is read again, or what is being read.
func next(now time.Time, m watermark.State) string {
	if m.Read == nil || m.NextPoll.IsZero() {
		return ahead(now, m.NextPoll)
	}
	kind := "reading"
	if m.Read.Sweep {
		kind = "sweeping"
	}
	if m.NextPoll.After(now) {
		return kind + ", continues " + ahead(now, m.NextPoll)
	}
	return kind + " since " + strings.TrimSuffix(Ago(now, m.Read.Begun), " ago")
}

// owed returns how many gaps the next reads fetch, and how many seams wait for a sweep.
func owed(m watermark.State) string {
	out := strconv.Itoa(m.Driving())
	if seams := len(m.Gaps) - m.Driving(); seams > 0 {
		out += fmt.Sprintf(" and %d seams", seams)
	}
	return out
}

// estimate formats an estimate of rows that were never seen.
func estimate(rows float64) string { return fmt.Sprintf("about %.0f", rows) }

// Budget returns the balance in one or two sentences, and whether Keepa is simulated.
func (s Status) Budget() string {
	if s.Simulated() {
		return s.balance() + "\nKeepa is simulated: nobody sells what is found."
	}
	return s.balance()
}

// Simulated reports whether tokend asks the simulated Keepa.
func (s Status) Simulated() bool {
	return slices.ContainsFunc(s.Daemons, func(h pipeline.Heartbeat) bool { return h.Detail["simulated"] == true })
}

func (s Status) balance() string {
	if s.Balance == nil {
		return fmt.Sprintf("Balance unknown: tokend has not written it yet. Requested: %s.", s.Wish)
	}
	return budget(s.At, s.Balance, s.Wish)
}

func budget(at time.Time, b *token.Balance, wish string) string {
	out := fmt.Sprintf("Balance %d of %d (%s), %d a minute, state %s since %s; requested: %s.",
		b.Est, b.Cap, Ago(at, b.At), b.Rate, orDash(b.State), Ago(at, b.Since), orDash(wish))
	if b.State == "recharge" {
		out += fmt.Sprintf("\nRecharging to %d, ETA %s, at the latest %s.", b.Target, ahead(at, b.ETA), ahead(at, b.Deadline))
	}
	if b.EndedBy != "" {
		out += fmt.Sprintf(" The last pause was ended by %s.", b.EndedBy)
	}
	if b.Note != "" {
		out += "\n" + foreign.Of(b.Note).String()
	}
	return out
}

// Ago returns how long before now t was, for people.
func Ago(now, t time.Time) string {
	if t.IsZero() {
		return "–"
	}
	d := now.Sub(t)
	if d < time.Second {
		return "now"
	}
	return brief(d) + " ago"
}

// ahead returns how long after now t will be.
func ahead(now, t time.Time) string {
	if t.IsZero() {
		return "–"
	}
	d := t.Sub(now)
	if d <= 0 {
		return "due"
	}
	return "in " + brief(d)
}

func brief(d time.Duration) string {
	switch {
	case d < time.Minute:
		return d.Round(time.Second).String()
	case d < 48*time.Hour:
		return strings.TrimSuffix(d.Round(time.Minute).String(), "0s")
	default:
		return fmt.Sprintf("%.0f d", d.Hours()/24)
	}
}
