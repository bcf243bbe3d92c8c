// Package compose_test reads compose.yaml as docker compose would, and holds it
// against the commands and the manual of the configuration.
package compose_test

import (
	"context"
	"crypto/tls"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/compose-spec/compose-go/v2/cli"
	"github.com/compose-spec/compose-go/v2/dotenv"
	"github.com/compose-spec/compose-go/v2/types"
	"github.com/nats-io/nats-server/v2/server"

	"ratchet/pipeline/platform/machinetest"
)

// root is the module's root.
var root = filepath.Join("..", "..", "..")

// load is the project with these variables set, as docker compose reads it.
func load(env map[string]string) (*types.Project, error) {
	files := []string{filepath.Join(root, "compose.yaml")}
	for _, more := range strings.FieldsFunc(env["FILES"], func(r rune) bool { return r == ':' }) {
		files = append(files, filepath.Join(root, more))
	}
	opts, err := cli.NewProjectOptions(
		files,
		cli.WithProfiles(strings.FieldsFunc(env["COMPOSE_PROFILES"], func(r rune) bool { return r == ',' })),
		func(o *cli.ProjectOptions) error { o.Environment = env; return nil },
	)
	if err != nil {
		return nil, err
	}
	return opts.LoadProject(context.Background())
}

// secrets is a directory that deploy/init made.
var secrets string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "ratchet-compose-")
	if err != nil {
		panic(err)
	}
	secrets = filepath.Join(dir, "secrets")
	code := m.Run()
	_ = os.RemoveAll(dir)
	os.Exit(code)
}

// made are the projects of the ways to start it: the variables set, and in FILES the further files. Tests only read
// them.
var made = sync.OnceValues(func() (map[string]*types.Project, error) {
	cmd := exec.CommandContext(context.Background(), "sh", filepath.Join(root, "deploy", "init"))
	cmd.Env = append(os.Environ(), "RATCHET_SECRETS="+secrets, "KEEPA_API_KEY=k", "NOTIFY_TARGETS=slack://token@channel")
	if out, err := cmd.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("deploy/init: %w\n%s", err, out)
	}
	sim, err := dotenv.Read(filepath.Join(root, "deploy", "sim.env"))
	if err != nil {
		return nil, err
	}
	all := map[string]*types.Project{}
	for world, env := range map[string]map[string]string{
		"real": {}, "sim": sim, "page": {"COMPOSE_PROFILES": "page"}, "notify": {"COMPOSE_PROFILES": "notify"}, "cluster": {"FILES": "deploy/compose-cluster.yaml"},
	} {
		env["RATCHET_SECRETS"] = secrets
		if all[world], err = load(env); err != nil {
			return nil, fmt.Errorf("%s: %w", world, err)
		}
	}
	return all, nil
})

// worlds are the ways to start it.
func worlds(t *testing.T) map[string]*types.Project {
	t.Helper()
	all, err := made()
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func eachService(t *testing.T, f func(t *testing.T, s types.ServiceConfig)) {
	t.Helper()
	for world, p := range worlds(t) {
		for name, s := range p.Services {
			t.Run(world+"/"+name, func(t *testing.T) { f(t, s) })
		}
	}
}

func TestEveryWorldHasItsServices(t *testing.T) {
	want := []string{"clickhouse", "committer", "nats", "peeker", "recorder", "tokend", "topology", "watermarker"}
	for world, p := range worlds(t) {
		expected := want
		switch world {
		case "sim":
			expected = append([]string{"keepasim"}, want...)
		case "page":
			expected = append([]string{"page"}, want...)
		case "notify":
			expected = append([]string{"notifier"}, want...)
		case "cluster":
			expected = append([]string{"nats-2", "nats-3"}, want...)
		}
		slices.Sort(expected)
		got := p.ServiceNames()
		slices.Sort(got)
		if !slices.Equal(got, expected) {
			t.Errorf("%s: services %v, want %v", world, got, expected)
		}
	}
}

func TestWithoutSecretsTheErrorNamesTheirDirectory(t *testing.T) {
	_, err := load(map[string]string{"RATCHET_SECRETS": filepath.Join(t.TempDir(), "secrets")})
	if err == nil || !strings.Contains(err.Error(), "secrets") {
		t.Errorf("got %v, want an error that names the missing secrets", err)
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
		if want := commandOf(s); !found || binary != want {
			t.Errorf("command %v, want /bin/%s", s.Command, want)
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
			_, section, found := strings.Cut(string(manual), "\n## "+name+"\n")
			section, _, _ = strings.Cut(section, "\n## ")
			_, readers, _ := strings.Cut(section, " Read by ")
			switch {
			case name == "TZ": // the C library's
			case !found:
				t.Errorf("%s is not in docs/config.md", name)
			case !strings.Contains(readers, commandOf(s)) && !strings.Contains(readers, "every process"):
				t.Errorf("%s does not read %s, by docs/config.md: %s", commandOf(s), name, section)
			}
			switch {
			case value == nil && s.Name == "notifier": // has the shell's value, and the default where that is not set
			case value == nil || *value == "":
				t.Errorf("%s is passed on empty", name)
			}
		}
	})
}

