package worker

import (
	"bytes"
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
	if file == "" {
		return verdict.NewJudge(schemas.UsedBooks)
	}
	_, j, err := ReadRules(ctx, file)
	return j, err
}

// ReadRules returns the text of a rule file and its rules.
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

// Rules are the current rules in a daemon: its own, until the operator applies others (CONFIG), which take
// precedence. If applied rules are unreadable, or the daemon rejects them, the last good rules remain.
//
// Rules become current once everything that the ones before decided is stored: the heartbeat names a version only
// then, so that a process which decides the stored deals again after it finds all of them.
type Rules struct {
	own     *verdict.Judge
	cell    bus.Cell
	pulse   *Pulse
	log     *slog.Logger
	fits    func(*verdict.Judge) error
	read    []byte // the value in CONFIG that was read last
	refused string // why that is not used
	now     atomic.Pointer[verdict.Judge]
	using   sync.RWMutex // held for reading from a decision until it is stored
}

// Follow reads the applied rules, and later changes of them, until ctx
// ends. fits returns why the daemon cannot use a rule set; nil accepts any.
func Follow(ctx context.Context, b *bus.Bus, env process.Env, own *verdict.Judge, pulse *Pulse, fits func(*verdict.Judge) error) (*Rules, error) {
	kv, err := b.Store(ctx, pipeline.BucketConfig)
	if err != nil {
		return nil, err
	}
	if fits == nil {
		fits = func(*verdict.Judge) error { return nil }
	}
	r := &Rules{own: own, cell: bus.NewCell(kv, b.Own(pipeline.KeyRules)), pulse: pulse, log: env.Log, fits: fits}
	r.hold(own, 0)
	if err := FollowKey(ctx, b, env, b.Own(pipeline.KeyRules), r.reload); err != nil {
		return nil, fmt.Errorf("follow the applied rules: %w", err)
	}
	return r, nil
}

// Judge returns the current rule set, for all that decides nothing.
func (r *Rules) Judge() *verdict.Judge { return r.now.Load() }

// Use returns the current rule set and keeps others from becoming current until done is called, once what was decided
// by it is stored. Nothing waits for an external service in between, and it is never called twice at the same time.
func (r *Rules) Use() (judge *verdict.Judge, done func()) {
	r.using.RLock()
	return r.now.Load(), sync.OnceFunc(r.using.RUnlock)
}

// reload reads the applied rules and activates them if they have changed. Its error is one of NATS.
func (r *Rules) reload(ctx context.Context) error {
	raw, _, err := r.cell.Read(ctx)
	if err != nil || bytes.Equal(raw, r.read) && r.refused == "" {
		return err
	}
	r.read = raw
	judge, version, err := r.applied(raw)
	if err != nil {
		if r.refused != err.Error() {
			r.log.Warn("applied rules are refused, the last good ones hold", "err", err, "rule_set", r.Judge().Version())
		}
		r.refused = err.Error() // the reason may go away: they are checked again
		r.pulse.Refused(err)
		return nil
	}
	r.refused = ""
	if judge.Version() != r.Judge().Version() {
		r.log.Info("rules are used", "rule_set", judge.Version(), "version", version)
	}
	r.hold(judge, version)
	return nil
}

// applied returns the rules that a value of CONFIG makes current.
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
	r.using.Lock()
	r.now.Store(judge)
	r.using.Unlock()
	r.pulse.SetRules(pipeline.CurrentRules{RuleSet: judge.Version(), Version: version, Own: string(r.own.Text())})
}

// SetRules sets the rules that the heartbeat reports.
func (p *Pulse) SetRules(r pipeline.CurrentRules) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.h.Rules = &r
}

// Refused reports why newer rules are not used.
func (p *Pulse) Refused(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	r := pipeline.CurrentRules{}
	if p.h.Rules != nil {
		r = *p.h.Rules
	}
	r.Refused = err.Error()
	p.h.Rules = &r
}

// SetQueries sets the queries that the heartbeat reports.
func (p *Pulse) SetQueries(q pipeline.CurrentQueries) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.h.Queries = &q
}

// QueriesRefused reports why newer queries are not used.
func (p *Pulse) QueriesRefused(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	q := pipeline.CurrentQueries{}
	if p.h.Queries != nil {
		q = *p.h.Queries
	}
	q.Refused = err.Error()
	p.h.Queries = &q
}
