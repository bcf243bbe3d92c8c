package process

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/sethvargo/go-envconfig"

	"ratchet/pipeline/text/complaint"
)

// Secret is a string that no log, error or encoder prints.
type Secret string

const redacted = "[secret]"

// Reveal returns the secret itself, for the code that sends it.
func (s Secret) Reveal() string { return string(s) }

// String keeps fmt from printing the secret.
func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return redacted
}

// GoString keeps %#v from printing the secret.
func (s Secret) GoString() string { return s.String() }

// LogValue keeps slog from printing the secret.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// MarshalText keeps encoders from printing the secret, nested or not.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// secrets are the variables that hold a secret. Each may also come from the file in NAME_FILE, or from the
// systemd credential with its name in lower case. Addresses are included because they may hold a password.
var secrets = []string{"KEEPA_API_KEY", "NATS_PASSWORD", "NATS_URL", "CLICKHOUSE_PASSWORD", "CLICKHOUSE_URL", "NOTIFY_TARGETS", "PAGE_PASSWORD", "OTEL_EXPORTER_OTLP_HEADERS"}

// credentials is the variable with systemd's directory of a unit's credentials.
const credentials = "CREDENTIALS_DIRECTORY"

// sealed holds the secrets that Seal removed from the environment
// of this process. Only Seal writes it, before anything else runs.
var sealed = map[string]string{}

// Seal protects the secrets of this process; every main calls it first. No child inherits
// them. Where the system supports it, no other process of the same user can read the
// environment or the memory without the right to trace any process, and no core is dumped.
// The environment of a parent such as a shell or `go run` keeps what it was given.
func Seal() error {
	has := os.Getenv(credentials) != ""
	for _, name := range secrets {
		value, set := os.LookupEnv(name)
		if set {
			sealed[name] = value
			if err := os.Unsetenv(name); err != nil {
				return fmt.Errorf("take %s out of the environment: %w", name, err)
			}
		}
		has = has || set || os.Getenv(name+"_FILE") != ""
	}
	if !has {
		return nil
	}
	return hide()
}

// Environment returns the environment of this process, including the secrets that Seal removed from it.
func Environment() envconfig.Lookuper {
	return envconfig.MultiLookuper(envconfig.MapLookuper(sealed), envconfig.OsLookuper())
}

// Find returns a secret from its variable, from the file in NAME_FILE or from a systemd credential,
// whichever exists first; false without any. An empty one is an error, because it is never intended.
func Find(from envconfig.Lookuper, name string) (Secret, bool, error) {
	value, ok, err := Lookup(from, name)
	if err == nil && ok && value == "" {
		return "", false, Usagef("%s is set and empty: set %s, or unset it", name, name)
	}
	return Secret(value), ok, err
}

// Lookup returns a variable; a secret is looked up as by Find.
func Lookup(from envconfig.Lookuper, name string) (value string, ok bool, err error) {
	var failed error
	value, ok = withFiles{from, &failed}.Lookup(name)
	if failed != nil {
		return "", false, &UsageError{Err: failed}
	}
	return value, ok, nil
}

// withFiles reads secrets from files as well.
type withFiles struct {
	envconfig.Lookuper
	failed *error
}

// Lookup implements envconfig.Lookuper.
func (f withFiles) Lookup(name string) (string, bool) {
	value, ok := f.Lookuper.Lookup(name)
	if ok || !slices.Contains(secrets, name) {
		return value, ok
	}
	file, variable := f.file(name)
	if file == "" {
		return "", false
	}
	value, err := readSecret(file)
	switch {
	case variable == credentials && errors.Is(err, fs.ErrNotExist):
		return "", false
	case err != nil:
		*f.failed = fmt.Errorf("%s: %w", variable, err)
	}
	return value, err == nil
}

// file returns the file that holds a secret, and the variable that names the file; both empty if there is none.
func (f withFiles) file(name string) (file, variable string) {
	if file, _ = f.Lookuper.Lookup(name + "_FILE"); file != "" {
		return file, name + "_FILE"
	}
	if dir, _ := f.Lookuper.Lookup(credentials); dir != "" {
		return filepath.Join(dir, strings.ToLower(name)), credentials
	}
	return "", ""
}

// readSecret returns the content of a file without surrounding white space.
func readSecret(file string) (string, error) {
	body, err := readSome(file)
	if err == nil && len(body) > complaint.MaxBytes {
		err = fmt.Errorf("%s is too long for a secret", file)
	}
	return strings.TrimSpace(string(body)), err
}
