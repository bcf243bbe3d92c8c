package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"ratchet/test/captured"
)

// bestseller sells so often, new, that its rank confirms anything.
const bestseller = "0593655036"

// atHand is a directory with the captured books for which the bars were set; other captures may lie beside them.
func atHand(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for _, asin := range []string{
		"0135048761", "1496849574", "1580626130", "1593694512", "184297291X", "193288436X", "1954966032", "B0CS6RL7D6", bestseller,
	} {
		files, err := filepath.Glob(filepath.Join(captured.Dir(t), "product", "*"+asin+"*"))
		if err != nil || len(files) == 0 {
			t.Fatalf("%s was not captured: %v", asin, err)
		}
		for _, f := range files {
			full, err := filepath.Abs(f)
			if err == nil {
				err = os.Symlink(full, filepath.Join(dir, filepath.Base(f)))
			}
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	return dir
}

func TestTheRulesEarnOnTheCapturedBooks(t *testing.T) {
	var out, errOut bytes.Buffer
	args := []string{"backtest", "--captures", atHand(t), "--without", bestseller, "--json"}
	if code := run(args, &out, &errOut); code != 0 {
		t.Fatalf("exit %d: %s", code, &errOut)
	}
	// A figure that is missing or null fails: it is then not a number between the bars.
	var got map[string]any
	if err := json.Unmarshal(out.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	for name, bar := range map[string][2]float64{
		"target_version": {1, 1}, "books": {5, 5}, "months": {266, 266}, "sales": {504, 504}, "drops": {92, 92},
		"precision_moved": {0.65, 1},
		"ratio_p10":       {0, 1}, "ratio_p50": {0.72, 1.10}, "ratio_p90": {0, 2.3}, "mean_abs_ln": {0, 0.46}, "no_sale_95": {0, 0.20},
		"loss_gap": {-0.13, 0.13}, "auc": {0.75, 1},
		"accepted": {20, 100}, "made_per_buy_cents": {500, 10_000}, "losing_share": {0, 1.0 / 3},
		"made_cents": {20 * 500, 1e6}, "predicted_cents": {0, 1e6},
		"drops_accepted_share": {0, 0.10}, "drops_made_cents": {0, 1e6}, "drops_losing_share": {0, 0.5},
	} {
		if v, ok := got[name].(float64); !ok || v < bar[0] || v > bar[1] {
			t.Errorf("%s: %v, want from %v to %v", name, got[name], bar[0], bar[1])
		}
	}
	if got["enough"] != false {
		t.Errorf("enough: %v, of five books", got["enough"])
	}
}
