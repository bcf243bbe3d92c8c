package token

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"ratchet/pipeline"
)

// Mode is whether spending continues or pauses so that the balance can grow.
type Mode string

// The modes.
const (
	Burst    Mode = "burst"
	Recharge Mode = "recharge"
)

// Phase is a mode with its reasons. It is stored completely, so a pause keeps its deadline through every restart.
type Phase struct {
	Mode     Mode      `json:"mode"`
	Since    time.Time `json:"since,omitzero"`
	Target   int       `json:"target,omitempty"`   // balance that ends a recharge
	Deadline time.Time `json:"deadline,omitzero"`  // instant that ends it at any balance
	EndedBy  string    `json:"ended_by,omitempty"` // what ended the last recharge: target, deadline, policy
	Claimed  int       `json:"claimed,omitempty"`  // tokens claimed in total when the mode began
	CallDue  time.Time `json:"call_due,omitzero"`  // deadline that is still open, until something was bought
}

// View is the input of a policy.
type View struct {
	Bucket  Bucket
	Claimed int // tokens claimed in total by all stages
	Waiting bool
}

// Policy decides when to spend. Next is pure: the same phase, view and instant
// give the same phase.
type Policy interface {
	Next(p Phase, v View, now time.Time) Phase
}

// Steady spends as soon as a useful call is affordable.
type Steady struct{}

// Next always returns burst.
func (Steady) Next(p Phase, v View, now time.Time) Phase {
	if p.Mode == Burst {
		return p
	}
	ended := p.EndedBy
	if p.Mode == Recharge {
		ended = "policy"
	}
	return Phase{Mode: Burst, Since: now, EndedBy: ended, Claimed: v.Claimed}
}

// RechargePolicy is the policy heartbeat: it spends until the balance is low and then pauses until it is high, but
// never longer than Pause.
type RechargePolicy struct {
	Below  int           // tokens; 0 means the smaller of 20 and a tenth of the capacity
	Target int           // tokens; 0 means 280
	Pause  time.Duration // 0 means 60 minutes
}

func (r RechargePolicy) pause() time.Duration {
	if r.Pause <= 0 {
		return time.Hour
	}
	return r.Pause
}

func (r RechargePolicy) below(b Bucket) int {
	below := cmp.Or(r.Below, 20)
	return min(below, max(1, b.Capacity()/10))
}

// target returns what a pause waits for: never more than the bucket can hold or the deadline can reach.
func (r RechargePolicy) target(b Bucket, deadline, now time.Time) int {
	target := cmp.Or(r.Target, 280)
	ticks := int(max(0, deadline.Sub(now)) / (b.Period() + tickGuard))
	return max(1, min(target, b.Capacity()*93/100, b.Balance(now)+ticks*b.Refill()))
}

// Next returns the phase at now. An invalid state (no deadline, or one further
// away than a pause is long) gets the deadline it should have had.
func (r RechargePolicy) Next(p Phase, v View, now time.Time) Phase {
	if !v.Bucket.Known {
		return p
	}
	balance := v.Bucket.Balance(now)
	switch p.Mode {
	case Recharge:
		if p.Deadline.IsZero() || p.Deadline.Sub(now) > r.pause() {
			p.Deadline = now.Add(r.pause())
		}
		switch {
		case balance >= r.goal(p, v.Bucket):
			return Phase{Mode: Burst, Since: now, EndedBy: "target", Claimed: v.Claimed, CallDue: p.Deadline}
		case !now.Before(p.Deadline):
			return Phase{Mode: Burst, Since: now, EndedBy: "deadline", Claimed: v.Claimed, CallDue: p.Deadline}
		}
		return p
	case Burst:
		worked := v.Claimed > p.Claimed
		if balance >= r.below(v.Bucket) || !worked && v.Waiting {
			return p // a burst continues until something was bought: it owes a call
		}
		deadline := now.Add(r.pause())
		if !worked && !p.CallDue.IsZero() && p.CallDue.Before(deadline) {
			deadline = p.CallDue
		}
		return Phase{Mode: Recharge, Since: now, Target: r.target(v.Bucket, deadline, now), Deadline: deadline, EndedBy: p.EndedBy, Claimed: v.Claimed}
	}
	return Phase{Mode: Burst, Since: now, Claimed: v.Claimed}
}

// goal returns the stored target, clamped again: the plan may have shrunk since.
func (r RechargePolicy) goal(p Phase, b Bucket) int {
	if p.Target <= 0 {
		return max(1, b.Capacity()*93/100)
	}
	return min(p.Target, max(1, b.Capacity()*93/100))
}

// Rules are the fields of the key policy; absent fields keep the defaults.
type Rules struct {
	Policy       string                 `json:"policy,omitempty"` // steady or heartbeat
	Floor        *int                   `json:"floor,omitempty"`
	Weights      map[pipeline.Stage]int `json:"weights,omitempty"`
	ListShare    int                    `json:"list_share,omitempty"`    // percent
	Below        int                    `json:"below,omitempty"`         // heartbeat: balance that begins a pause
	Target       int                    `json:"target,omitempty"`        // heartbeat: balance that ends it
	PauseMinutes int                    `json:"pause_minutes,omitempty"` // heartbeat: and its deadline
	Ceilings     map[pipeline.Kind]int  `json:"ceilings,omitempty"`      // worst prices above the documented ones
}

