package replay

import (
	"fmt"
	"io"
	"math"
	"text/tabwriter"

	"ratchet/pipeline/domain/backtest"
	"ratchet/pipeline/domain/keepa"
)

// Write prints the results for people. In brackets are the middle 90 % of a bootstrap by book.
func (s Scored) Write(w io.Writer, c keepa.Currency) error {
	out := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	page := page{out, c}
	page.line("%d products stored, %d scored, %d books with a case. %d sales inferred, %s of them sales by the moved-falls control. Target version %d.",
		s.Stored, s.Products, s.Books, s.Sales, percent(s.Precision), s.TargetVersion)
	if s.NoHistory+s.Unreadable > 0 {
		page.line("Left out: %d without histories, %d unreadable.", s.NoHistory, s.Unreadable)
	}
	if !s.Enough {
		page.line("Too little to tell: it takes 10 books and 20 accepted copies; here are %d and %d.", s.Books, s.Accepted)
	}
	page.line("\nRules\tnow\t5–95 %%\tprevious\tasking means")
	page.figures(&s)
	page.line("\nOf the accepted at month starts: losing %s by the binomial bound; months to sale predicted %s, seen %s; %d without a sale in a year.",
		span(s.Losing90, percent), number(s.MonthsSaid), number(s.MonthsSeen), s.Unsold)
	page.fifths("Odds of a loss", s.LossFifths)
	page.fifths("Odds of a sale in six months", s.SaleFifths)
	a := s.Apart
	page.line("\nTwo answers of one product apart: %d earlier decisions scored on the later history, %d still open; accepted %d, predicted %s, made %s, losing %s.",
		a.Scored, a.Open, a.Accepted, c.Format(a.Predicted), c.Format(a.Made), percent(a.LosingShare))
	page.line("\nSales are inferred, and the target shares that inference with the estimate. Asking is taken for paid; returns, storage and repricing are not counted.")
	return out.Flush()
}

type page struct {
	out io.Writer
	c   keepa.Currency
}

func (p page) line(format string, args ...any) { fmt.Fprintf(p.out, format+"\n", args...) }

// row prints one figure of each rule set.
func (p page) row(s *Scored, what, name string, say func(*backtest.Figures) string) {
	beside := func(f *backtest.Figures) string {
		if f == nil {
			return "–"
		}
		return say(f)
	}
	between := ""
	if b, ok := s.Between[name]; ok {
		between = span(&b, number)
		if name == "made_per_buy_cents" {
			between = span(&b, p.cents)
		}
	}
	p.line("%s\t%s\t%s\t%s\t%s", what, say(&s.Figures), between, beside(s.Previous), beside(s.Asking))
}

func (p page) cents(v *float64) string {
	if v == nil {
		return "–"
	}
	return p.c.Format(int64(math.Round(*v)))
}

func (p page) figures(s *Scored) {
	type f = backtest.Figures
	p.row(s, "estimate / median sale of the next year, p10", "ratio_p10", func(f *f) string { return number(f.RatioP10) })
	p.row(s, "  p50", "ratio_p50", func(f *f) string { return number(f.RatioP50) })
	p.row(s, "  p90", "ratio_p90", func(f *f) string { return number(f.RatioP90) })
	p.row(s, "  mean |ln|", "mean_abs_ln", func(f *f) string { return number(f.MeanAbsLn) })
	p.row(s, "  no sale at 95 % of it", "no_sale_95", func(f *f) string { return number(f.NoSale95) })
	p.row(s, "odds of a loss, predicted less seen", "loss_gap", func(f *f) string { return number(f.LossGap) })
	p.row(s, "  AUC for a loss", "auc", func(f *f) string { return number(f.AUC) })
	p.row(s, fmt.Sprintf("copies at %d month starts: accepted", s.Months), "", func(f *f) string { return fmt.Sprint(f.Accepted) })
	p.row(s, "  predicted", "", func(f *f) string { return p.c.Format(f.Predicted) })
	p.row(s, "  made", "", func(f *f) string { return p.c.Format(f.Made) })
	p.row(s, "  made a buy", "made_per_buy_cents", func(f *f) string { return p.cents(f.MadePerBuy) })
	p.row(s, "  losing", "losing_share", func(f *f) string { return number(f.LosingShare) })
	p.row(s, fmt.Sprintf("copies at %d price drops: accepted", s.Drops), "", func(f *f) string { return fmt.Sprint(f.DropsAccepted) })
	p.row(s, "  share", "drops_accepted_share", func(f *f) string { return number(f.DropsAcceptedShare) })
	p.row(s, "  predicted", "", func(f *f) string { return p.c.Format(f.DropsPredicted) })
	p.row(s, "  made", "", func(f *f) string { return p.c.Format(f.DropsMade) })
	p.row(s, "  losing", "drops_losing_share", func(f *f) string { return number(f.DropsLosingShare) })
	p.row(s, "  AUC for a loss", "", func(f *f) string { return number(f.DropsAUC) })
}

// fifths prints predictions beside results.
func (p page) fifths(what string, of []backtest.Fifth) {
	if len(of) == 0 {
		return
	}
	predicted, seen := what+", by fifths: predicted", "  seen"
	for _, f := range of {
		predicted += fmt.Sprintf("\t%.2f", f.Said)
		seen += fmt.Sprintf("\t%.2f", f.Seen)
	}
	p.line("\n%s\n%s", predicted, seen)
}

func number(v *float64) string {
	if v == nil {
		return "–"
	}
	return fmt.Sprintf("%.2f", *v)
}

func percent(v *float64) string {
	if v == nil {
		return "–"
	}
	return fmt.Sprintf("%.0f %%", *v*100)
}

func span(b *[2]float64, say func(*float64) string) string {
	if b == nil {
		return "–"
	}
	return "[" + say(&b[0]) + "–" + say(&b[1]) + "]"
}
