package standalone

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"ratchet/pipeline/platform/embedded/access"
	"ratchet/pipeline/platform/process"
)

func TestAContextOfTheNATSCommandIsWrittenOverOursAndNotOverThatOfAnotherServer(t *testing.T) {
	t.Setenv("XDG_CONFIG_HOME", t.TempDir())
	file := filepath.Join(os.Getenv("XDG_CONFIG_HOME"), "nats", "context", "ratchet.json")
	one := &Box{NATSURL: "nats://ratchet:secret@127.0.0.1:4222", o: Options{Data: "/one", NATSAddr: "127.0.0.1:4222"}}
	for range 2 { // the second is over its own
		if err := CheckContext("ratchet", one.o); err != nil {
			t.Fatal(err)
		}
		if got, err := one.WriteContext("ratchet"); err != nil || got != file {
			t.Fatalf("%s, %v", got, err)
		}
	}
	want := natsContext{Description: ours + "/one", URL: "nats://127.0.0.1:4222", User: "ratchet", Password: "secret"}
	if got := readContext(t, file); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	if fi, err := os.Stat(file); err != nil || fi.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", fi.Mode(), err)
	}
	other := &Box{NATSURL: "nats://127.0.0.1:4333", o: Options{Data: "/other", NATSAddr: "127.0.0.1:4333"}}
	if _, err := other.WriteContext("ratchet"); err != nil || readContext(t, file).URL != other.NATSURL {
		t.Errorf("another box does not take over: %v", err)
	}

	const foreign = `{"description":"","url":"nats://127.0.0.1:4222","creds":"mine"}`
	if err := os.WriteFile(file, []byte(foreign), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := one.WriteContext("ratchet"); err != nil {
		t.Errorf("a context of this server that somebody else wrote serves: %v", err)
	}
	if err := CheckContext("ratchet", other.o); process.ExitCode(err) != process.ExitUsage {
		t.Errorf("the context of another server may be overwritten: %v", err)
	}
	if _, err := other.WriteContext("ratchet"); process.ExitCode(err) != process.ExitUsage || !strings.Contains(err.Error(), file) {
		t.Errorf("the error does not name the file: %v", err)
	}
	if body, err := os.ReadFile(file); err != nil || string(body) != foreign {
		t.Errorf("the context of another server became %s (%v)", body, err)
	}
	if left, err := filepath.Glob(filepath.Join(filepath.Dir(file), ".ratchet-*")); err != nil || len(left) > 0 {
		t.Errorf("left: %v, %v", left, err)
	}
}

func TestAContextThatCannotBeIsRefusedBeforeAnythingStarts(t *testing.T) {
	t.Setenv("XDG_CONFIG_HOME", t.TempDir())
	for name, o := range map[string]Options{
		"../escape": {NATSAddr: "127.0.0.1:4222"},
		"":          {NATSAddr: "127.0.0.1:4222"},
		"unheard":   {},
		"secure":    {NATSAddr: "0.0.0.0:4222", TLS: access.TLS{Cert: "c", Key: "k"}},
	} {
		if err := CheckContext(name, o); process.ExitCode(err) != process.ExitUsage {
			t.Errorf("%q: %v", name, err)
		}
	}
}

func readContext(t *testing.T, file string) (c natsContext) {
	t.Helper()
	body, err := os.ReadFile(file)
	if err == nil {
		err = json.Unmarshal(body, &c)
	}
	if err != nil {
		t.Fatal(err)
	}
	return c
}
