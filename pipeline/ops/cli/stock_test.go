package cli

import (
	"strings"
	"testing"

	"ratchet/pipeline/domain/shedding"
	"ratchet/pipeline/domain/watermark"
)

func TestTheShedLineIsInTheCurrencyOfTheLists(t *testing.T) {
	t.Parallel()
	for want, lists := range map[string]map[string]watermark.State{
		" at $5.00; ": {"1.books": {}, "5.old": {Why: watermark.Retired}},
		" at ¥500; ":  {"5.books": {}},
		" at 500 of the smallest unit of money; ": {"1.books": {}, "5.books": {}},
	} {
		s := Status{At: noon, Watermarks: lists, Stock: &Stock{Line: &shedding.Line{At: noon, BelowCents: 500}}}
		var out strings.Builder
		if err := s.Write(&out); err != nil || !strings.Contains(out.String(), want) {
			t.Errorf("the status lacks %q: %v\n%s", want, err, &out)
		}
	}
}
