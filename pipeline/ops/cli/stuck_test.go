package cli

import (
	"strings"
	"testing"
	"time"

	"ratchet/pipeline"
	"ratchet/pipeline/domain/token"
	"ratchet/pipeline/sim/keepasim"
	"ratchet/test/desk"
)

func TestTheStatusShowsWhatIsStuckAndWhyInOneLine(t *testing.T) {
	t.Parallel()
	beat := func(h pipeline.Heartbeat) Status { return Status{Daemons: []pipeline.Heartbeat{h}} }
	for _, c := range []struct {
		name   string
		status Status
		want   string // in the check's line; empty: nothing is stuck
	}{
		{"a daemon that waits for tokens is not stuck, whatever its last error", beat(pipeline.Heartbeat{Daemon: "peeker", State: "waiting_for_tokens", LastError: "old"}), ""},
		{"an idle one is not", beat(pipeline.Heartbeat{Daemon: "peeker", State: "idle"}), ""},
		{"a daemon that reports it", beat(pipeline.Heartbeat{Daemon: "peeker", State: "stuck", Stuck: "peek: no step succeeded for 12m0s"}), "stuck: peeker: peek: no step succeeded for 12m0s"},
		{"an older build reports only its error", beat(pipeline.Heartbeat{Daemon: "recorder", State: "stuck", LastError: "no such table"}), "stuck: recorder: no such table"},
		{"an unreadable key names its daemon", Status{Bad: []BadKey{{Bucket: "WATERMARKS", Key: "1.used-books", Error: "not JSON"}}}, "watermarker: WATERMARKS/1.used-books cannot be read: not JSON"},
		{
			"rules that a daemon refuses", beat(pipeline.Heartbeat{Daemon: "peeker", State: "idle", Rules: &pipeline.CurrentRules{Version: 1, Refused: "version 2: line 3"}}),
			"peeker: refuses the applied rules and decides by version 1: version 2: line 3",
		},
		{
			"queries that the watermarker refuses", beat(pipeline.Heartbeat{Daemon: "watermarker", State: "idle", Queries: &pipeline.CurrentQueries{Version: 1, Refused: "version 2: no"}}),
			"watermarker: refuses the applied queries and reads by version 1: version 2: no",
		},
		{"a policy that is refused", Status{Balance: &token.Balance{Refused: "policy: want steady or heartbeat, got \"x\""}}, "tokend: refused: policy: want steady"},
		{
			"a kind of call that cost more than its ceiling",
			Status{Balance: &token.Balance{Stopped: map[pipeline.Stage]string{pipeline.StageCommitter: "commit is stopped: x"}}},
			"stuck: committer: commit is stopped: x",
		},
		{
			"that of another plan",
			Status{Plans: []PlanStatus{{Plan: "eu", Balance: &token.Balance{Stopped: map[pipeline.Stage]string{pipeline.StagePeeker: "peek is stopped: x"}}}}},
			"stuck: peeker eu: peek is stopped: x",
		},
		{"a daemon that is not there", Status{Missing: []string{"tokend"}}, "tokend: does not run"},
		{"a pipeline without ClickHouse has no recorder", Status{Missing: []string{"recorder"}}, ""},
		{
			"a recorder that ran and is not there",
			Status{Missing: []string{"recorder"}, unrecorded: 7},
			"recorder: does not run: no heartbeat, and 7 messages wait for ClickHouse",
		},
		{"several reasons stay one line", Status{Missing: []string{"tokend"}, Bad: []BadKey{{Bucket: "TOKENS", Key: "shed", Error: "a\nb"}}}, "; "},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := c.status
			s.Stuck = s.stuck()
			got := ""
			if err := s.Check(); err != nil {
				got = err.Error()
			}
			if (got == "") != (c.want == "") || !strings.Contains(got, c.want) || strings.Contains(got, "\n") {
				t.Errorf("got %q, want %q in one line", got, c.want)
			}
		})
	}
}

