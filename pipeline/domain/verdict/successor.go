package verdict

// successors names the replacement of each input, setting or threshold that earlier versions had. A
// name that still exists is not looked up, so an entry can be added before the name is removed.
var successors = map[string]string{
	"amazon_ceiling_percent":         builtInCaps,
	"amazon_ceiling_cents":           "use amazon_cents: " + builtInCaps,
	"profit_at_amazon_ceiling_cents": "use profit_at_amazon_cents, the profit of a sale at Amazon's price",
	"profit_at_hard_ceiling_cents":   "use profit_at_new_cents, the profit of a sale at the lowest new landed price",
	"hard_ceiling_cents":             builtInCaps,
	"list_price_cents":               "use sale_price_cents, what a used copy is expected to sell for",
	"one_year_average_cents":         "use sale_price_cents, what a used copy is expected to sell for",
	"best_profit_cents":              "use expected_profit_cents: before the commit it is the most that the commit can find",
	"profit_cents":                   "use expected_profit_cents, the profit at the middle of what the copy may sell for",
	"best_roi_percent":               "use roi_percent: before the commit it is the most that the commit can find",
	"confidence_percent":             "use loss_chance, or n_eff for how many sales the estimate rests on",
	"trigger_count":                  "use fall_count, how often the used count fell",
	"suspicious_ratio":               "removed: " + builtInCaps + "; leave the line out",
	"markup_percent":                 "removed: a deal says at which sale price it breaks even; leave the line out",
	"sale_window_days":               sharpSales,
	"confirm_hours":                  sharpSales,
	"late_confirm_days":              sharpSales,
	"seasonal_min_sales":             "removed: the estimate has no seasons; leave the line out",
	"outlier_factor":                 "removed: the estimate has no outlier fences; leave the line out",
}

const (
	builtInCaps = "caps are built in: a copy cannot bring more than Amazon's or the lowest new landed price"
	sharpSales  = "removed: the test that makes a fall of the used count a sale was measured and is fixed; leave the line out"
)

// successorOf says what to use in place of a name that earlier versions had; "" for any other name.
func successorOf(name string) string { return successors[name] }
