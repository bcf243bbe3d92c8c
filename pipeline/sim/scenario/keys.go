package scenario

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"ratchet/pipeline"
	"ratchet/pipeline/domain/keepa"
	"ratchet/pipeline/domain/token/plan"
	"ratchet/pipeline/ops/report"
	"ratchet/pipeline/ops/standalone"
	"ratchet/pipeline/platform/bus"
	"ratchet/pipeline/platform/process"
	"ratchet/pipeline/sim/keepasim"
	"ratchet/schemas"
)

// The scenario two-keys runs one deployment with two Keepa keys: the first plan reads amazon.com, plan de
// amazon.de, each from a simulated Keepa with its own catalogue and balance. Plan de suffers: its tokend is
// frozen and then killed, and another program drains its key. Both must decide everything, and nothing of it
// may show in the first plan.

// keyed is one of the two plans under test.
type keyed struct {
	plan   pipeline.Plan
	domain keepa.Domain
	world  keepasim.Catalogue
	faults keepasim.Faults
	sim    *keepasim.Sim
}

// What plan de suffers, in pipeline time since the start. The drain takes more than the bucket holds by then.
const (
	tokendFrozenAt = 2 * time.Minute
	tokendFrozen   = 5 * time.Minute
	drainedAt      = 9 * time.Minute
	drained        = 250
	drainHeard     = 30 * time.Second // a call at this speed, and its answer
)

// calmStall is the longest that the first plan may go without a paid call while work waits and its balance
// is positive. Plan de must do so for longer, or its tokend was not missed.
const calmStall = tokendFrozen / 2

func twoKeys() Scenario {
	s := Scenario{
		Name:  "two-keys",
		About: "two keys, com and de; the tokend of de is frozen and killed, then its key is drained; com goes on; real processes",
		Speed: 10, Limit: 90 * time.Minute, Rows: 800,
		Box: standalone.Options{Rate: 20, Balance: 120},
	}
	s.Drive = s.twoKeys
	return s
}

// twoKeys runs both plans to their end and judges them.
func (s Scenario) twoKeys(ctx context.Context, o Options) (Figures, error) {
	f := Figures{Scenario: s.Name, Speed: o.Speed, Seed: o.Seed, Failures: []string{}, RejectedByLook: map[pipeline.Look]int{}, VisibleIn: "streams"}
	keys := []*keyed{ // the catalogues have different books
		{domain: keepa.DomainCom, world: keepasim.Backlog400(o.Seed)},
		{plan: "de", domain: keepa.DomainDE, world: keepasim.Backlog400(o.Seed + 1), faults: keepasim.Faults{
			Drains: []keepasim.Drain{{From: drainedAt, To: drainedAt + time.Minute, Every: time.Minute, Tokens: drained}},
		}},
	}
	r, err := s.launchKeys(ctx, o, keys)
	if err != nil {
		return f, err
	}
	defer r.Ps.end()
	for _, k := range keys {
		k.sim.Start(r.T0)
	}
	samples, err := s.observe(ctx, o, r, keys)
	if err != nil {
		return f, err
	}
	f.Hours, f.Kills = r.Env.Now().Sub(r.T0).Hours(), r.Ps.killed()
	r.stopWorkers()
	for _, k := range keys {
		if err := settled(ctx, r.Bus, k.plan, k.sim); err != nil {
			return f, err
		}
	}
	for i, k := range keys {
		if err := f.keyed(ctx, r, k, samples[i]); err != nil {
			return f, err
		}
	}
	f.HoursToAll = f.Hours
	f.TokensPerDecision = float64(f.TokensSpent) / float64(max(1, f.Decided))
	f.miss(f.Decided != s.Rows, "decided: %d, want %d", f.Decided, s.Rows)
	f.Undecided = s.Rows - f.Decided
	f.miss(f.Kills == 0, "kills: 0, so the tokend of plan de was not killed")
	f.OK = len(f.Failures) == 0
	return f, nil
}

