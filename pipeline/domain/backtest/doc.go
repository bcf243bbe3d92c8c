// Package backtest scores an estimator by walking it forward over real histories: it decides on what was known then,
// and the frozen target (pipeline/domain/target) says what became of it. It reads nothing and spends nothing: a Suite takes
// one book at a time and keeps only what it said and what came.
package backtest
