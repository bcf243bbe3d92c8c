package token

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

// Wish is what the operator wants of the budget.
type Wish string

// The wishes.
const (
	Run     Wish = "run"     // spend
	Paused  Wish = "paused"  // do not spend; free work goes on
	Nospend Wish = "nospend" // decide what stored answers can decide
)

// ParseWish reads a word or {"mode": word}; nothing is run. An error leaves the last wish that
// could be read in force.
func ParseWish(raw []byte) (Wish, error) {
	if len(raw) == 0 {
		return Run, nil
	}
	var v struct {
		Mode string `json:"mode"`
	}
	word := strings.Trim(strings.TrimSpace(string(raw)), `"`)
	if json.Unmarshal(raw, &v) == nil && v.Mode != "" {
		word = v.Mode
	}
	switch w := Wish(word); w {
	case Run, Paused, Nospend:
		return w, nil
	default:
		return Paused, fmt.Errorf("mode: want run, paused or nospend, got %q; `ratchet resume`, `pause` and `nospend` write it", cut(word))
	}
}

// cut keeps what somebody wrote short enough to be shown.
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
	ClaimLifeMachine = 10 * time.Second
)
