// Package target is what estimates are judged by: which copies were sold, for how much, and what a purchase would
// have made. It knows nothing of the estimator, and changes only with Version.
//
// Sales are inferred: the count of used offers falls, does not come back within a day, and the sales rank jumps. See
// docs/backtest.md for what that leaves open.
package target

// Version is the number of this definition. A figure is comparable only to figures of the same version.
const Version = 1
