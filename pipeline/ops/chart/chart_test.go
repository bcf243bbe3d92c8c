package chart

import (
	"encoding/xml"
	"errors"
	"flag"
	"fmt"
	"html/template"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"ratchet/pipeline/domain/deal"
	"ratchet/pipeline/domain/keepa"
	"ratchet/pipeline/text/foreign"
	"ratchet/test/captured/decoded"
)

var update = flag.Bool("update", false, "write the golden pictures")

// noon is the right end of most pictures.
var noon = time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)

// golden compares a picture with the one that is kept.
func golden(t *testing.T, name string, got string) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s differs: look at it, then -update", file)
	}
}

// most is how large a picture may get.
const most = 60_000

var number = regexp.MustCompile(`NaN|Inf|e[+-]\d`)

// sound checks what holds of every picture: XML, small, only numbers, and nothing that a strict policy refuses.
func sound(t *testing.T, picture template.HTML) {
	t.Helper()
	if len(picture) > most {
		t.Errorf("%d bytes, at most %d", len(picture), most)
	}
	d := xml.NewDecoder(strings.NewReader(string(picture)))
	for first := true; ; first = false {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			t.Fatalf("no XML: %v\n%.300s", err, picture)
		}
		e, is := token.(xml.StartElement)
		if !is {
			continue
		}
		switch e.Name.Local {
		case "svg", "title", "desc", "path", "text", "circle", "rect", "g":
		default:
			t.Fatalf("an element <%s>", e.Name.Local)
		}
		if role := e.Attr; first && (e.Name.Local != "svg" || !strings.Contains(fmt.Sprint(role), "{{ role} img}")) {
			t.Fatalf("it begins with %s %v", e.Name.Local, e.Attr)
		}
		attributes(t, e)
	}
}

func attributes(t *testing.T, e xml.StartElement) {
	t.Helper()
	for _, a := range e.Attr {
		switch a.Name.Local {
		case "d", "x", "y", "cx", "cy", "r", "width", "height", "stroke-width", "viewBox", "font-size":
			if number.MatchString(a.Value) {
				t.Fatalf("%s of <%s> is %.100s", a.Name.Local, e.Name.Local, a.Value)
			}
		case "class", "role", "xmlns", "text-anchor":
		default:
			t.Fatalf("an attribute %s of <%s>", a.Name.Local, e.Name.Local)
		}
	}
}

// ago is a history: days before noon and values.
func ago(pairs ...float64) keepa.Series {
	var h keepa.Series
	for i := 0; i+1 < len(pairs); i += 2 {
		h = append(h, keepa.Point{At: keepa.FromTime(noon) - keepa.Minute(pairs[i]*24*60), Value: int(pairs[i+1]), Shipping: -1})
	}
	return h
}

// walk is a history that goes up and down, and is absent now and then: the same each time.
func walk(seed uint64, days, n int, low, high float64) keepa.Series {
	r := rand.New(rand.NewPCG(seed, 1)) //nolint:gosec // the same each time
	var h keepa.Series
	at, level := keepa.FromTime(noon)-keepa.Minute(days*24*60), 0.5
	for range n {
		at += keepa.Minute(1 + r.IntN(2*days*24*60/n))
		level = min(max(level+0.16*(r.Float64()-0.5), 0), 1)
		p := keepa.Point{At: at, Value: int(low * math.Pow(high/low, level)), Shipping: -1}
		if r.IntN(25) == 0 {
			p.Value = -1
		}
		if at > keepa.FromTime(noon) {
			break
		}
		h = append(h, p)
	}
	return h
}