// launchKeys starts NATS, adds the plan to the topology as an operator does, and starts each plan's Keepa and daemons.
func (s Scenario) launchKeys(ctx context.Context, o Options, keys []*keyed) (_ *Rig, err error) {
	f, err := newFleet(o)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			f.end()
		}
	}()
	b, err := f.nats(ctx, o) // first as with a single key
	if err != nil {
		return nil, err
	}
	if err := b.Apply(ctx, bus.Provision{Plans: plan.Map{"de": {keepa.DomainDE}}}); err != nil {
		return nil, err
	}
	for i, k := range keys {
		var url string
		if k.sim, url, err = f.keepa(s, o, k.world, k.faults); err != nil {
			return nil, err
		}
		own, err := k.environ(o, i+1)
		if err != nil {
			return nil, err
		}
		own = append(f.environ("nats://"+f.natsAddr, url), own...)
		for _, name := range []string{"tokend", "watermarker", "peeker", "committer"} {
			if err := f.start(fmt.Sprintf("%s-%d", name, i+1), own); err != nil {
				return nil, err
			}
		}
	}
	if err := answers(ctx, b); err != nil {
		return nil, err
	}
	return &Rig{Bus: b, Sim: keys[0].sim, Env: f.here, T0: f.here.Now(), Ps: f, stopWorkers: f.stopWorkers}, nil
}

// environ is what the processes of a plan have for themselves: a rule file and a query for its marketplace.
func (k *keyed) environ(o Options, n int) ([]string, error) {
	dir := filepath.Join(o.Data, "plan-"+strconv.Itoa(n))
	rules, query := filepath.Join(dir, "rules.yaml"), filepath.Join(dir, "queries", "used-books.json")
	files := map[string][]byte{
		rules: bytes.Replace(schemas.UsedBooks, []byte("marketplace: com"), []byte("marketplace: "+k.domain.Suffix()), 1),
		query: bytes.Replace(schemas.UsedBooksQuery, []byte(`"domainId": 1`), fmt.Appendf(nil, `"domainId": %d`, k.domain), 1),
	}
	if err := os.MkdirAll(filepath.Dir(query), 0o700); err != nil {
		return nil, fmt.Errorf("create the directory of the queries: %w", err)
	}
	for file, body := range files {
		if err := os.WriteFile(file, body, 0o600); err != nil {
			return nil, fmt.Errorf("write what plan %s reads: %w", k.plan, err)
		}
	}
	return []string{"KEEPA_PLAN=" + string(k.plan), "RULES=" + rules, "QUERIES=" + filepath.Dir(query)}, nil
}

// observe samples both plans until everything is decided or the limit has passed, and lets plan de suffer.
func (s Scenario) observe(ctx context.Context, o Options, r *Rig, keys []*keyed) ([][]sample, error) {
	samples := make([][]sample, len(keys))
	var harm tokendHarm
	reported := process.MachineNow()
	for r.Env.Now().Sub(r.T0) < s.Limit {
		since := r.Env.Now().Sub(r.T0)
		harm.step(o, r, since)
		waiting := false
		for i, k := range keys {
			one, err := k.sample(ctx, r)
			if err != nil {
				return nil, err
			}
			samples[i], waiting = append(samples[i], one), waiting || one.waits
		}
		if process.MachineSince(reported) > 5*time.Second {
			reported = process.MachineNow()
			n, err := decidedIn(ctx, r.Bus, ">")
			if err != nil {
				return nil, err
			}
			fmt.Fprintf(o.Progress, "%6.2f h  decided %d of %d  balances %d and %d\n", since.Hours(), n, s.Rows, keys[0].sim.Account().Balance, keys[1].sim.Account().Balance)
			if n >= s.Rows && !waiting {
				return samples, nil
			}
		}
		if err := process.Sleep(ctx, sampleEvery); err != nil {
			return nil, err
		}
	}
	return samples, nil
}

// tokendHarm is what the tokend of plan de has suffered.
type tokendHarm struct{ frozen, killed bool }

func (h *tokendHarm) step(o Options, r *Rig, since time.Duration) {
	switch {
	case !h.frozen && since >= tokendFrozenAt:
		h.frozen = true
		r.Ps.signal("tokend-2", syscall.SIGSTOP)
		fmt.Fprintf(o.Progress, "%6.2f h  the tokend of plan de is frozen\n", since.Hours())
	case !h.killed && since >= tokendFrozenAt+tokendFrozen:
		h.killed = true
		r.Ps.signal("tokend-2", syscall.SIGKILL)
		fmt.Fprintf(o.Progress, "%6.2f h  and killed\n", since.Hours())
	}
}

// sample is the state of a plan at an instant.
func (k *keyed) sample(ctx context.Context, r *Rig) (sample, error) {
	waits, err := k.waits(ctx, r.Bus)
	b := k.sim.Account()
	return sample{at: r.Env.Now(), waits: waits, balance: b.Balance, expired: b.Expired, consumed: b.Consumed()}, err
}

