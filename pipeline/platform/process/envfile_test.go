package process

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"runtime"
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
	if err := ReadEnv(file, io.Discard); err != nil {
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
		if err := ReadEnv(file, io.Discard); ExitCode(err) != ExitUsage || !strings.Contains(err.Error(), "line 2") || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%q: %v", text, err)
		}
	}
	if err := ReadEnv(file+"no", io.Discard); ExitCode(err) != ExitUsage || !strings.Contains(err.Error(), "ratchet init") {
		t.Errorf("a file that is not there: %v", err)
	}
}

func TestAFileWithASecretThatOthersCanReadIsReported(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("this system has no modes")
	}
	for _, name := range []string{"KEEPA_API_KEY", "KEEPA_API_KEY_FILE", "NATS_URL", "LOG_LEVEL"} {
		t.Setenv(name, "of the environment") // which wins, so that nothing is sealed
	}
	file := filepath.Join(t.TempDir(), "env")
	for _, c := range []struct {
		text  string
		mode  os.FileMode
		warns bool
	}{
		{"LOG_LEVEL=debug\nKEEPA_API_KEY=hunter2\nKEEPA_API_KEY=hunter2\n", 0o644, true},
		{"KEEPA_API_KEY=hunter2\n", 0o640, true},
		{"KEEPA_API_KEY=hunter2\n", 0o604, true},
		{"KEEPA_API_KEY=hunter2\n", 0o600, false},
		{"#KEEPA_API_KEY=hunter2\nKEEPA_API_KEY=\nKEEPA_API_KEY_FILE=/hunter2\nNATS_URL=nats://127.0.0.1\n", 0o644, false},
		{"NATS_URL=nats://ratchet:hunter2@127.0.0.1\n", 0o644, true},
	} {
		if err := errors.Join(os.WriteFile(file, []byte(c.text), 0o600), os.Chmod(file, c.mode)); err != nil {
			t.Fatal(err)
		}
		var said strings.Builder
		if err := ReadEnv(file, &said); err != nil {
			t.Fatal(err)
		}
		want := ""
		if c.warns {
			want = "ratchet: other users can read the secrets in " + file + ": chmod 600 " + file + "\n"
		}
		if said.String() != want {
			t.Errorf("%q with mode %o: got %q, want %q", c.text, c.mode, said.String(), want)
		}
	}
}
