package odd_test

import (
	"strings"

	"ratchet/test/odd"
)

// right is what must come of an odd element.
type right int

const (
	asGood  right = iota // the same decision as without the oddity
	decided              // a decision on what is there: no failure, no dead letter
	dead                 // a dead letter; of a product the verdict fail too
	leftOut              // as if Keepa had left it out: asked for three times, then fail and a dead letter
)

// shape is one oddity.
type shape struct {
	name string
	edit odd.Edit
	want right
}

func set(value string, path ...string) odd.Edit { return odd.Set(value, path...) }

// deep is nesting of 70 levels.
var deep = strings.Repeat("[", 70) + strings.Repeat("]", 70)

// both is one edit after the other.
func both(a, b odd.Edit) odd.Edit { return func(good []byte) []byte { return b(a(good)) } }

// ofRow are the shapes of a row of the deal list.
var ofRow = []shape{
	{"title with NUL", set("\"a\x00b\"", "title"), asGood},
	{"title with a NUL escape", set(`"a\u0000b"`, "title"), asGood},
	{"title with a lone surrogate", set(`"a\ud800b"`, "title"), asGood},
	{"title of invalid UTF-8", set("\"a\xff\xfeb\"", "title"), asGood},
	{"title with control characters", set("\"a\x1b[31m\tb\x7f\"", "title"), asGood},
	{"title with a bad escape", set(`"a\qb"`, "title"), asGood},
	{"title of 100 KB", set(`"`+strings.Repeat("x", 100<<10)+`"`, "title"), asGood},
	{"title of 9 MB", set(`"`+strings.Repeat("xyz ", 9<<18)+`"`, "title"), asGood},
	{"title an array", set(`["a","b"]`, "title"), asGood},
	{"title null", set(`null`, "title"), asGood},
	{"creationDate 0", set(`0`, "creationDate"), dead},
	{"creationDate -1", set(`-1`, "creationDate"), dead},
	{"creationDate null", set(`null`, "creationDate"), dead},
	{"creationDate missing", odd.Drop("creationDate"), dead},
	{"creationDate a word", set(`"today"`, "creationDate"), dead},
	{"creationDate 9e15", set(`9000000000000000`, "creationDate"), dead},
	{"rootCat text", set(`"283155"`, "rootCat"), asGood},
	{"rootCat null", set(`null`, "rootCat"), asGood},
	{"rootCat a word", set(`"books"`, "rootCat"), asGood},
	{"categories text", set(`["1","2"]`, "categories"), asGood},
	{"categories null", set(`null`, "categories"), asGood},
	{"categories a text", set(`"1,2"`, "categories"), asGood},
	{"current null", set(`null`, "current"), decided},
	{"current short", set(`[-1]`, "current"), decided},
	{"current an object", set(`{"x":1}`, "current"), dead},
	{"current a word", set(`"twelve"`, "current"), dead},
	{"current a fraction", func(good []byte) []byte { return edited(good, "current", 7, "12.5") }, asGood},
	{"current a word inside", func(good []byte) []byte { return edited(good, "current", 7, `"x"`) }, asGood},
	{"current NaN inside", func(good []byte) []byte { return edited(good, "current", 7, `NaN`) }, asGood},
	{"current whole floats", func(good []byte) []byte { return numbers(good, "current", func(n string) string { return n + ".0" }) }, asGood},
	{"current numbers as text", func(good []byte) []byte {
		return numbers(good, "current", func(n string) string { return `"` + n + `"` })
	}, asGood},
	{"current long", func(good []byte) []byte { return longer(good, "current") }, asGood},
	{"avg null", set(`null`, "avg"), decided},
	{"avg a number", set(`7`, "avg"), decided},
	{"avg of 3 windows", set(`[[1],[2],[3]]`, "avg"), decided},
	{"avg of 5 windows", func(good []byte) []byte { return longer(good, "avg") }, asGood},
	{"avg with null inside", set(`[null,[null,null],null,null]`, "avg"), decided},
	{"salesRankDrops365 text", set(`"many"`, "salesRankDrops365"), decided},
	{"salesRankDrops365 -1", set(`-1`, "salesRankDrops365"), decided},
	{"salesRankDrops365 null", set(`null`, "salesRankDrops365"), decided},
	{"salesRankDrops365 missing", odd.Drop("salesRankDrops365"), decided},
	{"image text", set(`"x.jpg"`, "image"), asGood},
	{"image null", set(`null`, "image"), asGood},
	{"warehouseCondition null", set(`null`, "warehouseCondition"), asGood},
	{"backInStock null", set(`null`, "backInStock"), asGood},
	{"backInStock numbers", set(`[0,1,"true"]`, "backInStock"), asGood},
	{"parentAsin a number", set(`7`, "parentAsin"), asGood},
	{"NaN at the top", set(`NaN`, "returnRate"), asGood},
	{"NaN deeper", set(`{"x":[NaN,-Infinity]}`, "returnRate"), asGood},
	{"a number that no double holds", set(`1e400`, "returnRate"), dead},
	{"70 levels", set(deep, "x"), dead},
	{"a text instead of a row", odd.Whole(`"row"`), dead},
	{"brackets that do not match", odd.Whole(`{"asin":"B000000009","x":[1}}`), dead},
	{"asin a number", set(`7`, "asin"), dead},
	{"asin lower case", set(`"b0000000ab"`, "asin"), dead},
	{"asin with a dot", set(`"B000000.>*"`, "asin"), dead},
}

