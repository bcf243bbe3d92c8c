package worker

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"

	"ratchet/pipeline"
	"ratchet/pipeline/domain/verdict"
	"ratchet/pipeline/platform/bus"
	"ratchet/pipeline/platform/process"
	"ratchet/schemas"
)

// LoadRules loads a rule file, until ctx ends; an empty name loads the built-in rules for used books.
func LoadRules(ctx context.Context, file string) (*verdict.Judge, error) {
	_, j, err := ReadRules(ctx, file)
	return j, err
}

// ReadRules returns the text that LoadRules loads, and its rules.
func ReadRules(ctx context.Context, file string) ([]byte, *verdict.Judge, error) {
	if file == "" {
		j, err := verdict.NewJudge(schemas.UsedBooks)
		return schemas.UsedBooks, j, err
	}
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

// Rules are the current rules in a daemon: its own, until the operator applies others (CONFIG), which take
// precedence. If applied rules are unreadable, or the daemon rejects them, the last valid rules remain.
//
// New rules take effect after everything decided by the old ones is stored. Only then does the heartbeat name the new
// version, so a process that re-decides stored deals after that finds them all.
type Rules struct {
	own     *verdict.Judge
	status  *Status
	log     *slog.Logger
	fits    func(*verdict.Judge) error
	current atomic.Pointer[verdict.Judge]
	using   sync.RWMutex // held for reading from a decision until it is stored
}

// Follow reads the applied rules, and later changes of them, until ctx
// ends. fits returns why the daemon cannot use a rule set; nil accepts any.
func Follow(ctx context.Context, b *bus.Bus, env process.Env, own *verdict.Judge, status *Status, fits func(*verdict.Judge) error) (*Rules, error) {
	kv, err := b.Store(ctx, pipeline.BucketConfig)
	if err != nil {
		return nil, err
	}
	if fits == nil {
		fits = func(*verdict.Judge) error { return nil }
	}
	r, key := &Rules{own: own, status: status, log: env.Log, fits: fits}, b.Own(pipeline.KeyRules)
	r.hold(own, 0)
	applied := &Applied[pipeline.AppliedRules, *verdict.Judge]{Cell: bus.NewCell(kv, key), Decode: r.decode, Use: r.use, Refuse: r.refuse}
	if err := FollowKey(ctx, b, env, key, applied.Load); err != nil {
		return nil, fmt.Errorf("follow the applied rules: %w", err)
	}
	return r, nil
}

// Judge returns the current rule set, for all that decides nothing.
func (r *Rules) Judge() *verdict.Judge { return r.current.Load() }

// Use returns the current rule set and keeps others from becoming current until done is called, once what was decided
// by it is stored. No call to Keepa is made in between. A goroutine calls done before it calls Use again: a nested read
// lock could deadlock with a waiting writer.
func (r *Rules) Use() (judge *verdict.Judge, done func()) {
	r.using.RLock()
	return r.current.Load(), sync.OnceFunc(r.using.RUnlock)
}

func (r *Rules) decode(a pipeline.AppliedRules) (judge *verdict.Judge, version int, err error) {
	judge = r.own
	if a.Rules != "" {
		judge, err = verdict.NewJudge([]byte(a.Rules))
	}
	if err == nil && a.Version > 0 { // its own rules are checked at the start
		err = r.fits(judge)
	}
	return judge, a.Version, err
}

func (r *Rules) use(judge *verdict.Judge, version int) {
	if judge.Version() != r.Judge().Version() {
		r.log.Info("rules are used", "rule_set", judge.Version(), "version", version)
	}
	r.hold(judge, version)
}

func (r *Rules) hold(judge *verdict.Judge, version int) {
	r.using.Lock()
	r.current.Store(judge)
	r.using.Unlock()
	r.status.Report(func(h *pipeline.Heartbeat) {
		h.Rules = &pipeline.CurrentRules{RuleSet: judge.Version(), Version: version, Own: string(r.own.Text())}
	})
}

func (r *Rules) refuse(err error) {
	r.log.Warn("applied rules cannot be used, the last valid ones stay in effect", "err", err, "rule_set", r.Judge().Version())
	r.status.Report(func(h *pipeline.Heartbeat) {
		current := *h.Rules
		current.Refused = err.Error()
		h.Rules = &current
	})
}

// Report changes the heartbeat. What it points to is replaced rather than changed: one that was handed out may be being
// encoded.
func (p *Status) Report(change func(*pipeline.Heartbeat)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	change(&p.h)
}
