package verdict

import (
	"fmt"
	"maps"
	"math"
	"regexp"
	"slices"

	"github.com/expr-lang/expr/ast"
)

// span is the range of a number, both ends included.
type span struct {
	low, high float64
	whole     bool // it is an integer
}

var anything = span{low: math.Inf(-1), high: math.Inf(1)}

// point returns the span of one number.
func point(v float64, whole bool) span { return span{v, v, whole} }

func (s span) empty() bool { return s.low > s.high }

func (s span) has(v float64) bool { return s.low <= v && v <= s.high }

func (s span) meet(o span) span {
	return span{max(s.low, o.low), min(s.high, o.high), s.whole || o.whole}
}

// before returns the span up to s's upper end, excluding that end.
func (s span) before(whole bool) span { return span{math.Inf(-1), less(s.high, whole), whole} }

// after returns the span from s's lower end on, excluding that end.
func (s span) after(whole bool) span { return span{-less(-s.low, whole), math.Inf(1), whole} }

// less returns the next smaller number.
func less(v float64, whole bool) float64 {
	if whole {
		return math.Ceil(v) - 1
	}
	return math.Nextafter(v, math.Inf(-1))
}

// signed are the words in the names of inputs that may be negative, chance is the word in those of chances.
var (
	signed = regexp.MustCompile(`profit|roi|margin|change|delta|trend|balance`)
	chance = regexp.MustCompile(`(^|_)chance(_|$)`)
)

// spanOf returns the range of an input: prices, counts, ranks and times are not negative, chances are at most 1.
func spanOf(in Input) span {
	s := span{0, math.Inf(1), in.Kind == Integer}
	if signed.MatchString(in.Name) {
		s.low = math.Inf(-1)
	}
	if chance.MatchString(in.Name) {
		s.high = 1
	}
	return s
}

// world is the known range of every term, by its text.
type world map[string]span

// worldOf returns the ranges of the inputs and the file's numbers. A threshold of 0
// may have any value: 0 is how people switch off a rule that compares with it.
func worldOf(constants map[string]any, exact bool) world {
	w := world{}
	for _, in := range catalogue {
		if in.Kind != Boolean {
			w[in.Name] = spanOf(in)
		}
	}
	for name, value := range constants {
		s := anything
		switch v := value.(type) {
		case int64:
			if s.whole = true; exact || v != 0 {
				s = point(float64(v), true)
			}
		case float64:
			if exact || v != 0 {
				s = point(v, false)
			}
		}
		w[name] = s
	}
	return w
}

// of returns the range of an expression's number.
func (w world) of(n ast.Node) span {
	s := w.computed(n)
	if known, ok := w[n.String()]; ok {
		s = s.meet(known)
	}
	return s
}

func (w world) computed(n ast.Node) span {
	switch n := n.(type) {
	case *ast.IntegerNode:
		return point(float64(n.Value), true)
	case *ast.FloatNode:
		return point(n.Value, false)
	case *ast.UnaryNode:
		s := w.of(n.Node)
		if n.Operator == "-" {
			s = span{-s.high, -s.low, s.whole}
		}
		return s
	case *ast.BinaryNode:
		return arithmetic(n.Operator, w.of(n.Left), w.of(n.Right))
	case *ast.ConditionalNode:
		a, b := w.of(n.Exp1), w.of(n.Exp2)
		return span{min(a.low, b.low), max(a.high, b.high), a.whole && b.whole}
	case *ast.BuiltinNode:
		return w.function(n)
	}
	return anything
}

func (w world) function(n *ast.BuiltinNode) span {
	var all []span
	for _, a := range n.Arguments {
		if _, list := a.(*ast.ArrayNode); list {
			return anything
		}
		all = append(all, w.of(a))
	}
	if len(all) == 0 {
		return anything
	}
	s := all[0]
	switch n.Name {
	case "max", "min":
		for _, o := range all[1:] {
			if n.Name == "max" {
				s = span{max(s.low, o.low), max(s.high, o.high), s.whole && o.whole}
			} else {
				s = span{min(s.low, o.low), min(s.high, o.high), s.whole && o.whole}
			}
		}
		return s
	case "abs":
		if s.low < 0 {
			s = span{0, max(-s.low, s.high), s.whole}
		}
		return s
	case "float":
		return span{s.low, s.high, false}
	case "int":
		return span{math.Inf(-1), math.Inf(1), true}
	}
	return anything
}