// ofProduct are the shapes of a product, with and without offers.
var ofProduct = []shape{
	{"websiteDisplayGroupName an array", set(`["a"]`, "websiteDisplayGroupName"), asGood},
	{"author an array", set(`["a","b"]`, "author"), asGood},
	{"publicationDate text", set(`"soon"`, "publicationDate"), asGood},
	{"numberOfPages text", set(`"200 p."`, "numberOfPages"), asGood},
	{"images objects", set(`[{"l":"x.jpg"}]`, "images"), asGood},
	{"imagesCSV null", set(`null`, "imagesCSV"), asGood},
	{"domainId text", set(`"1"`, "domainId"), asGood},
	{"categoryTree null", set(`null`, "categoryTree"), asGood},
	{"categoryTree an object", set(`{"a":1}`, "categoryTree"), asGood},
	{"categories text", set(`["283155"]`, "categories"), asGood},
	{"eanList text", set(`"978"`, "eanList"), asGood},
	{"eanList numbers", set(`[978,979]`, "eanList"), asGood},
	{"eanList null", set(`null`, "eanList"), asGood},
	{"fbaFees null", set(`null`, "fbaFees"), decided},
	{"fbaFees missing", odd.Drop("fbaFees"), decided},
	{"fbaFees []", set(`[]`, "fbaFees"), decided},
	{"fbaFees a number", set(`550`, "fbaFees"), decided},
	{"pickAndPackFee null", set(`{"pickAndPackFee":null}`, "fbaFees"), decided},
	{"pickAndPackFee -1", set(`{"pickAndPackFee":-1}`, "fbaFees"), decided},
	{"pickAndPackFee 0", set(`{"pickAndPackFee":0}`, "fbaFees"), decided},
	{"pickAndPackFee text", set(`{"pickAndPackFee":"550"}`, "fbaFees"), decided},
	{"pickAndPackFee 550.0", set(`{"pickAndPackFee":550.0}`, "fbaFees"), decided},
	{"pickAndPackFee 550.5", set(`{"pickAndPackFee":550.5}`, "fbaFees"), decided},
	{"referralFeePercentage missing", odd.Drop("referralFeePercentage"), decided},
	{"referralFeePercentage null", set(`null`, "referralFeePercentage"), decided},
	{"referralFeePercentage -1", set(`-1`, "referralFeePercentage"), decided},
	{"referralFeePercentage 0", set(`0`, "referralFeePercentage"), decided},
	{"referralFeePercentage 1500", set(`1500`, "referralFeePercentage"), decided},
	{"referralFeePercentage text", set(`"15.0"`, "referralFeePercentage"), asGood},
	{"only the older twin", both(odd.Drop("referralFeePercentage"), set(`15`, "referralFeePercent")), asGood},
	{"variableClosingFee null", set(`null`, "variableClosingFee"), decided},
	{"variableClosingFee -1", set(`-1`, "variableClosingFee"), decided},
	{"csv null", set(`null`, "csv"), decided},
	{"csv missing", odd.Drop("csv"), decided},
	{"csv empty", set(`[]`, "csv"), decided},
	{"csv short", set(`[null,null]`, "csv"), decided},
	{"csv of 46 types", func(good []byte) []byte { return longer(good, "csv") }, asGood},
	{"a series null", func(good []byte) []byte { return edited(good, "csv", 2, "null") }, decided},
	{"a series empty", func(good []byte) []byte { return edited(good, "csv", 2, "[]") }, decided},
	{"a series of odd length", func(good []byte) []byte {
		return series(good, 3, func(s string) string { return s[:len(s)-1] + ",9000000]" })
	}, asGood},
	{"a series of floats", func(good []byte) []byte {
		return series(good, 2, func(s string) string { return strings.ReplaceAll(s, ",", ".0,") })
	}, asGood},
	{"a series with null inside", func(good []byte) []byte {
		return series(good, 3, func(s string) string { return s[:len(s)-1] + ",9000000,null]" })
	}, decided},
	{"a series with NaN inside", func(good []byte) []byte {
		return series(good, 3, func(s string) string { return "[1000000,NaN," + s[1:] })
	}, asGood},
	{"csv an object", set(`{"0":[1,2]}`, "csv"), dead},
	{"a series as text", func(good []byte) []byte { return edited(good, "csv", 2, `"1,2"`) }, dead},
	{"a series of pairs", func(good []byte) []byte { return edited(good, "csv", 2, `[[1,2],[3,4]]`) }, dead},
	{"stats null", set(`null`, "stats"), decided},
	{"stats missing", odd.Drop("stats"), decided},
	{"stats []", set(`[]`, "stats"), decided},
	{"stats text", set(`"none"`, "stats"), decided},
	{"stats of floats", func(good []byte) []byte {
		return in(good, "stats", func(s []byte) []byte { return numbers(s, "current", func(n string) string { return n + ".0" }) })
	}, asGood},
	{"stats with fractions", func(good []byte) []byte {
		return in(good, "stats", func(s []byte) []byte { return edited(s, "avg90", 7, "12.5") })
	}, asGood},
	{"buyBoxStats objects", set(`{"A":{"x":[1]}}`, "stats", "buyBoxStats"), asGood},
	{"productType text", set(`"book"`, "productType"), decided},
	{"productType null", set(`null`, "productType"), decided},
	{"productType missing", odd.Drop("productType"), decided},
	{"lastOffersUpdate 0", set(`0`, "stats", "lastOffersUpdate"), decided},
	{"lastOffersUpdate -1", set(`-1`, "stats", "lastOffersUpdate"), decided},
	{"lastOffersUpdate null", set(`null`, "stats", "lastOffersUpdate"), decided},
	{"monthlySold 50+", set(`"50+"`, "monthlySold"), asGood},
	{"monthlySold -1", set(`-1`, "monthlySold"), asGood},
	{"salesRanks null", set(`null`, "salesRanks"), decided},
	{"salesRanks []", set(`[]`, "salesRanks"), decided},
	{"salesRankReference -1", set(`-1`, "salesRankReference"), decided},
	{"title with NUL", set("\"a\x00b\"", "title"), asGood},
	{"a known number that no double holds", set(`1e400`, "packageWeight"), dead},
	{"an unknown number that no double holds", set(`1e400`, "returnRate"), dead},
	{"70 levels", set(deep, "x"), dead},
	{"NaN at the top", set(`NaN`, "returnRate"), asGood},
	{"NaN in a known field", set(`NaN`, "packageWeight"), asGood},
	{"NaN deeper", set(`{"x":[NaN,-Infinity]}`, "returnRate"), asGood},
	{"asin missing", odd.Drop("asin"), dead},
	{"asin a number", set(`7`, "asin"), dead},
	{"a text instead of a product", odd.Whole(`"product"`), dead},
	{"a number instead of a product", odd.Whole(`7`), dead},
	{"brackets that do not match", odd.Whole(`{"asin":7,"x":[1}}`), dead},
	{"two for one ASIN", func(good []byte) []byte {
		return append(append(append([]byte(nil), good...), ','), set(`null`, "csv")(good)...)
	}, asGood},
	{"one that nobody asked for", func(good []byte) []byte { return append([]byte(`{"asin":"A000000009"},`), good...) }, asGood},
	{"left out", func([]byte) []byte { return nil }, leftOut},
	{"null", odd.Whole(`null`), leftOut},
}

