package cli

import (
	"errors"
	"fmt"
	"strings"

	"ratchet/pipeline"
	"ratchet/pipeline/domain/token"
	"ratchet/pipeline/text/foreign"
)

// BadKey is a key with an unreadable value.
type BadKey struct {
	Bucket string `json:"bucket"`
	Key    string `json:"key"`
	Error  string `json:"says"`
}

func (k BadKey) String() string {
	return fmt.Sprintf("%s/%s cannot be read: %s", k.Bucket, k.Key, k.Error)
}

// Stuck is a part that makes no progress and is neither idle nor waiting for tokens.
type Stuck struct {
	Daemon string `json:"daemon"`
	Reason string `json:"reason"`
}

func (s Stuck) String() string { return foreign.Of(s.Daemon + ": " + s.Reason).String() }

// stuck returns what makes no progress: from the heartbeats, from unreadable keys, and from missing daemons.
func (s Status) stuck() []Stuck {
	var out []Stuck
	reasons := ""
	for _, h := range s.Daemons {
		if why := standsStill(h); why != "" {
			out = append(out, Stuck{Daemon: h.Plan.With(h.Daemon), Reason: why})
			reasons += why
		}
	}
	if s.Balance != nil && s.Balance.Refused != "" {
		out = append(out, Stuck{Daemon: "tokend", Reason: "refused: " + s.Balance.Refused})
		reasons += s.Balance.Refused
	}
	out = append(out, stopped("", s.Balance)...)
	for _, p := range s.Plans {
		out = append(out, stopped(p.Plan, p.Balance)...)
		if p.Balance != nil && p.Balance.Refused != "" {
			out = append(out, Stuck{Daemon: p.Plan.With("tokend"), Reason: "refused: " + p.Balance.Refused})
			reasons += p.Balance.Refused
		}
		for _, name := range p.Missing {
			out = append(out, Stuck{Daemon: p.Plan.With(name), Reason: "does not run: no heartbeat"})
		}
	}
	for _, h := range s.Daemons {
		if h.Rules != nil && h.Rules.Refused != "" {
			out = append(out, Stuck{Daemon: h.Plan.With(h.Daemon), Reason: fmt.Sprintf("refuses the applied rules and decides by version %d: %s", h.Rules.Version, h.Rules.Refused)})
			reasons += h.Rules.Refused
		}
		if h.Queries != nil && h.Queries.Refused != "" {
			out = append(out, Stuck{Daemon: h.Plan.With(h.Daemon), Reason: fmt.Sprintf("refuses the applied queries and reads by version %d: %s", h.Queries.Version, h.Queries.Refused)})
			reasons += h.Queries.Refused
		}
	}
	for _, k := range s.Bad {
		if !strings.Contains(reasons, k.Bucket+"/"+k.Key) && !strings.Contains(reasons, k.Error) {
			out = append(out, Stuck{Daemon: readerOf(k), Reason: k.String()})
		}
	}
	for _, name := range s.Missing {
		switch {
		case name != recorderName:
			out = append(out, Stuck{Daemon: name, Reason: "does not run: no heartbeat"})
		case s.unrecorded > 0:
			out = append(out, Stuck{Daemon: name, Reason: fmt.Sprintf("does not run: no heartbeat, and %d messages wait for ClickHouse", s.unrecorded)})
		}
	}
	return out
}

// stopped returns the stages of a plan whose calls cost more than their ceiling, until the operator raises it.
func stopped(p pipeline.Plan, b *token.Balance) []Stuck {
	var out []Stuck
	if b == nil {
		return out
	}
	for _, stage := range pipeline.Stages() {
		if why := b.Stopped[stage]; why != "" {
			out = append(out, Stuck{Daemon: p.With(string(stage)), Reason: why})
		}
	}
	return out
}

// standsStill returns why a daemon makes no progress; empty if its heartbeat gives no reason.
func standsStill(h pipeline.Heartbeat) string {
	switch {
	case h.Stuck != "":
		return h.Stuck
	case h.State == "stuck":
		return h.LastError
	}
	return ""
}

// readerOf returns the daemon that reads a key.
func readerOf(k BadKey) string {
	switch {
	case !strings.HasPrefix(k.Bucket, pipeline.BucketTokens):
		return "watermarker" // it reads the lists and keeps the stock
	case k.Key == pipeline.KeyShed:
		return "peeker"
	}
	return "tokend"
}

// Check returns nil while nothing is stuck; else one line that names what is, and why.
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

// Keepa returns what the running daemons know from Keepa: the balance, or an error with Keepa's reason why it is
// missing and with the calls that fail. runs is false if tokend does not run.
func (s Status) Keepa() (text string, err error, runs bool) {
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
		return "the running daemons have not received the balance yet", nil, true
	}
	return fmt.Sprintf("%d tokens a minute, balance %d of %d, according to the running daemons", b.Rate, b.Est, b.Cap), nil, true
}
