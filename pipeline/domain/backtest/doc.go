// Package backtest scores an estimator by a walk forward over real histories: the estimator decides from what
// was known at an instant, and the frozen target (pipeline/domain/target) gives the outcome. It reads nothing
// and spends nothing: a Suite takes one book at a time and keeps only estimates and outcomes.
package backtest
