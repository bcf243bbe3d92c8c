// Package compose_test reads compose.yaml as docker compose would, and holds it
// against the commands and the manual of the configuration.
package compose_test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/compose-spec/compose-go/v2/cli"
	"github.com/compose-spec/compose-go/v2/dotenv"
	"github.com/compose-spec/compose-go/v2/types"
	"github.com/nats-io/nats-server/v2/server"
)

// root is the module's root.
var root = filepath.Join("..", "..")

// load is the project with these variables set, as docker compose reads it.
func load(t *testing.T, env map[string]string) (*types.Project, error) {
	t.Helper()
	opts, err := cli.NewProjectOptions(
		[]string{filepath.Join(root, "compose.yaml")},
		cli.WithProfiles(strings.FieldsFunc(env["COMPOSE_PROFILES"], func(r rune) bool { return r == ',' })),
		func(o *cli.ProjectOptions) error { o.Environment = env; return nil },
	)
	if err != nil {
		t.Fatal(err)
	}
	return opts.LoadProject(t.Context())
}

// worlds are the two ways to start it: the variables set, and the services then
// expected of our image.
func worlds(t *testing.T) map[string]map[string]string {
	t.Helper()
	sim, err := dotenv.Read(filepath.Join(root, "deploy", "sim.env"))
	if err != nil {
		t.Fatal(err)
	}
	return map[string]map[string]string{"real": {"KEEPA_API_KEY": "k"}, "sim": sim}
}

func eachService(t *testing.T, f func(t *testing.T, s types.ServiceConfig)) {
	t.Helper()
	for world, env := range worlds(t) {
		p, err := load(t, env)
		if err != nil {
			t.Fatalf("%s: %v", world, err)
		}
		for name, s := range p.Services {
			t.Run(world+"/"+name, func(t *testing.T) { f(t, s) })
		}
	}
}

func TestBothWorldsHaveTheirServices(t *testing.T) {
	want := []string{"clickhouse", "committer", "nats", "peeker", "recorder", "tokend", "watermarker"}
	for world, env := range worlds(t) {
		p, err := load(t, env)
		if err != nil {
			t.Fatalf("%s: %v", world, err)
		}
		expected := want
		if world == "sim" {
			expected = append([]string{"keepasim"}, want...)
			slices.Sort(expected)
		}
		got := p.ServiceNames()
		slices.Sort(got)
		if !slices.Equal(got, expected) {
			t.Errorf("%s: services %v, want %v", world, got, expected)
		}
	}
}

func TestWithoutAKeyTheErrorNamesTheWayOut(t *testing.T) {
	_, err := load(t, map[string]string{})
	if err == nil || !strings.Contains(err.Error(), "KEEPA_API_KEY") || !strings.Contains(err.Error(), "deploy/sim.env") {
		t.Errorf("got %v, want an error that names KEEPA_API_KEY and deploy/sim.env", err)
	}
}

func TestEveryServiceOfOursRunsACommandOfThisRepository(t *testing.T) {
	eachService(t, func(t *testing.T, s types.ServiceConfig) {
		if !ours(s) {
			return
		}
		if len(s.Command) == 0 {
			t.Fatal("no command")
		}
		binary, found := strings.CutPrefix(s.Command[0], "/bin/")
		if !found || binary != s.Name {
			t.Errorf("command %v, want /bin/%s", s.Command, s.Name)
		}
		if _, err := os.Stat(filepath.Join(root, "cmd", binary, "main.go")); err != nil {
			t.Error(err)
		}
	})
}

func TestEveryVariableIsInTheManualAndNoneIsEmpty(t *testing.T) {
	manual, err := os.ReadFile(filepath.Join(root, "docs", "config.md"))
	if err != nil {
		t.Fatal(err)
	}
	eachService(t, func(t *testing.T, s types.ServiceConfig) {
		if !ours(s) {
			return
		}
		for name, value := range s.Environment {
			line := regexp.MustCompile("(?m)^\\| `" + name + "` .*$").FindString(string(manual))
			switch {
			case line == "":
				t.Errorf("%s is not in docs/config.md", name)
			case !strings.Contains(line, s.Name) && !strings.Contains(line, "every process"):
				t.Errorf("%s does not read %s, says docs/config.md: %s", s.Name, name, line)
			}
			if value == nil || *value == "" {
				t.Errorf("%s is passed on empty", name)
			}
		}
	})
}

