package tokend

import (
	"errors"
	"fmt"
	"testing"

	"ratchet/pipeline/spend/gateway"
)

func TestAKeyIsRefusedUntilKeepaTakesItAndNotBecauseACallFailed(t *testing.T) {
	t.Parallel()
	d := &tokend{}
	for i, step := range []struct {
		err  error
		want bool
	}{
		{nil, false},
		{fmt.Errorf("ask: %w", &gateway.Error{Kind: gateway.BadKey}), true},
		{errors.New("the context ended"), true}, // not about the key
		{nil, false},
		{&gateway.Error{Kind: gateway.Payment}, true},
		{&gateway.Error{Kind: gateway.Unreached}, true},
		{nil, false},
		{&gateway.Error{Kind: gateway.Timeout}, false},
	} {
		d.noteKey(step.err)
		if got := d.refused.Load(); got != step.want {
			t.Errorf("step %d (%v): got %t, want %t", i, step.err, got, step.want)
		}
	}
}
