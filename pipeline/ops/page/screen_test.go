package page_test

import (
	"bytes"
	"image"
	"image/color"
	"image/png"
	"math"
	"os"
	"path/filepath"
	"testing"

	"github.com/chromedp/chromedp"
)

const (
	// block is the side of the squares that are compared, in pixels: fonts differ between machines, layouts must not.
	block = 16
	// blockDiffers is from which mean difference of brightness a square counts, of 255, and most which share of all may.
	blockDiffers, mostDiffering = 40, 0.04
)

// TestViewsLookAsTheyAreKept compares screenshots with those in testdata, each looked at when it was kept.
func TestViewsLookAsTheyAreKept(t *testing.T) {
	whole(t)
	s, views := shown(t)
	b := browse(t)
	for name, c := range map[string]struct {
		view  string
		looks looks
		above string // what is scrolled to the top
	}{
		"deals.png":         {view: "deals"},
		"deals-phone.png":   {view: "deals", looks: looks{Dark: true, Phone: true}},
		"deal.png":          {view: "deal", looks: looks{Dark: true}, above: ".drawn"},
		"machine.png":       {view: "machine", above: "#l-balance"},
		"machine-phone.png": {view: "machine", looks: looks{Phone: true}, above: "#l-balance"},
		"whatif.png":        {view: "whatif"},
	} {
		t.Run(name, func(t *testing.T) {
			b.as(t, c.looks)
			b.do(t, name, chromedp.Navigate(s.URL()+views[c.view]), chromedp.WaitVisible("main"), ready(c.view))
			if c.above != "" {
				b.text(t, `document.querySelector('`+c.above+`').scrollIntoView(); 'there'`)
			}
			// What moves with the time of the day is the same in each.
			b.text(t, `document.querySelectorAll('#pulse, footer').forEach((e) => { e.style.visibility = 'hidden'; }); 'hidden'`)
			body, err := chromedp.Run(b, chromedp.CaptureScreenshot())
			if err != nil {
				t.Fatal(err)
			}
			compare(t, filepath.Join("testdata", name), half(t, body))
		})
	}
}

// ready waits until a page that is kept current is.
func ready(view string) chromedp.Action[chromedp.Void] {
	if view == "whatif" {
		return chromedp.WaitVisible("#answer dd")
	}
	return live
}

// half is a picture at half its size, which is enough to be looked at and compared.
func half(t *testing.T, body []byte) *image.Paletted {
	t.Helper()
	full, err := png.Decode(bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	size := full.Bounds().Size()
	out := image.NewPaletted(image.Rect(0, 0, size.X/2, size.Y/2), palette())
	for y := range size.Y / 2 {
		for x := range size.X / 2 {
			var sum [3]uint32
			for _, at := range [4]image.Point{{2 * x, 2 * y}, {2*x + 1, 2 * y}, {2 * x, 2*y + 1}, {2*x + 1, 2*y + 1}} {
				r, g, b, _ := full.At(at.X, at.Y).RGBA()
				sum[0], sum[1], sum[2] = sum[0]+r>>8, sum[1]+g>>8, sum[2]+b>>8
			}
			out.Set(x, y, color.RGBA{uint8(sum[0] / 4), uint8(sum[1] / 4), uint8(sum[2] / 4), 255}) //nolint:gosec // a mean of bytes
		}
	}
	return out
}

// palette are 6 steps of each colour and 40 greys.
func palette() color.Palette {
	var out color.Palette
	for r := range 6 {
		for g := range 6 {
			for b := range 6 {
				out = append(out, color.RGBA{uint8(r * 51), uint8(g * 51), uint8(b * 51), 255}) //nolint:gosec // at most 255
			}
		}
	}
	for i := range 40 {
		v := uint8(3 + 6*i + i/3) //nolint:gosec // at most 255
		out = append(out, color.RGBA{v, v, v, 255})
	}
	return out
}

// compare compares a screenshot with the one that is kept.
func compare(t *testing.T, file string, got image.Image) {
	t.Helper()
	if *update {
		var out bytes.Buffer
		if err := (&png.Encoder{CompressionLevel: png.BestCompression}).Encode(&out, got); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, out.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	f, err := os.Open(file)
	if err != nil {
		t.Fatalf("%v (-update keeps it)", err)
	}
	defer f.Close()
	want, err := png.Decode(f)
	if err != nil {
		t.Fatal(err)
	}
	if want.Bounds() != got.Bounds() {
		t.Fatalf("%s is %v, not %v", file, want.Bounds(), got.Bounds())
	}
	differ, all := 0, 0
	for y := 0; y < want.Bounds().Max.Y; y += block {
		for x := 0; x < want.Bounds().Max.X; x += block {
			all++
			if math.Abs(bright(want, x, y)-bright(got, x, y)) > blockDiffers {
				differ++
			}
		}
	}
	if share := float64(differ) / float64(all); share > mostDiffering {
		t.Errorf("%s: %.1f %% of it look otherwise; -update keeps the new one, once it was looked at", file, 100*share)
	}
}

// bright is the mean brightness of a square, 0 to 255.
func bright(p image.Image, x0, y0 int) float64 {
	sum, n := 0.0, 0
	for y := y0; y < min(y0+block, p.Bounds().Max.Y); y++ {
		for x := x0; x < min(x0+block, p.Bounds().Max.X); x++ {
			r, g, b, _ := p.At(x, y).RGBA()
			sum += 0.299*float64(r>>8) + 0.587*float64(g>>8) + 0.114*float64(b>>8)
			n++
		}
	}
	return sum / float64(n)
}
