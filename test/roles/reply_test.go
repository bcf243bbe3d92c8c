package roles_test

import (
	"errors"
	"log/slog"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"ratchet/pipeline"
	"ratchet/pipeline/platform/process"
	"ratchet/pipeline/platform/roles"
)

// TestTheServerSendsAnAnswerWhereTheRoleMayNotPublish shows that the rights do not stop an attacker who has a
// role's password: the server does not check reply subjects. It fails once the server does.
func TestTheServerSendsAnAnswerWhereTheRoleMayNotPublish(t *testing.T) {
	s, refused := serve(t)
	env := process.Env{Log: slog.New(slog.DiscardHandler), Clock: process.RealClock()}
	provision(t, s, env)
	operator := connect(t, s, env, roles.Operator)
	kv, err := operator.Store(t.Context(), pipeline.BucketConfig)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range roles.Table() {
		// The answer describes the account; it is not a rule file.
		before := rules(t, kv)
		answered(t, s, r.Name, "$JS.API.INFO", pipeline.KeySubject(pipeline.BucketConfig, pipeline.KeyRules))
		await(t, r.Name+" overwrites the rules", func() bool { return rules(t, kv) > before })
	}
	answered(t, s, roles.Reader, "$JS.API.DIRECT.GET."+pipeline.StreamDeals, "$JS.API.STREAM.DELETE."+pipeline.StreamDeals)
	await(t, "a reader deletes a stream", func() bool {
		_, err := operator.JS.Stream(t.Context(), pipeline.StreamDeals)
		return errors.Is(err, jetstream.ErrStreamNotFound)
	})
	for _, line := range refused.all() {
		t.Errorf("refused: %s", line)
	}
}

// answered has the server send its answer to an empty request to a subject.
func answered(t *testing.T, s *server.Server, role, request, to string) {
	t.Helper()
	nc, err := nats.Connect(s.ClientURL(), nats.UserInfo(role, role))
	if err == nil {
		defer nc.Close()
		err = errors.Join(nc.PublishRequest(request, to, nil), nc.Flush())
	}
	if err != nil {
		t.Fatal(err)
	}
}

// rules returns the revision of the applied rules; 0 without any.
func rules(t *testing.T, kv jetstream.KeyValue) uint64 {
	t.Helper()
	e, err := kv.Get(t.Context(), pipeline.KeyRules)
	if errors.Is(err, jetstream.ErrKeyNotFound) {
		return 0
	}
	if err != nil {
		t.Fatal(err)
	}
	return e.Revision()
}

// await waits for what a server does that checks no reply subjects.
func await(t *testing.T, what string, done func() bool) {
	t.Helper()
	for late := time.Now().Add(20 * time.Second); !done(); <-time.After(20 * time.Millisecond) {
		if time.Now().After(late) {
			t.Fatalf("not so: %s; nats-server checks reply subjects now: correct what docs/roles_test.go, SECURITY.md and "+
				"docs/fleet.md say that the rights do not stop", what)
		}
	}
}
