package keepa

import "testing"

func TestAnAnswerWhoseElementsCanAllBeSeparatedIsComplete(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]bool{
		`{"products":[{"asin":"B000000001"},{"asin":"B000000002"}]}`: true,
		`{"products":[{"asin":"B000000001"},{"asin":"B00000000`:      false,
		`{"products":{"asin":"B000000001"}}`:                         false,
		`{"products":[{"asin":"B000000001"},{"title":"no name"}]}`:   false,
		`{"products":[{"asin":"B000000001"},7]}`:                     false,
	} {
		if got := CutProducts([]byte(body)).Separated(); got != want {
			t.Errorf("%s: whole %t", body, got)
		}
	}
}
