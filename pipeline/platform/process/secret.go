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

// Reveal is the secret itself. Only the code that sends it calls this.
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

// secrets are the variables that hold a secret. Each may also come from the file that NAME_FILE names, or from the
// credential of systemd that has its name in lower case. An address is one because it may hold a password.
var secrets = []string{"KEEPA_API_KEY", "NATS_PASSWORD", "NATS_URL", "CLICKHOUSE_PASSWORD", "CLICKHOUSE_URL", "NOTIFY_TARGETS"}

// credentials is the variable in which systemd names the directory of a unit's credentials.
const credentials = "CREDENTIALS_DIRECTORY"

// sealed are the secrets that Seal took out of the environment of this process. Only Seal writes it, before anything else
// runs.
var sealed = map[string]string{}

// Seal keeps the secrets of this process to itself, first thing in every main: no child inherits them, and where the
// system can do that no other process of the same user reads the environment or the memory without the right to trace
// any process, and no core is dumped. What a shell or `go run` was given stays in their own environment.
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

// Environment is the environment of this process, with the secrets that Seal took out of it.
func Environment() envconfig.Lookuper {
	return envconfig.MultiLookuper(envconfig.MapLookuper(sealed), envconfig.OsLookuper())
}

// Find is a secret from its variable, from the file that NAME_FILE names or from a credential of systemd, the first of
// these that is there; false where none is. One that is empty is an error: nobody means that.
func Find(from envconfig.Lookuper, name string) (Secret, bool, error) {
	value, ok, err := Lookup(from, name)
	if err == nil && ok && value == "" {
		return "", false, Usagef("%s is set and empty: set %s, or unset it", name, name)
	}
	return Secret(value), ok, err
}

// Lookup is a variable, which may be one of the secrets and then be found as Find finds it.
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

// file is the file that holds a secret, and the variable that says so; empty where none does.
func (f withFiles) file(name string) (file, variable string) {
	if file, _ = f.Lookuper.Lookup(name + "_FILE"); file != "" {
		return file, name + "_FILE"
	}
	if dir, _ := f.Lookuper.Lookup(credentials); dir != "" {
		return filepath.Join(dir, strings.ToLower(name)), credentials
	}
	return "", ""
}

// readSecret is what a file holds, without the space around it.
func readSecret(file string) (string, error) {
	body, err := readSome(file)
	if err == nil && len(body) > complaint.MaxBytes {
		err = fmt.Errorf("%s is too long for a secret", file)
	}
	return strings.TrimSpace(string(body)), err
}
