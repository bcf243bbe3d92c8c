package plan_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"ratchet/pipeline"
	"ratchet/pipeline/domain/keepa"
	"ratchet/pipeline/domain/token/plan"
)

// random draws a map of up to four named plans over some of the listed marketplaces.
func random(rng *rand.Rand) plan.Map {
	m := plan.Map{}
	for _, d := range keepa.Domains() {
		if n := rng.IntN(5); d.Listed() && n > 0 {
			p := pipeline.Plan(fmt.Sprint("p", n))
			m[p] = append(m[p], d)
		}
	}
	return m
}

func TestEveryMarketplaceBelongsToExactlyOnePlan(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(1, 2))
	for range 500 {
		m := random(rng)
		tokens := map[string]int{}
		for _, p := range m.All() {
			for _, token := range m.Tokens(p) {
				tokens[token]++
			}
		}
		for n := -1; n < 20; n++ {
			of, err := m.Of(n)
			if valid := keepa.Domain(n).Valid(); valid != (err == nil) {
				t.Fatalf("%v: marketplace %d: valid is %t, the error %v", m, n, valid, err)
			}
			serve := slices.DeleteFunc(m.All(), func(p pipeline.Plan) bool { return !m.Serves(p, n) })
			if err == nil && (len(serve) != 1 || serve[0] != of) {
				t.Fatalf("%v: marketplace %d is served by %v, Of says %v", m, n, serve, of)
			}
			if err != nil && len(m) > 0 && len(serve) > 0 {
				t.Fatalf("%v: %d is not a marketplace, but %v serve it", m, n, serve)
			}
			if want := map[bool]int{true: 1}[err == nil]; len(m) > 0 && tokens[fmt.Sprint(n)] != want {
				t.Fatalf("%v: %d consumers take marketplace %d, want %d", m, tokens[fmt.Sprint(n)], n, want)
			}
		}
		for p, all := range m {
			for _, d := range all {
				if of, err := m.Of(int(d)); err != nil || of != p {
					t.Fatalf("%v: marketplace %d is served by %q, %v", m, d, of, err)
				}
			}
		}
		again, err := plan.Parse(m.String())
		if err != nil || again.String() != m.String() {
			t.Fatalf("%q is read as %q, %v", m, again, err)
		}
	}
}

func TestASingleKeyNeedsNoMap(t *testing.T) {
	t.Parallel()
	m, err := plan.Parse("")
	if err != nil || len(m) != 0 || !slices.Equal(m.All(), []pipeline.Plan{""}) {
		t.Fatalf("%v, %v", m, err)
	}
	if got := m.Tokens(""); !slices.Equal(got, []string{"*"}) {
		t.Errorf("its consumers take %v, want every marketplace as before", got)
	}
	for _, name := range []string{pipeline.BucketTokens, pipeline.DurableGlance, pipeline.KeyLeader} {
		if got := pipeline.Plan("").Own(name); got != name {
			t.Errorf("%s is called %s", name, got)
		}
	}
}

func TestPlansThatCannotBeAreRefusedWithTheReason(t *testing.T) {
	t.Parallel()
	for text, says := range map[string]string{
		"eu":                    "want eu=MARKETPLACE",
		"eu=":                   "want eu=MARKETPLACE",
		"eu=de eu=fr":           "named twice",
		"eu=de jp=de":           "in plan eu and in plan jp",
		"eu=de,de":              "in plan eu and in plan eu",
		"eu=3":                  `"3" is not the end of the host name`,
		"eu=com.br":             `"com.br" is not the end of the host name`,
		"EU=de":                 "small letters",
		"a_b=de":                "small letters",
		"main=de":               "serves what no other plan does",
		"eu=xx jp=yy":           `"yy"`,
		"x12345678901234567=de": "1 to 16",
	} {
		if _, err := plan.Parse(text); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%q: %v, want %q", text, err, says)
		}
	}
}

func TestAPlanThatExistsKeepsItsMarketplaces(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		from, to string
		fine     bool
	}{
		{"", "eu=de", true},
		{"eu=de", "eu=de", true},
		{"eu=de", "eu=de jp=co.jp", true},
		{"eu=de", "", false},
		{"eu=de", "eu=de,fr", false},
		{"eu=de,fr", "eu=de", false},
		{"eu=de,fr", "eu=de fr=fr", false},
	} {
		from, err := plan.Parse(c.from)
		if err != nil {
			t.Fatal(err)
		}
		to, err := plan.Parse(c.to)
		if err != nil {
			t.Fatal(err)
		}
		if err := from.Grow(to); (err == nil) != c.fine {
			t.Errorf("from %q to %q: %v", c.from, c.to, err)
		}
	}
}

func TestOwnNamesCanBeReadBack(t *testing.T) {
	t.Parallel()
	plans := []pipeline.Plan{"", "de", "de2", "e"}
	for _, p := range plans {
		for _, q := range plans {
			base, own := q.Base(p.Own("peek-live"))
			if own != (p == q) || own && base != "peek-live" {
				t.Errorf("plan %s reads %s of plan %s as %s, %t", q, p.Own("peek-live"), p, base, own)
			}
		}
	}
}
