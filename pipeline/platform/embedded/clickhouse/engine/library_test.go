package engine_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"ratchet/pipeline/platform/embedded/clickhouse/chtest"
	"ratchet/pipeline/platform/embedded/clickhouse/engine"
)

// loads makes the re-executed test load that library.
const loads = "RATCHET_TEST_LOADS"

func TestLoadForAnotherTest(t *testing.T) {
	lib := os.Getenv(loads)
	if lib == "" {
		t.Skip("it is TestNoLibraryIsSearchedWhereTheBuildersMachineHadIt that runs it")
	}
	if _, err := engine.Load(lib); err != nil {
		t.Fatal(err)
	}
}

// searched matches a search path in the dynamic linker's output, with its owner.
var searched = regexp.MustCompile(`(?m)search path=(.*)$`)

func TestNoLibraryIsSearchedWhereTheBuildersMachineHadIt(t *testing.T) {
	lib := chtest.Library(t)
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	log := filepath.Join(t.TempDir(), "ld")
	cmd := exec.CommandContext(t.Context(), exe, "-test.run=^TestLoadForAnotherTest$")
	cmd.Env = append(cmd.Environ(), loads+"="+lib, "LD_DEBUG=libs", "LD_DEBUG_OUTPUT="+log)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	files, err := filepath.Glob(log + ".*")
	if err != nil || len(files) == 0 {
		t.Fatalf("the dynamic linker says nothing: %v", err)
	}
	for _, f := range files {
		body, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(body), "libm.so.6") {
			t.Errorf("the dynamic linker does not say where it found libm: %.500s", body)
		}
		for _, path := range searched.FindAllStringSubmatch(string(body), -1) {
			if strings.Contains(path[1], "/opt/") {
				t.Errorf("searched %s", path[1])
			}
		}
	}
}
