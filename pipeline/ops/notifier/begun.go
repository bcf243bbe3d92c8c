package notifier

import (
	"context"
	"errors"
	"maps"
	"time"

	"ratchet/pipeline"
	"ratchet/pipeline/ops/cli"
	"ratchet/pipeline/platform/bus"
	"ratchet/pipeline/platform/loop"
	"ratchet/pipeline/platform/process"
)

// Begun is a digest that is being sent to a target. It is stored before the digest is sent and removed once the
// target has accepted it. If one of its deals is redelivered in between, the whole digest is sent again under the
// same key.
type Begun struct {
	Deals []pipeline.Identity `json:"deals"`
	Run   string              `json:"run"` // of the notifier that sends it
	At    time.Time           `json:"at"`  // machine time
}

// begin writes what is about to be sent.
func (l *sender) begin(ctx context.Context, key string, ids []pipeline.Identity) error {
	_, err := bus.ChangeOwn(ctx, l.stateCell(), func(s TargetState) (TargetState, bool, error) {
		s.Begun = maps.Clone(s.Begun)
		if s.Begun == nil {
			s.Begun = map[string]Begun{}
		}
		// So old an entry is dropped: its deals have left DEALS.
		maps.DeleteFunc(s.Begun, func(_ string, b Begun) bool { return process.MachineSince(b.At) > forgotten })
		s.Begun[key] = Begun{Deals: ids, Run: l.n.self, At: process.MachineNow().UTC()}
		return s, true, nil
	})
	return err
}

// end removes what was sent.
func (l *sender) end(ctx context.Context, key string) error {
	_, err := bus.ChangeOwn(ctx, l.stateCell(), func(s TargetState) (TargetState, bool, error) {
		if _, is := s.Begun[key]; !is {
			return s, false, nil
		}
		s.Begun = maps.Clone(s.Begun)
		delete(s.Begun, key)
		return s, true, nil
	})
	return err
}

// takeOver adopts a message that an earlier run began; false if it was deleted.
func (l *sender) takeOver(ctx context.Context, key string, was Begun) (bool, error) {
	ours := false
	_, err := bus.ChangeOwn(ctx, l.stateCell(), func(s TargetState) (TargetState, bool, error) {
		b, is := s.Begun[key]
		ours = is && (b.Run == l.n.self || b.Run == was.Run && b.At.Equal(was.At))
		if !ours || b.Run == l.n.self {
			return s, false, nil
		}
		s.Begun = maps.Clone(s.Begun)
		s.Begun[key] = Begun{Deals: b.Deals, Run: l.n.self, At: process.MachineNow().UTC()}
		return s, true, nil
	})
	return ours, err
}

// resumeDigests sends again each digest that was begun and not completed, if one of its deals is redelivered. It
// returns the deliveries that are left to handle; those of a digest that another notifier is sending, or that the
// target does not accept now, are handed back.
func (l *sender) resumeDigests(ctx context.Context, items []loop.Item) ([]loop.Item, error) {
	s, err := l.state(ctx)
	if err != nil {
		return nil, errors.Join(err, again(ctx, items, time.Second))
	}
	for key, b := range s.Begun {
		members, others := split(items, b)
		if len(members) == 0 {
			continue
		}
		if wait := l.n.ackWait - process.MachineSince(b.At); wait > 0 && b.Run != l.n.self {
			if err := again(ctx, members, wait); err != nil {
				return nil, errors.Join(err, again(ctx, others, 0))
			}
			items = others
			continue
		}
		taken, err := l.resendDigest(ctx, key, b)
		if err != nil {
			return nil, errors.Join(err, again(ctx, items, time.Second))
		}
		if !taken {
			return others, l.handBack(ctx, members)
		}
	}
	return items, nil
}

// split divides deliveries into those about the deals of a message and the others.
func split(items []loop.Item, b Begun) (members, others []loop.Item) {
	of := map[string]bool{}
	for _, id := range b.Deals {
		of[pipeline.SubjectDeal(id.Domain, id.PriceType, id.ASIN)] = true
	}
	for _, it := range items {
		if of[it.Subject] {
			members = append(members, it)
		} else {
			others = append(others, it)
		}
	}
	return members, others
}

// resendDigest sends a begun digest again, without deals that are hidden or have another price by now; false if the
// target does not accept it now. If one of its deals is in POSTED the target has accepted all, and the rest is only
// recorded.
func (l *sender) resendDigest(ctx context.Context, key string, b Begun) (taken bool, err error) {
	if ours, err := l.takeOver(ctx, key, b); err != nil || !ours {
		return err == nil, err
	}
	var about []cli.Current
	for _, id := range b.Deals {
		known, err := l.knows(ctx, id)
		if err != nil {
			return false, err
		}
		if known {
			return true, l.remembered(ctx, key, b.Deals, "")
		}
		d, err := cli.CurrentOn(ctx, l.n.b, pipeline.SubjectDeal(id.Domain, id.PriceType, id.ASIN))
		if err != nil {
			return false, err
		}
		if d.Visible && d.Identity() == id {
			about = append(about, d)
		}
	}
	if len(about) == 0 {
		return true, l.end(ctx, key)
	}
	return l.deliver(ctx, key, sorted(about), b.Deals)
}
