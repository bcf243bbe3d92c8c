package docs_test

import (
	"os"
	"path/filepath"
	"testing"

	"ratchet/pipeline/platform/roles"
)

// TestWhatComesFromTheTableOfRolesIsCurrent writes the page and the server's configuration.
func TestWhatComesFromTheTableOfRolesIsCurrent(t *testing.T) {
	for name, got := range map[string]string{
		"roles.md": wrapped(roles.Page()),
		filepath.Join("..", "deploy", "nats", "nats.conf"):                roles.Config(),
		filepath.Join("..", "deploy", "kubernetes", "files", "nats.conf"): roles.Config(), // kustomize reads no files beside its directory
		filepath.Join("..", "deploy", "clickhouse", "users.sql"):          roles.RightsSQL(),
		filepath.Join("..", "deploy", "clickhouse", "users.xml"):          roles.RightsXML(),
	} {
		if *update {
			if err := os.WriteFile(name, []byte(got), 0o644); err != nil {
				t.Fatal(err)
			}
			continue
		}
		want, err := os.ReadFile(name)
		if err != nil {
			t.Fatalf("%v; run `make golden`", err)
		}
		if got != string(want) {
			t.Errorf("%s is not what pipeline/platform/roles says; run `make golden` and read the difference\n%s", name, difference(string(want), got))
		}
	}
}