// odds is an estimate of real evidence: a product that sold.
func odds(t testing.TB) *Odds {
	t.Helper()
	csv := func(h keepa.Series) string {
		var parts []string
		for _, p := range h {
			parts = append(parts, fmt.Sprintf("%d,%d", p.At, p.Value))
		}
		return "[" + strings.Join(parts, ",") + "]"
	}
	rank, count := ago(400, 9e5), ago(400, 9)
	for i := range 8 {
		d := float64(300 - 30*i)
		rank = append(rank, ago(d, 2e5, d-5, 9e5)...)
		count = append(count, ago(d, float64(8-i))...)
	}
	p, err := keepa.DecodeProduct(fmt.Appendf(nil, `{"asin":"B000000001","csv":[null,null,%s,%s,null,null,null,null,null,null,null,null,%s]}`,
		csv(ago(400, 2400, 200, 2900, 60, 2200)), csv(rank), csv(count)))
	if err != nil {
		t.Fatal(err)
	}
	s := deal.Defaults()
	v, err := s.OfProduct(s.OfRow(&keepa.DealRow{}, noon), &p, noon)
	if err != nil || v.Outcome == nil || v.Evidence.SaleCount != 8 {
		t.Fatalf("%+v, %v", v.Evidence, err)
	}
	v = v.With(s, deal.Copy{PriceCents: 900, LandedCents: 1299, Condition: keepa.ConditionGood}, nil)
	return OddsOf(v)
}

func product(t testing.TB) Product {
	landed := int64(1299)
	p := Product{
		ASIN: "B000000001", Title: foreign.Of(`A "book" <of> charts & lines`), Currency: keepa.DomainCom.Currency(), Until: noon,
		Copy: &landed, Odds: odds(t),
		Market: deal.Market{
			Used: walk(1, 1500, 260, 1200, 5000), New: walk(2, 1500, 90, 4000, 9000), Amazon: walk(3, 700, 12, 5000, 6000),
			BuyBox: walk(4, 300, 30, 4500, 7000), Rank: walk(5, 1500, 500, 40_000, 2_000_000),
		},
	}
	for i := range 30 {
		at := keepa.FromTime(noon) - keepa.Minute((1450-47*i)*24*60)
		p.Market.Sales = append(p.Market.Sales, deal.Sale{At: at, Cents: int64(1500 + 70*(i%13))})
	}
	return p
}

func TestThePicturesAreTheKeptOnes(t *testing.T) {
	t.Parallel()
	p := product(t)
	for _, r := range Ranges() {
		golden(t, "history-"+string(r)+".svg", string(History(p, r, Desktop)))
		sound(t, History(p, r, Desktop))
	}
	golden(t, "history-phone.svg", string(History(p, Year, Phone)))
	golden(t, "history-empty.svg", string(History(Product{Until: noon}, Year, Desktop)))
	golden(t, "timeline.svg", string(Timeline(course(), Size{960, 180})))
	for _, picture := range []template.HTML{History(p, Year, Phone), Timeline(course(), Size{960, 180})} {
		sound(t, picture)
	}
}

// gaps are five, of which two overlap a third.
func gaps() Spans {
	at := func(hour int) time.Time { return noon.Add(time.Duration(hour-24) * time.Hour) }
	return Spans{Title: "Gaps", What: "gap", From: at(0), Until: noon, All: []Span{
		{From: at(12), End: Open, Says: "owed"},
		{From: at(2), Until: at(8), End: Good, Says: "one"},
		{From: at(4), Until: at(6), End: Good, Says: "two"},
		{From: at(5), Until: at(14), End: Failed, Says: "three"},
		{From: at(8), Until: at(9), End: Good, Says: "four"},
	}}
}

func TestNoSpanHidesAnother(t *testing.T) {
	t.Parallel()
	s := gaps()
	lane, n := s.lanes()
	if want := []int{0, 1, 2, 0, 0}; !slices.Equal(lane, want) || n != 3 {
		t.Errorf("lanes %v of %d, want %v", lane, n, want)
	}
	sound(t, Timespans(s, SpansSize(s, 390)))
	golden(t, "spans.svg", string(Timespans(s, SpansSize(s, 390))))
	for range 40 {
		s.All = append(s.All, Span{From: s.From, End: Open})
	}
	if _, n := s.lanes(); n != mostLanes {
		t.Errorf("%d lanes", n)
	}
}

