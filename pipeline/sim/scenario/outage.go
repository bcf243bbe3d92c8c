package scenario

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"ratchet/pipeline"
	"ratchet/pipeline/ops/standalone"
	"ratchet/pipeline/platform/process"
)

// When ClickHouse goes down and comes back, and the lag that the recorder must report by then.
const (
	outFrom  = 30 * time.Minute
	outUntil = 2*time.Hour + 30*time.Minute
	lagLeast = 110 * time.Minute
)

// clickhouseOut2h kills ClickHouse under the running pipeline and restarts it two hours later:
// nothing waits for it, the recorder reports its lag, and in the end every message is one row.
func clickhouseOut2h() Scenario {
	s := Scenario{
		Name:  "clickhouse-out-2h",
		About: "ClickHouse is killed after half an hour of work and comes back two hours later",
		Speed: 60, Limit: 6 * time.Hour, Rows: 1200, World: backlog(1200),
		Box:  standalone.Options{Rate: 5, Balance: 300},
		Bars: Bars{TokensPerDecision: 1.7, StallMin: 10, Good: 60, GrantWrites: 3, OneView: true},
	}
	s.Drive = func(ctx context.Context, o Options) (Figures, error) {
		if o.ClickHouse != standalone.Embedded {
			return Figures{}, process.Usagef("%s: want --clickhouse embedded, because the scenario must stop it", s.Name)
		}
		var out chOutage
		s.Steps = []Step{
			{At: outFrom, Name: "ClickHouse is killed", Do: out.kill},
			{At: outUntil, Name: "ClickHouse comes back", Do: out.revive},
		}
		f, err := s.run(ctx, o)
		if err != nil {
			return f, err
		}
		return f, out.report(&f)
	}
	return s
}

// chOutage is an outage of ClickHouse.
type chOutage struct {
	lag      time.Duration // the last lag that the recorder reported, pipeline time
	messages uint64        // that it had not recorded by then
	caughtUp chan time.Duration
}

func (*chOutage) kill(_ context.Context, r *Rig) error { return r.Box.KillClickHouse() }

// revive reads the recorder's status before ClickHouse is back, and waits until it has recorded what waited.
func (out *chOutage) revive(ctx context.Context, r *Rig) error {
	var err error
	if out.lag, err = lagging(ctx, r); err != nil {
		return err
	}
	owed, err := unrecorded(ctx, r, nil)
	if err != nil {
		return err
	}
	for _, o := range owed {
		out.messages += o.messages
	}
	if err := r.Box.ReviveClickHouse(ctx); err != nil {
		return err
	}
	out.caughtUp = make(chan time.Duration, 1)
	began := process.MachineNow()
	go func() {
		defer close(out.caughtUp)
		for process.Sleep(ctx, 50*time.Millisecond) == nil {
			if left, err := unrecorded(ctx, r, owed); err == nil && len(left) == 0 {
				out.caughtUp <- process.MachineSince(began)
				return
			}
		}
	}()
	return nil
}

// report adds a note on the outage. The recorder had recorded
// everything when the figures were made, so it has caught up.
func (out *chOutage) report(f *Figures) error {
	if out.caughtUp == nil {
		return errors.New("the run ended before ClickHouse came back")
	}
	f.Notes = append(f.Notes, fmt.Sprintf("ClickHouse was away for %.0f h: the recorder reported a lag of %.0f min, and recorded the %d messages that waited within %.1f s of its return",
		(outUntil-outFrom).Hours(), out.lag.Minutes(), out.messages, (<-out.caughtUp).Seconds()))
	return nil
}

// lagging returns the lag that the recorder reports for VERDICTS; an error if it
// does not report ClickHouse as unavailable, or reports less than its lag.
func lagging(ctx context.Context, r *Rig) (time.Duration, error) {
	said := r.Bus.AskAll(ctx, []string{"recorder"}, time.Second)
	if len(said) == 0 {
		return 0, errors.New("the recorder has no status")
	}
	var h pipeline.Heartbeat
	if err := json.Unmarshal(said[0], &h); err != nil {
		return 0, fmt.Errorf("decode the recorder's status: %w", err)
	}
	verdicts, _ := h.Detail[pipeline.StreamVerdicts].(map[string]any)
	seconds, ok := verdicts["lag_s"].(float64)
	if !ok {
		return 0, fmt.Errorf("read the recorder's status: no lag of %s in %v", pipeline.StreamVerdicts, h.Detail)
	}
	lag := time.Duration(seconds * float64(time.Second))
	if h.State != "stuck" || lag < lagLeast {
		return 0, fmt.Errorf("the recorder reports %s and a lag of %v: want stuck, and %v or more", h.State, lag, lagLeast)
	}
	return lag, nil
}

// owed is the part of a stream that the recorder has not recorded.
type owed struct {
	upTo     uint64 // its last sequence
	messages uint64
}

// unrecorded returns what the recorder lacks now of the streams; given
// was, only the streams of which some of it is still missing.
func unrecorded(ctx context.Context, r *Rig, was map[string]owed) (map[string]owed, error) {
	out := map[string]owed{}
	for stream := range recordedIn {
		settled, last, err := r.Bus.Settled(ctx, stream, pipeline.DurableRecorder(stream))
		if err != nil {
			return nil, err
		}
		if was != nil {
			last = was[stream].upTo
		}
		if settled < last {
			out[stream] = owed{upTo: last, messages: last - settled}
		}
	}
	return out, nil
}
