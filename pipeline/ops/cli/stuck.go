package cli

import (
	"errors"
	"fmt"
	"strings"

	"ratchet/pipeline"
	"ratchet/pipeline/domain/token"
	"ratchet/pipeline/text/foreign"
)

// BadKey is a key whose value cannot be read.
type BadKey struct {
	Bucket string `json:"bucket"`
	Key    string `json:"key"`
	Says   string `json:"says"`
}

func (k BadKey) String() string {
	return fmt.Sprintf("%s/%s cannot be read: %s", k.Bucket, k.Key, k.Says)
}

// Stuck is something that gets nothing done and is neither idle nor waiting for tokens.
type Stuck struct {
	Daemon string `json:"daemon"`
	Reason string `json:"reason"`
}

func (s Stuck) String() string { return foreign.Of(s.Daemon + ": " + s.Reason).String() }

// stuck is what stands still, by what the daemons say of themselves, by the keys that nobody can
// read, and by the daemons that are not there.
func (s Status) stuck() []Stuck {
	var out []Stuck
	said := ""
	for _, h := range s.Daemons {
		if why := standsStill(h); why != "" {
			out = append(out, Stuck{Daemon: ofPlan(h.Daemon, h.Plan), Reason: why})
			said += why
		}
	}
	if s.Balance != nil && s.Balance.Refused != "" {
		out = append(out, Stuck{Daemon: "tokend", Reason: "refused: " + s.Balance.Refused})
		said += s.Balance.Refused
	}
	for _, p := range s.Plans {
		if p.Balance != nil && p.Balance.Refused != "" {
			out = append(out, Stuck{Daemon: ofPlan("tokend", p.Plan), Reason: "refused: " + p.Balance.Refused})
			said += p.Balance.Refused
		}
		for _, name := range p.Missing {
			out = append(out, Stuck{Daemon: ofPlan(name, p.Plan), Reason: "does not run: no heartbeat"})
		}
	}
	for _, h := range s.Daemons {
		if h.Rules != nil && h.Rules.Refused != "" {
			out = append(out, Stuck{Daemon: ofPlan(h.Daemon, h.Plan), Reason: fmt.Sprintf("refuses the applied rules and decides by version %d: %s", h.Rules.Version, h.Rules.Refused)})
			said += h.Rules.Refused
		}
		if h.Queries != nil && h.Queries.Refused != "" {
			out = append(out, Stuck{Daemon: ofPlan(h.Daemon, h.Plan), Reason: fmt.Sprintf("refuses the applied queries and reads by version %d: %s", h.Queries.Version, h.Queries.Refused)})
			said += h.Queries.Refused
		}
	}
	for _, k := range s.Bad {
		if !strings.Contains(said, k.Bucket+"/"+k.Key) && !strings.Contains(said, k.Says) {
			out = append(out, Stuck{Daemon: readerOf(k), Reason: k.String()})
		}
	}
	for _, name := range s.Missing {
		if name != "recorder" { // without ClickHouse there is none
			out = append(out, Stuck{Daemon: name, Reason: "does not run: no heartbeat"})
		}
	}
	return out
}

// standsStill is why a daemon gets nothing done; empty where it says nothing of the kind.
func standsStill(h pipeline.Heartbeat) string {
	switch {
	case h.Stuck != "":
		return h.Stuck
	case h.State == "stuck":
		return h.LastError
	}
	return ""
}

// readerOf is the daemon that a key stops.
func readerOf(k BadKey) string {
	switch {
	case !strings.HasPrefix(k.Bucket, pipeline.BucketTokens):
		return "watermarker" // it reads the lists and keeps the stock
	case k.Key == pipeline.KeyShed:
		return "peeker"
	}
	return "tokend"
}

// Check is nil while nothing is stuck; else one line that names what is, and why.
func (s Status) Check() error {
	if len(s.Stuck) == 0 {
		if late := s.lateness(); late != "" {
			return errors.New(late)
		}
		return nil
	}
	all := make([]string, len(s.Stuck))
	for i, st := range s.Stuck {
		all[i] = strings.ReplaceAll(st.String(), "\n", " ")
	}
	return fmt.Errorf("stuck: %s", strings.Join(all, "; "))
}

// Keepa is what the daemons that run hear from Keepa: the balance, or in its own words why there is
// none, and the calls that fail. runs is false where no tokend does.
func (s Status) Keepa() (says string, err error, runs bool) {
	var wrong []string
	for _, h := range s.Daemons {
		switch {
		case h.Daemon == "tokend" && h.State != "standby":
			runs = true
			if h.LastError != "" && h.Stuck == "" {
				wrong = append(wrong, h.LastError)
			}
		case h.State == "circuit_open":
			wrong = append(wrong, fmt.Sprintf("%s pauses its calls: %s", h.Daemon, h.LastError))
		}
	}
	if !runs {
		return "", nil, false
	}
	b := s.Balance
	if b != nil && b.API != nil {
		if why := token.Starved(*b.API); why != "" {
			wrong = append(wrong, why)
		}
	}
	if len(wrong) > 0 {
		return "", errors.New(strings.Join(wrong, "; ")), true
	}
	if b == nil || b.API == nil {
		return "the daemons that run have not heard of the balance yet", nil, true
	}
	return fmt.Sprintf("%d tokens a minute, balance %d of %d, by the daemons that run", b.Rate, b.Est, b.Cap), nil, true
}