func TestACourseEndsNowEvenWhereTheAxisGoesOn(t *testing.T) {
	t.Parallel()
	c := course()
	level := func(c Course) string {
		_, path, _ := strings.Cut(string(Timeline(c, Size{960, 180})), `chart-level" d="`)
		path, _, _ = strings.Cut(path, `"`)
		return path
	}
	if until := level(c); !strings.Contains(until, "L950 ") {
		t.Errorf("the level ends before its end: %s", until)
	}
	c.Now, c.Until = c.Until, c.Until.Add(6*time.Hour)
	if ahead := level(c); ahead == "" || strings.Contains(ahead, "L950 ") {
		t.Errorf("the level goes on after now: %s", ahead)
	}
}

func TestWhatIsRightLiesOnTheDiagonal(t *testing.T) {
	t.Parallel()
	c := Calibration{
		Title: "Odds", Said: "predicted", Seen: "lost", Most: 1, Label: func(v float64) string { return fmt.Sprintf("%.0f %%", 100*v) }, Above: "more lost than predicted",
		Points: []Point{{0.1, 0.1, 100}, {0.5, 0.6, 25}, {0.9, 0.7, 1}},
	}
	picture := Calibrated(c, Size{300, 300})
	sound(t, picture)
	golden(t, "calibration.svg", string(picture))
	if !strings.Contains(string(picture), "Predicted 10 %, seen 10 %, of 100 cases; ") {
		t.Errorf("it does not say so: %s", picture)
	}
}

func TestAPlotFitsItsColumns(t *testing.T) {
	t.Parallel()
	p := product(t)
	for _, columns := range []int{80, 140} {
		golden(t, fmt.Sprintf("plot-%d.txt", columns), Plot(p, Year, columns))
		golden(t, fmt.Sprintf("plot-timeline-%d.txt", columns), PlotTimeline(course(), columns, 3))
	}
	for _, columns := range []int{-1, 40, 41, 79, 80, 140, 300} {
		for _, r := range Ranges() {
			for _, drawn := range []Product{p, {Until: noon}, {Until: noon, Title: foreign.Of(strings.Repeat("x", 500)), Odds: &Odds{}}} {
				for line := range strings.Lines(Plot(drawn, r, columns)) {
					if n := len([]rune(strings.TrimSuffix(line, "\n"))); n > max(columns, 40) || strings.Contains(line, "\x1b") {
						t.Fatalf("a line of %d columns on %d: %s", n, columns, line)
					}
				}
			}
		}
	}
}

func course() Course {
	c := Course{
		Title: "Balance", Unit: "tokens", From: noon.Add(-10 * time.Hour), Until: noon, Most: 300,
		Pauses:    []Pause{{From: noon.Add(-9 * time.Hour), Until: noon.Add(-8 * time.Hour)}, {From: noon.Add(-time.Hour)}},
		Deadlines: []time.Time{noon.Add(-5 * time.Hour)},
	}
	for i := range 120 {
		c.Levels = append(c.Levels, Level{c.From.Add(time.Duration(5*i) * time.Minute), float64(25 * i % 300), i < 60 || i > 68})
	}
	return c
}

// The pictures of captured books are sound, and none is above the size.
func TestCapturedBooksAreDrawn(t *testing.T) {
	t.Parallel()
	s := deal.Defaults()
	decoded.Products(t, func(name string, p keepa.Product) {
		now := p.LastUpdate.Time()
		drawn := Product{ASIN: p.ASIN, Title: p.Title, Currency: p.Domain.Currency(), Until: now, Market: s.Market(&p, deal.ExcludesShipping, now)}
		for _, r := range Ranges() {
			sound(t, History(drawn, r, Desktop))
			sound(t, History(drawn, r, Phone))
		}
		if t.Failed() {
			t.Fatal(name)
		}
	})
}

func TestTenBusyYearsAreSmall(t *testing.T) {
	t.Parallel()
	p := product(t)
	m := &p.Market
	for i, h := range []*keepa.Series{&m.Used, &m.New, &m.Amazon, &m.BuyBox, &m.Rank} {
		*h = walk(uint64(i), 3650, 20_000, 1000, 9000)
	}
	for i := range 1600 {
		m.Sales = append(m.Sales, deal.Sale{At: m.Used[12*i].At, Cents: int64(1000 + i)})
	}
	for _, r := range Ranges() {
		sound(t, History(p, r, Desktop))
	}
}

