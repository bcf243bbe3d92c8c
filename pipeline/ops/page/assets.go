package page

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"html/template"
	"io/fs"
	"net/http"
	"path"
	"time"

	"ratchet/pipeline/ops/chart"
)

//go:embed templates/*.html
var templateFiles embed.FS

//go:embed static
var staticFiles embed.FS

var templates = template.Must(template.New("").Funcs(template.FuncMap{"cover": coverOf}).ParseFS(templateFiles, "templates/*.html"))

// assetOf returns an embedded file; the style of charts is one.
func assetOf(name string) ([]byte, error) {
	if name == "chart.css" {
		return []byte(chart.CSS), nil
	}
	return fs.ReadFile(staticFiles, path.Join("static", name))
}

// asset returns the address of a file, which changes with its content.
func asset(name string) string {
	body, err := assetOf(name)
	if err != nil {
		panic(err) // it is embedded
	}
	sum := sha256.Sum256(body)
	return "/static/" + name + "?" + hex.EncodeToString(sum[:4])
}

// static answers with an embedded file.
func static(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("file")
	body, err := assetOf(name)
	if err != nil {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Cache-Control", "private, max-age=31536000, immutable")
	http.ServeContent(w, r, name, time.Time{}, bytes.NewReader(body))
}
