package page_test

import (
	"image"
	"image/color"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/makiuchi-d/gozxing"
	"github.com/makiuchi-d/gozxing/qrcode"

	"ratchet/pipeline/ops/page"
	"ratchet/pipeline/platform/embedded/access/accesstest"
	"ratchet/test/desk"
)

// TestTheCodeThatAPhoneScansLogsItIn reads the code as a phone does, as it is printed for a terminal and as the page
// shows it, and follows its address.
func TestTheCodeThatAPhoneScansLogsItIn(t *testing.T) {
	t.Parallel()
	accesstest.Private(t)
	s := open(t, desk.New(t, 1), page.Options{LAN: true})
	printed, err := page.QR(s.Invite())
	if err != nil {
		t.Fatal(err)
	}
	_, shown := get(t, s.URL()+"phone")
	for name, picture := range map[string]image.Image{"printed": ofTerminal(t, printed), "shown": ofSVG(t, shown)} {
		bitmap, err := gozxing.NewBinaryBitmapFromImage(picture)
		if err != nil {
			t.Fatal(err)
		}
		read, err := qrcode.NewQRCodeReader().Decode(bitmap, straight)
		if err != nil {
			t.Errorf("%s: the code cannot be read: %v", name, err)
			continue
		}
		if !strings.HasPrefix(read.GetText(), "http://"+s.LANAddr()+"/enter?code=") {
			t.Errorf("%s: the code says %q", name, read.GetText())
			continue
		}
		client := http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
		r, err := client.Get(read.GetText())
		if err != nil {
			t.Fatal(err)
		}
		_ = r.Body.Close()
		if len(r.Cookies()) != 1 {
			t.Fatalf("%s: %s without a cookie", name, r.Status)
		}
		c := r.Cookies()[0]
		if code, _ := request(t, http.MethodGet, "http://"+s.LANAddr()+"/", nil, map[string]string{"Cookie": c.Name + "=" + c.Value}); code != http.StatusOK {
			t.Errorf("%s: the phone is not admitted: %d", name, code)
		}
	}
}

// straight tells the reader that a picture shows the code alone and upright: its search for one in a photo misses five
// codes in a thousand.
var straight = map[gozxing.DecodeHintType]any{gozxing.DecodeHintType_PURE_BARCODE: true}

// module is the side of a module in the pictures, in pixels.
const module = 4

// drawn makes a picture of modules, black where dark says so.
func drawn(width, height int, dark func(x, y int) bool) image.Image {
	out := image.NewGray(image.Rect(0, 0, width*module, height*module))
	for y := range height * module {
		for x := range width * module {
			if !dark(x/module, y/module) {
				out.SetGray(x, y, color.Gray{Y: 255})
			}
		}
	}
	return out
}

// ofTerminal is what a terminal shows of a printed code: two modules a character, black on white.
func ofTerminal(t *testing.T, printed string) image.Image {
	t.Helper()
	var rows [][]rune
	for line := range strings.Lines(printed) {
		text, black := strings.CutPrefix(strings.TrimSuffix(line, "\x1b[0m\n"), "\x1b[30;107m")
		if !black {
			t.Fatalf("a line is not black on white: %q", line)
		}
		rows = append(rows, []rune(text))
	}
	return drawn(len(rows[0]), 2*len(rows), func(x, y int) bool {
		upper := y%2 == 0
		c := rows[y/2][x]
		return c == '█' || c == '▀' && upper || c == '▄' && !upper
	})
}

// ofSVG is the code of the page: a square path for each black module.
func ofSVG(t *testing.T, body string) image.Image {
	t.Helper()
	side, err := strconv.Atoi(regexp.MustCompile(`class="qr"[^>]* viewBox="0 0 (\d+) `).FindStringSubmatch(body)[1])
	if err != nil {
		t.Fatal(err)
	}
	black := map[image.Point]bool{}
	for _, m := range regexp.MustCompile(`M(\d+) (\d+)h1v1h-1z`).FindAllStringSubmatch(body, -1) {
		x, _ := strconv.Atoi(m[1])
		y, _ := strconv.Atoi(m[2])
		black[image.Pt(x, y)] = true
	}
	return drawn(side, side, func(x, y int) bool { return black[image.Pt(x, y)] })
}