func TestOddHistoriesAreDrawn(t *testing.T) {
	t.Parallel()
	huge := float64(math.MaxInt64)
	for name, h := range map[string]keepa.Series{
		"none": nil, "one point": ago(10, 1500), "one point at the end": ago(0, 1500), "after the end": ago(-5, 1500),
		"all absent": ago(300, -1, 200, -1, 100, 0), "zero is no price": ago(100, 0),
		"huge": ago(300, huge, 200, 1, 100, huge), "negative": ago(300, -2, 20, -5000),
		"long ago":        {{At: -111_000_000, Value: 5}, {At: -110_000_000, Value: 7}},
		"far ahead":       {{At: 99_400_000, Value: 5}},
		"all at once":     ago(5, 1, 5, 2, 5, 3, 5, -1),
		"out of order":    ago(5, 100, 50, 200, 20, 300),
		"beyond any time": {{At: math.MinInt64, Value: 3}, {At: math.MaxInt64, Value: 3}},
	} {
		p := Product{Until: noon, Currency: keepa.DomainJP.Currency(), Market: deal.Market{Used: h, New: h, Amazon: h, BuyBox: h, Rank: h}}
		if len(h) > 0 {
			p.Market.Sales = []deal.Sale{{At: h[0].At, Cents: int64(h[0].Value)}}
		}
		for _, r := range Ranges() {
			sound(t, History(p, r, Phone))
			Table(p, r)
			Plot(p, r, 80)
		}
		if t.Failed() {
			t.Fatal(name)
		}
	}
	for _, until := range []int64{math.MinInt64, math.MinInt64 / 2, -1, 1 << 40, math.MaxInt64 / 2, math.MaxInt64} {
		sound(t, History(Product{Until: time.Unix(until, 0), Market: deal.Market{Used: ago(300, 5)}}, All, Phone))
	}
	for _, o := range []Odds{{}, {Low: math.MaxInt64, High: math.MaxInt64, Breakeven: math.MinInt64, LossChance: math.NaN()}, {Low: 5, Middle: 5, High: 5, Breakeven: 5}} {
		sound(t, History(Product{Until: noon, Odds: &o}, Year, Size{}))
	}
	nan, inf := math.NaN(), math.Inf(1)
	odd := Course{From: noon, Until: noon.Add(-time.Hour), Levels: []Level{{At: noon, Value: nan, Known: true}, {At: noon, Value: inf, Known: true}, {}}, Most: nan}
	sound(t, Timeline(odd, Size{}))
	sound(t, Timeline(Course{}, Desktop))
	PlotTimeline(Course{}, 0, 0)
	PlotTimeline(odd, 80, 3)
	sound(t, Timespans(Spans{From: noon, Until: noon, All: []Span{{}, {From: noon, Until: noon.Add(-time.Hour)}}}, Size{}))
	sound(t, Calibrated(Calibration{Label: brief, Points: []Point{{nan, 1, 1}, {inf, inf, -4}, {-1, 1e300, 3}}}, Size{}))
}

func TestHostileTextIsText(t *testing.T) {
	t.Parallel()
	evil := "</title><script>alert(1)</script><style>*{}</style>\x00\x1b[2J\u202e\xff ]]> &amp; \" onload=\"x"
	p := product(t)
	p.Title, p.ASIN = foreign.Of(evil), evil
	sound(t, History(p, Year, Desktop))
	p.Title = foreign.Of("")
	sound(t, History(p, Year, Desktop))
	sound(t, Timeline(Course{Title: evil, Unit: evil, From: noon, Until: noon.Add(time.Hour)}, Desktop))
	sound(t, Timespans(Spans{Title: evil, What: evil, From: noon.Add(-time.Hour), Until: noon, All: []Span{{From: noon.Add(-time.Minute), Says: evil}}}, Desktop))
	sound(t, Calibrated(Calibration{Title: evil, Said: evil, Seen: evil, Above: evil, Points: []Point{{1, 1, 1}}, Label: func(float64) string { return evil }}, Desktop))
}

