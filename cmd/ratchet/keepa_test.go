package main

import (
	"bytes"
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"ratchet/pipeline"
	"ratchet/pipeline/peeker"
	"ratchet/pipeline/sim/keepasim"
	"ratchet/pipeline/tokend"
	"ratchet/test/desk"
	"ratchet/test/odd"
)

// TestStatusAndDoctorOfAnotherShellSayKeepasWordOfTheDaemonsThatRun asks both about daemons whose key and whose plan
// their own environment does not know.
func TestStatusAndDoctorOfAnotherShellSayKeepasWordOfTheDaemonsThatRun(t *testing.T) {
	if testing.Short() {
		t.Skip("runs daemons for every word")
	}
	t.Setenv("KEEPA_API_KEY", "another-key")
	zeroes := `{"timestamp":1,"tokensLeft":0,"refillIn":0,"refillRate":0,"tokensConsumed":0,"error":{"type":"invalidParameter","message":"no"}}`
	for _, c := range []struct {
		word   string
		kind   string // of the calls that go wrong
		status int
		body   string
	}{
		{"bad_key", odd.Token, 400, zeroes},
		{"payment", odd.Token, 402, ""},
		{"server", odd.Token, 521, "<html><title>Web server is down</title>"},
		{"proxy", odd.Token, 200, "<html><title>Sign in</title>"},
		{"malformed", odd.Token, 200, "null"},
		{"no_income", odd.Token, 200, `{"timestamp":1,"tokensLeft":0,"refillIn":1,"refillRate":0,"tokenFlowReduction":5,"tokensConsumed":0}`},
		{"bad_key", odd.Peek, 400, zeroes},
		{"payment", odd.Peek, 402, ""},
		{"refused_in_debt", odd.Peek, 429, `{"timestamp":1,"tokensLeft":-7,"refillIn":1,"refillRate":5,"tokensConsumed":0}`},
		{"server", odd.Peek, 503, ""},
		{"proxy", odd.Peek, 403, "<html><title>Access denied</title>"},
	} {
		t.Run(c.word+" of a "+c.kind, func(t *testing.T) {
			d, address := desk.Listening(t, 10) // after the first failed call nothing is called for a second
			keepa := odd.Serve(t, d.Sim)
			bad, key := odd.Reply{Write: func(w http.ResponseWriter, _ *http.Request, _ []byte) {
				w.WriteHeader(c.status)
				_, _ = w.Write([]byte(c.body)) // the caller may have gone
			}}, "token"
			settings := map[string]string{"KEEPA_URL": keepa.URL}
			if c.kind == odd.Token {
				keepa.Reply(odd.Token, key, 1<<30, bad)
				env := d.Settings(settings)
				env.Ready = func() {}
				ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
				ended := make(chan struct{})
				go func() {
					defer close(ended)
					_ = tokend.Run(ctx, env) // it is stopped
				}()
				t.Cleanup(func() { cancel(); <-ended })
			} else {
				key = d.ASINs(keepasim.Good)[0]
				keepa.Reply(odd.Peek, key, 1<<30, bad)
				d.Run(t, tokend.Run, settings)
				d.Run(t, peeker.Run, settings)
				d.Survives(t, d.Work(t, key, pipeline.SourceLive, pipeline.FirstGeneration), pipeline.LookGlance, "live")
			}
			said := ""
			asks := func(args ...string) bool {
				var out, errOut bytes.Buffer
				run(append(args, "--nats-url", address, "--clickhouse-url", "none"), &out, &errOut)
				said = out.String() + errOut.String()
				return strings.Contains(said, ": "+c.word)
			}
			data := t.TempDir()
			for what, asked := range map[string]func() bool{
				"status": func() bool { return asks("status") },
				"doctor": func() bool {
					return asks("doctor", "--data", data) && strings.Contains(said, "BAD  keepa") && !strings.Contains(said, "another-key")
				},
			} {
				for over := time.Now().Add(time.Minute); !asked(); {
					if time.Now().After(over) {
						t.Errorf("%s does not say %s:\n%s", what, c.word, said)
						break
					}
				}
			}
		})
	}
}