func TestEveryServiceOfOursIsUnprivilegedAndCheckedAndHasTimeToStop(t *testing.T) {
	eachService(t, func(t *testing.T, s types.ServiceConfig) {
		if s.MemLimit == 0 || s.Logging == nil || s.Logging.Options["max-size"] == "" {
			t.Error("no limit of memory or of the log")
		}
		if s.Name == "topology" {
			return // it runs once
		}
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
		if !slices.Contains(s.CapDrop, "ALL") || !slices.Contains(s.SecurityOpt, "no-new-privileges:true") || !s.ReadOnly || s.Privileged {
			t.Error("it keeps capabilities, may gain privileges, or writes its image")
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
		if s.Name == "topology" {
			if s.DependsOn["nats"].Condition != types.ServiceConditionHealthy || s.DependsOn["clickhouse"].Condition != types.ServiceConditionHealthy {
				t.Error("does not wait for NATS and ClickHouse")
			}
			return
		}
		if s.DependsOn["topology"].Condition != types.ServiceConditionCompletedSuccessfully {
			t.Error("does not wait for the topology")
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
	p := worlds(t)["sim"]
	for name, s := range p.Services {
		if v := s.Environment["KEEPA_URL"]; v != nil && !strings.HasPrefix(*v, "http://keepasim:") {
			t.Errorf("%s talks to %s", name, *v)
		}
	}
}

func TestNATSTakesTheConfigurationAndSyncsEveryWrite(t *testing.T) {
	p := worlds(t)["real"]
	// The files as the container sees them.
	dir := t.TempDir()
	for _, v := range p.Services["nats"].Volumes {
		if v.Type != types.VolumeTypeBind {
			continue
		}
		body, err := os.ReadFile(v.Source)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, filepath.Base(v.Target)), body, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	o, err := server.ProcessConfigFile(filepath.Join(dir, filepath.Base(p.Services["nats"].Command[1])))
	if err != nil {
		t.Fatal(err)
	}
	if !o.JetStream || !o.SyncAlways || o.MaxPayload != 8<<20 || o.StoreDir != "/data" {
		t.Errorf("JetStream %v, sync always %v, max payload %d, store %q; want true, true, %d, /data", o.JetStream, o.SyncAlways, o.MaxPayload, o.StoreDir, 8<<20)
	}
	inContainer(t, o)
	passwords := map[string]string{}
	for _, u := range o.Users {
		if len(u.Password) < 32 || passwords[u.Password] != "" {
			t.Errorf("the password of %s is short, or %s has it too", u.Username, passwords[u.Password])
		}
		passwords[u.Password] = u.Username
	}
	eachService(t, func(t *testing.T, s types.ServiceConfig) {
		user := s.Environment["NATS_USER"]
		if user == nil {
			return
		}
		var mounted []string
		for _, secret := range s.Secrets {
			mounted = append(mounted, "/run/secrets/"+secret.Source)
		}
		if file := s.Environment["NATS_PASSWORD_FILE"]; file == nil || *file != "/run/secrets/nats-"+*user || !slices.Contains(mounted, *file) {
			t.Errorf("the password of %s is not among %v", *user, mounted)
		}
		if *user != s.Name && s.Name != "topology" {
			t.Errorf("%s connects as %s", s.Name, *user)
		}
		if !slices.ContainsFunc(o.Users, func(u *server.User) bool { return u.Username == *user }) {
			t.Errorf("the server does not know %s", *user)
		}
	})
}

// inContainer wants a server that other containers reach, and whose monitoring is for the container's health check.
func inContainer(t *testing.T, o *server.Options) {
	t.Helper()
	if o.Host != "0.0.0.0" || o.Port != 4222 || o.HTTPHost != "127.0.0.1" || o.HTTPPort != 8222 || o.HTTPSPort != 0 {
		t.Errorf("clients %s:%d, monitoring %s:%d, %d; want 0.0.0.0:4222, 127.0.0.1:8222, 0", o.Host, o.Port, o.HTTPHost, o.HTTPPort, o.HTTPSPort)
	}
}

// Monitoring has no authentication, and lets pages of any origin read it.
func TestTheConfigurationOfAHostHasNoMonitoringAndIsForThatHost(t *testing.T) {
	worlds(t) // makes the passwords
	dir := t.TempDir()
	for to, from := range map[string]string{"nats.conf": filepath.Join(root, "deploy", "nats", "nats.conf"), "passwords.conf": filepath.Join(secrets, "nats-passwords.conf")} {
		body, err := os.ReadFile(from)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, to), body, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	o, err := server.ProcessConfigFile(filepath.Join(dir, "nats.conf"))
	if err != nil {
		t.Fatal(err)
	}
	if o.Host != "127.0.0.1" || o.Port != 4222 || o.HTTPPort != 0 || o.HTTPSPort != 0 {
		t.Errorf("clients %s:%d, monitoring %d, %d; want 127.0.0.1:4222, 0, 0", o.Host, o.Port, o.HTTPPort, o.HTTPSPort)
	}
}

// programs are those that the images have, which is what a command or a health check may call. The
// plain image of nats has nothing but the server.
var programs = map[string][]string{
	"nats:2.15.0-alpine@sha256:ac8f88a6494bffc2c2a5289a0ca61cb28a9145c11ba5677cf24265d07f46d8d4":                     {"nats-server", "sh", "wget"},
	"clickhouse/clickhouse-server:26.7.3.19@sha256:f90a77560f72b10802106ee49e9870e41668cbc496e280c3911f6e3b216657f3": {"clickhouse", "clickhouse-client", "bash", "wget"},
}

func TestEveryImageHasWhatItIsAskedToRun(t *testing.T) {
	commands, err := filepath.Glob(filepath.Join(root, "cmd", "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range commands {
		programs["ratchet"] = append(programs["ratchet"], filepath.Base(c))
	}
	programs["ratchet"] = append(programs["ratchet"], "wget") // busybox
	eachService(t, func(t *testing.T, s types.ServiceConfig) {
		has, known := programs[s.Image]
		if !known {
			t.Fatalf("the image %s is not in programs: look at what it has", s.Image)
		}
		if len(s.Command) > 0 && !strings.HasPrefix(s.Command[0], "-") && !slices.Contains(has, filepath.Base(s.Command[0])) {
			t.Errorf("%s has no %s", s.Image, s.Command[0])
		}
		if h := s.HealthCheck; h != nil && (h.Test[0] != "CMD" || !slices.Contains(has, filepath.Base(h.Test[1]))) {
			t.Errorf("%s cannot run the health check %v", s.Image, h.Test)
		}
	})
}

// TestEveryImageThatIsNotOursIsPinned reads every file that names an image, also those that compose does not load.
func TestEveryImageThatIsNotOursIsPinned(t *testing.T) {
	names := regexp.MustCompile(`(?m)^\s*(?:- )?(?:image:|FROM)\s+(\S+)`)
	pinned := regexp.MustCompile(`^[a-z/-]+:[0-9][\w.-]*@sha256:[0-9a-f]{64}$`)
	found := 0
	for _, name := range []string{"compose.yaml", "Dockerfile", "deploy/compose-cluster.yaml", "deploy/kubernetes/nats.yaml", "deploy/kubernetes/daemons.yaml"} {
		body, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(name)))
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range names.FindAllSubmatch(body, -1) {
			image := string(m[1])
			if image == "ratchet" {
				continue
			}
			if found++; !pinned.MatchString(image) {
				t.Errorf("%s: the image %s has no version and digest", name, image)
			}
		}
	}
	if found < 5 {
		t.Errorf("only %d images were found", found)
	}
}

func TestNoSecretIsInTheEnvironmentOrHasADefault(t *testing.T) {
	eachService(t, func(t *testing.T, s types.ServiceConfig) {
		for name, value := range s.Environment {
			if value == nil {
				continue
			}
			if u, err := url.Parse(*value); err == nil {
				if _, has := u.User.Password(); has {
					t.Errorf("%s holds a password", name)
				}
			}
			if strings.HasSuffix(name, "PASSWORD") || strings.HasSuffix(name, "_KEY") && !strings.HasPrefix(*value, "/run/secrets/") {
				t.Errorf("%s is a secret in the environment, want %s_FILE", name, name)
			}
		}
	})
}

func TestOnlyWhatCallsKeepaHasItsKey(t *testing.T) {
	eachService(t, func(t *testing.T, s types.ServiceConfig) {
		has := slices.ContainsFunc(s.Secrets, func(f types.ServiceSecretConfig) bool { return f.Source == "keepa-api-key" })
		for name := range s.Environment {
			has = has || strings.HasPrefix(name, "KEEPA_API_KEY")
		}
		if calls := slices.Contains([]string{"tokend", "watermarker", "peeker", "committer"}, s.Name); has != calls {
			t.Errorf("has the key: %t, want %t", has, calls)
		}
	})
}

func TestPortsAreForThisMachine(t *testing.T) {
	eachService(t, func(t *testing.T, s types.ServiceConfig) {
		for _, p := range s.Ports {
			if p.HostIP != "127.0.0.1" {
				t.Errorf("port %s is published on %q: other machines reach it", p.Published, p.HostIP)
			}
		}
	})
}

func TestSecretsAreInADirectoryOfTheirUserAlone(t *testing.T) {
	for _, s := range worlds(t)["real"].Secrets {
		if fi, err := os.Stat(filepath.Dir(s.File)); err != nil || fi.Mode().Perm() != 0o700 {
			t.Fatalf("%s: %v, %v", filepath.Dir(s.File), fi.Mode(), err)
		}
	}
}

func TestTheCertificateOfThePageIsMadeOnceThereIsAnOpenSSL(t *testing.T) {
	if _, err := exec.LookPath("openssl"); err != nil {
		machinetest.Lacks(t, "no openssl: install it")
	}
	dir := t.TempDir()
	pair := []string{filepath.Join(dir, "page-cert"), filepath.Join(dir, "page-key")}
	for _, file := range pair { // of a run without it
		if err := os.WriteFile(file, nil, 0o444); err != nil { //nolint:gosec // as deploy/init does
			t.Fatal(err)
		}
	}
	cmd := exec.CommandContext(t.Context(), "sh", filepath.Join(root, "deploy", "init"))
	cmd.Env = append(os.Environ(), "RATCHET_SECRETS="+dir, "KEEPA_API_KEY=k")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if _, err := tls.LoadX509KeyPair(pair[0], pair[1]); err != nil {
		t.Error(err)
	}
}

func TestRulesAndQueriesAreMounted(t *testing.T) {
	eachService(t, func(t *testing.T, s types.ServiceConfig) {
		for _, name := range []string{"RULES", "QUERIES"} {
			at := s.Environment[name]
			if at == nil {
				continue
			}
			i := slices.IndexFunc(s.Volumes, func(v types.ServiceVolumeConfig) bool { return v.Target == *at })
			if i < 0 {
				t.Errorf("%s=%s is not mounted", name, *at)
			} else if _, err := os.Stat(s.Volumes[i].Source); err != nil {
				t.Error(err)
			}
		}
	})
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

// commandOf is the command of ours that a service runs.
func commandOf(s types.ServiceConfig) string {
	if s.Name == "topology" {
		return "ratchet"
	}
	return s.Name
}
