package cluster

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"time"
)

// asked bounds one request to a server's monitoring.
const asked = 2 * time.Second

// Ready waits until every server is healthy: connected, caught up, and each of its streams with a leader.
func (c *Cluster) Ready(ctx context.Context) error {
	for i := range c.servers {
		if err := c.Healthy(ctx, i); err != nil {
			return err
		}
	}
	return nil
}

// Healthy waits until one server is healthy, or until ctx ends.
func (c *Cluster) Healthy(ctx context.Context, i int) error {
	for {
		err := c.get(ctx, i, "/healthz", nil)
		if err == nil {
			return nil
		}
		if !c.Up(i) {
			return fmt.Errorf("wait for %s: it has ended; see %s.out", c.servers[i].name, c.servers[i].log)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for %s: %w", c.servers[i].name, errors.Join(context.Cause(ctx), err))
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// Health returns what a server reports of its health; nil if it is healthy.
func (c *Cluster) Health(ctx context.Context, i int) error { return c.get(ctx, i, "/healthz", nil) }

// Replica is a stream as one server has it.
type Replica struct {
	Leader      string
	First, Last uint64 // sequences
	Messages    uint64
	Bytes       uint64
}

// View is what one server has.
type View struct {
	Meta     string // the leader of the cluster
	Replicas map[string]Replica
}

// View asks a server.
func (c *Cluster) View(ctx context.Context, i int) (View, error) {
	var jsz struct {
		Meta struct {
			Leader string `json:"leader"`
		} `json:"meta_cluster"`
		Accounts []struct {
			Streams []struct {
				Name  string `json:"name"`
				State struct {
					Messages uint64 `json:"messages"`
					Bytes    uint64 `json:"bytes"`
					First    uint64 `json:"first_seq"`
					Last     uint64 `json:"last_seq"`
				} `json:"state"`
				Cluster struct {
					Leader string `json:"leader"`
				} `json:"cluster"`
			} `json:"stream_detail"`
		} `json:"account_details"`
	}
	v := View{Replicas: map[string]Replica{}}
	if err := c.get(ctx, i, "/jsz?accounts=true&streams=true", &jsz); err != nil {
		return v, err
	}
	v.Meta = jsz.Meta.Leader
	for _, a := range jsz.Accounts {
		for _, s := range a.Streams {
			v.Replicas[s.Name] = Replica{
				Leader: s.Cluster.Leader, First: s.State.First, Last: s.State.Last, Messages: s.State.Messages, Bytes: s.State.Bytes,
			}
		}
	}
	return v, nil
}

// Leader is the server that leads a stream; "" is the cluster itself.
func (c *Cluster) Leader(ctx context.Context, stream string) (int, error) {
	err := errors.New("no server answers")
	for i := range c.servers {
		var v View
		if v, err = c.View(ctx, i); err != nil {
			continue
		}
		name := v.Meta
		if stream != "" {
			name = v.Replicas[stream].Leader
		}
		if n, ok := c.Number(name); ok {
			return n, nil
		}
	}
	return 0, fmt.Errorf("find the leader of %q: %w", stream, err)
}

// get asks a server's monitoring and decodes the answer, if it is wanted.
func (c *Cluster) get(ctx context.Context, i int, path string, into any) error {
	ctx, cancel := context.WithTimeout(ctx, asked)
	defer cancel()
	q, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+c.servers[i].monitor+path, nil)
	if err != nil {
		return fmt.Errorf("ask %s: %w", c.servers[i].name, err)
	}
	res, err := http.DefaultClient.Do(q)
	if err != nil {
		return fmt.Errorf("ask %s: %w", c.servers[i].name, err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		var said struct {
			Error string `json:"error"`
		}
		_ = json.NewDecoder(res.Body).Decode(&said) // without it the status must do
		return fmt.Errorf("%s: status %d: %s", c.servers[i].name, res.StatusCode, said.Error)
	}
	if into == nil {
		return nil
	}
	if err := json.NewDecoder(res.Body).Decode(into); err != nil {
		return fmt.Errorf("decode %s of %s: %w", path, c.servers[i].name, err)
	}
	return nil
}

// corrupt are the words of a server that found its files damaged, in errors: an index that is older than its messages
// is only warned of and recreated. A full disk is another matter.
var corrupt = []string{"corrupt", "Critical write error", "checksum"}

const (
	level   = "[ERR]"
	noSpace = "no space left on device"
)

// Corrupt are the lines of the logs that speak of damaged files.
func (c *Cluster) Corrupt() ([]string, error) {
	var out []string
	for _, s := range c.servers {
		f, err := os.Open(s.log)
		if errors.Is(err, os.ErrNotExist) {
			continue // it has reported nothing
		}
		if err != nil {
			return nil, fmt.Errorf("read the log of %s: %w", s.name, err)
		}
		lines := bufio.NewScanner(f)
		for lines.Scan() {
			for _, word := range corrupt {
				if line := lines.Text(); strings.Contains(line, level) && strings.Contains(line, word) && !strings.Contains(line, noSpace) {
					out = append(out, s.name+": "+lines.Text())
					break
				}
			}
		}
		if err := errors.Join(lines.Err(), f.Close()); err != nil {
			return nil, fmt.Errorf("read the log of %s: %w", s.name, err)
		}
	}
	return out, nil
}