func arithmetic(op string, a, b span) span {
	var s span
	switch op {
	case "+":
		s = span{a.low + b.low, a.high + b.high, a.whole && b.whole}
	case "-":
		s = span{a.low - b.high, a.high - b.low, a.whole && b.whole}
	case "*":
		ends := []float64{a.low * b.low, a.low * b.high, a.high * b.low, a.high * b.high}
		for i, e := range ends {
			if math.IsNaN(e) {
				ends[i] = 0 // 0 times infinity: the other factor is finite, however large
			}
		}
		s = span{slices.Min(ends), slices.Max(ends), a.whole && b.whole}
	case "%":
		return span{math.Inf(-1), math.Inf(1), true}
	default:
		return anything
	}
	if math.IsNaN(s.low) || math.IsNaN(s.high) {
		return anything
	}
	return s
}

// comparison is one condition on two numbers, or on one boolean.
type comparison struct {
	op          string // <, <=, >, >=, ==, !=; "is" for a boolean
	left, right ast.Node
	is          bool
}

// mostWays bounds how many ways to make an expression true are checked.
const mostWays = 200

// ways returns the sets of comparisons each of which gives the
// expression the wanted value; false if there are too many.
func ways(n ast.Node, want bool) ([][]comparison, bool) {
	switch n := n.(type) {
	case *ast.BoolNode:
		if n.Value == want {
			return [][]comparison{nil}, true
		}
		return nil, true
	case *ast.UnaryNode:
		if n.Operator == "not" || n.Operator == "!" {
			return ways(n.Node, !want)
		}
	case *ast.BinaryNode:
		switch n.Operator {
		case "and", "&&":
			return junction(n, want, want)
		case "or", "||":
			return junction(n, want, !want)
		case "<", "<=", ">", ">=", "==", "!=":
			if exactly(n.Left) && exactly(n.Right) {
				return [][]comparison{{{op: opposite(n.Operator, want), left: n.Left, right: n.Right}}}, true
			}
		}
	}
	return [][]comparison{{{op: "is", left: n, is: want}}}, true
}

// junction combines the ways of both sides: every pair if both must hold, either's if one is enough.
func junction(n *ast.BinaryNode, want, both bool) ([][]comparison, bool) {
	a, okA := ways(n.Left, want)
	b, okB := ways(n.Right, want)
	if !okA || !okB || len(a)*len(b) > mostWays || len(a)+len(b) > mostWays {
		return nil, false
	}
	if !both {
		return append(slices.Clone(a), b...), true
	}
	var out [][]comparison
	for _, x := range a {
		for _, y := range b {
			out = append(out, append(slices.Clone(x), y...))
		}
	}
	return out, true
}

// exactly reports whether an expression is never NaN, for which a comparison and its opposite are both false.
func exactly(n ast.Node) bool {
	switch n := n.(type) {
	case *ast.IntegerNode, *ast.FloatNode, *ast.IdentifierNode:
		return true
	case *ast.UnaryNode:
		return exactly(n.Node)
	case *ast.BinaryNode:
		return slices.Contains([]string{"+", "-", "*"}, n.Operator) && exactly(n.Left) && exactly(n.Right)
	case *ast.BuiltinNode:
		return slices.Contains([]string{"max", "min", "abs", "float"}, n.Name) && !slices.ContainsFunc(n.Arguments, func(a ast.Node) bool { return !exactly(a) })
	}
	return false
}

// opposite returns the operator if the comparison must hold, else its opposite.
func opposite(op string, want bool) string {
	if want {
		return op
	}
	return map[string]string{"<": ">=", "<=": ">", ">": "<=", ">=": "<", "==": "!=", "!=": "=="}[op]
}

