package compose_test

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/compose-spec/compose-go/v2/types"
	"github.com/nats-io/nats-server/v2/server"
)

// servers are the NATS servers of the cluster, in their order.
var servers = []string{"nats", "nats-2", "nats-3"}

func cluster(t *testing.T) *types.Project {
	t.Helper()
	return worlds(t)["cluster"]
}

func TestEveryDaemonOfTheClusterKnowsEveryServerAndIsTwo(t *testing.T) {
	p := cluster(t)
	var all []string
	for _, name := range servers {
		all = append(all, "nats://"+name+":4222")
	}
	for name, s := range p.Services {
		if !ours(s) {
			continue
		}
		if url := s.Environment["NATS_URL"]; url == nil || *url != strings.Join(all, ",") {
			t.Errorf("%s does not know every server", name)
		}
		if name != "topology" && (s.Deploy == nil || s.Deploy.Replicas == nil || *s.Deploy.Replicas < 2) {
			t.Errorf("there is one %s", name)
		}
	}
	topology := p.Services["topology"]
	if r := topology.Environment["NATS_REPLICAS"]; r == nil || *r != "3" {
		t.Error("the streams do not get three replicas")
	}
	for _, name := range servers {
		if topology.DependsOn[name].Condition != types.ServiceConditionHealthy {
			t.Errorf("topology does not wait for a healthy %s", name)
		}
	}
}

// TestTheServersOfTheClusterFindEachOther starts them with the files as the containers see them, on ports of this
// machine.
func TestTheServersOfTheClusterFindEachOther(t *testing.T) {
	p := cluster(t)
	var running []*server.Server
	at := free(t)
	stores, ports := map[string]bool{}, map[string]bool{}
	for _, name := range servers {
		o := asStarted(t, p.Services[name])
		inContainer(t, o)
		for _, v := range p.Services[name].Volumes {
			if v.Target == "/data" {
				stores[v.Source] = true
			}
		}
		for _, port := range p.Services[name].Ports {
			ports[port.HostIP+":"+port.Published] = true
		}
		if len(o.Routes) != len(servers) || o.Cluster.Username == "" || len(o.Cluster.Password) < 32 || !o.SyncAlways {
			t.Errorf("%s: %d routes, user %q", name, len(o.Routes), o.Cluster.Username)
		}
		o.Host, o.Port, o.HTTPPort, o.NoSigs, o.NoLog, o.StoreDir = "127.0.0.1", server.RANDOM_PORT, 0, true, true, t.TempDir()
		o.Cluster.Host, o.Cluster.Port = "127.0.0.1", at[name]
		for _, route := range o.Routes { // names that no machine but theirs knows
			route.Host = fmt.Sprintf("127.0.0.1:%d", at[route.Hostname()])
		}
		s, err := server.NewServer(o)
		if err != nil {
			t.Fatal(err)
		}
		s.Start()
		t.Cleanup(func() { s.Shutdown(); s.WaitForShutdown() })
		if !s.ReadyForConnections(20 * time.Second) {
			t.Fatalf("%s does not start", name)
		}
		running = append(running, s)
	}
	if len(stores) != len(servers) || len(ports) != len(servers) {
		t.Errorf("stores %v and ports %v: want one for each server", stores, ports)
	}
	for deadline := time.Now().Add(30 * time.Second); ; <-time.After(50 * time.Millisecond) {
		if slices.ContainsFunc(running, (*server.Server).JetStreamIsLeader) && !slices.ContainsFunc(running, func(s *server.Server) bool { return s.NumRoutes() == 0 }) {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("no leader within 30 s")
		}
	}
}

// free are ports of this machine that nobody listens on, one for each server.
func free(t *testing.T) map[string]int {
	t.Helper()
	out := map[string]int{}
	for _, name := range servers {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()                          // all at once, so that they differ
		out[name] = l.Addr().(*net.TCPAddr).Port //nolint:forcetypeassert // it listens on TCP
	}
	return out
}

// asStarted are the options of a server of the project: its files, then its flags.
func asStarted(t *testing.T, s types.ServiceConfig) *server.Options {
	t.Helper()
	dir := t.TempDir()
	for _, v := range s.Volumes {
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
	o, err := server.ProcessConfigFile(filepath.Join(dir, filepath.Base(s.Command[1])))
	if err != nil {
		t.Fatal(err)
	}
	if len(s.Command) != 4 || s.Command[2] != "--name" {
		t.Fatalf("command %v, want --config FILE --name NAME", s.Command)
	}
	o.ServerName = s.Command[3]
	return o
}
