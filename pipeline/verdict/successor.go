package verdict

// successors says of each input, setting or threshold that earlier versions had what stands in its place. A name that
// is still there is not looked up, so an entry can come before the name goes.
var successors = map[string]string{
	"amazon_ceiling_percent":         builtInCaps,
	"amazon_ceiling_cents":           builtInCaps,
	"profit_at_amazon_ceiling_cents": builtInCaps,
	"list_price_cents":               "use sale_price_cents, what a used copy is expected to sell for",
	"seasonal_min_sales":             "removed: the estimate has no seasons; leave the line out",
	"outlier_factor":                 "removed: the estimate has no outlier fences; leave the line out",
}

const builtInCaps = "caps are built in: a copy cannot bring more than Amazon's or the lowest new landed price"

// gone is what to use in place of a name that earlier versions had; "" for any other name.
func gone(name string) string { return successors[name] }
