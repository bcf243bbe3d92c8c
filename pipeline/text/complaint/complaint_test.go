package complaint

import (
	"strings"
	"testing"
)

func TestANumberIsReadOrAnotherIsProposed(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"275": "", "-5": "", "0": "",
		"2.75":           "2.75 is not whole cents: did you mean 275?",
		"2.5":            "2.5 is not whole cents: did you mean 250?",
		"20.00":          "20.00 is not whole cents: did you mean 2000?",
		"1,500.25":       "1,500.25 is not whole cents: did you mean 150025?",
		"€ 3,99":         `"€ 3,99" is not whole cents: did you mean 399?`,
		"-2.75":          "-2.75 is not whole cents: did you mean -275?",
		"+5":             "+5 is not whole cents: did you mean 5?",
		"010":            "010 begins with a zero, as octal numbers do: did you mean 10?",
		"-007":           "-007 begins with a zero, as octal numbers do: did you mean -7?",
		"0b101":          "0b101 is not whole cents: did you mean 5?",
		"1e99":           "1e99 is not whole cents",
		"":               `"" is not whole cents`,
		"1e3 or more":    `"1e3 or more" is not whole cents: did you mean 1000?`,
		"10000000000000": "10000000000000 is too large: at most 1000000000000",
	} {
		if _, wrong := Whole(text, true); wrong != want {
			t.Errorf("%q: got %q, want %q", text, wrong, want)
		}
	}
	for text, want := range map[string]string{
		"5": "", "8.875": "", "-0.5": "",
		".5":   ".5 is not a number: did you mean 0.5?",
		"5 %":  `"5 %" is not a number: did you mean 5?`,
		"8,25": "8,25 is not a number: did you mean 8.25?",
		"00.5": "00.5 begins with a zero, as octal numbers do: did you mean 0.5?",
		"many": "many is not a number",
	} {
		if _, wrong := Fraction(text); wrong != want {
			t.Errorf("%q: got %q, want %q", text, wrong, want)
		}
	}
}

// FuzzProposal: a proposed number is accepted.
func FuzzProposal(f *testing.F) {
	for _, text := range []string{"2.75", "010", "0x1F", "$1,500.00", "5%", "-0", "+.5", "1e3", "00", "01100000000000"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		_, whole := Whole(text, true)
		_, fraction := Fraction(text)
		for wrong, again := range map[string]func(string) string{
			whole:    func(s string) string { _, w := Whole(s, true); return w },
			fraction: func(s string) string { _, w := Fraction(s); return w },
		} {
			_, proposal, ok := strings.Cut(wrong, ": did you mean ")
			if proposal = strings.TrimSuffix(proposal, "?"); ok && !strings.Contains(proposal, ".") && again(proposal) != "" {
				t.Errorf("%q: proposes %q, which gives %q", text, proposal, again(proposal))
			}
		}
	})
}

func TestTheNearestNameIsProposedAndNoneThatIsFar(t *testing.T) {
	t.Parallel()
	names := []string{"prep_cents", "shipping_cents", "rank", "has_used", "max"}
	for name, want := range map[string]string{
		"prep_cnets": "prep_cents", "Rank": "rank", "hasUsed": "has_used", "colour": "", "len": "", "": "", strings.Repeat("x", 500): "",
	} {
		if got := Nearest(name, names); got != want {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
	}
}

func TestAnErrorShowsItsComplaintsByLineAndNotTooMany(t *testing.T) {
	t.Parallel()
	var l List
	for n := range 60 {
		l.Add(60-n, "a.b", "wrong")
	}
	lines := strings.Split(l.Err().Error(), "\n")
	if len(lines) != 51 || lines[0] != "line 1: a.b: wrong" || lines[50] != "and 10 more" || !l.Has("a") || l.Has("a.c") {
		t.Errorf("got %q", lines)
	}
}
