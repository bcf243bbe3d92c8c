// Package page serves the live page: deals, one ASIN, the machine, what other thresholds would change and the replays,
// for browsers. What it shows comes from the view models of package cli, so that its numbers are those of the commands.
//
//	this machine, TLS ─▶ access.Guard ─┐
//	private network ─▶ lan: a cookie ──┴▶ headers ─▶ view ─▶ html/template ─▶ the whole page, of use without a script
//	                                                 view ─▶ fragment ─▶ /events, where it differs
//	DEALS, VERDICTS, ACTIONS ─▶ cli.Live ─┐
//	publishes (hints) ─▶ machine ─────────┴▶ hub ─▶ wakes the open pages, one signal each
//
// One follower and one reader of the state serve all pages. Equal views are rendered once for a change. An open page
// holds one goroutine, the one of its request, and a channel of one signal; both end with the connection.
package page
