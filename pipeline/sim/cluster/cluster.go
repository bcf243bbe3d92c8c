// Package cluster runs three nats-servers as processes: a cluster that can be killed, frozen, cut apart and filled up.
//
// The servers are this program under another command (see Serve), so their version is the one of go.mod. They find each
// other through proxies of this package, one for each direction, so that a server can be cut off from its peers while
// its clients keep their connections.
package cluster

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"text/template"
	"time"
)

// Size is the number of servers.
const Size = 3

// Options configure a cluster.
type Options struct {
	Dir     string   // configurations and logs, and the stores
	Command []string // runs Serve with the configuration that the environment variable EnvConfig names
	Sync    string   // sync_interval; empty means always
	// Stores are directories of the stores where they are not below Dir, by server.
	Stores map[int]string
}

// EnvConfig is the variable that names the configuration of a server.
const EnvConfig = "NATSD_CONFIG"

// Cluster is a running cluster. Its servers are numbered from 0 and named n0, n1 and n2.
type Cluster struct {
	o       Options
	servers [Size]*server
	links   []*link
}

// server is one server, which may be down.
type server struct {
	name, config, store, log string
	client, monitor, route   string // host:port

	mu   sync.Mutex
	cmd  *exec.Cmd
	gone chan struct{} // closed when the process has ended
}

// Start starts the servers. It does not wait for them: see Ready.
func Start(o Options) (_ *Cluster, err error) {
	c := &Cluster{o: o}
	defer func() {
		if err != nil {
			c.End()
		}
	}()
	if err := os.MkdirAll(o.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("create the directory of the cluster: %w", err)
	}
	ports, err := freePorts(3 * Size)
	if err != nil {
		return nil, err
	}
	for i := range c.servers {
		name := fmt.Sprintf("n%d", i)
		s := &server{
			name: name, config: filepath.Join(o.Dir, name+".conf"), log: filepath.Join(o.Dir, name+".log"), store: o.Stores[i],
			client: ports[3*i], monitor: ports[3*i+1], route: ports[3*i+2],
		}
		s.store = cmp.Or(s.store, filepath.Join(o.Dir, name))
		c.servers[i] = s
	}
	for i, s := range c.servers {
		if err := c.configure(i, s); err != nil {
			return nil, err
		}
		if err := c.Revive(i); err != nil {
			return nil, err
		}
	}
	return c, nil
}

// configuration is that of deploy/nats and deploy/init, apart from addresses and accounts. A server learns the address
// of a peer from the others as well; that address leads nowhere, so that it does not bypass the proxies.
var configuration = template.Must(template.New("").Parse(`server_name: {{.Name}}
listen: "{{.Client}}"
http: "{{.Monitor}}"
max_payload: 8MB
logtime: true
log_file: "{{.Log}}"
jetstream { store_dir: "{{.Store}}", sync_interval: {{.Sync}}, max_file_store: 80GB, max_memory_store: 256MB }
cluster {
  name: ratchet, listen: "{{.Route}}", advertise: "127.0.0.1:1", ping_interval: "1s", ping_max: 3
  routes: [
{{range .Routes}}    "nats-route://{{.}}"
{{end}}  ]
}
`))

// configure writes the configuration of a server, with a proxy to each peer.
func (c *Cluster) configure(i int, s *server) error {
	var routes []string
	for j, peer := range c.servers {
		if j == i {
			continue
		}
		l, err := newLink(i, j, peer.route)
		if err != nil {
			return err
		}
		c.links = append(c.links, l)
		routes = append(routes, l.Addr())
	}
	sync := cmp.Or(c.o.Sync, "always")
	f, err := os.Create(s.config)
	if err != nil {
		return fmt.Errorf("write the configuration of %s: %w", s.name, err)
	}
	err = configuration.Execute(f, map[string]any{
		"Name": s.name, "Client": s.client, "Monitor": s.monitor, "Log": s.log, "Store": s.store, "Sync": sync, "Route": s.route, "Routes": routes,
	})
	return errors.Join(err, f.Close())
}

// URL is the address of all servers.
func (c *Cluster) URL() string {
	var all []string
	for i := range c.servers {
		all = append(all, c.ServerURL(i))
	}
	return strings.Join(all, ",")
}

