package reference

import (
	"compress/gzip"
	"io"
	"os"
	"path/filepath"
	"testing"

	"ratchet/pipeline/keepa"
	"ratchet/test/captured"
)

// Captured are the captured products of amazon.com, in the order of their files. It has answers that a product has
// several of; a file without a product is passed over.
func Captured(t testing.TB) []keepa.Product {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(captured.Dir(t), "product", "*.json.gz"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no captured product: %v", err)
	}
	var out []keepa.Product
	for _, f := range files {
		for _, p := range read(t, f) {
			if p.Domain == keepa.DomainCom {
				out = append(out, p)
			}
		}
	}
	return out
}

func read(t testing.TB, file string) []keepa.Product {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	if _, ps, err := keepa.DecodeProducts(body); err == nil && len(ps) > 0 {
		return ps
	}
	p, err := keepa.DecodeProduct(body)
	if err != nil {
		return nil // an answer without a product
	}
	return []keepa.Product{p}
}
