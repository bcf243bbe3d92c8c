package main

import "github.com/alecthomas/kong"

// details adds to the help of each command what a user must know, and examples, which a test runs.
func details() kong.Option {
	return kong.PostBuild(func(k *kong.Kong) error {
		for _, command := range k.Model.Leaves(false) {
			command.Detail = detailOf[command.Path()]
		}
		return nil
	})
}

// detailOf is the end of the help of a command, by its name.
var detailOf = map[string]string{
	"init": `On a terminal it asks for values that no flag gives.

Example:
  ratchet init mine --budget 40 --min-profit 5 --max-loss-chance 30%
  ratchet up --rules mine/rules.yaml --query mine/used-books.json`,
	"up": `On the screen, found are the deals that a look accepted, stored are all deals with a version in the stream DEALS, and visible are those that
` + "`ratchet deals`" + ` lists. "as of" names the sequences of the streams up to which they are counted; wherever the same sequences are named,
the counts are the same. A closed terminal stops it cleanly, as Ctrl-C does.

Example:
  ratchet up --rules mine/rules.yaml --query mine/used-books.json --env-file .env`,
	"doctor": `It judges what runs, or what a first start needs, and ends with the one thing to do first. The exit code is 1 if something is wrong.

Example:
  ratchet doctor`,
	"notify test": `The targets are those of NOTIFY_TARGETS, one a line, or of the file that NOTIFY_TARGETS_FILE names; docs/notify.md has their forms.

Example:
  NOTIFY_TARGETS_FILE=targets ratchet notify test`,
	"deals": `A table fits the terminal: a deal that needs more room than a line takes two. In a pipe each deal is one line, uncut.

Examples:
  ratchet deals --min-profit 10 --max-loss-chance 30% --limit 10
  ratchet deals --condition "very good" --max-rank 500000 --sort rank
  ratchet deals --columns profit,loss,buy,link,offers,keepa
  ratchet deals --since 7d --format csv`,
	"why": `Examples:
  ratchet why
  ratchet why 0593655036
  ratchet why 0593655036 --chart --range 90d
  ratchet why 978-0-593-65503-0
  ratchet why "https://www.amazon.com/dp/0593655036?th=1"`,
	"buy": `The product leaves the list until --undo. A command whose outcome you do not know may be repeated: it counts once.

Examples:
  ratchet buy 0593655036 --price 9.99 --condition "very good"
  ratchet buy 0593655036 --price 9.99 --on 2026-03-01 --copy 2
  ratchet buy 0593655036 --undo`,
	"ignore": `Small and capital letters A to Z are the same. Words count as whole words: "large print" is in "Dune (Large-Print)".

Examples:
  ratchet ignore 0593655036 --for 30d
  ratchet ignore seller A2L77EE7U53NWQ
  ratchet ignore brand "Acme Press"
  ratchet ignore words large print
  ratchet ignore
  ratchet ignore --undo words large print`,
	"sold": "`ratchet report calibration`" + ` compares what was sold with what was predicted when it was bought.

Examples:
  ratchet sold 0593655036 --price 39 --on 2026-03-01
  ratchet sold 0593655036 --undo`,
	"status": `The first line shows whether it is stuck.

Examples:
  ratchet status`,
	"top": `q or Ctrl-C ends it. In a pipe it is one screen, without escapes.

Example:
  ratchet top`,
	"spend": `Examples:
  ratchet spend
  ratchet spend --since 7d`,
	"forecast": `It measures your own history and compares plans of 1, 5, 20 and 60 tokens a minute. Without a day of history, or with --rate,
it simulates a day on a made-up list.

Examples:
  ratchet forecast
  ratchet forecast --price 49`,
	"pause": `Example:
  ratchet pause`,
	"resume": `Example:
  ratchet resume`,
	"nospend": `Example:
  ratchet nospend`,
	"drain": `Nothing remembers it: a supervisor that restarts whatever ends starts them again. Those of ratchet up end with it.

Examples:
  ratchet drain peeker
  ratchet drain committer --plan eu`,
	"rules check": `Example:
  ratchet rules check mine/rules.yaml`,
	"rules apply": `The file is checked as ` + "`rules check`" + ` does and put live as the next version: every daemon takes it without a restart, and it wins
over RULES and --rules from then on. Stored deals, and then what was rejected in the last week, are decided again from stored
answers, for no token; what passes now is offered to the pipeline. Ctrl-C is safe: the same command continues.

Example:
  ratchet rules apply mine/rules.yaml`,
	"rules cost": `Example:
  ratchet rules cost --since 30d`,
	"rules history": `Example:
  ratchet rules history`,
	"rules revert": `The rules of the version become the next version, and stored deals are decided again by them as ` + "`rules apply`" + ` does.

Example:
  ratchet rules revert
  ratchet rules revert 1`,
	"rules show": "The file goes to standard output: `ratchet rules show > mine.yaml` begins one to change, try with --rules and apply." + `

Example:
  ratchet rules show`,
	"rules explain": `Example:
  ratchet rules explain 0593655036`,
	"queries check": `Example:
  ratchet queries check mine/used-books.json`,
	"queries apply": `The files are checked as ` + "`queries check`" + ` does and put live together as the next version: the watermarker reads their lists
without a restart and those of no other query, and they override QUERIES and --query from then on. An unchanged query resumes
from its watermark; that of a query left out is kept and used if it is applied again.

Example:
  ratchet queries apply mine/used-books.json`,
	"queries history": `Example:
  ratchet queries history`,
	"queries revert": `The queries of the version become the next version, and their lists are read from their watermarks.

Example:
  ratchet queries revert
  ratchet queries revert 1`,
	"queries import": `A deal query is what "Show API query" of Keepa's deal page shows.

Example:
  ratchet queries import mine/used-books.json`,
	"backtest": `Examples:
  ratchet backtest
  ratchet backtest --rules mine/rules.yaml --previous old/rules.yaml`,
	"replay": `It costs no token: it decides from stored answers and kept inputs. With --clickhouse-url none it decides again only what VERDICTS
holds. --publish is the exception: what it offers is decided by the live rules, and looks whose answers are older than PEEKER_FRESH
and COMMITTER_FRESH cost tokens.

Example:
  ratchet replay --look peek --rules mine/rules.yaml --run stricter --since 7d`,
	"report": `Examples:
  ratchet report
  ratchet report funnel --since 7d
  ratchet report deals --param limit=5 --format csv
  ratchet report calibration --about`,
	"sql": `schemas/clickhouse has the definitions of all tables and views.

Examples:
  ratchet sql "SHOW TABLES"
  ratchet sql "DESCRIBE visible_deals"
  ratchet sql "SELECT asin, profit_cents FROM visible_deals ORDER BY profit_cents DESC LIMIT 5"`,
	"dead ls": `Example:
  ratchet dead ls --open`,
	"dead show": `Example:
  ratchet dead show 1`,
	"dead retry": `Examples:
  ratchet dead retry 1
  ratchet dead retry --all --stage peeker`,
	"answer": `It prints what came, byte for byte, and on standard error which call it was and what it cost.

Example:
  ratchet answer 7c1a5e0b9d3f2846`,
	"backup": `Streams, buckets and ClickHouse's tables, as one set, while everything runs. Every file can be read
with stock tools: nats backup restore account DIR/nats, clickhouse-client.

Example:
  ratchet backup /backup/2026-11-29`,
	"restore": `Nothing that the backup knows as bought is bought again. Existing data is never changed: the target
must be empty.

Example:
  ratchet restore /backup/2026-11-29 --data /srv/ratchet
  ratchet up --data /srv/ratchet`,
	"topology diff": `Example:
  ratchet topology diff`,
	"topology apply": `Example:
  ratchet topology apply`,
	"topology roles": `Example:
  ratchet topology roles --plans eu=de`,
	"clickhouse": `Example:
  ratchet clickhouse --addr 127.0.0.1:8123`,
	"soak": `Examples:
  ratchet soak
  ratchet soak backlog400`,
	"version": `Example:
  ratchet version`,
}
