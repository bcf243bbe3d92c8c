package deal

import (
	"fmt"
	"strings"
	"testing"

	"ratchet/pipeline/domain/keepa"
)

// bookWith returns a product with a point in each of these histories.
func bookWith(t *testing.T, histories ...keepa.PriceType) *keepa.Product {
	t.Helper()
	csv := strings.Split(strings.Repeat("null ", int(keepa.CountUsed)+1), " ")[:keepa.CountUsed+1]
	for _, h := range histories {
		csv[h] = pairs(line(10*days, 5))
	}
	p, err := keepa.DecodeProduct(fmt.Appendf(nil, `{"asin":"B000000001","csv":[%s]}`, strings.Join(csv, ",")))
	if err != nil {
		t.Fatal(err)
	}
	return &p
}

func TestABookWithoutAHistoryDoesNotHaveThatOfTheBookBeforeIt(t *testing.T) {
	t.Parallel()
	all := []keepa.PriceType{keepa.Sales, keepa.Used, keepa.CountUsed}
	for i, missing := range all {
		mem := new(Scratch)
		others := []keepa.PriceType{all[(i+1)%3], all[(i+2)%3]}
		for _, book := range []struct {
			has  []keepa.PriceType
			want int
		}{{all, 1}, {others, 0}, {all, 1}} {
			h, err := mem.histories(bookWith(t, book.has...))
			if err != nil {
				t.Fatal(err)
			}
			got := map[keepa.PriceType]keepa.Series{keepa.Sales: h.Rank, keepa.Used: h.Used, keepa.CountUsed: h.CountUsed}
			if len(got[missing]) != book.want || len(got[others[0]]) != 1 || len(got[others[1]]) != 1 {
				t.Errorf("of a book with %v: %v", book.has, got)
			}
		}
	}
}
