package page

import (
	"context"
	"errors"
	"fmt"
	"html/template"
	"maps"
	"math"
	"slices"
	"strconv"
	"sync"
	"time"

	"ratchet/pipeline/domain/backtest"
	"ratchet/pipeline/domain/keepa"
	"ratchet/pipeline/ops/chart"
	"ratchet/pipeline/ops/replay"
	"ratchet/pipeline/platform/process"
	"ratchet/pipeline/platform/warehouse"
)

const (
	// oddsMost is how many stored products are scored: a sample, the same every time.
	oddsMost = 300
	// earnedEvery is the least time between two questions to ClickHouse, machine time, and earnedSince what they ask for.
	earnedEvery = time.Minute
	earnedSince = "-90d"
	// earnedWithin bounds one.
	earnedWithin = 5 * time.Second
)

// odds compares predictions with results.
type odds struct {
	mu      sync.Mutex
	running bool
	scored  *scoredOdds
	asked   time.Time // ClickHouse, machine time
	earned  *table
	lacks   string // why the picture is missing
}

// scoredOdds is a backtest of the current rules.
type scoredOdds struct {
	replay.Scored
	At, RuleSet, Err string
}

// calibration is a picture of predictions, and the same as a table.
type calibration struct {
	Name, Says string
	Picture    template.HTML
	Table      table
}

// pictured are the available pictures; Lacks has the reason why others are missing.
type pictured struct {
	Pictures []calibration
	Lacks    []string
	Running  bool
	Scored   string // which backtest; empty before the first
}

// measure scores stored answers by the current rules, as `ratchet backtest` does, in the background.
func (s *Server) measure() (*notice, error) {
	s.odds.mu.Lock()
	defer s.odds.mu.Unlock()
	if s.odds.running {
		return nil, errors.New("the stored answers are being scored already")
	}
	s.odds.running = true
	s.wait.Go(func() {
		scored := s.score(s.running)
		s.odds.mu.Lock()
		s.odds.scored, s.odds.running = scored, false
		s.odds.mu.Unlock()
		s.hub.wake(aboutOdds)
	})
	return measured(), nil
}

func measured() *notice {
	return &notice{Says: fmt.Sprintf("Up to %d stored products are being scored by the current rules, for no token.", oddsMost), did: "measured=1"}
}

func (s *Server) score(ctx context.Context) *scoredOdds {
	out := &scoredOdds{At: s.env.Now().UTC().Format(minutes)}
	t, err := s.rules(ctx, s.b)
	if err == nil {
		out.RuleSet = t.Judge.Version()
		var held []replay.StoredProduct
		if held, err = replay.ProductsOn(ctx, s.b, t.Judge.Settings().Domain()); err == nil {
			out.Scored, err = replay.Backtest{Rules: t.Judge, Most: oddsMost}.Run(ctx, held, func(replay.Step) {})
		}
	}
	if err != nil {
		out.Err = err.Error()
	}
	return out
}

// calibrations returns the pictures of what was predicted.
func (s *Server) calibrations(ctx context.Context) pictured {
	o := &s.odds
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.asked.IsZero() || process.MachineSince(o.asked) > earnedEvery {
		o.asked = process.MachineNow()
		o.earned, o.lacks = s.askEarned(ctx)
	}
	out := pictured{Running: o.running}
	if o.earned != nil {
		out.Pictures = earnedPictures(*o.earned)
	} else {
		out.Lacks = append(out.Lacks, "What deals were expected to earn and what they did is counted by ClickHouse: "+o.lacks+".")
	}
	if o.scored == nil {
		return out
	}
	if o.scored.Err != "" {
		out.Lacks = append(out.Lacks, "The stored answers could not be scored: "+o.scored.Err+".")
		return out
	}
	r := o.scored.Report
	out.Scored = fmt.Sprintf("Scored at %s by %s: %d products, %d books with a case, %d month starts.", o.scored.At, o.scored.RuleSet, r.Products, r.Books, r.Months)
	if !r.Enough {
		out.Scored += " Too little to tell: it takes 10 books and 20 accepted copies."
	}
	out.Pictures = append(out.Pictures, fifths("Odds of a loss", "lost", r.LossFifths), fifths("Odds of a sale in six months", "sold", r.SaleFifths))
	return out
}

