// Package plan routes work to the Keepa key of its marketplace.
//
// Every marketplace belongs to exactly one plan: a named one lists what it serves, and the first one, which has no
// name, serves all others. So a single key needs no map, and no marketplace is ever left out.
package plan

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"ratchet/pipeline"
	"ratchet/pipeline/domain/keepa"
)

// Map is which marketplaces each named plan serves. The empty one is that of a single key.
type Map map[pipeline.Plan][]keepa.Domain

// Parse reads NAME=MARKETPLACE,… with spaces between plans: "eu=de,fr jp=co.jp". Its error
// names everything that is wrong.
func Parse(text string) (Map, error) {
	m := Map{}
	var errs []error
	for _, one := range strings.Fields(text) {
		errs = append(errs, m.add(one))
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return m, nil
}

// add reads one plan.
func (m Map) add(text string) error {
	name, list, _ := strings.Cut(text, "=")
	p, err := pipeline.PlanOf(name)
	switch {
	case err != nil:
		return err
	case p == "":
		return fmt.Errorf("plan %s serves what no other plan does: name only the others", p)
	case m[p] != nil:
		return fmt.Errorf("plan %s: named twice", p)
	case list == "":
		return fmt.Errorf("plan %s: want %s=MARKETPLACE,…, as in %s=de", p, p, p)
	}
	for suffix := range strings.SplitSeq(list, ",") {
		d, known := keepa.DomainOf(suffix)
		if !known || !d.Listed() {
			return fmt.Errorf("plan %s: %q is not the end of the host name of an Amazon marketplace with a deal list; want some of %s", p, suffix, keepa.Suffixes())
		}
		if other, err := m.Of(int(d)); err == nil && other != "" {
			return fmt.Errorf("marketplace %s: in plan %s and in plan %s", suffix, other, p)
		}
		m[p] = append(m[p], d)
	}
	slices.Sort(m[p])
	return nil
}

// String is what Parse reads, in one order.
func (m Map) String() string {
	var all []string
	for _, p := range m.Named() {
		all = append(all, string(p)+"="+m.list(p))
	}
	return strings.Join(all, " ")
}

// list is the marketplaces of a named plan.
func (m Map) list(p pipeline.Plan) string {
	var all []string
	for _, d := range m[p] {
		all = append(all, d.Suffix())
	}
	return strings.Join(all, ",")
}

// Describe returns the marketplaces of a plan for people.
func (m Map) Describe(p pipeline.Plan) string {
	if p == "" {
		return "all others"
	}
	return strings.ReplaceAll(m.list(p), ",", ", ")
}

// Named returns the named plans in the order of their names.
func (m Map) Named() []pipeline.Plan { return slices.Sorted(maps.Keys(m)) }

// All returns every plan, the first one first.
func (m Map) All() []pipeline.Plan { return append([]pipeline.Plan{""}, m.Named()...) }

// Has reports whether there is a plan.
func (m Map) Has(p pipeline.Plan) bool { return p == "" || m[p] != nil }

// Of returns the plan that serves a marketplace, by Keepa's number. An unknown number is an error.
func (m Map) Of(domain int) (pipeline.Plan, error) {
	d := keepa.Domain(domain)
	if !d.Valid() {
		return "", fmt.Errorf("no marketplace has the number %d, so no plan serves it", domain)
	}
	for p, all := range m {
		if slices.Contains(all, d) {
			return p, nil
		}
	}
	return "", nil
}

// Serves reports whether a plan serves a marketplace.
func (m Map) Serves(p pipeline.Plan, domain int) bool {
	of, err := m.Of(domain)
	return err == nil && of == p || len(m) == 0
}

// Tokens returns the plan's marketplaces as tokens of a subject: a wildcard with a single key, else every number.
func (m Map) Tokens(p pipeline.Plan) []string {
	if len(m) == 0 {
		return []string{"*"}
	}
	var all []string
	for _, d := range keepa.Domains() {
		if m.Serves(p, int(d)) {
			all = append(all, fmt.Sprint(int(d)))
		}
	}
	return all
}

// Grow returns why what runs cannot take up the next map without losing work; nil if it can. A plan that
// exists keeps its marketplaces, and a new one takes them from the first plan. With any other move, work
// that waits would have to change its consumer.
func (m Map) Grow(next Map) error {
	for _, p := range m.Named() {
		if !slices.Equal(m[p], next[p]) {
			return fmt.Errorf("plan %s serves %s and cannot serve %q: work may wait for its key; a plan keeps its marketplaces, and further ones need a new plan",
				p, m.Describe(p), next.list(p))
		}
	}
	return nil
}
