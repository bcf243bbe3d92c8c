// Package token is the budget: the bucket as Keepa refills it, the grants that stages
// claim from, and how tokens are shared between stages. It has no clock and no I/O.
//
// The states of a token, and what moves it:
//
//	refill ─▶ in the balance ─issue─▶ credit of a stage ─claim─▶ held by an open claim
//	             ▲                        │                          │
//	             └──────── revoke ────────┘        close: the price is spent, the rest reappears
//	             └──────── reap: given up, and Keepa's next answer shows what it cost ──┘
//
// Outstanding permission (credit and open claims) never exceeds the balance that it
// was issued against, so a crash anywhere can waste time but not overdraw.
package token
