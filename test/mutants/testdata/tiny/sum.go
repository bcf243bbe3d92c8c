// Package tiny is what the runner is tested with.
package tiny

// Sum is a + b.
func Sum(a, b int) int { return a + b }

// Max is the larger.
func Max(a, b int) int {
	if a > b {
		return a
	}
	return b
}

// Count is how often f says that it goes on.
func Count(f func() bool) (n int) {
	for f() {
		n++
	}
	return n
}
