package replay_test

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"ratchet/pipeline"
	"ratchet/pipeline/domain/keepa"
	"ratchet/pipeline/domain/verdict"
	"ratchet/pipeline/ops/replay"
	"ratchet/pipeline/store/responses"
	"ratchet/schemas"
	"ratchet/test/streams"
)

// seller is a product object whose used count falls and whose rank jumps every fifty days for four years.
func seller(asin string, lastUpdate int) string {
	const day = 24 * 60
	var used, rank, count []string
	for d := 0; d*day < lastUpdate; d += 50 {
		used = append(used, fmt.Sprintf("%d,%d", d*day, 6000+d))
		rank = append(rank, fmt.Sprintf("%d,300000,%d,100000", d*day, (d+25)*day+60))
		count = append(count, fmt.Sprintf("%d,5,%d,4", d*day, (d+25)*day))
	}
	list := func(points []string) string { return "[" + strings.Join(points, ",") + "]" }
	return fmt.Sprintf(`{"asin":%q,"domainId":1,"productType":0,"rootCategory":283155,"lastUpdate":%d,"csv":[null,null,%s,%s,null,null,null,null,null,null,null,null,%s]}`,
		asin, lastUpdate, list(used), list(rank), list(count))
}

const fourYears = 1460 * 24 * 60

func backtest(t *testing.T, held []replay.StoredProduct, change func(*replay.Backtest)) replay.Scored {
	t.Helper()
	rules, err := verdict.NewJudge(schemas.UsedBooks)
	if err != nil {
		t.Fatal(err)
	}
	b := replay.Backtest{Rules: rules}
	if change != nil {
		change(&b)
	}
	s, err := b.Run(t.Context(), held, func(replay.Step) {})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestFilesAreReadAsObjectsAndAsAnswersOfSeveralProducts(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write := func(name, body string) {
		t.Helper()
		if err := os.MkdirAll(filepath.Join(dir, filepath.Dir(name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(body), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	packed := func(body string) string {
		var b bytes.Buffer
		z := gzip.NewWriter(&b)
		_, _ = z.Write([]byte(body)) // into memory
		_ = z.Close()
		return b.String()
	}
	write("object.json", seller("B000000001", fourYears))
	write("below/answer.json.gz", packed(`{"timestamp":1,"products":[`+seller("B000000002", fourYears)+`,`+seller("B000000003", fourYears)+`,null]}`))
	write("older.json", seller("B000000001", fourYears-60*24*60))
	write("elsewhere.json", strings.Replace(seller("B000000004", fourYears), `"domainId":1`, `"domainId":5`, 1))
	write("nohistory.json", `{"asin":"B000000005","domainId":1,"csv":null}`)
	write("broken.json", `{"asin":"B000000006","domainId":1,"csv":[null,null,{}]}`)
	write("refusal.json", `{"tokensLeft":-3,"refillRate":5}`)
	write("notes.txt", `not an answer`)
	held, err := replay.ProductsIn(dir, keepa.DomainCom)
	if err != nil {
		t.Fatal(err)
	}
	s := backtest(t, held, nil)
	if s.Stored != 5 || s.Products != 3 || s.Books != 3 || s.NoHistory != 1 || s.Unreadable != 1 {
		t.Errorf("%+v", s)
	}
	if s.Apart.Scored != 1 {
		t.Errorf("the older answer was not scored against the newer one: %+v", s.Apart)
	}
	if left := backtest(t, held, func(b *replay.Backtest) { b.Without = []string{"B000000002"} }); left.Products != 2 {
		t.Errorf("%d products without one of three", left.Products)
	}
	sampled := func() replay.Scored { return backtest(t, held, func(b *replay.Backtest) { b.Most = 2 }) }
	if one, two := sampled(), sampled(); one.Stored != 5 || !reflect.DeepEqual(one, two) {
		t.Errorf("two samples differ:\n%+v\n%+v", one, two)
	}

	write("cut.json", seller("B000000007", fourYears)[:300])
	if _, err := replay.ProductsIn(dir, keepa.DomainCom); err == nil || !strings.Contains(err.Error(), "cut.json") {
		t.Errorf("a file that is not JSON: %v", err)
	}
}

func TestStoredAnswersAreScoredAsFilesAre(t *testing.T) {
	t.Parallel()
	_, b := streams.Open(t)
	old, young := seller("B000000001", fourYears-100*24*60), seller("B000000001", fourYears)
	old = strings.Replace(old, `"csv"`, `"stats":{"current":[-1,-1,2000]},"csv"`, 1)
	for i, a := range []responses.Answer{
		{Domain: 1, Kind: pipeline.KindPeek, Key: "B000000001", Body: []byte(old)},
		{Domain: 1, Kind: pipeline.KindPeek, Key: "B000000002", Body: []byte(seller("B000000002", fourYears))},
		{Domain: 1, Kind: pipeline.KindCommit, Key: "B000000001", Body: []byte(young)},
		{Domain: 1, Kind: pipeline.KindPeek, Key: "B000000001", Body: []byte(`{"asin":"B000000001","csv":null}`)},
		{Domain: 1, Kind: pipeline.KindSeller, Key: "A1", Body: []byte(`{}`)},
		{Domain: 5, Kind: pipeline.KindPeek, Key: "B000000009", Body: []byte(seller("B000000009", fourYears))},
	} {
		a.RequestID, a.Cost = fmt.Sprint("claim", i), 1
		if _, err := responses.Put(t.Context(), b, []responses.Answer{a}); err != nil {
			t.Fatal(err)
		}
	}
	held, err := replay.ProductsOn(t.Context(), b, keepa.DomainCom)
	if err != nil {
		t.Fatal(err)
	}
	s := backtest(t, held, nil)
	if s.Stored != 2 || s.Books != 2 || s.NoHistory != 0 || s.Unreadable != 0 || s.Apart.Scored != 1 || s.Months == 0 || s.RatioP50 == nil {
		t.Errorf("%+v", s)
	}

	dir := t.TempDir()
	for i, body := range []string{old, young, seller("B000000002", fourYears)} {
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprint(i, ".json")), []byte(body), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	files, err := replay.ProductsIn(dir, keepa.DomainCom)
	if err != nil {
		t.Fatal(err)
	}
	stored, _ := json.Marshal(s)
	if read, _ := json.Marshal(backtest(t, files, nil)); !bytes.Equal(stored, read) {
		t.Errorf("stored and in files:\n%s\n%s", stored, read)
	}
	var out bytes.Buffer
	if err := s.Write(&out, keepa.DomainCom.Currency()); err != nil || !strings.Contains(out.String(), "Too little to tell") {
		t.Errorf("%v\n%s", err, &out)
	}
}