// ofOffer are the shapes of the offers of a product. What the economics make of it is theirs: here it is decided on.
var ofOffer = []shape{
	{"offers null", set(`null`, "offers"), decided},
	{"offers missing", odd.Drop("offers"), decided},
	{"offers []", set(`[]`, "offers"), decided},
	{"offers text", set(`"none"`, "offers"), decided},
	{"null inside", func(good []byte) []byte { return longer(good, "offers") }, asGood},
	{"liveOffersOrder null", set(`null`, "liveOffersOrder"), asGood},
	{"liveOffersOrder missing", odd.Drop("liveOffersOrder"), asGood},
	{"liveOffersOrder out of range", set(`[99,-1]`, "liveOffersOrder"), decided},
	{"liveOffersOrder text", set(`"0,1"`, "liveOffersOrder"), asGood},
	{"offerCSV null", each(set(`null`, "offerCSV")), decided},
	{"offerCSV empty", each(set(`[]`, "offerCSV")), decided},
	{"offerCSV text", each(set(`"1,2,3"`, "offerCSV")), decided},
	{"offerCSV with an odd tail", each(func(good []byte) []byte { return grown(good, "offerCSV", ",9000000") }), asGood},
	{"price -2", each(func(good []byte) []byte { return grown(good, "offerCSV", ",8000000,-2,0") }), decided},
	{"shipping -1", each(func(good []byte) []byte { return grown(good, "offerCSV", ",8000000,100000,-1") }), decided},
	{"condition text", each(set(`"Used"`, "condition")), decided},
	{"condition null", each(set(`null`, "condition")), decided},
	{"condition 0", each(set(`0`, "condition")), decided},
	{"condition 11", each(set(`11`, "condition")), decided},
	{"condition an object", each(set(`{"value":4}`, "condition")), decided},
	{"sellerId null", each(set(`null`, "sellerId")), asGood},
	{"sellerId missing", each(odd.Drop("sellerId")), asGood},
	{"sellerId lower case", each(set(`"a1b2"`, "sellerId")), asGood},
	{"sellerId odd", each(set(`"A B;*"`, "sellerId")), asGood},
	{"sellerId a number", each(set(`7`, "sellerId")), asGood},
	{"isFBA 0", each(set(`0`, "isFBA")), decided},
	{"isFBA null", each(set(`null`, "isFBA")), decided},
	{"isShippable false", each(set(`false`, "isShippable")), decided},
	{"lastSeen 0", each(set(`0`, "lastSeen")), decided},
	{"conditionComment with control characters", each(set("\"a\x00\x1b\"", "conditionComment")), asGood},
	{"an offer that is a text", func(good []byte) []byte { return edited(good, "offers", 0, `"x"`) }, decided},
}

