package notifier

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strconv"
	"time"

	"ratchet/pipeline"
	"ratchet/pipeline/domain/keepa"
	"ratchet/pipeline/domain/notify"
	"ratchet/pipeline/platform/bus"
)

// Sent is the value in POSTED of a deal for a target.
type Sent struct {
	CreationDate int64     `json:"creation_date"`
	At           time.Time `json:"at"`                // when it was sent, or renewed
	Refused      string    `json:"refused,omitempty"` // why the target rejected it; empty if it did not
}

// Validate returns an error for an impossible state: a creation date in the future would suppress all later prices.
func (t Sent) Validate() error {
	if t.CreationDate < 0 || t.CreationDate > keepa.LatestPrice {
		return fmt.Errorf("creation_date %d: want Keepa minutes", t.CreationDate)
	}
	return nil
}

// isOlder reports whether what was sent is about an older price, or about another whose date no price can have.
func (t Sent) isOlder(id pipeline.Identity) bool {
	return t.CreationDate != id.CreationDate && !keepa.Minute(t.CreationDate).Follows(keepa.Minute(id.CreationDate), t.At)
}

func (l *sender) cell(id pipeline.Identity) bus.Cell {
	return bus.NewCell(l.n.posted, pipeline.KeyPosted(l.target.hash, id))
}

// knows reports whether the target was sent this price, or a later one. If that cannot be read it is sent again,
// with the same key: a deal is worth more than a repeat.
func (l *sender) knows(ctx context.Context, id pipeline.Identity) (bool, error) {
	raw, _, err := l.cell(id).Read(ctx)
	if err != nil || raw == nil {
		return false, err
	}
	t, err := bus.Decode[Sent](l.cell(id), raw)
	if err != nil {
		l.n.env.Log.Warn("what a target was sent cannot be read, it is sent again", "target", l.target.Name(), "asin", id.ASIN, "err", err)
		return false, nil
	}
	if t.isOlder(id) {
		return false, nil
	}
	return true, l.renew(ctx, id, t)
}

// renewAfter is how long a key of POSTED is not rewritten. It is much shorter than the age at which POSTED drops it: a
// price that lasts longer than that, and is decided again meanwhile, is not sent again.
const renewAfter = 30 * 24 * time.Hour

// renew rewrites what the target was sent, if that is long ago.
func (l *sender) renew(ctx context.Context, id pipeline.Identity, t Sent) error {
	now := l.n.env.Now().UTC()
	if now.Sub(t.At) < renewAfter {
		return nil
	}
	_, err := bus.ChangeOwn(ctx, l.cell(id), func(t Sent) (Sent, bool, error) {
		write := now.Sub(t.At) >= renewAfter
		t.At = now
		return t, write, nil
	})
	return err
}

// remember writes that the target was sent a deal, or refused it.
func (l *sender) remember(ctx context.Context, id pipeline.Identity, refused string) error {
	_, err := bus.ChangeOwn(ctx, l.cell(id), func(t Sent) (Sent, bool, error) {
		return Sent{CreationDate: id.CreationDate, At: l.n.env.Now().UTC(), Refused: refused}, t.isOlder(id), nil
	})
	return err
}

// remembered writes that the target was sent the deals of a message, or refused them, and then that it is complete.
func (l *sender) remembered(ctx context.Context, key string, ids []pipeline.Identity, refused string) error {
	for _, id := range ids {
		if err := l.remember(ctx, id, refused); err != nil {
			return err
		}
	}
	if len(ids) == 1 {
		return nil
	}
	return l.end(ctx, key)
}

// TargetState is the value in POSTED of a target.
type TargetState struct {
	Refused int               `json:"refused"` // messages that it rejected for good
	Last    []Refused         `json:"last"`    // of those, the newest last
	Alarms  map[string]string `json:"alarms"`  // that it was sent and that are not over, by name
	Changes int               `json:"changes"` // alarms that it was sent, and ends

	Begun map[string]Begun `json:"begun,omitempty"` // messages about several deals that it is being sent, by key
}

