// Package chart draws pictures of values: as SVG for the page, and in braille for a terminal.
//
//	History    prices, sales rank and inferred sales of a product, with the copy on offer
//	Estimate   the distribution of a copy's sale price around its break-even
//	Timeline   a level over time, with pauses
//	Timespans  lengths of time below each other
//	Calibrated what was predicted beside what was seen
//	Bars       amounts by name
//	Plot       History for a terminal
//
// Every function is pure: values in, one picture out, the same for the same values. A picture has no script, no style
// attribute, no style element, no id and nothing from elsewhere, so a page with a strict Content-Security-Policy shows
// it; the colours are classes, and CSS holds them, for light and dark. It has role="img", a title and a description
// in words. Text that strangers wrote is escaped.
//
// What is absent is a gap, never 0. A number that cannot be drawn (NaN, or outside of the axis) ends at the edge.
package chart
