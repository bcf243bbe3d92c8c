package keepa

import (
	"os"
	"strings"
	"testing"
)

func TestTheDefaultQueryIsValidAndEncodesStably(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile("../../../schemas/queries-keepa/used-books.json")
	if err != nil {
		t.Fatal(err)
	}
	q, err := ParseQuery("used-books", data)
	if err != nil {
		t.Fatal(err)
	}
	want := `{"currentRange":[2000,45100],"dateRange":3,"deltaLastRange":[0,1000000],"deltaPercentRange":[10,100],` +
		`"deltaRange":[0,1000000],"domainId":1,"includeCategories":[283155],"isFilterEnabled":true,"isRangeEnabled":true,` +
		`"minRating":10,"page":2,"priceTypes":[2],"salesRankRange":[10000,10000000],"singleVariation":true,"sortType":1,` +
		`"warehouseConditions":[2,3,5,24]}`
	if got := string(q.Encode(2)); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if root, ok := q.Root(); !ok || root != 283155 {
		t.Errorf("root is %d, %v", root, ok)
	}
	again, err := ParseSelection(q.Encode(0)[:0:0])
	if err == nil {
		t.Errorf("an empty query parsed: %+v", again)
	}
}

func TestTheVersionIsOfTheMeaningNotOfTheBytes(t *testing.T) {
	t.Parallel()
	parse := func(text string) Selection {
		s, err := ParseSelection([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	a := parse(`{"domainId":1,"priceTypes":[2],"dateRange":3,"sortType":1}`)
	b := parse(`{ "sortType":1, "dateRange":3, "priceTypes":[2], "domainId":1, "isLowest":false }`)
	c := parse(`{"domainId":1,"priceTypes":[2],"dateRange":2,"sortType":1}`)
	if a.Version() != b.Version() || a.Version() == c.Version() {
		t.Errorf("versions %s %s %s", a.Version(), b.Version(), c.Version())
	}
}

func TestFieldsThatKeepaWouldIgnoreAreRefusedByName(t *testing.T) {
	t.Parallel()
	const base = `"domainId":1,"priceTypes":[2],"sortType":1`
	for query, field := range map[string]string{
		`{` + base + `,"dateRange":"3"}`:            "dateRange",
		`{` + base + `,"dateRange":4}`:              "dateRange",
		`{` + base + `}`:                            "dateRange: missing",
		`{` + base + `,"dateRange":3,"sorttype":1}`: "sorttype",
		`{` + base + `,"dateRange":3,"page":1}`:     "page",
		`{` + base + `,"dateRange":3,"isRangeEnabled":true,"currentRange":[500,200]}`:                                   "currentRange",
		`{` + base + `,"dateRange":3,"isRangeEnabled":true,"currentRange":["1","2"]}`:                                   "currentRange",
		`{` + base + `,"dateRange":3,"isRangeEnabled":true,"deltaPercentRange":[5,100]}`:                                "deltaPercentRange",
		`{` + base + `,"dateRange":3,"currentRange":[200,500]}`:                                                         "currentRange",
		`{` + base + `,"dateRange":3,"minRating":60}`:                                                                   "minRating",
		`{` + base + `,"dateRange":3,"isLowest":"yes"}`:                                                                 "isLowest",
		`{` + base + `,"dateRange":3,"isFilterEnabled":true,"mustHaveAmazonOffer":true,"mustNotHaveAmazonOffer":true}`:  "mustHaveAmazonOffer",
		`{` + base + `,"dateRange":3,"isRangeEnabled":true,"deltaPercentRange":[101,200]}`:                              "deltaPercentRange",
		`{` + base + `,"dateRange":3,"isRangeEnabled":true,"salesRankRange":null}`:                                      "salesRankRange",
		`{` + base + `,"dateRange":3,"includeCategories":[283155]}`:                                                     "includeCategories: has no effect",
		`{` + base + `,"dateRange":3,"singleVariation":true}`:                                                           "singleVariation: has no effect",
		`{` + base + `,"dateRange":3,"isFilterEnabled":true,"includeCategories":[283155],"excludeCategories":[283155]}`: "excludeCategories: 283155",
		`{` + base + `,"dateRange":3,"isFilterEnabled":true,"includeCategories":["283155"]}`:                            "includeCategories: must be",
		`{` + base + `,"dateRange":3,"binding":"paperback"}`:                                                            "binding: must be",
		`{` + base + `,"dateRange":3,"warehouseConditions":[6]}`:                                                        "warehouseConditions",
		`{` + base + `,"dateRange":3,"isRangeEnabled":true,"currentRange":[1,2],"currentRange":[1,2000]}`:               "currentRange: appears twice",
		`{"domainId":"1","priceTypes":[2],"dateRange":3,"sortType":1}`:                                                  "domainId: must be a whole number, not a string",
		`{"domainId":1,"priceTypes":["2"],"dateRange":3,"sortType":1}`:                                                  "priceTypes",
		`{"domainId":1,"priceTypes":[2],"dateRange":3,"sortType":"1"}`:                                                  "sortType: must be a whole number, not a string",
		`{"domainId":1,"priceTypes":[2],"dateRange":3.5,"sortType":1}`:                                                  "dateRange",
		`{"domainId":7,"priceTypes":[2],"dateRange":3,"sortType":1}`:                                                    "domainId",
		`{"domainId":1,"priceTypes":[4],"dateRange":3,"sortType":1}`:                                                    "priceTypes",
		`{"domainId":1,"priceTypes":[1,2],"dateRange":3,"sortType":1}`:                                                  "priceTypes",
		`{"domainId":1,"priceTypes":[2],"dateRange":3,"sortType":-1}`:                                                   "sortType",
	} {
		if _, err := ParseSelection([]byte(query)); err == nil || !strings.Contains(err.Error(), field) {
			t.Errorf("%s: got %v, want an error that names %s", query, err, field)
		}
	}
	attributes := `{` + base + `,"dateRange":3,"binding":["paperback"],"brandStoreName":["a"],"targetAudienceKeyword":["b"],"websiteDisplayGroup":["book_display_on_website"]}`
	if s, err := ParseSelection([]byte(attributes)); err != nil || !strings.Contains(string(s.Encode(0)), `"targetAudienceKeyword":["b"]`) {
		t.Errorf("attributes: %v, %s", err, s.Encode(0))
	}
	open := `{` + base + `,"dateRange":3,"isRangeEnabled":true,"salesRankRange":[10000,-1]}`
	if _, err := ParseSelection([]byte(open)); err != nil {
		t.Errorf("an open rank range: %v", err)
	}
}
