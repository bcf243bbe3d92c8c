package keepa

import (
	"slices"
	"strings"
	"testing"
)

// q returns a query with more fields, each on a line of its own from line 6 on.
func q(more ...string) string {
	return strings.Join(append([]string{"{", `"domainId":1,`, `"priceTypes":[2],`, `"sortType":1,`, `"dateRange":3` + strings.Repeat(",", min(len(more), 1))}, strings.Join(more, ",\n"), "}"), "\n")
}

func TestEachMistakeOfAQueryIsReportedWithLineFieldAndProposal(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ text, want string }{
		{q(`"isRangeEnabled":true`, `"currentRange":[20.50,451.00]`), "line 7: currentRange: 20.50 is not whole cents: did you mean 2050?"},
		{q(`"isRangeEnabled":true`, `"currentRange":[020,4500]`), "line 7: 020 begins with a zero, as octal numbers do: did you mean 20?"},
		{q(`"isRangeEnabled":true`, `"currentRange":["2000",4500]`), `line 7: currentRange: must be an array of numbers, and "2000" is text: did you mean 2000?`},
		{q(`"sorttype":1`), "line 6: sorttype: not a field of Keepa's deal query: did you mean sortType?"},
		{q(`"page":1`), "line 6: page: not part of a query, whose pages are all read: leave it out"},
		{q(`"isLowest":true`, `"isFilterEnabled":true,`), "line 7: a comma before the closing }: remove it"},
		{strings.Replace(q(), `"dateRange":3`, `"dateRange":"3"`, 1), `line 5: dateRange: must be a whole number, not a string, got "3": did you mean 3?`},
		{strings.Replace(q(), `"dateRange":3`, `"dateRange":3.0`, 1), `line 5: dateRange: 3.0 is not a whole number: did you mean 3?`},
		{strings.Replace(q(), `[2]`, `2`, 1), `line 3: priceTypes: must be an array of exactly one price type number, got 2: did you mean [2]?`},
		{q(`"isLowest":"true"`), `line 6: isLowest: must be true or false, got "true": did you mean true?`},
		{q(`"isFilterEnabled":true`, `"binding":"paperback"`), `line 7: binding: must be an array of strings, got "paperback": did you mean ["paperback"]?`},
		{q() + "\n{}", "line 8: something follows the object: a query file is one object"},
		{"\ufeff" + q(), "line 1: the file begins with a byte order mark (BOM): save it as UTF-8 without BOM"},
		{"[]", "line 1: must be one JSON object, {…}"},
		{"{\n\"domainId\":1,\n'a':2}", "line 3: not JSON: invalid character '\\'' looking for beginning of object key string"},
		{strings.TrimSuffix(q(), "}"), "line 7: not JSON: it ends in the middle: is a closing } missing?"},
		{"", "line 1: empty: must be one JSON object, {…}"},
		{strings.Repeat(" ", 70_000), "the file is too long: it has more than 65536 bytes"},
		{"{\r\n\"domainId\": \"1\",\r\n\"priceTypes\":[2],\r\n\"dateRange\":03,\r\n\"sortTyp\":1,\r\n\"minRating\":99,\"isFilterEnabled\":true}", `line 1: sortType: missing
line 2: domainId: must be a whole number, not a string, got "1": did you mean 1?
line 4: 03 begins with a zero, as octal numbers do: did you mean 3?
line 5: sortTyp: not a field of Keepa's deal query: did you mean sortType?
line 6: minRating: 99: must be from 0 to 50, or -1 for off`},
	} {
		_, err := ParseSelection([]byte(c.text))
		if err == nil || err.Error() != c.want {
			t.Errorf("%.200q:\n got %v\nwant %s", c.text, err, c.want)
		}
	}
}

// pasted is the API query that Keepa's web page shows for a search for used books.
const pasted = `{
	"page": 0,
	"domainId": "1",
	"excludeCategories": [],
	"includeCategories": ["283155"],
	"priceTypes": ["2"],
	"deltaRange": [1950, 9900],
	"deltaPercentRange": [50, 2147483647],
	"salesRankRange": ["50000", "1500000"],
	"currentRange": [2000, 30100],
	"deltaLastRange": [-1, -1],
	"minRating": "10",
	"isLowest": false,
	"isLowestOffer": "false",
	"isOutOfStock": false,
	"titleSearch": "",
	"isRangeEnabled": true,
	"isFilterEnabled": "true",
	"filterErotic": false,
	"hasReviews": false,
	"hasAmazonOffer": false,
	"singleVariation": true,
	"sortType": "4",
	"dateRange": "4",
	"settings": {"viewTab": "all"},
	"perPage": 150
}
`

