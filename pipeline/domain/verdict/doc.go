// Package verdict decides: it applies rules, kept as data, to what each look knows.
//
// A rule is an expression that rejects when it is true. It belongs to the first look that knows all
// its inputs and runs again at every later look on newer inputs, so that no two looks decide
// differently. A rule file is checked when it is loaded: an input that a look does not have is an
// error that names the rule and the input, before the first candidate is judged.
//
// Three laws, each a property test:
//
//   - Total: every candidate gets exactly one finding, with a reason.
//   - Superset: what the commit accepts, every rule of glance and peek accepts that is not marked heuristic.
//     Such rules therefore only use bounds of what the commit can find (see package deal).
//   - Monotone: a lower buy price never turns a deal into a reject.
package verdict