func TestARecorderThatDoesNotRunIsStuckOnceOneHasTakenMessages(t *testing.T) {
	t.Parallel()
	d := desk.New(t, 1)
	names := func() (all []string) {
		health, err := Health(t.Context(), d.Bus)
		if err != nil {
			t.Fatal(err)
		}
		look, err := ReadStatus(t.Context(), d.Bus)
		if err != nil {
			t.Fatal(err)
		}
		for _, st := range append(health.Stuck, look.Stuck...) {
			if st.Daemon == "recorder" {
				all = append(all, st.Reason)
			}
		}
		return all
	}
	good := d.ASINs(keepasim.Good)[:2]
	d.Accepted(t, good[0])
	if got := names(); len(got) != 0 {
		t.Errorf("no recorder has ever run, and it is stuck: %q", got)
	}
	inlet, err := d.Bus.Inlet(t.Context(), pipeline.StreamDeals, pipeline.DurableRecorder(pipeline.StreamDeals))
	if err != nil {
		t.Fatal(err)
	}
	items, err := inlet.Take(t.Context(), 1, 5*time.Second)
	if err != nil || len(items) != 1 {
		t.Fatalf("%d messages, %v", len(items), err)
	}
	if err := items[0].Settle.Done(t.Context()); err != nil {
		t.Fatal(err)
	}
	desk.Await(t, "nothing waits for it: it is not stuck", func() bool { return len(names()) == 0 })
	d.Accepted(t, good[1])
	desk.Await(t, "a message waits for it: it is stuck in both", func() bool {
		got := names()
		return len(got) == 2 && strings.HasSuffix(got[0], "and 1 messages wait for ClickHouse")
	})
}

func TestASimulatedKeepaIsNamedByTheStatusAndOnTheScreen(t *testing.T) {
	t.Parallel()
	for _, simulated := range []bool{true, false} {
		s := Status{
			At: noon, Wish: "run", Balance: &token.Balance{Rate: 5, Cap: 300, Est: 20, State: "burst"},
			Daemons: []pipeline.Heartbeat{{Daemon: "tokend", Detail: map[string]any{"simulated": simulated}}},
		}
		var out strings.Builder
		if err := s.Write(&out); err != nil {
			t.Fatal(err)
		}
		if strings.Contains(out.String(), "nobody sells") != simulated || strings.Contains(topView{status: s}.head(), "SIMULATED") != simulated {
			t.Errorf("simulated is %t; the status says\n%s\ntop says %s", simulated, out.String(), topView{status: s}.head())
		}
	}
}

func TestKeepasWordsComeFromTheDaemonsThatRun(t *testing.T) {
	t.Parallel()
	api := func(rate int, flow float64) *token.Balance {
		return &token.Balance{Rate: rate, Est: 7, Cap: 60 * rate, API: &pipeline.Reading{TS: 1, Left: 7, Rate: rate, FlowRed: flow}}
	}
	tokend := func(fault string) pipeline.Heartbeat {
		return pipeline.Heartbeat{Daemon: "tokend", State: "idle", LastError: fault}
	}
	for _, c := range []struct {
		name    string
		daemons []pipeline.Heartbeat
		balance *token.Balance
		runs    bool
		text    string // empty if something is wrong
		wrong   string
	}{
		{"nothing runs", nil, nil, false, "", ""},
		{"all is well", []pipeline.Heartbeat{tokend("")}, api(5, 0), true, "5 tokens a minute, balance 7 of 300", ""},
		{"the key is wrong", []pipeline.Heartbeat{tokend("keepa /token: bad_key (HTTP 400)")}, nil, true, "", "bad_key"},
		{"the subscription is over", []pipeline.Heartbeat{tokend("keepa /token: payment (HTTP 402)")}, nil, true, "", "payment"},
		{"calls fail", []pipeline.Heartbeat{tokend(""), {Daemon: "peeker", State: "circuit_open", LastError: "keepa /product: server (HTTP 503)"}}, api(5, 0), true, "", "peeker pauses its calls: keepa /product: server (HTTP 503)"},
		{"what failed long ago is not shown", []pipeline.Heartbeat{tokend(""), {Daemon: "peeker", State: "idle", LastError: "keepa /product: server (HTTP 503)"}}, api(5, 0), true, "5 tokens", ""},
		{"trackings take the plan", []pipeline.Heartbeat{tokend("")}, api(5, 5), true, "", "trackings take 5 (tokenFlowReduction)"},
		{"the plan is negative", []pipeline.Heartbeat{tokend("")}, api(-2, 7), true, "", "yields -2 tokens a minute"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			text, err, runs := Status{Daemons: c.daemons, Balance: c.balance}.Keepa()
			wrong := ""
			if err != nil {
				wrong = err.Error()
			}
			if runs != c.runs || !strings.Contains(text, c.text) || (wrong == "") != (c.wrong == "") || !strings.Contains(wrong, c.wrong) {
				t.Errorf("got %q, %q, runs %t; want %q, %q, %t", text, wrong, runs, c.text, c.wrong, c.runs)
			}
		})
	}
}
