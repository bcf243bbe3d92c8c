package verdict

// successors says of each input, setting or threshold that earlier versions had what stands in its place.
var successors = map[string]string{}

// gone is what to use in place of a name that earlier versions had; "" for any other name.
func gone(name string) string { return successors[name] }