// waits reports whether work waits for the plan's tokens.
func (k *keyed) waits(ctx context.Context, b *bus.Bus) (bool, error) {
	all, err := b.Backlogs(ctx, pipeline.StreamSurvivors)
	for name, l := range all {
		if _, own := k.plan.Base(name); own && l.Pending+l.Unsettled > 0 {
			return true, err
		}
	}
	return false, err
}

// outcome is what a plan came to.
type outcome struct {
	*keyed
	books     keepasim.Account
	sum       *report.Report // of the plan's lines of the ledger
	decided   int
	foreign   int // closes in its ledger that are not of its own claims
	listed    int // good deals
	visible   int // of them
	astray    int // products that were bought with its key and are not candidates of its marketplace
	again     int // answers that were paid for more than once
	avoidable int // refused calls that the last answer had announced
	drift     int // tokens that Keepa charged and the ledger lacks
	stall     time.Duration
	consumed  int // while work waited
	expired   int // while work waited
}

// keyed adds what a plan came to.
func (f *Figures) keyed(ctx context.Context, r *Rig, k *keyed, samples []sample) error {
	o := outcome{keyed: k, books: k.sim.Account()}
	var err error
	if o.sum, o.foreign, err = ledgerOf(ctx, r.Bus, k.plan); err != nil {
		return err
	}
	if o.decided, err = decidedIn(ctx, r.Bus, fmt.Sprintf("%d.>", k.domain)); err != nil {
		return err
	}
	own, err := k.candidates(ctx, r.Bus)
	if err != nil {
		return err
	}
	if err := o.good(ctx, r, own); err != nil {
		return err
	}
	o.buys(own)
	o.drift = o.books.Consumed() + o.books.Foreign - o.sum.Tokens() - o.sum.Drift()
	for _, times := range o.books.Repeated() {
		o.again += times - 1
	}
	o.refusals(f, r.T0)
	o.pace(f, samples)
	f.sumUp(o)
	f.judgeKey(o)
	return nil
}

// refusals counts the refused calls. A claim that was taken just before tokend heard of the drain is refused just
// after it, which is not a fault.
func (o *outcome) refusals(f *Figures, t0 time.Time) {
	for _, refused := range o.books.Refused {
		at := refused.At.Sub(t0)
		inFlight := o.plan != "" && at >= drainedAt && at < drainedAt+drainHeard
		if refused.Avoidable && !inFlight {
			o.avoidable++
		}
		f.Notes = append(f.Notes, fmt.Sprintf("plan %s: 429 after %.2f min, avoidable: %t: %s", o.plan, at.Minutes(), refused.Avoidable, refused.Reason))
	}
}

// pace measures the calls while work waited.
func (o *outcome) pace(f *Figures, samples []sample) {
	var paid []time.Time
	for _, c := range o.books.Paid {
		paid = append(paid, c.At)
		if c.Cost > 0 && c.Before > 0 {
			f.MinBalance = min(f.MinBalance, c.After+c.Unseen)
		}
	}
	o.stall = longestStall(samples, paid)
	o.consumed, o.expired = whileWaiting(samples, 0)
}

// sumUp adds a plan to the figures of both.
func (f *Figures) sumUp(o outcome) {
	b := o.books
	f.Decided, f.TokensSpent, f.RepeatPaid = f.Decided+o.decided, f.TokensSpent+b.Consumed(), f.RepeatPaid+o.again
	f.GoodTotal, f.GoodVisible = f.GoodTotal+o.listed, f.GoodVisible+o.visible
	f.LedgerDrift, f.StageDrift = f.LedgerDrift+max(o.drift, -o.drift), f.StageDrift+astray(b, o.sum)
	f.DriftSeries, f.Foreign = f.DriftSeries+o.sum.Drift(), f.Foreign+b.Foreign
	f.HTTP429, f.HTTP429Avoidable = f.HTTP429+len(b.Refused), f.HTTP429Avoidable+o.avoidable
	f.Notes = append(f.Notes, fmt.Sprintf("plan %-4s (%s): decided %d, %d tokens, %d taken by others; longest stall %.1f min, %d expired while work waited, lowest balance %d",
		o.plan, o.domain.Suffix(), o.decided, b.Consumed(), b.Foreign, o.stall.Minutes(), o.expired, b.Minimum))
}

