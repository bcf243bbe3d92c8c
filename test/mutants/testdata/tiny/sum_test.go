package tiny

import "testing"

func TestSum(t *testing.T) {
	if Sum(2, 3) != 5 {
		t.Error("2 + 3")
	}
}

func TestMaxOfTheFirst(t *testing.T) {
	if Max(3, 2) != 3 {
		t.Error("3 and 2")
	}
}

func TestSkips(t *testing.T) { t.Skip("nothing to see") }

func TestPanics(t *testing.T) {
	if Sum(1, 1) != 2 {
		panic("1 + 1")
	}
}

func TestCount(t *testing.T) {
	left := 3
	if Count(func() bool { left--; return left > 0 }) != 2 {
		t.Error("counts")
	}
}

func TestFails(t *testing.T) { t.Error("always") }
