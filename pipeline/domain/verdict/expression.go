package verdict

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/expr-lang/expr"
	"github.com/expr-lang/expr/ast"
	exprfile "github.com/expr-lang/expr/file"
	"github.com/expr-lang/expr/parser"
	"github.com/expr-lang/expr/vm"

	"ratchet/pipeline/text/complaint"
)

// A rule's condition is pure and bounded: arithmetic, comparisons and logic over its inputs and the file's
// numbers. It has no clock, no randomness and no loop, so the number of its steps is known before it runs.
const (
	// MaxSteps bounds a condition: the most that is evaluated within 50 µs, with a reserve for slow machines.
	MaxSteps = 250
	// maxCondition bounds its text, so that reading it is quick too.
	maxCondition = 4096
)

// functions are the functions of a condition: each takes numbers, returns a number and ends.
var functions = []string{"abs", "ceil", "float", "floor", "int", "max", "mean", "median", "min", "round", "sum"}

// operators are the operators of a condition.
var operators = []string{
	"+", "-", "*", "/", "%", "**", "^", "<", "<=", ">", ">=", "==", "!=", "and", "&&", "or", "||", "not", "!", "in",
}

// condition is the result of a walk over an expression.
type condition struct {
	names []string // identifiers, each once, in their order
	steps int
	wrong []string // what a rule must not contain
}

// compile checks the rule's condition and makes it ready to run.
func (r *Rule) compile(d *decoder, path string, constants map[string]any) {
	if len(r.When) > maxCondition {
		d.addOnce(path, "has %d characters, and %d at most: split the rule", len(r.When), maxCondition)
		return
	}
	tree, err := parser.Parse(r.When)
	if err != nil {
		d.expression(path, err)
		return
	}
	var c condition
	c.walk(tree.Node)
	c.wrong = append(c.wrong, r.resolve(c.names, constants)...)
	if c.steps > MaxSteps {
		c.wrong = append(c.wrong, fmt.Sprintf("takes %d steps, and %d at most: split the rule", c.steps, MaxSteps))
	}
	for _, wrong := range c.wrong {
		d.Add(d.at(path), path, "%s", wrong)
	}
	if len(c.wrong) > 0 {
		return
	}
	if r.program, err = program(r.When, constants); err != nil {
		d.expression(path, err)
		return
	}
	if len(r.inputs) == 0 {
		d.Add(d.at(path), path, "uses no input, so it would decide the same for every candidate")
		return
	}
	for _, wrong := range append(undefinedFor(tree.Node, constants), constantCondition(tree.Node, constants)...) {
		d.Add(d.at(path), path, "%s", wrong)
	}
	if !d.Has(path) {
		r.try(d, path, constants)
	}
}

// expression reports what the expression language could not read, at its line of the file.
func (d *decoder) expression(path string, err error) {
	if e, ok := errors.AsType[*exprfile.Error](err); ok {
		d.Add(d.at(path)+max(e.Line-1, 0), path, "%s, at character %d", e.Message, e.Column+1)
		return
	}
	d.Add(d.at(path), path, "%s", strings.SplitN(err.Error(), "\n", 2)[0])
}

// program compiles a condition over every input and the file's numbers.
func program(when string, constants map[string]any) (*vm.Program, error) {
	env := map[string]any{}
	maps.Copy(env, constants)
	for _, in := range catalogue {
		env[in.Name] = zero(in.Kind)
	}
	options := []expr.Option{expr.Env(env), expr.AsBool(), expr.DisableAllBuiltins(), expr.Patch(alike{worldOf(constants, true)})}
	for _, f := range functions {
		options = append(options, expr.EnableBuiltin(f))
	}
	return expr.Compile(when, options...)
}

// alike converts the arguments of a function to one type. The expression language types max(1,
// rank) by its first argument, and then fails at the comparison when the other is returned.
type alike struct{ world world }

// Visit is called for every node of the expression.
func (a alike) Visit(node *ast.Node) {
	switch n := (*node).(type) {
	case *ast.ConditionalNode:
		if !boolean(n.Exp1) && !boolean(n.Exp2) {
			a.make(&n.Exp1, &n.Exp2)
		}
	case *ast.BuiltinNode:
		arguments := n.Arguments
		if len(arguments) == 0 || n.Name == "int" || n.Name == "float" {
			return
		}
		if list, ok := arguments[0].(*ast.ArrayNode); ok && len(arguments) == 1 {
			arguments = list.Nodes
		}
		var all []*ast.Node
		for i := range arguments {
			all = append(all, &arguments[i])
		}
		a.make(all...)
	}
}

// make converts numbers to integers if all are whole, else to fractions.
func (a alike) make(nodes ...*ast.Node) {
	to := "float"
	if !slices.ContainsFunc(nodes, func(n *ast.Node) bool { return !a.world.of(*n).whole }) {
		to = "int"
	}
	for _, n := range nodes {
		converted := &ast.BuiltinNode{Name: to, Arguments: []ast.Node{*n}}
		converted.SetLocation((*n).Location())
		*n = converted
	}
}

