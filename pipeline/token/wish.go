package token

import (
	"encoding/json"
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

// ParseWish reads a word or {"mode": word}; anything unknown, and nothing, is run
// for absence and paused for nonsense: a wish that cannot be read must not spend.
func ParseWish(raw []byte) Wish {
	if len(raw) == 0 {
		return Run
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
		return w
	default:
		return Paused
	}
}

// How long a claim lives: the longer of the two, pipeline and machine time.
const (
	ClaimLife        = 120 * time.Second
	ClaimLifeMachine = 10 * time.Second
)
