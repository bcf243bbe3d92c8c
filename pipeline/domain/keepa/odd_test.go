package keepa

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"ratchet/pipeline/text/foreign"
)

func TestOneOddElementCostsItsNeighboursNothing(t *testing.T) {
	t.Parallel()
	for name, odd := range map[string]string{
		"NaN at the top":             `{"asin":"A000000002","returnRate":NaN}`,
		"NaN deeper":                 `{"asin":"A000000002","stats":{"avg":[1,-Infinity,NaN]}}`,
		"a number beyond":            `{"asin":"A000000002","packageWeight":1e400}`,
		"an unknown one beyond":      `{"asin":"A000000002","x":1e400}`,
		"nested deep":                `{"asin":"A000000002","x":` + strings.Repeat(`[`, 70) + strings.Repeat(`]`, 70) + `}`,
		"no name":                    `{"x":1}`,
		"a text":                     `"A000000002"`,
		"a number":                   `7`,
		"brackets that do not match": `{"asin":"A000000002","x":[1}}`,
	} {
		body := `{"products":[{"asin":"A000000001","csv":[]},` + odd + `,{"asin":"A000000003","csv":[]}],"tokensLeft":3}`
		all := CutProducts([]byte(body))
		found, extra := all.For([]string{"A000000001", "A000000002", "A000000003"})
		if all.Part != nil || len(found) != 3 || extra != 0 || string(found["A000000002"].Body) != odd || found["A000000002"].Position != 1 {
			t.Errorf("%s: %v, %d found, %d extra", name, all.Part, len(found), extra)
			continue
		}
		if left, ok := all.Balance(); !ok || left != 3 {
			t.Errorf("%s: the account behind it is lost", name)
		}
		_, err := DecodeProduct(found["A000000002"].Body)
		if readable := strings.HasPrefix(name, "NaN"); readable != (err == nil) {
			t.Errorf("%s: decoded with %v", name, err)
		}
	}
}

func TestARowIsAlwaysJSONThatEveryReaderTakes(t *testing.T) {
	t.Parallel()
	for name, raw := range map[string]string{
		"control characters":   "{\"asin\":\"A\",\"title\":\"a\x00b\x1f\"}",
		"a lone surrogate":     `{"asin":"A","title":"a\ud800b"}`,
		"an escape of no kind": `{"asin":"A","title":"a\qb\u12"}`,
		"invalid UTF-8":        "{\"asin\":\"A\",\"title\":\"a\xffb\"}",
		"NaN":                  `{"asin":"A","title":"ab","x":NaN,"y":[-Infinity,true]}`,
		"100 KB of title":      `{"asin":"A","title":"` + strings.Repeat(`é\\`, 50<<10) + `"}`,
	} {
		row, err := DecodeDealRow([]byte(raw))
		if err != nil || !json.Valid(row.Raw) || len(row.Raw) > maxRow {
			t.Errorf("%s: %v, %.80s", name, err, row.Raw)
			continue
		}
		again, err := DecodeDealRow(row.Raw)
		if err != nil || again.ASIN != "A" || strings.ContainsAny(row.Title.String(), "\x00\x1f") || len(row.Title.String()) > 4*foreign.Most {
			t.Errorf("%s: again %v, title %.80q", name, err, row.Title)
		}
	}
}

func TestTheAccountOfAnAnswerIsReadOrAbsentAndNeverRefused(t *testing.T) {
	t.Parallel()
	e, err := DecodeEnvelope([]byte(`{"timestamp":"1757955360000","tokensLeft":12.7,"refillIn":1234.5,"refillRate":"5","tokensConsumed":2.2,"tokenFlowReduction":"many","error":""}`))
	if err != nil || e.Timestamp != 1757955360000 || *e.TokensLeft != 12 || e.RefillIn != 1234 || e.RefillRate != 5 || e.TokensConsumed != 3 || e.Error != nil {
		t.Errorf("%+v, %v", e, err)
	}
	for _, body := range []string{`{"error":[]}`, `{"error":{}}`, `{"error":null}`, `{"error":false}`, `{"error":0}`, `{"error":0.0}`, `{"tokensLeft":NaN}`, `{"tokensLeft":{}}`} {
		if e, err := DecodeEnvelope([]byte(body)); err != nil || e.Error != nil || e.TokensLeft != nil {
			t.Errorf("%s: %+v, %v", body, e, err)
		}
	}
	for _, body := range []string{`{"error":"no"}`, `{"error":7}`, `{"error":true}`, `{"error":[7]}`, `{"error":{"message":"no","type":5}}`} {
		if e, err := DecodeEnvelope([]byte(body)); err != nil || e.Error == nil {
			t.Errorf("%s: %+v, %v", body, e, err)
		}
	}
}

func TestAnErrorWithoutWordsBesideAPaidPayloadIsNone(t *testing.T) {
	t.Parallel()
	for odd, words := range map[string]bool{`true`: false, `7`: false, `[7]`: false, `"no"`: true, `{"message":"no"}`: true} {
		for _, order := range []string{`"error":%s,"tokensConsumed":1,"products":[{}]`, `"products":[{}],"tokensConsumed":1,"error":%s`} {
			if e, err := DecodeEnvelope(fmt.Appendf(nil, "{"+order+"}", odd)); err != nil || (e.Error != nil) != words {
				t.Errorf("%s in %s: %+v, %v", odd, order, e, err)
			}
		}
		for _, unpaid := range []string{`"tokensConsumed":1,"products":null`, `"products":[],"tokensConsumed":0`, `"tokensConsumed":1`} {
			if e, err := DecodeEnvelope(fmt.Appendf(nil, `{"error":%s,%s}`, odd, unpaid)); err != nil || e.Error == nil {
				t.Errorf("%s beside %s: %+v, %v", odd, unpaid, e, err)
			}
		}
	}
}

func TestTheFirstOfAKeyWinsAndUnrequestedElementsAreCounted(t *testing.T) {
	t.Parallel()
	all := CutProducts([]byte(`{"products":[{"asin":"A","x":1},{"asin":"A","x":2},{"asin":"Z"},null]}`))
	found, extra := all.For([]string{"A", "B", "C", "D"})
	if len(found) != 1 || string(found["A"].Body) != `{"asin":"A","x":1}` || extra != 2 {
		t.Errorf("found %v, %d extra", found, extra)
	}
	for body, keys := range map[string]int{
		`{"products":{"0":{"asin":"A"},"1":7,"2":{"asin":"C"}}}`: 3, // an object, with a number inside
		`{"products":"none"}`:                          3,
		`{"products":null}`:                            0,
		`{"products":[{"asin":"A"},{"asin":"B"},{"asi`: 2,
	} {
		if found, _ := CutProducts([]byte(body)).For([]string{"A", "B", "C"}); len(found) != keys {
			t.Errorf("%s: %d found, want %d", body, len(found), keys)
		}
	}
}