// ServerURL is the address of one server.
func (c *Cluster) ServerURL(i int) string { return "nats://" + c.servers[i].client }

// Name is the name of a server.
func (c *Cluster) Name(i int) string { return c.servers[i].name }

// Number is the server of a name; false for any other name.
func (c *Cluster) Number(name string) (int, bool) {
	i := slices.IndexFunc(c.servers[:], func(s *server) bool { return s.name == name })
	return i, i >= 0
}

// Store is the directory of a server's store.
func (c *Cluster) Store(i int) string { return c.servers[i].store }

// Revive starts a server that is down.
func (c *Cluster) Revive(i int) error {
	s := c.servers[i]
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.up() {
		return nil
	}
	cmd := exec.CommandContext(context.Background(), c.o.Command[0], c.o.Command[1:]...) // ended by Kill, Stop or End
	cmd.Env = append(os.Environ(), EnvConfig+"="+s.config)                               //nolint:forbidigo // a server needs PATH and the like
	out, err := os.OpenFile(s.log+".out", os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return fmt.Errorf("start %s: %w", s.name, err)
	}
	defer out.Close() // the child has its own
	cmd.Stdout, cmd.Stderr = out, out
	DieWithParent(cmd)
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start %s: %w", s.name, err)
	}
	s.cmd, s.gone = cmd, make(chan struct{})
	go func(gone chan struct{}) {
		_ = cmd.Wait() // how it ended is in its log
		close(gone)
	}(s.gone)
	return nil
}

// Up reports whether a server's process runs.
func (c *Cluster) Up(i int) bool {
	s := c.servers[i]
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.up()
}

// up is Up with the lock held.
func (s *server) up() bool {
	if s.cmd == nil {
		return false
	}
	select {
	case <-s.gone:
		return false
	default:
		return true
	}
}

// signal sends a signal; after one that ends the process it waits for the end.
func (c *Cluster) signal(i int, sig syscall.Signal, ends bool) {
	s := c.servers[i]
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.up() {
		return
	}
	_ = s.cmd.Process.Signal(sig) // it may have ended
	if !ends {
		return
	}
	select {
	case <-s.gone:
	case <-time.After(stopWithin):
		_ = s.cmd.Process.Kill()
		<-s.gone
	}
}

// stopWithin bounds how long a server may take to stop.
const stopWithin = 30 * time.Second

// Kill ends a server with SIGKILL.
func (c *Cluster) Kill(i int) { c.signal(i, syscall.SIGKILL, true) }

// Stop ends a server with SIGTERM and waits for it.
func (c *Cluster) Stop(i int) { c.signal(i, syscall.SIGTERM, true) }

// Freeze stops a server where it stands; its connections stay open.
func (c *Cluster) Freeze(i int) { c.signal(i, syscall.SIGSTOP, false) }

// Thaw lets a frozen server continue.
func (c *Cluster) Thaw(i int) { c.signal(i, syscall.SIGCONT, false) }

// Cut cuts a server off from its peers, without a word to either side; its clients keep their connections.
func (c *Cluster) Cut(i int) { c.cut(i, true) }

// Heal ends a Cut: data in transit arrives.
func (c *Cluster) Heal(i int) { c.cut(i, false) }

func (c *Cluster) cut(i int, cut bool) {
	for _, l := range c.links {
		if l.from == i || l.to == i {
			l.cut(cut)
		}
	}
}

// End kills the servers and closes the proxies.
func (c *Cluster) End() {
	for i, s := range c.servers {
		if s != nil {
			c.Kill(i)
		}
	}
	for _, l := range c.links {
		l.close()
	}
}

// freePorts returns loopback addresses that no process listens on. They lie below the ports that the kernel gives to
// outgoing connections, so that a server that was killed finds its port free again.
func freePorts(n int) ([]string, error) {
	var out []string
	for port := 20_000 + os.Getpid()%10_000; len(out) < n && port < 32_000; port++ {
		addr := fmt.Sprintf("127.0.0.1:%d", port)
		l, err := net.Listen("tcp", addr)
		if err != nil {
			continue // in use
		}
		_ = l.Close() // it was only tried
		out = append(out, addr)
	}
	if len(out) < n {
		return nil, errors.New("no free ports between 20000 and 32000")
	}
	return out, nil
}
