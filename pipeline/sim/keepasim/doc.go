// Package keepasim is a simulated Keepa: the HTTP API, its token
// bucket and prices, and a world of books with known outcomes.
//
//	request ─▶ key ─▶ parameters ─▶ balance > 0? ─▶ work (takes time) ─▶ charge ─▶ answer
//	            400       400/200         429                              books
//
// It runs in pipeline time only: Options.Now and Options.After are its clocks, so a day passes as fast as
// the caller's clock runs. The same seed gives the same world, the same bodies and the same prices.
//
// It encodes with its own types. A test that decodes its answers with the
// pipeline's decoder therefore compares two independent readings of the API.
package keepasim
