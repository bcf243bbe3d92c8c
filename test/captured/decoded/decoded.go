// Package decoded hands captured products to tests.
package decoded

import (
	"testing"

	"ratchet/pipeline/domain/keepa"
	"ratchet/test/captured"
)

// Products calls f with every captured product, in the order of names, those of envelopes one by one.
func Products(t testing.TB, f func(name string, p keepa.Product)) {
	t.Helper()
	captured.Files(t, "product/*.gz", func(name string, body []byte) {
		if _, products, err := keepa.DecodeProducts(body); err == nil && len(products) > 0 {
			for _, p := range products {
				f(name, p)
			}
			return
		}
		p, err := keepa.DecodeProduct(body)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		f(name, p)
	})
}
