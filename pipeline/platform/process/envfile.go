package process

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"regexp"
	"runtime"
	"slices"
	"strings"
)

var variableForm = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// ReadEnv adds the variables of a file to the environment of this process: NAME=VALUE, one a
// line, as in docker's env files. Empty lines and those that begin with # are skipped, and
// quotes around a value are removed. A variable that is already set keeps its value, and secrets
// are sealed as by Seal. The error is a UsageError that names the line and never its content.
// A file with a secret that other users can read is reported to warnings, in one line.
func ReadEnv(file string, warnings io.Writer) error {
	body, err := readSome(file)
	if errors.Is(err, fs.ErrNotExist) {
		return Usagef("--env-file: there is no %s; `ratchet init` writes an example", file)
	}
	if err != nil {
		return Usagef("--env-file: %w", err)
	}
	found, holds := false, false
	lines := bufio.NewScanner(bytes.NewReader(body))
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimSpace(strings.TrimPrefix(strings.TrimSpace(lines.Text()), "export "))
		if line == "" || line[0] == '#' {
			continue
		}
		name, value, ok := strings.Cut(line, "=")
		if name = strings.TrimSpace(name); !ok || !variableForm.MatchString(name) {
			return Usagef("--env-file: %s, line %d: want NAME=VALUE", file, n)
		}
		value = unquoted(strings.TrimSpace(value))
		secret, err := add(name, value)
		if err != nil {
			return Usagef("--env-file: %s, line %d: %s cannot be set", file, n, name)
		}
		found, holds = found || secret, holds || isSecret(name, value)
	}
	if lines.Err() != nil {
		return Usagef("--env-file: %s: a line is too long", file)
	}
	if holds && readByOthers(file) {
		fmt.Fprintf(warnings, "ratchet: other users can read the secrets in %[1]s: chmod 600 %[1]s\n", file)
	}
	if found {
		return hide()
	}
	return nil
}

// add sets a variable that is not set, and reports whether it holds a secret or the location of one.
func add(name, value string) (secret bool, err error) {
	if _, set := Environment().Lookup(name); set {
		return false, nil
	}
	if slices.Contains(secrets, name) {
		if _, set := Environment().Lookup(name + "_FILE"); !set {
			sealed[name] = value
		}
		return true, nil
	}
	return slices.Contains(secrets, strings.TrimSuffix(name, "_FILE")), os.Setenv(name, value)
}

// isSecret reports whether a variable holds a secret. An address holds one only with a password or a token in it.
func isSecret(name, value string) bool {
	if !slices.Contains(secrets, name) || value == "" {
		return false
	}
	return !strings.HasSuffix(name, "_URL") || strings.Contains(value, "@") || strings.Contains(value, "password=")
}

// readByOthers reports whether the mode of a file lets its group or others read it. Windows has no such modes.
func readByOthers(file string) bool {
	fi, err := os.Stat(file)
	return err == nil && runtime.GOOS != "windows" && fi.Mode().IsRegular() && fi.Mode().Perm()&0o044 != 0
}

// unquoted removes the quotes around a value.
func unquoted(value string) string {
	if n := len(value); n >= 2 && (value[0] == '"' || value[0] == '\'') && value[n-1] == value[0] {
		return value[1 : n-1]
	}
	return value
}
