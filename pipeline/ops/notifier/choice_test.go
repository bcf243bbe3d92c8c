package notifier

import (
	"strings"
	"testing"
)

func TestTheLimitsOfNotificationsAreReadAsThoseOfTheListAndRefuseWhatIsNotANumber(t *testing.T) {
	t.Parallel()
	c, err := Settings{MinProfit: "$12.50", MaxLossChance: " 30 % "}.choice()
	if err != nil || c.MinProfit == nil || *c.MinProfit != 12.5 || c.MaxLossChance == nil || *c.MaxLossChance != 0.3 {
		t.Errorf("read as %+v, %v", c, err)
	}
	for _, bad := range []string{"NaN", "inf", "1e3", "ten", "12.505"} {
		if _, err := (Settings{MinProfit: bad}).choice(); err == nil || !strings.HasPrefix(err.Error(), "NOTIFY_MIN_PROFIT: want an amount like 12.50") {
			t.Errorf("a profit of %s: %v", bad, err)
		}
		if _, err := (Settings{MaxLossChance: bad}).choice(); err == nil || !strings.HasPrefix(err.Error(), "NOTIFY_MAX_LOSS_CHANCE: want odds like 30% or 0.3") {
			t.Errorf("odds of %s: %v", bad, err)
		}
	}
	if c, err := (Settings{}).choice(); err != nil || c.MinProfit != nil || c.MaxLossChance != nil {
		t.Errorf("unset is %+v, %v", c, err)
	}
}