func each(e odd.Edit) odd.Edit { return odd.Each("offers", e) }

// ofSeller are the shapes of a seller: the deal is accepted, with its seller or without.
var ofSeller = []shape{
	{"currentRating text", set(`"97 %"`, "currentRating"), asGood},
	{"currentRating as a string", set(`"97"`, "currentRating"), asGood},
	{"currentRatingCount -1", set(`-1`, "currentRatingCount"), asGood},
	{"sellerName an array", set(`["a"]`, "sellerName"), asGood},
	{"hasFBA 1", set(`1`, "hasFBA"), asGood},
	{"NaN", set(`NaN`, "currentRating"), asGood},
	{"null", odd.Whole(`null`), asGood},
	{"left out", func([]byte) []byte { return nil }, asGood},
	{"a text", odd.Whole(`"seller"`), dead},
	{"70 levels", set(deep, "x"), dead},
	{"1e400", set(`1e400`, "currentRating"), dead},
}

// ofEnvelope are the shapes of an answer around its payload.
var ofEnvelope = []shape{
	{"refillIn a fraction", set(`1234.5`, "refillIn"), asGood},
	{"refillIn text", set(`"1234"`, "refillIn"), asGood},
	{"refillIn missing", odd.Drop("refillIn"), asGood},
	{"refillIn NaN", set(`NaN`, "refillIn"), asGood},
	{"tokensLeft a fraction", set(`1000.5`, "tokensLeft"), asGood},
	{"tokensLeft missing", odd.Drop("tokensLeft"), asGood},
	{"tokensLeft an object", set(`{}`, "tokensLeft"), asGood},
	{"refillRate text", set(`"5"`, "refillRate"), asGood},
	{"timestamp text", set(`"1757955360000"`, "timestamp"), asGood},
	{"error empty text", set(`""`, "error"), asGood},
	{"error []", set(`[]`, "error"), asGood},
	{"error {}", set(`{}`, "error"), asGood},
	{"an unknown field NaN", set(`NaN`, "x"), asGood},
}