// judgeKey adds what a plan missed.
func (f *Figures) judgeKey(o outcome) {
	miss := func(bad bool, format string, args ...any) { f.miss(bad, "plan "+o.plan.String()+": "+format, args...) }
	miss(o.visible != o.listed || o.listed == 0, "%d of %d good deals are visible", o.visible, o.listed)
	miss(o.again > 0, "%d answers were paid for again", o.again)
	miss(o.drift != 0, "the ledger lacks %d tokens that Keepa charged", o.drift)
	miss(astray(o.books, o.sum) != 0, "%d tokens are under a stage that did not spend them", astray(o.books, o.sum))
	miss(o.foreign > 0, "%d closes in its ledger are not of its own claims", o.foreign)
	miss(o.astray > 0, "%d products were bought with its key that are not candidates of its marketplace", o.astray)
	miss(o.avoidable > 0, "%d calls were refused that the last answer announced", o.avoidable)
	if o.plan != "" {
		miss(o.books.Minimum >= 0, "its key was not drained")
		miss(o.stall <= calmStall, "no pause of %s: its tokend was not missed", calmStall)
		return
	}
	f.LongestStallMin, f.TokensExpiredWhileWaiting = o.stall.Minutes(), o.expired
	f.TokensUsedShare = float64(o.consumed) / float64(max(1, o.consumed+o.expired))
	miss(o.stall > calmStall, "no paid call for %.1f min, want at most %.1f: it was disturbed", o.stall.Minutes(), calmStall.Minutes())
	miss(o.books.Foreign+o.sum.Drift() != 0, "%d tokens of drift, want 0: what another key lost shows in it", o.sum.Drift())
	miss(f.TokensUsedShare < 0.99, "%.4f of the tokens were used while work waited, want 0.99", f.TokensUsedShare)
}

// ledgerOf sums the lines of a plan; foreign counts closes whose claim was another plan's.
func ledgerOf(ctx context.Context, b *bus.Bus, p pipeline.Plan) (sum *report.Report, foreign int, err error) {
	sum = report.New()
	claims := map[string]pipeline.Plan{}
	err = bus.ScanJSON(ctx, b, pipeline.StreamLedger, bus.From{}, func(r bus.Read, e pipeline.Entry) error {
		if strings.Count(r.Subject, ".") == 2 != (e.Plan == "") {
			foreign++ // the subject names another plan than the body
		}
		if e.Event == pipeline.EventClaim {
			claims[e.Claim] = e.Plan
		}
		if e.Plan != p {
			return nil
		}
		if of, known := claims[e.Claim]; e.Event == pipeline.EventClose && (!known || of != p) {
			foreign++
		}
		sum.Entry(r.Header.Get(pipeline.HeaderMsgID), e)
		return nil
	})
	return sum, foreign, err
}

// candidates returns the ASINs of the plan's marketplace.
func (k *keyed) candidates(ctx context.Context, b *bus.Bus) (map[string]bool, error) {
	own := map[string]bool{}
	from := bus.From{Headers: true, Subjects: []string{fmt.Sprintf("candidate.%d.>", k.domain)}}
	err := b.Scan(ctx, pipeline.StreamCandidates, from, func(r bus.Read) error {
		own[r.Subject[strings.LastIndexByte(r.Subject, '.')+1:]] = true
		return nil
	})
	return own, err
}

// buys counts what was bought with the plan's key and is not a candidate of its marketplace.
func (o *outcome) buys(own map[string]bool) {
	for _, bought := range []map[string]int{o.books.Peeks, o.books.Commits} {
		for asin := range bought {
			if !own[asin] {
				o.astray++
			}
		}
	}
}

// good counts the good deals of the marketplace, and those that a user sees.
func (o *outcome) good(ctx context.Context, r *Rig, own map[string]bool) error {
	for asin := range own {
		if o.world.Truth(asin) == keepasim.Good {
			o.listed++
		}
	}
	deals, err := onStreams(ctx, r)
	for _, d := range deals {
		if d.Domain == int(o.domain) && o.world.Truth(d.ASIN) == keepasim.Good {
			o.visible++
		}
	}
	return err
}

// decidedIn counts the works with a final verdict whose subject begins with verdict.PART.
func decidedIn(ctx context.Context, b *bus.Bus, part string) (int, error) {
	finals := map[string]bool{}
	err := b.Scan(ctx, pipeline.StreamVerdicts, bus.From{Headers: true, Subjects: []string{"verdict." + part}}, func(r bus.Read) error {
		parts := strings.Split(r.Subject, ".")
		if parts[2] != string(pipeline.LookList) && pipeline.Outcome(parts[3]).Final() {
			finals[r.Header.Get(pipeline.HeaderWorkID)] = true
		}
		return nil
	})
	return len(finals), err
}
