package cli

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"ratchet/pipeline/platform/bus"
)

// Store is the storage of NATS: its use, its limits and its servers.
type Store struct {
	Used    uint64   `json:"used_bytes"`
	Limit   int64    `json:"limit_bytes"` // of the account; below 1 only the disk and the streams limit it
	Allowed uint64   `json:"allowed_bytes"`
	Servers []Server `json:"servers"`
	Wrong   []string `json:"wrong,omitempty"` // streams without a leader, or with replicas that lag or are away
}

// Server is a NATS server, by its greeting, which it sends before a login.
type Server struct {
	Address   string `json:"address"`
	Name      string `json:"name,omitempty"`
	JetStream bool   `json:"jetstream"`
	Silent    bool   `json:"silent,omitempty"` // it does not answer
}

// readStore reads the storage of the account, and the greeting of each known server.
func (s *Status) readStore(ctx context.Context, b *bus.Bus) {
	s.Store = &Store{Limit: -1}
	var all sync.WaitGroup
	servers := b.NC.Servers()
	if b.NC.Opts.InProcessServer != nil {
		servers = nil // it has no address
	}
	s.Store.Servers = make([]Server, len(servers))
	for i, address := range servers {
		all.Go(func() { s.Store.Servers[i] = greeted(ctx, address) })
	}
	if a, err := b.JS.AccountInfo(ctx); err == nil {
		s.Store.Used, s.Store.Limit, s.Store.Allowed = a.Store, a.Limits.MaxStore, a.ReservedStore
	}
	all.Wait()
	slices.SortFunc(s.Store.Servers, func(a, b Server) int { return cmp.Compare(a.Address, b.Address) })
}

// greetWithin bounds one server's greeting.
const greetWithin = 400 * time.Millisecond

// greeted returns a server by its greeting, the line INFO.
func greeted(ctx context.Context, address string) Server {
	out := Server{Address: address, Silent: true}
	u, err := url.Parse(address)
	if err != nil {
		return out
	}
	out.Address = u.Host
	ctx, cancel := context.WithTimeout(ctx, greetWithin)
	defer cancel()
	c, err := (&net.Dialer{}).DialContext(ctx, "tcp", u.Host)
	if err != nil {
		return out
	}
	defer func() { _ = c.Close() }() // it was only read
	if end, ok := ctx.Deadline(); ok {
		_ = c.SetReadDeadline(end) // a connection takes one
	}
	line, err := bufio.NewReaderSize(c, 1<<16).ReadSlice('\n')
	body, greets := strings.CutPrefix(string(line), "INFO ")
	var info struct {
		Name      string `json:"server_name"`
		JetStream bool   `json:"jetstream"`
	}
	if err == nil && greets && json.Unmarshal([]byte(body), &info) == nil {
		out.Name, out.JetStream, out.Silent = info.Name, info.JetStream, false
	}
	return out
}

// lagsBy is how many operations a replica may be behind before it is reported: less is normal.
const lagsBy = 1000

// replicasOf returns what is wrong with a stream's replicas; empty if nothing is.
func replicasOf(i *jetstream.StreamInfo) string {
	if i.Cluster == nil || i.Config.Replicas < 2 {
		return ""
	}
	var wrong []string
	if i.Cluster.Leader == "" {
		wrong = append(wrong, "has no leader")
	}
	for _, r := range i.Cluster.Replicas {
		switch {
		case r.Offline:
			wrong = append(wrong, r.Name+" is away")
		case !r.Current:
			wrong = append(wrong, fmt.Sprintf("%s lags, %d operations behind", r.Name, r.Lag))
		case r.Lag > lagsBy:
			wrong = append(wrong, fmt.Sprintf("%s is %d operations behind", r.Name, r.Lag))
		}
	}
	if n := len(i.Cluster.Replicas) + 1; n < i.Config.Replicas {
		wrong = append(wrong, fmt.Sprintf("has %d of %d replicas", n, i.Config.Replicas))
	}
	return strings.Join(wrong, ", ")
}

// write prints the storage of NATS, and what is wrong with it.
func (s *Store) write(p *lines) {
	if s == nil {
		return
	}
	if len(s.Servers) > 0 {
		s.writeRoom(p)
	}
	for _, one := range s.Servers {
		switch {
		case one.Silent:
			p.f("NATS server %s does not answer.\n", one.Address)
		case !one.JetStream:
			p.f("NATS server %s (%s) has no JetStream.\n", one.Address, orDash(one.Name))
		}
	}
	for _, wrong := range s.Wrong {
		p.f("%s\n", wrong)
	}
}

// writeRoom prints how much NATS holds, and its limit.
func (s *Store) writeRoom(p *lines) {
	room := "no limit but those of the streams"
	if s.Allowed > 0 {
		room = fmt.Sprintf("the limits of the streams allow %s", bytesOf(s.Allowed))
	}
	if s.Limit > 0 {
		room = fmt.Sprintf("the account may have %s", bytesOf(uint64(s.Limit)))
	}
	p.f("\nNATS holds %s; %s.\n", bytesOf(s.Used), room)
}
