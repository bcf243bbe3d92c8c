package page

import (
	"cmp"
	"context"
	"fmt"
	"hash/fnv"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"ratchet/pipeline/domain/deal"
	"ratchet/pipeline/domain/keepa"
	"ratchet/pipeline/ops/cli"
)

// The names of the views.
const (
	dealsName   = "deals"
	dealName    = "deal"
	machineName = "machine"
	replaysName = "replays"
	whatIfName  = "whatif"
	failedName  = "failed"
)

// perPage is how many deals one page shows.
const perPage = 50

func dealsView() view {
	return view{
		name: dealsName, title: func(asked) string { return "Deals" },
		topics:   func(asked) []string { return []string{aboutDeals} },
		fixed:    func(_ *Server, a asked) any { return formOf(a) },
		fragment: func(_ context.Context, s *Server, a asked) (any, error) { return s.list(a), nil },
		cached:   func(s *Server) *cache { return &s.deals },
	}
}

// form is the form above the list, filled in.
type form struct {
	Values     map[string]string
	Conditions []string
	Orders     []choice
	Spans      []choice
	Cards      bool
	Columns    string
	Limited    bool // the request is not for the usual list
	Wrong      string
}

// choice is an option of a selection.
type choice struct {
	Value, Says string
	Chosen      bool
}

var orderSays = map[string]string{
	"profit": "profit", "loss": "odds of a loss", "value": "expected value", "roi": "return on the money", "months": "months to sell",
	"rank": "sales rank", "buy": "price", "age": "age",
}

func formOf(a asked) form {
	f := form{Values: map[string]string{}, Conditions: cli.Conditions(), Cards: a.query.Get("show") == "cards", Columns: a.query.Get("columns")}
	for _, name := range []string{"min-profit", "max-loss-chance", "condition", "max-rank", "since", "sort"} {
		f.Values[name] = strings.TrimSpace(a.query.Get(name))
		f.Limited = f.Limited || f.Values[name] != "" && name != "sort"
	}
	f.Values["condition"] = strings.ToLower(f.Values["condition"])
	for _, by := range cli.Orders() {
		f.Orders = append(f.Orders, choice{by, orderSays[by], by == f.Values["sort"] || by == "profit" && f.Values["sort"] == ""})
	}
	spans := []choice{{"", "any time", false}, {"1h", "the last hour", false}, {"24h", "the last day", false}, {"7d", "the last week", false}, {"30d", "the last 30 days", false}}
	if since := f.Values["since"]; !slices.ContainsFunc(spans, func(c choice) bool { return c.Value == since }) {
		spans = append(spans, choice{since, "the last " + since, false})
	}
	for i := range spans {
		spans[i].Chosen = spans[i].Value == f.Values["since"]
	}
	f.Spans = spans
	if _, err := cli.ParseSelection(a.query); err != nil {
		f.Wrong = err.Error()
	}
	return f
}

// list is one page of the requested deals.
type list struct {
	Heads    []head
	Rows     []row
	Fields   bool // columns were requested by name
	Cards    bool
	All      int // visible deals
	Matching int
	From, To int // of Matching, from 1
	Pages    pages
	Sum      string // of the profit of what matches; "" in several currencies
	Source   string
	AsOf     uint64
	Err      string
}

// head is the heading of a column.
type head struct {
	Says  string
	Class string
	Link  string // sorts by it; empty if it cannot be sorted by
	Sort  string // aria-sort
}

// row is a deal.
type row struct {
	ID, ASIN    string
	Key         string // names the deal in forms
	Price       string // of the copy, as an amount in a form
	Title, Note string
	Cover       cover
	Links       []cli.Link
	Cells       []cell

	Profit, Low, High, Loss, Buy, Range, Months, Rank, Age, Condition, Seller, FBA string
	Lost                                                                           string // the level of the loss chance: "", warn or bad
}

type cell struct{ Text, Class, Label string }

func (s *Server) list(a asked) list {
	snapshot := s.live.Snapshot()
	want, _ := cli.ParseSelection(a.query) // errors are shown beside the form
	now := s.env.Now()
	deals := snapshot.Deals
	if want.Since > 0 {
		deals = slices.DeleteFunc(slices.Clone(deals), func(d cli.Deal) bool { return !d.Seen(now.Add(-want.Since)) })
	}
	deals = cli.Choose(deals, want.Choice, want.By)
	l := list{
		All: len(snapshot.Deals), Matching: len(deals), Source: snapshot.Source.Which(), AsOf: snapshot.AsOf,
		Fields: len(want.Fields) > 0, Cards: a.query.Get("show") == "cards", Sum: sumOf(deals),
	}
	if snapshot.Err != nil {
		l.Err = snapshot.Err.Error()
	}
	if snapshot.Version == 0 {
		l.Source = "" // nothing was read yet
	}
	l.Pages = pagesOf(a.query, l.Matching)
	first := (l.Pages.Number - 1) * perPage
	deals = deals[min(first, len(deals)):min(first+perPage, len(deals))]
	l.From, l.To = first+1, first+len(deals)
	if l.Fields {
		want.Fields = cli.WithNote(want.Fields, deals)
	}
	l.Heads = headsOf(a.query, want)
	for _, d := range deals {
		l.Rows = append(l.Rows, rowOf(d, now, want.Fields))
	}
	return l
}