// allows reports whether all the comparisons can hold together. It returns true when that is unknown.
func (w world) allows(all []comparison) bool {
	known, bools := world{}, map[string]bool{}
	maps.Copy(known, w)
	for range 2 { // the second pass uses what later comparisons show about earlier terms
		for _, c := range all {
			if c.op == "is" {
				if was, ok := bools[c.left.String()]; ok && was != c.is {
					return false
				}
				bools[c.left.String()] = c.is
				continue
			}
			if !known.narrow(c) {
				return false
			}
		}
	}
	return true
}

// narrow applies a comparison to the ranges of its two sides; false if it cannot hold.
func (w world) narrow(c comparison) bool {
	l, r := c.left.String(), c.right.String()
	if l == r {
		return c.op == "<=" || c.op == ">=" || c.op == "=="
	}
	a, b := w.of(c.left), w.of(c.right)
	whole := a.whole && b.whole
	x, y := a, b
	switch c.op {
	case "<":
		x, y = a.meet(b.before(whole)), b.meet(a.after(whole))
	case ">":
		x, y = a.meet(b.after(whole)), b.meet(a.before(whole))
	case "<=":
		x.high, y.low = min(a.high, b.high), max(a.low, b.low)
	case ">=":
		x.low, y.high = max(a.low, b.low), min(a.high, b.high)
	case "==":
		x = span{max(a.low, b.low), min(a.high, b.high), a.whole}
		y = span{x.low, x.high, b.whole}
	case "!=":
		return a.low != a.high || b.low != b.high || a.low != b.low
	}
	if x.empty() || y.empty() {
		return false
	}
	w[l], w[r] = x, y
	return true
}

// constantCondition complains about a condition that has the same value for every candidate: its rule rejects
// nothing, or everything.
func constantCondition(n ast.Node, constants map[string]any) []string {
	w := worldOf(constants, false)
	can := func(want bool) bool {
		all, ok := ways(n, want)
		return !ok || slices.ContainsFunc(all, w.allows)
	}
	switch {
	case !can(true):
		return []string{"can never be true, so the rule rejects nothing: correct it, or write enabled: false"}
	case !can(false):
		return []string{"can never be false, so the rule rejects everything: correct it, or remove the rule"}
	}
	return nil
}

// largestInput is more than any price, rank or count.
const largestInput = 1e9

// undefinedFor describes the inputs for which an expression has no value, such as a division by 0.
func undefinedFor(n ast.Node, constants map[string]any) []string {
	w := worldOf(constants, true)
	for term, s := range w {
		if _, input := inputNamed(term); input {
			w[term] = span{max(s.low, -largestInput), min(s.high, largestInput), s.whole}
		}
	}
	f := &failures{world: w}
	ast.Walk(&n, f)
	return f.found
}

// failures collects what can fail in an expression.
type failures struct {
	world world
	found []string
}

// Visit checks one node.
func (f *failures) Visit(node *ast.Node) {
	n, ok := (*node).(*ast.BinaryNode)
	if !ok {
		return
	}
	by := f.world.of(n.Right)
	text := n.Right.String()
	switch n.Operator {
	case "%":
		if left := f.world.of(n.Left); !left.whole || !by.whole {
			f.add("%s needs whole numbers on both sides: did you mean int(%s) %% int(%s)?", n, n.Left, text)
		} else if by.low == 0 && by.high == 0 {
			f.add("%s fails: it divides by 0", n)
		} else if by.has(0) {
			f.add("%s fails where %s is 0: did you mean %s %% max(%s, 1)?", n, text, n.Left, text)
		}
	case "/":
		if by.low == 0 && by.high == 0 {
			f.add("%s divides by 0", n)
		}
	case "+", "-", "*":
		if s := f.world.computed(n); s.whole && (s.high >= math.MaxInt64 || s.low <= math.MinInt64) {
			f.add("%s can become too large for a whole number: did you mean float(%s) %s %s?", n, n.Left, n.Operator, text)
		}
	}
}

func (f *failures) add(format string, args ...any) {
	if wrong := fmt.Sprintf(format, args...); !slices.Contains(f.found, wrong) {
		f.found = append(f.found, wrong)
	}
}
