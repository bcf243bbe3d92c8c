package chart

import (
	"encoding/xml"
	"html/template"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Size is the size of a picture in units of its viewBox. A unit is a CSS pixel where the picture is as wide as that.
type Size struct{ Width, Height int }

// The sizes of a page's pictures: one for a desktop, one for a phone.
var (
	Desktop = Size{960, 440}
	Phone   = Size{390, 360}
)

// pen writes an SVG document.
type pen struct{ b strings.Builder }

// attrs are attributes: names and values in turn.
type attrs []string

// begin opens the picture. A screen reader reads the title and the description.
func begin(s Size, class, title, says string) *pen {
	p := &pen{}
	p.open("svg", attrs{
		"xmlns", "http://www.w3.org/2000/svg", "role", "img", "class", "chart " + class,
		"viewBox", "0 0 " + strconv.Itoa(s.Width) + " " + strconv.Itoa(s.Height), "font-size", "12",
	})
	p.element("title", nil, short(title, 200))
	p.element("desc", nil, says)
	return p
}

// end closes the picture.
func (p *pen) end() template.HTML {
	p.close("svg")
	return template.HTML(p.b.String()) //nolint:gosec // every text in it went through escape
}

func (p *pen) open(name string, a attrs) { p.tag(name, a, ">") }

func (p *pen) close(name string) { p.b.WriteString("</" + name + ">") }

func (p *pen) empty(name string, a attrs) { p.tag(name, a, "/>") }

func (p *pen) tag(name string, a attrs, end string) {
	p.b.WriteString("<" + name)
	for i := 0; i+1 < len(a); i += 2 {
		p.b.WriteString(" " + a[i] + `="`)
		p.escape(a[i+1])
		p.b.WriteString(`"`)
	}
	p.b.WriteString(end)
}

// element is an element with a text.
func (p *pen) element(name string, a attrs, text string) {
	p.open(name, a)
	p.escape(text)
	p.close(name)
}

// escape writes text that may be hostile: markup becomes characters, and what XML forbids U+FFFD.
func (p *pen) escape(s string) {
	_ = xml.EscapeText(&p.b, []byte(s)) // a builder takes everything
}

func (p *pen) line(class string, x1, y1, x2, y2 float64) {
	p.empty("path", attrs{"class", class, "d", "M" + num(x1) + " " + num(y1) + "L" + num(x2) + " " + num(y2)})
}

func (p *pen) rect(class string, x, y, w, h float64) {
	p.empty("rect", attrs{"class", class, "x", num(x), "y", num(y), "width", num(max(w, 0)), "height", num(max(h, 0))})
}

// path draws d; nothing for an empty one.
func (p *pen) path(class, d string) {
	if d != "" {
		p.empty("path", attrs{"class", class, "d", d})
	}
}

// text writes a label; anchor is start, middle or end.
func (p *pen) text(class, anchor string, x, y float64, s string) {
	p.element("text", attrs{"class", class, "x", num(x), "y", num(y), "text-anchor", anchor}, s)
}

// far is further away than any edge of a picture.
const far = 1e5

// num writes a coordinate with one decimal; scale.at excludes NaN and Inf.
func num(f float64) string {
	f = math.Round(10*min(max(f, -far), far)) / 10
	return strconv.FormatFloat(f+0, 'f', -1, 64) // + 0: no negative zero
}

// short is s on at most so many characters.
func short(s string, most int) string {
	if utf8.RuneCountInString(s) <= most {
		return s
	}
	return string([]rune(s)[:most-1]) + "…"
}

// wide is about how wide a label is.
func wide(s string) float64 { return 6.9 * float64(utf8.RuneCountInString(s)) }
