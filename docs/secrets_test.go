package docs_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sethvargo/go-envconfig"

	env "ratchet/pipeline/platform/process"
)

func TestEverySecretOfTheManualMayBeAFileOrACredential(t *testing.T) {
	dir := t.TempDir()
	known := map[string]bool{}
	for _, v := range collect(t) {
		known[v.name] = true
	}
	for name := range known {
		if strings.HasSuffix(name, "PASSWORD") && !known[name+"_FILE"] {
			t.Errorf("%s has no %s_FILE", name, name)
		}
		secret, is := strings.CutSuffix(name, "_FILE")
		if !is {
			continue
		}
		file := filepath.Join(dir, strings.ToLower(secret))
		if err := os.WriteFile(file, []byte("of "+secret+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		for variable, value := range map[string]string{name: file, "CREDENTIALS_DIRECTORY": dir} {
			got, found, err := env.Find(envconfig.MapLookuper(map[string]string{variable: value}), secret)
			if got.Reveal() != "of "+secret || !found || err != nil {
				t.Errorf("%s from %s: %t, %v", secret, variable, found, err)
			}
		}
	}
}