// fifths are the cases in five groups by what was predicted.
func fifths(name, seen string, of []backtest.Fifth) calibration {
	percent := func(v float64) string { return fmt.Sprintf("%.0f %%", 100*v) }
	c := chart.Calibration{Title: name, Said: "predicted", Seen: seen, Most: 1, Label: percent, Above: "more " + seen + " than predicted"}
	t := table{Name: name, Heads: []string{"predicted", seen, "cases"}, Right: []bool{true, true, true}}
	for _, f := range of {
		c.Points = append(c.Points, chart.Point{Said: f.Said, Seen: f.Seen, N: f.Cases})
		t.Rows = append(t.Rows, []tableCell{{Text: percent(f.Said)}, {Text: percent(f.Seen)}, {Text: strconv.Itoa(f.Cases)}})
	}
	return calibration{Name: name, Says: "Past month starts of the stored products, in fifths by what the current rules predict there.", Picture: chart.Calibrated(c, calibrationSize), Table: t}
}

var calibrationSize = chart.Size{Width: 390, Height: 300}

// askEarned asks ClickHouse what was expected and earned.
func (s *Server) askEarned(ctx context.Context) (*table, string) {
	if s.o.ClickHouse == "" || s.o.ClickHouse == "none" {
		return nil, "there is none"
	}
	ctx, cancel := context.WithTimeout(ctx, earnedWithin)
	defer cancel()
	w, err := warehouse.Reach(ctx, s.o.ClickHouse)
	if err != nil {
		return nil, err.Error()
	}
	defer func() { _ = w.Close() }() // it was only read
	q, err := warehouse.Find("calibration")
	if err != nil {
		return nil, err.Error()
	}
	answer, err := w.Ask(ctx, q.Name, map[string]string{"since": earnedSince})
	if err != nil {
		return nil, err.Error()
	}
	t := tableOf(q, answer)
	return &t, ""
}

// earnedPictures returns, for each marketplace, the bands of expected value, and what copies were sold for.
func earnedPictures(t table) []calibration {
	all := byDomain(t)
	if len(all) == 0 {
		return earnedIn(keepa.DomainCom, "", t) // nothing yet
	}
	var out []calibration
	for _, domain := range slices.Sorted(maps.Keys(all)) {
		of := ""
		if len(all) > 1 {
			of = ", " + domain.Suffix()
		}
		out = append(out, earnedIn(domain, of, all[domain])...)
	}
	return out
}

// byDomain splits a table by its column of marketplaces: amounts of two currencies are not drawn together.
func byDomain(t table) map[keepa.Domain]table {
	out := map[keepa.Domain]table{}
	i := slices.Index(t.Heads, "domain")
	for _, r := range t.Rows {
		n, err := strconv.Atoi(r[i].Text)
		if err != nil {
			continue // it is a number
		}
		one, ok := out[keepa.Domain(n)]
		if !ok {
			one = t
			one.Rows = nil
		}
		one.Rows = append(one.Rows, r)
		out[keepa.Domain(n)] = one
	}
	return out
}

func earnedIn(domain keepa.Domain, of string, t table) []calibration {
	money := func(v float64) string { return fmt.Sprintf("%s%.0f", domain.Currency().Symbol, v) }
	earned := chart.Calibration{
		Title: "Expected value of a look and what it earned" + of, Said: "expected, each", Seen: "earned, each", Label: money, Above: "more earned than expected",
		Points: points(t, "expected each", "earned each", "verdicts"),
	}
	sold := chart.Calibration{
		Title: "Predicted sale price and what copies sold for" + of, Said: "predicted, each", Seen: "sold for, each", Label: money, Above: "more than predicted",
		Points: points(t, "predicted each", "sold each", "sold"),
	}
	out := []calibration{{
		Name: earned.Title, Says: "The commits of 90 days, in bands of expected value; what was not accepted earned nothing.",
		Picture: chart.Calibrated(earned, calibrationSize), Table: t,
	}}
	if len(sold.Points) > 0 {
		out = append(out, calibration{Name: sold.Title, Says: "Of the copies that you recorded as sold.", Picture: chart.Calibrated(sold, calibrationSize), Table: t})
	}
	return out
}

// points returns the rows of a table that have all three numbers.
func points(t table, said, seen, n string) []chart.Point {
	column := func(r []tableCell, head string) float64 {
		i := slices.Index(t.Heads, head)
		if i < 0 {
			return math.NaN()
		}
		v, err := strconv.ParseFloat(r[i].Text, 64)
		if err != nil {
			return math.NaN()
		}
		return v
	}
	var out []chart.Point
	for _, r := range t.Rows {
		p := chart.Point{Said: column(r, said), Seen: column(r, seen)}
		count := column(r, n)
		if !math.IsNaN(p.Said+p.Seen+count) && count > 0 {
			p.N = int(count)
			out = append(out, p)
		}
	}
	return out
}