// MostFloor bounds an operator's floor: no bucket of Keepa's is larger.
const MostFloor = 300_000

// ParseRules reads the key policy; an empty value is no rules.
func ParseRules(raw []byte) (Rules, error) {
	var r Rules
	if len(raw) == 0 {
		return r, nil
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields() // a typing error must not silently mean the default
	if err := d.Decode(&r); err != nil {
		return Rules{}, fmt.Errorf("policy: want JSON like {\"policy\":\"steady\"}: %w", err)
	}
	if rest := bytes.TrimSpace(raw[d.InputOffset():]); len(rest) > 0 {
		return Rules{}, fmt.Errorf("policy: want one JSON value, got %q after it", rest)
	}
	var errs []error
	if r.Policy != "" && r.Policy != "steady" && r.Policy != "heartbeat" {
		errs = append(errs, fmt.Errorf("policy: want steady or heartbeat, got %q", r.Policy))
	}
	for _, stage := range slices.Sorted(maps.Keys(r.Weights)) { // the same text for the same value
		w := r.Weights[stage]
		if Price(KindOf(stage)) == 0 {
			errs = append(errs, fmt.Errorf("policy: weights: want watermarker, peeker or committer, got %q", stage))
		}
		if w < 1 || w > 1000 {
			errs = append(errs, fmt.Errorf("policy: weight of %s: want 1 to 1000, got %d", stage, w))
		}
	}
	for _, kind := range slices.Sorted(maps.Keys(r.Ceilings)) {
		n := r.Ceilings[kind]
		if worst := Price(kind); worst == 0 || n < worst || n > 1000 {
			errs = append(errs, fmt.Errorf("policy: ceiling of %s: want deals, peek, commit or seller, and from its documented price (%d) to 1000, got %d", kind, worst, n))
		}
	}
	if r.Floor != nil && (*r.Floor < -MostFloor || *r.Floor > MostFloor) {
		errs = append(errs, fmt.Errorf("policy: floor: want %d to %d tokens, got %d", -MostFloor, MostFloor, *r.Floor))
	}
	if r.ListShare < 0 || r.ListShare > 100 {
		errs = append(errs, fmt.Errorf("policy: list_share: want 1 to 100 percent, got %d", r.ListShare))
	}
	if r.PauseMinutes < 0 || r.PauseMinutes > 60 {
		errs = append(errs, fmt.Errorf("policy: pause_minutes: want 1 to 60, got %d", r.PauseMinutes))
	}
	if r.Below < 0 || r.Target < 0 || r.Target > 0 && r.Target <= r.Below {
		errs = append(errs, fmt.Errorf("policy: want 0 <= below < target, got below %d and target %d", r.Below, r.Target))
	}
	return r, errors.Join(errs...)
}

// Check refuses values that this plan can never reach, and shows the arithmetic. A rate
// that only one reading reports may be an error of Keepa's, and refuses nothing.
func (r Rules) Check(b Bucket) error {
	capacity, minutes := b.Capacity(), r.PauseMinutes
	minutes = cmp.Or(minutes, 60)
	if !b.steady || capacity == 0 {
		return nil
	}
	if r.Target > capacity {
		return fmt.Errorf("policy: target %d can never be reached: the bucket holds %d × %d a minute = %d", r.Target, Minutes, b.Rate(), capacity)
	}
	if grows := minutes * b.Refill(); r.Target-r.Below > grows {
		return fmt.Errorf("policy: target %d can never be reached from %d: a pause of %d min brings %d × %d = %d tokens",
			r.Target, r.Below, minutes, minutes, b.Refill(), grows)
	}
	if r.Floor != nil && capacity-*r.Floor < PriceCommit {
		return fmt.Errorf("policy: floor %d leaves %d - %d = %d tokens, and a commit may cost %d", *r.Floor, capacity, *r.Floor, capacity-*r.Floor, PriceCommit)
	}
	return nil
}

// reachable returns the rules that this plan can follow: without the balances that it never reaches.
func (r Rules) reachable(b Bucket) Rules {
	if r.Check(b) != nil {
		r.Policy, r.Below, r.Target, r.PauseMinutes, r.Floor = "", 0, 0, 0, nil
	}
	return r
}

// Choose returns the policy that the rules name.
func (r Rules) Choose() Policy {
	if r.Policy == "heartbeat" {
		return RechargePolicy{Below: r.Below, Target: r.Target, Pause: time.Duration(r.PauseMinutes) * time.Minute}
	}
	return Steady{}
}

// Over returns the shares with the rules' values in place.
func (r Rules) Over(s Shares) Shares {
	weight := map[pipeline.Stage]int{}
	maps.Copy(weight, s.Weight)
	maps.Copy(weight, r.Weights)
	s.Weight = weight
	if r.ListShare > 0 {
		s.ListPart = r.ListShare
	}
	return s
}
