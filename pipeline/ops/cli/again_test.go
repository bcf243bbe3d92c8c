package cli_test

import (
	"strings"
	"testing"

	"ratchet/pipeline"
	"ratchet/pipeline/ops/cli"
)

func TestTheStatusShowsWhyWorkWaits(t *testing.T) {
	t.Parallel()
	s := cli.Status{Daemons: []pipeline.Heartbeat{
		{Daemon: "committer", Detail: map[string]any{"waiting": map[string]any{"another worker is buying the same answer": 3.0, "the answer was incomplete": 0.0}}},
		{Daemon: "peeker"},
	}}
	var out strings.Builder
	if err := s.Write(&out); err != nil {
		t.Fatal(err)
	}
	if got := out.String(); !strings.Contains(got, "committer waiting: 3 × another worker is buying the same answer") || strings.Contains(got, "in part") {
		t.Errorf("got %s", got)
	}
}
