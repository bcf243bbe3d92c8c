package token

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

// Wish is the operator's mode for the budget.
type Wish string

// The operator's modes.
const (
	Run     Wish = "run"     // spend
	Paused  Wish = "paused"  // do not spend; free work continues
	Nospend Wish = "nospend" // decide only from stored answers
)

// Setting is the value of the key mode. A bare word is read too.
type Setting struct {
	Mode Wish `json:"mode"`
}

// ParseWish reads a word or {"mode": word}; an empty value is run. After an error the last valid mode stays in force.
func ParseWish(raw []byte) (Wish, error) {
	if len(raw) == 0 {
		return Run, nil
	}
	var v Setting
	word := strings.Trim(strings.TrimSpace(string(raw)), `"`)
	if json.Unmarshal(raw, &v) == nil && v.Mode != "" {
		word = string(v.Mode)
	}
	switch w := Wish(word); w {
	case Run, Paused, Nospend:
		return w, nil
	default:
		return Paused, fmt.Errorf("mode: want run, paused or nospend, got %q; `ratchet resume`, `pause` and `nospend` write it", cut(word))
	}
}

// cut shortens input for an error message.
func cut(s string) string {
	const most = 40
	if len(s) > most {
		return s[:most] + "…"
	}
	return s
}

// How long a claim lives: the longer of the two, pipeline and machine time.
const (
	ClaimLife        = 120 * time.Second
	claimLifeMachine = 10 * time.Second
)

// Life is how long a claim lives until tokend reaps it, machine time. machine converts pipeline time.
func Life(machine func(time.Duration) time.Duration) time.Duration {
	return max(machine(ClaimLife), claimLifeMachine)
}
