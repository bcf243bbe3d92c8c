// Package systemd_test holds the units of deploy/systemd against systemd itself, the commands and the manual of the
// configuration.
package systemd_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"ratchet/pipeline/platform/machinetest"
)

var root = filepath.Join("..", "..", "..")

// units are the files by name.
func units(t *testing.T) map[string]string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(root, "deploy", "systemd", "*.service"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no units: %v", err)
	}
	out := map[string]string{}
	for _, f := range files {
		body, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		out[filepath.Base(f)] = string(body)
	}
	return out
}

// analyze is the path of systemd-analyze. Where there is none the test is skipped, or fails if CI=true.
func analyze(t *testing.T) string {
	t.Helper()
	path, err := exec.LookPath("systemd-analyze")
	if err != nil {
		machinetest.Lacks(t, "no systemd-analyze: install the package systemd")
	}
	return path
}

// installed are the units as files, with a program that exists in place of ours.
func installed(t *testing.T) (files []string) {
	t.Helper()
	program, err := exec.LookPath("true")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for name, body := range units(t) {
		body = regexp.MustCompile(`(?m)^ExecStart=\S+`).ReplaceAllString(body, "ExecStart="+program)
		file := filepath.Join(dir, strings.Replace(name, "@.", "@1.", 1))
		if err := os.WriteFile(file, []byte(body), 0o644); err != nil { //nolint:gosec // a unit, for a program that reads it
			t.Fatal(err)
		}
		files = append(files, file)
	}
	return files
}

func TestSystemdTakesEveryUnit(t *testing.T) {
	out, err := exec.CommandContext(t.Context(), analyze(t), append([]string{"verify", "--man=no", "--recursive-errors=yes"}, installed(t)...)...).CombinedOutput()
	if err != nil || strings.TrimSpace(string(out)) != "" {
		t.Errorf("%v\n%s", err, out)
	}
}

// exposure is the most that `systemd-analyze security` may say of a unit, in tenths: 0 is everything forbidden, 100
// nothing.
const exposure = 25

func TestEveryUnitIsHardened(t *testing.T) {
	for _, file := range installed(t) {
		out, err := exec.CommandContext(t.Context(), analyze(t), "security", "--offline=yes", "--no-pager", fmt.Sprintf("--threshold=%d", exposure), file).CombinedOutput()
		if err != nil {
			t.Errorf("%s: %v\n%s", filepath.Base(file), err, out)
		}
	}
}

// A unit may lose one of these and stay below the threshold.
func TestNoUnitLosesWhatKeepsOthersOut(t *testing.T) {
	for name, body := range units(t) {
		for _, line := range []string{"NoNewPrivileges=yes", "CapabilityBoundingSet=", "ProtectSystem=strict", "ProtectHome=yes", "ProtectProc=invisible", "PrivateTmp=yes", "UMask=0077"} {
			if !strings.Contains(body, "\n"+line+"\n") {
				t.Errorf("%s has no %s", name, line)
			}
		}
	}
}

// Two daemons of a machine cannot share METRICS_ADDR, so each instance has a file of its own, which is read last.
func TestEveryUnitReadsTheSharedFileAndThenItsOwn(t *testing.T) {
	for name, body := range units(t) {
		want := []string{"-/etc/ratchet/ratchet.env", "-/etc/ratchet/%N.env"}
		if name == "ratchet.service" { // its own is the shared one
			want = want[:1]
		}
		var have []string
		for _, line := range regexp.MustCompile(`(?m)^EnvironmentFile=(.*)$`).FindAllStringSubmatch(body, -1) {
			have = append(have, line[1])
		}
		if !slices.Equal(have, want) {
			t.Errorf("%s reads %q, want %q", name, have, want)
		}
	}
}

func TestOnlyWhatCallsKeepaHasItsKey(t *testing.T) {
	calls := []string{"ratchet.service", "ratchet-tokend.service", "ratchet-watermarker.service", "ratchet-peeker@.service", "ratchet-committer@.service"}
	key := regexp.MustCompile(`(?mi)^(LoadCredential|SetCredential|Environment)\w*=keepa.api.key`)
	for name, body := range units(t) {
		if has, want := key.MatchString(body), slices.Contains(calls, name); has != want {
			t.Errorf("%s has the key: %t, want %t", name, has, want)
		}
	}
}

func TestEveryUnitRunsACommandOfThisRepositoryWithVariablesOfTheManual(t *testing.T) {
	manual, err := os.ReadFile(filepath.Join(root, "docs", "config.md"))
	if err != nil {
		t.Fatal(err)
	}
	for name, body := range units(t) {
		start := regexp.MustCompile(`(?m)^ExecStart=/usr/local/bin/(\S+)`).FindStringSubmatch(body)
		if start == nil {
			t.Errorf("%s: no ExecStart below /usr/local/bin", name)
			continue
		}
		if _, err := os.Stat(filepath.Join(root, "cmd", start[1], "main.go")); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		for _, line := range regexp.MustCompile(`(?m)^Environment=(.*)$`).FindAllStringSubmatch(body, -1) {
			for _, pair := range strings.Fields(line[1]) {
				variable, value, _ := strings.Cut(pair, "=")
				if value == "" || variable != "HOME" && variable != "XDG_CACHE_HOME" && !strings.Contains(string(manual), "\n## "+variable+"\n") {
					t.Errorf("%s: %s is empty, or not in docs/config.md", name, pair)
				}
			}
		}
		if regexp.MustCompile(`(?m)^Environment=\S*(PASSWORD|KEY)=`).MatchString(body) {
			t.Errorf("%s: a secret stands in the unit", name)
		}
	}
}
