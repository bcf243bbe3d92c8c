package worker

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"ratchet/pipeline"
	"ratchet/pipeline/domain/verdict"
	"ratchet/pipeline/platform/bus"
	"ratchet/pipeline/platform/process"
	"ratchet/schemas"
)

// Judge loads a rule file; an empty name is the built-in rules for used books.
func Judge(file string) (*verdict.Judge, error) { return JudgeIn(context.Background(), file) }

// JudgeIn is Judge for a command: reading and checking end with ctx.
func JudgeIn(ctx context.Context, file string) (*verdict.Judge, error) {
	if file == "" {
		return verdict.NewJudge(schemas.UsedBooks)
	}
	_, j, err := ReadRules(ctx, file)
	return j, err
}

// ReadRules is a rule file as it stands and as it judges.
func ReadRules(ctx context.Context, file string) ([]byte, *verdict.Judge, error) {
	body, err := process.ReadFile(ctx, file)
	if err != nil {
		return nil, nil, fmt.Errorf("read rules: %w", err)
	}
	j, err := process.Until(ctx, func() (*verdict.Judge, error) { return verdict.NewJudge(body) })
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", file, err)
	}
	return body, j, nil
}

// Rules are those in force in a daemon: its own, until the operator applies others (CONFIG), which then win over them.
// What was applied and cannot be read, or that the daemon refuses, leaves the last good rules in force.
type Rules struct {
	own   *verdict.Judge
	cell  bus.Cell
	pulse *Pulse
	log   *slog.Logger
	fits  func(*verdict.Judge) error
	hint  chan struct{}
	read  []byte // of CONFIG, the last time
	now   atomic.Pointer[verdict.Judge]
}

// rulesEvery is how often the applied rules are looked at beside the hints, which may be lost; machine time.
const rulesEvery = 5 * time.Second

// Follow reads the applied rules, and takes what is applied later as it comes, until ctx ends. fits says why the daemon
// cannot take a rule set; nil takes any.
func Follow(ctx context.Context, b *bus.Bus, env process.Env, own *verdict.Judge, pulse *Pulse, fits func(*verdict.Judge) error) (*Rules, error) {
	kv, err := b.Store(ctx, pipeline.BucketConfig)
	if err != nil {
		return nil, err
	}
	if fits == nil {
		fits = func(*verdict.Judge) error { return nil }
	}
	r := &Rules{own: own, cell: bus.NewCell(kv, pipeline.KeyRules), pulse: pulse, log: env.Log, fits: fits, hint: make(chan struct{}, 1)}
	r.hold(own, 0)
	poke := func() {
		select {
		case r.hint <- struct{}{}:
		default:
		}
	}
	stop, err := b.Hint("$KV."+pipeline.BucketConfig+"."+pipeline.KeyRules, poke, 3*time.Millisecond, 30*time.Millisecond, 300*time.Millisecond)
	if err != nil {
		return nil, fmt.Errorf("listen to the rules: %w", err)
	}
	if err := r.look(ctx); err != nil {
		return nil, fmt.Errorf("read the applied rules: %w", err)
	}
	go r.watch(ctx, stop)
	return r, nil
}

// Judge is the rule set in force. One decision uses one.
func (r *Rules) Judge() *verdict.Judge { return r.now.Load() }

func (r *Rules) watch(ctx context.Context, stop func()) {
	defer stop()
	tick := time.NewTicker(rulesEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-r.hint:
		case <-tick.C:
		}
		if err := r.look(ctx); err != nil && ctx.Err() == nil {
			r.log.Debug("the applied rules could not be looked at", "err", err)
		}
	}
}

// look takes the applied rules where they have changed. Its error is one of NATS.
func (r *Rules) look(ctx context.Context) error {
	raw, _, err := r.cell.Read(ctx)
	if err != nil || bytes.Equal(raw, r.read) {
		return err
	}
	r.read = raw
	judge, version, err := r.applied(raw)
	if err != nil {
		r.pulse.Refused(err)
		r.log.Warn("applied rules are refused, the last good ones hold", "err", err, "rule_set", r.Judge().Version())
		return nil
	}
	if judge.Version() != r.Judge().Version() {
		r.log.Info("rules in force", "rule_set", judge.Version(), "version", version)
	}
	r.hold(judge, version)
	return nil
}

// applied are the rules that a value of CONFIG puts in force.
func (r *Rules) applied(raw []byte) (*verdict.Judge, int, error) {
	if raw == nil {
		return r.own, 0, nil
	}
	a, err := bus.Decode[pipeline.AppliedRules](r.cell, raw)
	if err != nil {
		return nil, 0, err
	}
	judge := r.own
	if a.Rules != "" {
		if judge, err = verdict.NewJudge([]byte(a.Rules)); err != nil {
			return nil, 0, fmt.Errorf("version %d: %w", a.Version, err)
		}
	}
	if err := r.fits(judge); err != nil {
		return nil, 0, fmt.Errorf("version %d: %w", a.Version, err)
	}
	return judge, a.Version, nil
}

func (r *Rules) hold(judge *verdict.Judge, version int) {
	r.now.Store(judge)
	r.pulse.InForce(pipeline.RulesInForce{RuleSet: judge.Version(), Version: version})
}

// InForce says which rules the daemon decides by.
func (p *Pulse) InForce(r pipeline.RulesInForce) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.h.Rules = &r
}

// Refused says why newer rules are not in force.
func (p *Pulse) Refused(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	r := pipeline.RulesInForce{}
	if p.h.Rules != nil {
		r = *p.h.Rules
	}
	r.Refused = err.Error()
	p.h.Rules = &r
}
