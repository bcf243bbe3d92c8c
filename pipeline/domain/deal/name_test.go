package deal

import (
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestAProductIsNamedByASINISBNOrLink(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		arg  string
		want Name
		says string
	}{
		{"0593655036", Name{ASIN: "0593655036"}, ""},
		{" b0cs6rl7d6 ", Name{ASIN: "B0CS6RL7D6"}, ""},
		{"193288436x", Name{ASIN: "193288436X"}, ""},
		{"0-593-65503-6", Name{ASIN: "0593655036"}, ""},
		{"978-0-593-65503-0", Name{ASIN: "0593655036"}, ""},
		{"978 1 932884 36 4", Name{ASIN: "193288436X"}, ""},
		{"0593655037", Name{}, "check digit would be 6, not 7"},
		{"9780593655031", Name{}, "check digit would be 0, not 1"},
		{"9791032305690", Name{}, "does not begin with 978"},
		{"", Name{}, "want ten letters and digits"},
		{"B0CS6RL7D", Name{}, "want ten letters and digits"},
		{"B0CS6RL7D*", Name{}, "want ten letters and digits"},
		{"https://www.amazon.com/Some-Title/dp/0593655036/ref=sr_1_1?keywords=x", Name{"0593655036", 1}, ""},
		{"amazon.co.uk/dp/0593655036", Name{"0593655036", 2}, ""},
		{"https://smile.amazon.de/gp/product/0593655036?th=1", Name{"0593655036", 3}, ""},
		{"https://www.amazon.co.jp/gp/aw/d/0593655036", Name{"0593655036", 5}, ""},
		{"https://www.amazon.com/gp/offer-listing/193288436X/?condition=used", Name{"193288436X", 1}, ""},
		{"https://www.amazon.com/Foundation/dp/b0cs6rl7d6", Name{"B0CS6RL7D6", 1}, ""},
		{"https://www.amazon.com/product-reviews/B0CS6RL7D6/", Name{"B0CS6RL7D6", 1}, ""},
		{"https://www.amazon.com/exec/obidos/ASIN/0593655036", Name{"0593655036", 1}, ""},
		{"https://www.amazon.com/review?asin=B0CS6RL7D6", Name{"B0CS6RL7D6", 1}, ""},
		{"https://www.amazon.com/sspa/click?ie=UTF8&spc=MTo4&sp_csd=x&url=%2FSome-Title%2Fdp%2F0593655036%2Fref%3Dsr_1_1_sspa%3Fpsc%3D1", Name{"0593655036", 1}, ""},
		{"https://www.amazon.com/-/es/Some-Title/dp/0593655036?language=en_US", Name{"0593655036", 1}, ""},
		{"https://www.amazon.com/sspa/click?url=%2Fbooks", Name{}, "names no product"},
		{"https://keepa.com/#!product/3-0593655036", Name{"0593655036", 3}, ""},
		{"https://www.amazon.com/dp/0593655037", Name{}, "check digit"},
		{"https://www.amazon.com/books", Name{}, "names no product"},
		{"https://www.amazon.nl/dp/0593655036", Name{}, "Keepa does not have"},
		{"https://amzn.to/3abcdef", Name{}, "must be opened first"},
		{"https://amazon.com.evil.example/dp/0593655036", Name{}, "Keepa does not have"},
		{"https://example.com/dp/0593655036", Name{}, "not a link to Amazon"},
	} {
		got, err := Named(c.arg)
		if got != c.want || (err == nil) != (c.says == "") || err != nil && !strings.Contains(err.Error(), c.says) {
			t.Errorf("%q: %+v, %v; want %+v, %q", c.arg, got, err, c.want, c.says)
		}
	}
}

// Either form of an ISBN names the same book, one wrong digit never names any, and the generated links can be read.
func TestAnISBNNamesItsBookInEitherForm(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(r *rapid.T) {
		digits := rapid.StringMatching(`[0-9]{9}`).Draw(r, "digits")
		asin := digits + string(check10(digits))
		long := ISBN13(asin)
		for _, arg := range []string{asin, long, LinksOf(1, asin).Amazon, LinksOf(1, asin).Offers, LinksOf(1, asin).Keepa} {
			if got, err := Named(arg); err != nil || got.ASIN != asin {
				r.Fatalf("%q: %+v, %v; want %s", arg, got, err, asin)
			}
		}
		at := rapid.IntRange(0, 12).Draw(r, "at")
		wrong := []byte(long)
		wrong[at] = '0' + (wrong[at]-'0'+byte(rapid.IntRange(1, 9).Draw(r, "by")))%10
		if got, err := Named(string(wrong)); err == nil {
			r.Fatalf("%s, which is %s with a wrong digit, is %+v", wrong, long, got)
		}
	})
}

func TestLinksAreMadeOfWhatWasChecked(t *testing.T) {
	t.Parallel()
	if got := LinksOf(2, "0593655036"); got.Amazon != "https://www.amazon.co.uk/dp/0593655036" || got.Keepa != "https://keepa.com/#!product/2-0593655036" {
		t.Errorf("got %+v", got)
	}
	for _, c := range []struct {
		domain int
		asin   string
	}{{7, "0593655036"}, {0, "0593655036"}, {1, "../../evil"}, {1, ""}} {
		if got := LinksOf(c.domain, c.asin); got != (Links{}) {
			t.Errorf("%+v gets the links %+v", c, got)
		}
	}
}