// boolean reports whether an expression is true or false rather than a number.
func boolean(n ast.Node) bool {
	switch n := n.(type) {
	case *ast.BoolNode:
		return true
	case *ast.IdentifierNode:
		in, _ := inputNamed(n.Value)
		return in.Kind == Boolean
	case *ast.UnaryNode:
		return n.Operator == "not" || n.Operator == "!"
	case *ast.BinaryNode:
		return !slices.Contains([]string{"+", "-", "*", "/", "%", "**", "^"}, n.Operator)
	case *ast.ConditionalNode:
		return boolean(n.Exp1)
	}
	return false
}

// resolve sets the rule's inputs and thresholds from the names of its condition, and reports those that it cannot use.
func (r *Rule) resolve(used []string, constants map[string]any) (wrong []string) {
	for _, name := range used {
		in, input := inputNamed(name)
		_, threshold := constants[name]
		switch {
		case input && slices.Index(looks, in.From) > slices.Index(looks, r.Look) && slices.Contains(looks, r.Look):
			wrong = append(wrong, fmt.Sprintf("uses %s at the %s, but it is first known at the %s", name, r.Look, in.From))
		case input:
			r.inputs = append(r.inputs, in)
		case threshold:
			r.thresholds = append(r.thresholds, name)
		case successorOf(name) != "":
			wrong = append(wrong, name+" no longer exists: "+successorOf(name))
		default:
			wrong = append(wrong, name+" is neither an input nor a number of this file"+
				complaint.DidYouMean(complaint.Nearest(name, usable(constants))))
		}
	}
	return wrong
}

// usable returns all names that a condition can use.
func usable(constants map[string]any) []string {
	names := slices.Collect(maps.Keys(constants))
	for _, in := range catalogue {
		names = append(names, in.Name)
	}
	slices.Sort(names)
	return names
}

// try evaluates the condition at the corners of the inputs' ranges; none of it may fail.
func (r *Rule) try(d *decoder, path string, constants map[string]any) {
	for _, corner := range []int64{0, 1, -1, complaint.Largest} {
		env := map[string]any{}
		maps.Copy(env, constants)
		for _, in := range r.inputs {
			switch in.Kind {
			case Integer:
				env[in.Name] = corner
			case Number:
				env[in.Name] = float64(corner)
			default:
				env[in.Name] = corner > 0
			}
		}
		if _, err := vm.Run(r.program, env); err != nil {
			d.Add(d.at(path), path, "fails where every input is %d: %s", corner, strings.SplitN(err.Error(), "\n", 2)[0])
			return
		}
	}
}

// walk counts the steps of an expression, and collects its names and what a rule must not contain.
func (c *condition) walk(n ast.Node) {
	c.steps++
	switch n := n.(type) {
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode:
	case *ast.IdentifierNode:
		if !slices.Contains(c.names, n.Value) {
			c.names = append(c.names, n.Value)
		}
	case *ast.UnaryNode:
		c.operator(n.Operator)
		c.walk(n.Node)
	case *ast.BinaryNode:
		c.operator(n.Operator)
		c.walk(n.Left)
		c.walk(n.Right)
	case *ast.ConditionalNode:
		if boolean(n.Exp1) != boolean(n.Exp2) {
			c.cannot("both sides of the : must be two numbers or two conditions, in " + n.String())
		}
		c.all(n.Cond, n.Exp1, n.Exp2)
	case *ast.ArrayNode:
		if len(n.Nodes) == 0 {
			c.cannot("an empty list: write what is in it")
		}
		c.all(n.Nodes...)
	case *ast.BuiltinNode:
		c.call(n.Name, n.Arguments)
	case *ast.CallNode:
		c.call(n.Callee.String(), n.Arguments)
	case *ast.NilNode:
		c.cannot("nil: a rule is not evaluated where an input is unknown; say with unknown: what happens then")
	case *ast.StringNode:
		c.cannot(fmt.Sprintf("mismatched types: %q is text, and inputs are numbers or true and false", n.Value))
	default:
		c.cannot("only numbers, names, + - * / %, comparisons, and, or, not and functions: " + n.String() + " is not supported")
	}
}

func (c *condition) all(nodes ...ast.Node) {
	for _, n := range nodes {
		c.walk(n)
	}
}

// cannot records what a rule must not contain, once.
func (c *condition) cannot(wrong string) {
	if !slices.Contains(c.wrong, wrong) {
		c.wrong = append(c.wrong, wrong)
	}
}

func (c *condition) operator(op string) {
	switch {
	case slices.Contains(operators, op):
	case op == "..":
		c.cannot(".. is not supported: write 1000 <= rank and rank <= 5000 for rank in 1000..5000")
	case op == "??":
		c.cannot("?? is not supported: a rule is not evaluated where an input is unknown; say with unknown: what happens then")
	default:
		c.cannot(op + " is not supported: inputs are numbers or true and false")
	}
}

// call checks a function and its arguments.
func (c *condition) call(name string, arguments []ast.Node) {
	switch {
	case slices.Contains(functions, name):
		c.all(arguments...)
	case slices.Contains([]string{"now", "date", "duration", "timezone"}, name):
		c.cannot(name + "() is a clock: a rule decides on its inputs alone, at any time the same")
	case slices.ContainsFunc(arguments, func(n ast.Node) bool { _, loop := n.(*ast.PredicateNode); return loop }):
		c.cannot(name + "() is a loop: write its cases with and, or")
	default:
		c.cannot(name + "() is not a function of rules, which are " + strings.Join(functions, ", ") +
			complaint.DidYouMean(complaint.Nearest(name, functions)))
	}
}