// Refused is a message that was refused.
type Refused struct {
	Key  string    `json:"key"`
	At   time.Time `json:"at"`
	Says string    `json:"says"`
}

// mostAside is how many refused messages are kept: a message that is refused again after a crash counts once.
const mostAside = 20

func (s TargetState) last() string {
	if len(s.Last) == 0 {
		return ""
	}
	a := s.Last[len(s.Last)-1]
	return a.Key + ": " + a.Says
}

func (l *sender) stateCell() bus.Cell {
	return bus.NewCell(l.n.posted, pipeline.KeyTarget(l.target.hash))
}

func (l *sender) state(ctx context.Context) (TargetState, error) {
	raw, _, err := l.stateCell().Read(ctx)
	if err != nil {
		return TargetState{}, err
	}
	s, err := bus.Decode[TargetState](l.stateCell(), raw)
	if err != nil {
		l.n.env.Log.Warn("what a target was sent cannot be read, it is sent again", "target", l.target.Name(), "err", err)
	}
	return s, nil
}

// setAside counts a message that the target will never take.
func (l *sender) setAside(ctx context.Context, key, text string) error {
	s, err := bus.ChangeOwn(ctx, l.stateCell(), func(s TargetState) (TargetState, bool, error) {
		for _, a := range s.Last {
			if a.Key == key {
				return s, false, nil
			}
		}
		s.Refused++
		s.Last = append(s.Last, Refused{Key: key, At: l.n.env.Now().UTC(), Says: text})
		s.Last = s.Last[max(len(s.Last)-mostAside, 0):]
		return s, true, nil
	})
	if err == nil {
		l.note(func(is *targetStatus) { is.Refused, is.LastRefused = s.Refused, s.last() })
	}
	return err
}

// reconcile sends the target the alarms that it has not received and the ends of those that are over. A repeat
// after a crash has the same key, because the number of changes is stored after each. A change that was sent but
// not stored is stored first, so that the end of an alarm is sent even if the alarm is over by then.
func (l *sender) reconcile(ctx context.Context) error {
	now := l.n.alarms.now.Load()
	if now == nil {
		l.unstored = nil // another notifier leads, and its senders go by what is stored
		return nil
	}
	if now == l.synced {
		return nil
	}
	s, err := l.state(ctx)
	if err == nil && l.unstored != nil {
		s, err = l.sent(ctx, *l.unstored)
	}
	if err != nil {
		return err
	}
	for _, c := range notify.Changes(s.Alarms, *now) {
		key := fmt.Sprintf("alarm.%s.%s", l.target.hash, strconv.Itoa(s.Changes))
		err := l.attempt(ctx, Message{Key: key, Alarm: &c})
		if refused, is := errors.AsType[*refusal](err); err != nil && (!is || refused.outcome != notify.Refused) {
			return nil //nolint:nilerr // it is logged, and the sender rests
		}
		if s, err = l.sent(ctx, c); err != nil {
			return err
		}
	}
	l.synced = now
	return nil
}

// sent stores that the target was sent a change, although ctx may have ended.
func (l *sender) sent(ctx context.Context, c notify.Alarm) (TargetState, error) {
	l.unstored = &c
	settled, cancel := context.WithTimeout(context.WithoutCancel(ctx), l.n.settleWithin)
	defer cancel()
	s, err := bus.ChangeOwn(settled, l.stateCell(), func(s TargetState) (TargetState, bool, error) {
		if _, known := s.Alarms[c.Name]; known != c.Ended {
			return s, false, nil // it was stored although its outcome was an error
		}
		return s.after(c), true, nil
	})
	if err == nil {
		l.unstored = nil
	}
	return s, err
}

// after is the state once a change was sent.
func (s TargetState) after(c notify.Alarm) TargetState {
	s.Alarms = maps.Clone(s.Alarms)
	if s.Alarms == nil {
		s.Alarms = map[string]string{}
	}
	if c.Ended {
		delete(s.Alarms, c.Name)
	} else {
		s.Alarms[c.Name] = c.Text
	}
	s.Changes++
	return s
}