// A line is, at the end of every column, where the history is; where nothing is offered it is not.
func TestALineEndsEachColumnWhereTheHistoryIs(t *testing.T) {
	t.Parallel()
	from, until := keepa.FromTime(noon)-400*24*60, keepa.FromTime(noon)
	x := scale{low: float64(from), high: float64(until), end: 800}
	y := scale{low: 0, high: 10_000, begin: 1000}
	for seed := range uint64(20) {
		h := walk(seed, 500, 50*int(seed+1), 500, 9000)
		at := positions(t, path(h, x, y, from, until, 2))
		for column := 2; column < 800; column += 2 {
			end := from + keepa.Minute(float64(column)/800*float64(until-from)) - 1
			value, drawn := last(h, end), at[column]
			switch {
			case value == nil && len(drawn) > 1:
				t.Fatalf("seed %d: at %d nothing is offered, and the line is at %v", seed, column, drawn)
			case value != nil && (len(drawn) == 0 || drawn[0] != int(math.Round(y.at(float64(*value))))):
				t.Fatalf("seed %d: at %d the value is %d, and the line at %v", seed, column, *value, drawn)
			}
		}
	}
}

var moves = regexp.MustCompile(`M(\d+) (\d+)|([hv])(-?\d+)`)

// positions are the heights of a path that passes a column, the first being that with which it arrives there.
func positions(t *testing.T, d string) map[int][]int {
	t.Helper()
	out := map[int][]int{}
	var x, y int
	for _, m := range moves.FindAllStringSubmatch(d, -1) {
		by := 0
		if _, err := fmt.Sscan(m[4], &by); m[4] != "" && err != nil {
			t.Fatal(err)
		}
		switch {
		case m[3] == "h":
			for i := 1; i <= by; i++ {
				out[x+i] = append(out[x+i], y)
			}
			x += by
		case m[3] == "v":
			y += by
		default:
			if _, err := fmt.Sscan(m[1]+" "+m[2], &x, &y); err != nil {
				t.Fatal(err)
			}
		}
	}
	return out
}

func TestTheTableHoldsWhatThePictureShows(t *testing.T) {
	t.Parallel()
	p := product(t)
	p.Market.Used = ago(400, 1000, 8, 2000, 1.5, -1)
	p.Market.Sales = []deal.Sale{{At: keepa.FromTime(noon) - 8*24*60, Cents: 1399}}
	rows := Table(p, Quarter)
	if len(rows) != 90 || !rows[0].At.Equal(noon) || rows[0].Used != nil || *rows[2].Used != 2000 || *rows[9].Used != 1000 || rows[9].Sales != 0 {
		t.Errorf("%d rows: %+v", len(rows), rows[:3])
	}
	if rows[8].Sales != 1 || *rows[8].Sold != 1399 {
		t.Errorf("the sale is in %+v", rows[8])
	}
	if n := len(Table(p, Year)); n != 53 {
		t.Errorf("%d weeks", n)
	}
}

func FuzzHistory(f *testing.F) {
	f.Add([]byte("0123456789abcdefgh"), int64(1500), int64(0))
	f.Fuzz(func(t *testing.T, raw []byte, cents, until int64) {
		var h keepa.Series
		for i := 0; i+8 <= len(raw) && i < 4000; i += 8 {
			at, value := int64(0), int64(0)
			for k := range 4 {
				at, value = at<<8|int64(raw[i+k]), value<<8|int64(int8(raw[i+4+k]))
			}
			h = append(h, keepa.Point{At: keepa.Minute(at - 1<<31), Value: int(value << (raw[i] % 32))})
		}
		p := Product{Title: foreign.Of(string(raw)), Until: time.Unix(until, 0), Copy: &cents, Market: deal.Market{Used: h, New: h, Rank: h, Sales: []deal.Sale{{At: keepa.Minute(until), Cents: cents}}}}
		p.Odds = &Odds{Low: cents, Breakeven: cents - 5, High: until, LossChance: float64(cents)}
		for _, r := range Ranges() {
			sound(t, History(p, r, Desktop))
		}
	})
}