func TestEveryServiceOfOursIsUnprivilegedAndCheckedAndHasTimeToStop(t *testing.T) {
	eachService(t, func(t *testing.T, s types.ServiceConfig) {
		if s.HealthCheck == nil || len(s.HealthCheck.Test) == 0 || s.HealthCheck.Disable {
			t.Error("no healthcheck")
		}
		if s.StopGracePeriod == nil {
			t.Error("no stop_grace_period: a step that takes longer than the default would be killed")
		}
		if !ours(s) {
			return
		}
		if user, _, _ := strings.Cut(s.User, ":"); user == "" || user == "0" || user == "root" {
			t.Errorf("user %q, want somebody without rights", s.User)
		}
		want := "CMD /bin/" + s.Name + " --check"
		if s.Name == "keepasim" {
			want = "CMD wget -q -O /dev/null http://127.0.0.1:8765/token?key=health"
		}
		if got := strings.Join(s.HealthCheck.Test, " "); got != want {
			t.Errorf("healthcheck %q, want %q", got, want)
		}
	})
}

func TestDaemonsStartAfterTheirDoorsAreHealthy(t *testing.T) {
	eachService(t, func(t *testing.T, s types.ServiceConfig) {
		if !ours(s) || s.Name == "keepasim" {
			return
		}
		doors := []string{"nats"}
		if strings.HasPrefix(t.Name(), "TestDaemonsStartAfterTheirDoorsAreHealthy/sim") {
			doors = append(doors, "keepasim")
		}
		if s.Name == "recorder" {
			doors = append(doors, "clickhouse")
		}
		for _, d := range doors {
			if s.DependsOn[d].Condition != types.ServiceConditionHealthy {
				t.Errorf("does not wait for a healthy %s", d)
			}
		}
	})
}

func TestPeekersAndCommittersWorkSideBySide(t *testing.T) {
	eachService(t, func(t *testing.T, s types.ServiceConfig) {
		if s.Name != "peeker" && s.Name != "committer" {
			return
		}
		if s.Deploy == nil || s.Deploy.Replicas == nil || *s.Deploy.Replicas < 2 {
			t.Error("want at least 2 replicas")
		}
	})
}

func TestTheSimulatedWorldReachesTheSimulatedKeepa(t *testing.T) {
	p, err := load(t, worlds(t)["sim"])
	if err != nil {
		t.Fatal(err)
	}
	for name, s := range p.Services {
		if v := s.Environment["KEEPA_URL"]; v != nil && !strings.HasPrefix(*v, "http://keepasim:") {
			t.Errorf("%s talks to %s", name, *v)
		}
	}
}

func TestNATSTakesTheConfigurationAndSyncsEveryWrite(t *testing.T) {
	p, err := load(t, worlds(t)["real"])
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "nats.conf")
	if err := os.WriteFile(file, []byte(p.Configs["nats"].Content), 0o600); err != nil {
		t.Fatal(err)
	}
	o, err := server.ProcessConfigFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !o.JetStream || !o.SyncAlways || o.MaxPayload != 8<<20 || o.HTTPPort != 8222 || o.StoreDir != "/data" {
		t.Errorf("JetStream %v, sync always %v, max payload %d, monitoring %d, store %q; want true, true, %d, 8222, /data",
			o.JetStream, o.SyncAlways, o.MaxPayload, o.HTTPPort, o.StoreDir, 8<<20)
	}
}

func TestTheImageIsStaticAndNobodyRuns(t *testing.T) {
	body, err := os.ReadFile(filepath.Join(root, "Dockerfile"))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"CGO_ENABLED=0", "\nUSER 65532:65532\n", "\nFROM busybox:", "./cmd/..."} {
		if !strings.Contains(string(body), want) {
			t.Errorf("Dockerfile has no %q", strings.TrimSpace(want))
		}
	}
}

// ours tells the services of our image from the servers beside them.
func ours(s types.ServiceConfig) bool { return s.Image == "ratchet" }
