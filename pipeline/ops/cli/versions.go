package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"ratchet/pipeline"
	"ratchet/pipeline/domain/keepa"
	"ratchet/pipeline/domain/verdict"
	"ratchet/pipeline/domain/visibility"
	"ratchet/pipeline/platform/bus"
)

// Version is a message of DEALS about one ASIN.
type Version struct {
	Sequence uint64
	Run      string
	Deal     Deal
}

// Versions returns the deal messages of an ASIN, the newest first. Unreadable ones are skipped.
func Versions(ctx context.Context, b *bus.Bus, asin string) ([]Version, error) {
	var out []Version
	err := b.Scan(ctx, pipeline.StreamDeals, bus.From{Subjects: []string{"deal.*.*." + asin}}, func(r bus.Read) error {
		v, err := visibility.ReadVersion(r.Stored())
		if err != nil {
			return nil //nolint:nilerr // the recorder dead-letters it with the reason
		}
		shown := visibility.Shown{State: visibility.State{DealKey: v.DealKey, LastSeen: v.At}, WorkID: v.WorkID, Members: v.Members}
		if d, err := dealOf(shown); err == nil {
			out = append(out, Version{Sequence: r.Sequence, Run: v.Run, Deal: d})
		}
		return nil
	})
	slices.Reverse(out)
	return out, err
}

// DealStates returns the states of the deals of an ASIN, and the visible ones among them.
func DealStates(ctx context.Context, b *bus.Bus, asin string) ([]visibility.State, []Deal, error) {
	book, err := readSubjects(ctx, b, "deal.*.*."+asin)
	if err != nil {
		return nil, nil, err
	}
	deals, err := dealsOf(book.Visible(time.Time{}))
	return book.States(), deals, err
}

// RuleFile is a rule file, the rules that it has, and where it is from.
type RuleFile struct {
	Text    []byte
	Judge   *verdict.Judge
	From    string // for people
	Version int    // under which it was applied; 0: it was not
}

// NewRuleFile loads a rule file.
func NewRuleFile(text []byte, from string) (RuleFile, error) {
	j, err := verdict.NewJudge(text)
	return RuleFile{Text: text, Judge: j, From: from}, err
}

// CurrentRules returns the rules by which the pipeline decides: those that are applied, or those with which its
// committers were started; own where no committer reports them.
func CurrentRules(ctx context.Context, b *bus.Bus, own RuleFile) (RuleFile, error) {
	all, err := AppliedRules(ctx, b)
	if err != nil {
		return RuleFile{}, err
	}
	if n := len(all); n > 0 && all[n-1].Rules != "" {
		f, err := NewRuleFile([]byte(all[n-1].Rules), fmt.Sprintf("version %d, which was applied", all[n-1].Version))
		f.Version = all[n-1].Version
		return f, err
	}
	reported := startedWith(ctx, b)
	if reported == "" || reported == own.Judge.Version() {
		return own, nil
	}
	if text := OwnRules(ctx, b); text != nil {
		return NewRuleFile(text, "RULES of its committers")
	}
	return RuleFile{}, fmt.Errorf("the committers decide by the rule set %s, and none of them reports its file, or their files differ", reported)
}

// startedWith returns the rule set that a committer's heartbeat reports; "" without one.
func startedWith(ctx context.Context, b *bus.Bus) (ruleSet string) {
	each(ctx, b, pipeline.BucketStatus, func(_ string, value []byte) {
		var h pipeline.Heartbeat
		if json.Unmarshal(value, &h) == nil && h.Daemon == "committer" && h.Plan == b.Plan() && h.Rules != nil {
			ruleSet = h.Rules.RuleSet
		}
	})
	return ruleSet
}

// Offered is a copy on sale.
type Offered struct {
	Condition, Price, Shipping, Landed string
	Seller                             string
	FBA                                string
	Seen                               string // day
	cents                              int
}

// Offers returns the used copies on sale in a stored answer, the cheapest first; false if the answer has no offers.
func Offers(p *keepa.Product) ([]Offered, bool) {
	if p == nil {
		return nil, false
	}
	live, asked := p.LiveOffers()
	var out []Offered
	for _, o := range live {
		if !o.Condition.Used() || o.Price == nil {
			continue
		}
		out = append(out, offered(p.Domain, o))
	}
	slices.SortStableFunc(out, func(a, b Offered) int { return a.cents - b.cents })
	return out, asked
}

func offered(at keepa.Domain, o keepa.Offer) Offered {
	money := func(cents *int) string {
		if cents == nil {
			return "–"
		}
		n := int64(*cents)
		return at.Money(&n)
	}
	out := Offered{Condition: o.Condition.String(), Price: money(o.Price), Shipping: money(o.Shipping), Seller: shown(o.SellerID), FBA: orDash(truth(o.FBA)), cents: *o.Price}
	if out.Landed = "–"; o.Shipping != nil {
		out.cents += *o.Shipping
		out.Landed = money(&out.cents)
	}
	if o.LastSeen > 0 {
		out.Seen = o.LastSeen.Time().Format("2006-01-02")
	}
	return out
}
