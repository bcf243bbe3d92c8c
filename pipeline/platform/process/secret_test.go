package process

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sethvargo/go-envconfig"
)

func TestASecretComesFromItsVariableAFileOrACredential(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for name, body := range map[string]string{"key": "in-the-file\n", "keepa_api_key": " of systemd \n", "nats_url": "nats://u:p@h:4222\n", "empty": "\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(body), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "long"), []byte(strings.Repeat("x", 1<<20)), 0o600); err != nil {
		t.Fatal(err)
	}
	file := func(name string) string { return filepath.Join(dir, name) }
	for name, c := range map[string]struct {
		env   map[string]string
		find  string
		want  string
		found bool
		fails string
	}{
		"nowhere":                        {nil, "KEEPA_API_KEY", "", false, ""},
		"the variable before the file":   {map[string]string{"KEEPA_API_KEY": "set", "KEEPA_API_KEY_FILE": file("key")}, "KEEPA_API_KEY", "set", true, ""},
		"the file before the credential": {map[string]string{"KEEPA_API_KEY_FILE": file("key"), "CREDENTIALS_DIRECTORY": dir}, "KEEPA_API_KEY", "in-the-file", true, ""},
		"the credential":                 {map[string]string{"CREDENTIALS_DIRECTORY": dir}, "KEEPA_API_KEY", "of systemd", true, ""},
		"a credential for another":       {map[string]string{"CREDENTIALS_DIRECTORY": dir}, "NATS_PASSWORD", "", false, ""},
		"an address":                     {map[string]string{"CREDENTIALS_DIRECTORY": dir}, "NATS_URL", "nats://u:p@h:4222", true, ""},
		"no secret":                      {map[string]string{"KEEPA_TIMEOUT_FILE": file("key")}, "KEEPA_TIMEOUT", "", false, ""},
		"set and empty":                  {map[string]string{"KEEPA_API_KEY": ""}, "KEEPA_API_KEY", "", false, "set and empty"},
		"an empty file":                  {map[string]string{"KEEPA_API_KEY_FILE": file("empty")}, "KEEPA_API_KEY", "", false, "set and empty"},
		"a long file":                    {map[string]string{"KEEPA_API_KEY_FILE": file("long")}, "KEEPA_API_KEY", "", false, "too long"},
		"a file that is not there":       {map[string]string{"CLICKHOUSE_PASSWORD_FILE": file("no")}, "CLICKHOUSE_PASSWORD", "", false, "CLICKHOUSE_PASSWORD_FILE"},
	} {
		got, found, err := Find(envconfig.MapLookuper(c.env), c.find)
		var usage *UsageError
		if c.fails != "" && (!errors.As(err, &usage) || !strings.Contains(err.Error(), c.fails)) || c.fails == "" && err != nil {
			t.Errorf("%s: error %v, want %q", name, err, c.fails)
		}
		if got.Reveal() != c.want || found != c.found {
			t.Errorf("%s: %q, %v; want %q, %v", name, got.Reveal(), found, c.want, c.found)
		}
	}
}

// all has a field for each secret.
type all struct {
	Key       Secret `env:"KEEPA_API_KEY"`
	Password  Secret `env:"NATS_PASSWORD"`
	URL       string `env:"NATS_URL, default=nats://127.0.0.1:4222"`
	Warehouse string `env:"CLICKHOUSE_URL, default=http://127.0.0.1:8123"`
	Login     Secret `env:"CLICKHOUSE_PASSWORD"`
}

func (all) Validate() error { return nil }

func TestEverySecretOfAConfigurationMayBeAFile(t *testing.T) {
	t.Parallel()
	env := map[string]string{}
	for _, name := range secrets {
		at := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(at, []byte("of "+name+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		env[name+"_FILE"] = at
	}
	got, err := Load[all](context.Background(), envconfig.MapLookuper(env))
	want := all{"of KEEPA_API_KEY", "of NATS_PASSWORD", "of NATS_URL", "of CLICKHOUSE_URL", "of CLICKHOUSE_PASSWORD"}
	if err != nil || got != want {
		t.Errorf("%#v, %v", got, err)
	}
}

func TestASealedSecretIsFoundAndNotInherited(t *testing.T) {
	t.Setenv("NATS_PASSWORD", "hunter2")
	t.Cleanup(func() { clear(sealed) })
	if err := Seal(); err != nil {
		t.Fatal(err)
	}
	if value, set := os.LookupEnv("NATS_PASSWORD"); set {
		t.Errorf("a child would inherit %q", value)
	}
	if got, found, err := Find(Environment(), "NATS_PASSWORD"); got.Reveal() != "hunter2" || !found || err != nil {
		t.Errorf("%q, %v, %v", got.Reveal(), found, err)
	}
}
