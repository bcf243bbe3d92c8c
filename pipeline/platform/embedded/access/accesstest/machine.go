package accesstest

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"testing"

	"ratchet/pipeline/platform/machinetest"
)

// A Machine is another machine for the network: a network namespace with a link to this one.
type Machine struct {
	Here string // our address on the link

	name, program string
}

// Another creates one for the duration of the test. If that is impossible the test is skipped, or fails if CI=true.
func Another(t testing.TB) *Machine {
	t.Helper()
	return another(t, "198.18") // a range for tests
}

// Private is Another in a private network.
func Private(t testing.TB) *Machine {
	t.Helper()
	return another(t, "10.213")
}

// another makes a network of four addresses of a range.
func another(t testing.TB, of string) *Machine {
	t.Helper()
	n := rand.IntN(1 << 14)
	m := &Machine{name: fmt.Sprintf("ratchet-%d-%d", os.Getpid(), n)}
	m.Here = fmt.Sprintf("%s.%d.%d", of, n>>6, n&63<<2|1)
	there := fmt.Sprintf("%s.%d.%d", of, n>>6, n&63<<2|2)
	outer, inner := fmt.Sprintf("rt%do", n), fmt.Sprintf("rt%di", n)
	t.Cleanup(func() { _ = exec.Command("ip", "netns", "del", m.name).Run() }) //nolint:noctx // the link goes with it
	for _, args := range []string{
		"netns add " + m.name,
		"link add " + outer + " type veth peer name " + inner,
		"link set " + inner + " netns " + m.name,
		"addr add " + m.Here + "/30 dev " + outer,
		"link set " + outer + " up",
		"-n " + m.name + " addr add " + there + "/30 dev " + inner,
		"-n " + m.name + " link set " + inner + " up",
	} {
		if out, err := exec.CommandContext(t.Context(), "ip", strings.Fields(args)...).CombinedOutput(); err != nil {
			machinetest.Lacks(t, "another network needs root and iproute2: ip %s: %v %s", args, err, out)
		}
	}
	m.program = program(t)
	return m
}

// Ask returns the output of one of the tasks run on that machine; see As.
func (m *Machine) Ask(t testing.TB, what string, env ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "ip", "netns", "exec", m.name, m.program)
	cmd.Env = append(env, task+"="+what)
	var failed bytes.Buffer
	cmd.Stderr = &failed
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("on another machine: %v: %s", err, &failed)
	}
	return string(out)
}
