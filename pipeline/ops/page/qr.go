package page

import (
	"fmt"
	"html/template"
	"net/http"
	"strings"

	"rsc.io/qr"
)

// quiet is the margin of a code, in modules, by its standard.
const quiet = 4

// QR returns a code for a terminal, two modules a character, black on white. Colours are set: a code must be dark on
// light whatever the terminal is.
func QR(text string) (string, error) {
	code, err := qr.Encode(text, qr.L)
	if err != nil {
		return "", fmt.Errorf("draw a QR code: %w", err)
	}
	var out strings.Builder
	for y := -quiet; y < code.Size+quiet; y += 2 {
		out.WriteString("\x1b[30;107m")
		for x := -quiet; x < code.Size+quiet; x++ {
			out.WriteString(map[[2]bool]string{{false, false}: " ", {true, false}: "▀", {false, true}: "▄", {true, true}: "█"}[[2]bool{code.Black(x, y), code.Black(x, y+1)}])
		}
		out.WriteString("\x1b[0m\n")
	}
	return out.String(), nil
}

// qrSVG returns a code for the page.
func qrSVG(text string) (template.HTML, error) {
	code, err := qr.Encode(text, qr.L)
	if err != nil {
		return "", fmt.Errorf("draw a QR code: %w", err)
	}
	var d strings.Builder
	for y := range code.Size {
		for x := range code.Size {
			if code.Black(x, y) {
				fmt.Fprintf(&d, "M%d %dh1v1h-1z", x+quiet, y+quiet)
			}
		}
	}
	side := code.Size + 2*quiet
	return template.HTML(fmt.Sprintf(`<svg class="qr" role="img" aria-label="QR code" viewBox="0 0 %d %d"><rect class="qr-paper" width="%d" height="%d"/><path class="qr-ink" d="%s"/></svg>`, side, side, side, side, d.String())), nil //nolint:gosec // numbers
}

// phone shows a new code, on this machine alone.
func (s *Server) phone(w http.ResponseWriter, _ *http.Request) {
	picture, err := qrSVG(s.Invite())
	if err != nil {
		s.fail(w, err)
		return
	}
	f := s.frame(view{name: "phone", title: func(asked) string { return "On a phone" }}, asked{})
	f.Fragment = picture
	s.write(w, http.StatusOK, f)
}

// Invite returns an address with a code that admits another machine of the private network once;
// empty if the page is not served there.
func (s *Server) Invite() string {
	if s.lan == nil {
		return ""
	}
	return s.lan.invite()
}
