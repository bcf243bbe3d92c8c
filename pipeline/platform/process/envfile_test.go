package process

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestAFileOfVariablesFillsInWhatTheEnvironmentDoesNotSay(t *testing.T) {
	for _, name := range []string{"RATCHET_TEST_A", "RATCHET_TEST_B", "NATS_PASSWORD_FILE", "KEEPA_API_KEY", "NATS_PASSWORD"} {
		t.Setenv(name, "") // which restores it at the end
		if err := os.Unsetenv(name); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() { delete(sealed, "KEEPA_API_KEY") })
	t.Setenv("RATCHET_TEST_SET", "mine")
	t.Setenv("NATS_PASSWORD_FILE", "/somewhere")
	file := filepath.Join(t.TempDir(), "env")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("# a comment\n\nRATCHET_TEST_A = \"of the file \"\r\nexport RATCHET_TEST_B='b=c'\nRATCHET_TEST_SET=theirs\nKEEPA_API_KEY=hunter2\nNATS_PASSWORD=theirs\n")
	if err := ReadEnv(file); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"RATCHET_TEST_A": "of the file ", "RATCHET_TEST_B": "b=c", "RATCHET_TEST_SET": "mine", "KEEPA_API_KEY": "hunter2", "NATS_PASSWORD": "",
	} {
		if got, _ := Environment().Lookup(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	if _, leaks := os.LookupEnv("KEEPA_API_KEY"); leaks {
		t.Error("children inherit the secret of the file")
	}
	for _, text := range []string{"A=1\nhunter2\n", "A=1\nhunter2 too=1\n"} {
		write(text)
		if err := ReadEnv(file); ExitCode(err) != ExitUsage || !strings.Contains(err.Error(), "line 2") || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%q: %v", text, err)
		}
	}
	if err := ReadEnv(file + "no"); ExitCode(err) != ExitUsage || !strings.Contains(err.Error(), "ratchet init") {
		t.Errorf("a file that is not there: %v", err)
	}
}
