package watermark

import "testing"

func TestAnUnreadablePageLeavesASeamAndTwoInARowEndTheRead(t *testing.T) {
	t.Parallel()
	page := func(index int, newest Mark) Page {
		p := Page{Index: index, Total: 600, Now: 10_000, Updated: 10_000}
		for i := range RowsPerPage {
			p.Rows = append(p.Rows, Row{ASIN: string(rune('a'+index)) + string(rune('A'+i)), At: newest - Mark(i)})
		}
		return p
	}
	r := NewRead(true, 0, 66, 0)
	r.Take(page(0, 9_900))
	r.Skip(1, "unreadable")
	if next, more := r.Next(); next != 2 || !more || r.Odd != "" {
		t.Fatalf("continues at %d (%t), odd %q", next, more, r.Odd)
	}
	r.Take(page(2, 9_600))
	if missing := r.Covered().Missing(Span{9_500, 9_890}); len(missing) != 1 || missing[0].Lo > 9_605 || missing[0].Hi < 9_745 {
		t.Errorf("owed is %v, want what the page held", missing)
	}
	r.Skip(3, "unreadable")
	r.Skip(4, "unreadable")
	if _, more := r.Next(); more || r.Odd != "unreadable" {
		t.Errorf("two in a row: continues %t, odd %q", more, r.Odd)
	}
	first := NewRead(true, 0, 66, 0)
	first.Skip(0, "unreadable")
	if _, more := first.Next(); more || first.Odd == "" {
		t.Error("a list that begins with such a page is concluded from")
	}
}
