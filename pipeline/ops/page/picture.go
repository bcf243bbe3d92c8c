package page

import (
	"context"
	"html/template"
	"strconv"

	"ratchet/pipeline/domain/deal"
	"ratchet/pipeline/ops/chart"
	"ratchet/pipeline/ops/cli"
)

// picture is the chart of a product, and the same as a table.
type picture struct {
	Wide, Narrow template.HTML // for a desktop and for a phone
	Ranges       []choice      // Value is a link
	Range        string
	Answered     string
	Rows         []pictureRow
}

type pictureRow struct{ At, Used, New, Amazon, BuyBox, Rank, Sales, Sold string }

// draw adds the picture, or the reason why it is missing.
func (o *one) draw(ctx context.Context, s *Server, settings deal.Settings, a asked) {
	p, err := cli.PictureOf(ctx, s.b, settings, o.ASIN)
	if err != nil {
		o.NotDrawn = err.Error()
		return
	}
	of, _ := chart.RangeOf(a.query.Get("chart")) // a year by default
	o.Picture = &picture{
		Wide: chart.History(p.Product, of, chart.Desktop), Narrow: chart.History(p.Product, of, chart.Phone),
		Range: of.String(), Answered: p.Answered.UTC().Format("2006-01-02 15:04"),
	}
	for _, r := range chart.Ranges() {
		o.Picture.Ranges = append(o.Picture.Ranges, choice{"/deal/" + o.ASIN + "?chart=" + string(r), r.String(), r == of})
	}
	money := p.Currency.Format
	amount := func(cents *int64) string {
		if cents == nil {
			return "–"
		}
		return money(*cents)
	}
	for _, r := range chart.Table(p.Product, of) {
		row := pictureRow{At: r.At.UTC().Format("2006-01-02"), Used: amount(r.Used), New: amount(r.New), Amazon: amount(r.Amazon), BuyBox: amount(r.BuyBox), Sales: strconv.Itoa(r.Sales), Sold: amount(r.Sold)}
		if row.Rank = "–"; r.Rank != nil {
			row.Rank = strconv.FormatInt(*r.Rank, 10)
		}
		o.Picture.Rows = append(o.Picture.Rows, row)
	}
}
