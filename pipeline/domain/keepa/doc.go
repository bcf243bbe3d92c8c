// Package keepa decodes Keepa's answers: the token envelope, deal-list rows, products with
// their histories, statistics and offers, sellers; and it encodes the typed deal query.
//
// It is pure: bytes in, values out. Package gateway fetches the bytes.
//
// Three laws hold for every decoder here:
//
//   - What Keepa marks as missing (-1, -2, null, an array that is too short) is absent beyond this
//     package: accessors return (value, false) and never a sentinel.
//   - Unknown fields are skipped; a required field that changed its type is reported as a
//     *TypeError that names its path. No input makes a decoder panic.
//   - Money is an integer in the smallest unit of the marketplace's currency, weights are grams,
//     lengths millimetres, and time is Keepa's minute (see Minute).
//
// Decoding is a single pass that skips what no decision needs: a product is up to a
// megabyte of history of which a peek reads five series. Decoded values may point into
// the bytes they came from, so a body must not be changed after decoding.
package keepa