func TestTheQueryFromKeepasPageIsAcceptedAsPasted(t *testing.T) {
	t.Parallel()
	s, notes, err := ImportSelection([]byte("\ufeff" + strings.ReplaceAll(pasted, "\n", "\r\n")))
	if err != nil {
		t.Fatal(err)
	}
	want := `{
  "domainId": 1,
  "priceTypes": [2],
  "dateRange": 3,
  "sortType": 4,
  "isRangeEnabled": true,
  "isFilterEnabled": true,
  "currentRange": [2000,30100],
  "deltaRange": [1950,9900],
  "deltaPercentRange": [50,2147483647],
  "salesRankRange": [50000,1500000],
  "minRating": 10,
  "includeCategories": [283155],
  "singleVariation": true
}
`
	if string(s.File()) != want {
		t.Errorf("it became\n%s\nwant\n%s", s.File(), want)
	}
	again, err := ParseSelection(s.File())
	if err != nil || again.Version() != s.Version() {
		t.Errorf("the file that it became is read as %+v, %v", again, err)
	}
	wantNotes := []string{
		"page: dropped: every page is read",
		`domainId: "1" became 1`,
		"excludeCategories: dropped: [] is off",
		`includeCategories: ["283155"] became [283155]`,
		`priceTypes: ["2"] became [2]`,
		`salesRankRange: ["50000","1500000"] became [50000,1500000]`,
		"deltaLastRange: dropped: [-1,-1] is off",
		`minRating: "10" became 10`,
		`isLowestOffer: "false" became false`,
		`titleSearch: dropped: "" is off`,
		`isFilterEnabled: "true" became true`,
		"hasAmazonOffer: dropped: false, not a field of Keepa's deal query",
		`sortType: "4" became 4`,
		`dateRange: "4" became 3`,
		`settings: dropped: {"viewTab": "all"}, not a field of Keepa's deal query`,
		"perPage: dropped: 150, not a field of Keepa's deal query",
	}
	if !slices.Equal(notes, wantNotes) {
		t.Errorf("notes:\n%s\nwant:\n%s", strings.Join(notes, "\n"), strings.Join(wantNotes, "\n"))
	}
}

func TestDisabledFiltersOfAPastedQueryAreDroppedAndOpenEndsAreRead(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		`"isRangeEnabled":true,"currentRange":[2000,-1]`:                `"currentRange":[2000,2147483647]`,
		`"isRangeEnabled":true,"currentRange":[-1,5000]`:                `"currentRange":[0,5000]`,
		`"isRangeEnabled":true,"salesRankRange":[10000,-1]`:             `"salesRankRange":[10000,-1]`,
		`"isRangeEnabled":true,"deltaPercentRange":[0,80]`:              `"deltaPercentRange":[10,80]`,
		`"isRangeEnabled":false,"currentRange":[2000,5000]`:             ``,
		`"isFilterEnabled":false,"includeCategories":[283155]`:          ``,
		`"isRangeEnabled":true,"currentRange":null`:                     ``,
		`"isFilterEnabled":true,"binding":"paperback","minRating":-1`:   `"binding":["paperback"]`,
		`"isFilterEnabled":1,"isRangeEnabled":0,"deltaRange":["1","2"]`: ``,
	} {
		s, _, err := ImportSelection([]byte(`{"domainId":1,"priceTypes":2,"dateRange":3,"sortType":1,` + text + `}`))
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		file := strings.NewReplacer(" ", "", "\n", "").Replace(string(s.File()))
		if _, err := ParseSelection(s.File()); err != nil || want == "" && strings.Contains(file, "Range\":[") || !strings.Contains(file, want) {
			t.Errorf("%s became %s, %v; want %s", text, file, err, want)
		}
	}
	for text, want := range map[string]string{
		`{"current_USED_gte":1}`: "domainId: missing",
		`{"domainId":"com","priceTypes":[2],"dateRange":3,"sortType":1}`:                                                 `line 1: domainId: must be a whole number, not a string, got "com"`,
		`{"domainId":1,"priceTypes":[1,2],"dateRange":3,"sortType":1}`:                                                   "priceTypes: must be an array of exactly one",
		`{"domainId":1,"priceTypes":[2],"dateRange":3,"sortType":1,"isRangeEnabled":true,"currentRange":["cheap",5000]}`: "currentRange",
	} {
		if _, _, err := ImportSelection([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %s", text, err, want)
		}
	}
}