// sumOf returns the profit of all; "" if they are of several currencies.
func sumOf(deals []cli.Deal) string {
	sum, currency := int64(0), ""
	for i := range deals {
		if i == 0 || deals[i].Domain != deals[i-1].Domain {
			code := keepa.Domain(deals[i].Domain).Currency().Code
			if i > 0 && code != currency {
				return ""
			}
			currency = code
		}
		if deals[i].ProfitCents == nil {
			return ""
		}
		sum += *deals[i].ProfitCents
	}
	if len(deals) == 0 {
		return ""
	}
	return keepa.Domain(deals[0].Domain).Money(&sum)
}

// with returns the address of the list with a parameter changed, or removed for "", at the first page.
func with(q url.Values, name, value string) string {
	out := url.Values{}
	for k, v := range q {
		if k != "page" && !slices.Contains(notices, k) && len(v) > 0 && v[0] != "" {
			out[k] = v
		}
	}
	out.Set(name, value)
	if value == "" {
		out.Del(name)
	}
	if len(out) == 0 {
		return "/"
	}
	return "/?" + out.Encode()
}

// usual are the columns of the table; the first has the title.
var usual = []string{"title", "profit", "loss", "buy", "range", "months", "rank", "age"}

var headSays = map[string]string{
	"title": "Deal", "profit": "Profit", "loss": "Loss", "buy": "Buy", "range": "Sells for", "months": "Months", "rank": "Rank", "age": "Age",
}

func headsOf(q url.Values, want cli.Selection) []head {
	names := usual
	if len(want.Fields) > 0 {
		names = want.Fields
	}
	var out []head
	for _, c := range cli.Columns(names...) {
		h := head{Says: c.Head(), Class: class(c)}
		if says, ok := headSays[c.Name]; ok && len(want.Fields) == 0 {
			h.Says = says
		}
		if by := c.Order(); by != "" {
			h.Link = with(q, "sort", string(by))
			if by == want.By || want.By == "" && by == "profit" {
				h.Sort = "descending"
				if by == "loss" || by == "months" || by == "rank" || by == "buy" {
					h.Sort = "ascending"
				}
			}
		}
		out = append(out, h)
	}
	return out
}

func class(c cli.Column) string {
	if c.Right {
		return "n"
	}
	return ""
}

func rowOf(d cli.Deal, now time.Time, fields []string) row {
	of := func(name string) string { return cli.Columns(name)[0].Of(d, now) }
	key := fmt.Sprintf("%d-%s-%d", d.Domain, d.ASIN, d.PriceType)
	r := row{ID: "d-" + key, Key: key, ASIN: d.ASIN, Title: d.Title.Short(160).String(), Note: d.Note(), Cover: coverOf(d.ASIN, d.Title.String()), Links: linksOf(d)}
	r.Title = cmp.Or(r.Title, d.ASIN)
	if d.LandedCents != nil {
		r.Price = keepa.Domain(d.Domain).Currency().Amount(*d.LandedCents)
	}
	for _, c := range cli.Columns(fields...) {
		r.Cells = append(r.Cells, cell{c.Of(d, now), class(c), c.Head()})
	}
	if len(fields) > 0 {
		return r
	}
	r.Profit, r.Low, r.High, r.Loss, r.Buy, r.Range = of("profit"), of("profit_low"), of("profit_high"), of("loss"), of("buy"), of("range")
	r.Months, r.Rank, r.Age, r.Condition, r.Seller, r.FBA = of("months"), of("rank"), of("age"), of("condition"), of("seller"), of("fba")
	switch {
	case d.LossChance == nil || *d.LossChance > 0.3:
		r.Lost = "bad"
	case *d.LossChance > 0.15:
		r.Lost = "warn"
	}
	return r
}

// linksOf returns the pages about a deal, made of its ASIN; none for a simulated one.
func linksOf(d cli.Deal) []cli.Link {
	to := deal.LinksOf(d.Domain, d.ASIN)
	if d.Simulated || to.Amazon == "" {
		return nil
	}
	return []cli.Link{{Name: "Amazon", URL: to.Amazon}, {Name: "Keepa", URL: to.Keepa}, {Name: "Used offers", URL: to.Offers}}
}

// pages returns the pages of a list.
type pages struct {
	Number, Of     int
	Previous, Next string
}

func pagesOf(q url.Values, n int) pages {
	p := pages{Number: 1, Of: max(1, (n+perPage-1)/perPage)}
	if asked, err := strconv.Atoi(q.Get("page")); err == nil {
		p.Number = min(max(1, asked), p.Of)
	}
	if p.Number > 1 {
		p.Previous = with(q, "page", strconv.Itoa(p.Number-1))
	}
	if p.Number < p.Of {
		p.Next = with(q, "page", strconv.Itoa(p.Number+1))
	}
	return p
}

// cover takes the place of a picture: nothing is fetched from elsewhere.
type cover struct {
	Letters string
	Shade   int // of as many as the style knows
}

const shades = 8

func coverOf(asin, title string) cover {
	h := fnv.New32a()
	h.Write([]byte(asin))
	c := cover{Shade: int(h.Sum32() % shades)}
	for _, word := range strings.Fields(title) {
		first := []rune(word)[0]
		if unicode.IsLetter(first) && (unicode.IsUpper(first) || len(c.Letters) == 0) {
			c.Letters += string(unicode.ToUpper(first))
		}
		if len([]rune(c.Letters)) == 2 {
			break
		}
	}
	return c
}

// find redirects to the page of what was typed: an ASIN, an ISBN or a link.
func (s *Server) find(w http.ResponseWriter, r *http.Request) {
	name, err := deal.Named(r.URL.Query().Get("asin"))
	if err != nil {
		s.fail(w, notFound{err})
		return
	}
	http.Redirect(w, r, "/deal/"+name.ASIN, http.StatusSeeOther)
}
