package chart

import _ "embed" // the style sheet

// CSS is the style sheet of every picture. A page may set the variables itself, to choose light or dark by other means.
//
//go:embed chart.css
var CSS string
