// Package target is the ground truth against which estimates are scored: which copies were sold, at what price, and
// the profit of a purchase. It shares no code with the estimator, and changes only together with Version.
//
// Sales are inferred: the count of used offers falls, does not come back within a
// day, and the sales rank jumps. See docs/backtest.md for the limits of that.
package target

// Version is the number of this definition. Figures are comparable only within one version.
const Version = 1
