package newcomer_test

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"ratchet/pipeline"
	"ratchet/pipeline/platform/embedded/clickhouse/chtest"
	"ratchet/test/desk"
)

// newcomer is somebody who has just built the binary: a home with nothing in it, and services that are notified.
type newcomer struct {
	dir, binary string
	env         []string
	slack       *service
	telegram    *service
	mail        *service
	hook        *service
	shown       map[string]string // what each command printed last, by its first word
}

// upArgs start the pipeline on ports that are free, with a simulated hour every twenty seconds.
var upArgs = []string{
	"up", "--rules", "mine/rules.yaml", "--query", "mine/used-books.json", "--speed", "180",
	"--nats", "127.0.0.1:0", "--nats-monitor", "127.0.0.1:0", "--clickhouse-addr", "127.0.0.1:0",
}

func TestADayOfANewcomer(t *testing.T) {
	if testing.Short() {
		t.Skip("builds and runs the binary for most of a minute")
	}
	t.Parallel()
	n := arrive(t)
	n.run(t, "init", "mine", "--budget", "60", "--min-profit", "5")
	n.targets(t)
	forecast := n.forecast() // a simulated day takes as long as half of this one
	up := n.start(t)
	n.awaits(t, 8, "uniqExact(asin) FROM deal_versions")
	n.counts(t)
	n.whyRejected(t)
	n.run(t, "rules", "apply", "mine/rules.yaml") // a version to return to
	n.run(t, "pause")                             // so that nothing else changes what a look found
	n.changesARule(t)
	n.reads(t)
	n.acts(t)
	n.run(t, "resume")
	n.isToldInDigests(t)
	n.asks(t)
	forecast(t)
	n.examples(t, "report", "sql", "doctor")

	before := n.stands(t)
	n.isToldOfItsOwn(t, before.found)
	up.ends(t, os.Interrupt)
	if !strings.Contains(up.out(t), "nothing is lost") {
		t.Errorf("it does not say how it stopped:\n%s", up.out(t))
	}
	up = n.start(t)
	n.keeps(t, "a restart", before)
	n.awaits(t, before.works+1, "uniqExact(work_id) FROM verdicts WHERE run = 'live'")
	before = n.stands(t)
	up.ends(t, syscall.SIGKILL)
	up = n.start(t, "--for", "10m")
	n.keeps(t, "kill -9 and a restart", before)
	if err := <-up.ended; err != nil {
		t.Errorf("after its time it ends with %v", err)
	}
	n.shown["up"] = up.out(t)
	if _, ok := said(t, "report", sentence, up.out(t)); !ok {
		t.Error("no report")
	}
	n.isToldOnce(t)
	n.documents(t)
}

// arrive builds the binary and makes a home.
func arrive(t *testing.T) *newcomer {
	t.Helper()
	dir := t.TempDir()
	n := &newcomer{dir: dir, binary: filepath.Join(dir, "ratchet"), slack: web(t), telegram: web(t), mail: postOffice(t), hook: web(t), shown: map[string]string{}}
	build := exec.CommandContext(t.Context(), "go", "build", "-ldflags=-s -w", "-o", n.binary, "./cmd/ratchet")
	build.Dir = filepath.Join("..", "..")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	n.env = []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "TMPDIR=" + os.TempDir(), "CHDB_LIB_PATH=" + chtest.Library(t),
		"NOTIFY_TARGETS_FILE=" + filepath.Join(dir, "targets"), "NOTIFY_DIGEST=hourly",
	}
	return n
}

// targets writes the file of what is notified, and tries it.
func (n *newcomer) targets(t *testing.T) {
	t.Helper()
	list := fmt.Sprintf("# mine\nslack+http://%s/services/T0/B0/SECRETSECRET\ntelegram://123:SECRETSECRET@telegram?chats=7&api=http://%s\nsmtp://%s/?from=r@example.com&to=me@example.com\nhttp://%s/\n",
		n.slack.at, n.telegram.at, n.mail.at, n.hook.at)
	if err := os.WriteFile(filepath.Join(n.dir, "targets"), []byte(list), 0o600); err != nil {
		t.Fatal(err)
	}
	if out := n.run(t, "notify", "test"); strings.Count(out, "ok\n") != 4 || strings.Contains(out, "SECRET") {
		t.Errorf("the test of notifications says\n%s", out)
	}
}

// command is the binary with arguments, as the newcomer starts it.
func (n *newcomer) command(args ...string) *exec.Cmd {
	cmd := exec.Command(n.binary, args...)
	cmd.Dir, cmd.Env = n.dir, n.env
	return cmd
}

// run runs a command that must succeed, and is what it printed.
func (n *newcomer) run(t *testing.T, args ...string) string {
	t.Helper()
	cmd := n.command(args...)
	var out, errOut bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errOut
	if err := cmd.Run(); err != nil {
		t.Fatalf("ratchet %s: %v\n%s%s", strings.Join(args, " "), err, out.String(), errOut.String())
	}
	if !slices.Contains(args, "--format") {
		n.shown[args[0]] = out.String()
	}
	return out.String()
}

// process is a running `up`.
type process struct {
	cmd   *exec.Cmd
	file  string // what it prints
	ended chan error
}

func (p *process) out(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(p.file)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// awaits waits until ClickHouse counts so many. That costs the machine little, where a list asked for again and again
// would take most of it.
func (n *newcomer) awaits(t *testing.T, least int, what string) {
	t.Helper()
	desk.Await(t, fmt.Sprint(least, " of ", what), func() bool {
		out, err := n.command("sql", "--format", "csv", "SELECT "+what).Output()
		if err != nil {
			return false // it is not there yet
		}
		_, count, _ := strings.Cut(strings.TrimSpace(string(out)), "\n")
		is, err := strconv.Atoi(count)
		return err == nil && is >= least
	})
}

// start starts the pipeline and waits until commands find it.
func (n *newcomer) start(t *testing.T, more ...string) *process {
	t.Helper()
	p := &process{cmd: n.command(append(upArgs, more...)...), ended: make(chan error, 1)}
	f, err := os.CreateTemp(n.dir, "up-")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	p.file = f.Name()
	p.cmd.Stdout, p.cmd.Stderr = f, f
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { p.ended <- p.cmd.Wait(); close(p.ended) }()
	t.Cleanup(func() {
		_ = p.cmd.Process.Kill() // it has ended already unless the test failed
		<-p.ended
		if t.Failed() {
			t.Logf("up said\n%s", p.out(t))
		}
	})
	desk.Await(t, "up to be ready", func() bool {
		select {
		case err := <-p.ended:
			t.Fatalf("up ended: %v", err)
		default:
		}
		return strings.Contains(p.out(t), "Ready.")
	})
	return p
}

// ends sends a signal and waits for the end; only a kill may end it badly.
func (p *process) ends(t *testing.T, s os.Signal) {
	t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-p.ended:
		if s != syscall.SIGKILL && p.cmd.ProcessState.ExitCode() != 130 && err != nil {
			t.Errorf("after %v it ended with %v", s, err)
		}
	case <-time.After(time.Minute):
		t.Fatalf("%v does not end it", s)
	}
}

// deals are the visible deals as a spreadsheet gets them.
func (n *newcomer) deals(t *testing.T, args ...string) []map[string]string {
	t.Helper()
	out := n.run(t, append([]string{"deals", "--format", "csv"}, args...)...)
	rows, err := csv.NewReader(strings.NewReader(out)).ReadAll()
	if err != nil {
		t.Fatalf("%v of\n%s", err, out)
	}
	var all []map[string]string
	for i, row := range rows {
		if i == 0 {
			continue
		}
		d := map[string]string{}
		for j, name := range rows[0] {
			d[name] = row[j]
		}
		d["asin"] = strings.Trim(d["asin"], `="`) // a text for a spreadsheet too
		all = append(all, d)
	}
	return all
}

func number(t *testing.T, text string) float64 {
	t.Helper()
	f, err := strconv.ParseFloat(text, 64)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func named(deals []map[string]string, asin string) bool {
	return slices.ContainsFunc(deals, func(d map[string]string) bool { return d["asin"] == asin })
}

// counts compares the sentence below the list with the list.
func (n *newcomer) counts(t *testing.T) {
	t.Helper()
	cmd := n.command("deals")
	var below bytes.Buffer
	cmd.Stderr = &below
	out := onTerminal(t, cmd, 80, 24)
	n.shown["deals"] = out
	s, ok := said(t, "deals", sentence, below.String())
	if rows := len(regexp.MustCompile(`(?m)^ *\$[0-9.,]+ +[0-9]+ %`).FindAllString(out, -1)); !ok || s.Visible != rows || strings.Contains(out, "amazon.") {
		t.Errorf("%s below %d deals\n%s", below.String(), rows, out)
	}
	for _, line := range strings.Split(out, "\n") {
		if len([]rune(line)) > 80 {
			t.Errorf("a line of %d columns: %s", len([]rune(line)), line)
		}
	}
}

// whyRejected asks why a book is not a deal: the answer names the rule.
func (n *newcomer) whyRejected(t *testing.T) {
	t.Helper()
	rows := n.run(t, "sql", "--format", "csv", "SELECT asin, rule_id FROM verdicts WHERE outcome = 'reject' AND look = 'peek' AND rule_id != '' LIMIT 1")
	asin, rule, ok := strings.Cut(strings.Split(strings.TrimSpace(rows)+"\n", "\n")[1], ",")
	asin = strings.Trim(asin, `="`)
	if !ok {
		t.Fatalf("no reject in\n%s", rows)
	}
	if out := n.run(t, "why", asin); !strings.Contains(out, rule) {
		t.Errorf("why %s does not name the rule %s:\n%s", asin, rule, out)
	}
}

// changesARule asks for more profit: what earns less leaves the list with the reason, and returns when the rules do.
func (n *newcomer) changesARule(t *testing.T) {
	t.Helper()
	before := n.deals(t)
	profit := func(d map[string]string) float64 { return number(t, d["profit"]) }
	slices.SortFunc(before, func(a, b map[string]string) int { return int(math.Copysign(1, profit(a)-profit(b))) })
	least := int64(math.Ceil(profit(before[len(before)/2]) * 100))
	file := filepath.Join(n.dir, "mine", "rules.yaml")
	rules, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	other := strings.Replace(string(rules), "min_profit_cents: 500", fmt.Sprintf("min_profit_cents: %d", least), 1)
	if other == string(rules) {
		t.Fatalf("no threshold to change in\n%s", rules)
	}
	if err := os.WriteFile(file, []byte(other), 0o600); err != nil {
		t.Fatal(err)
	}
	n.run(t, "rules", "check", "mine/rules.yaml")
	if out := n.run(t, "rules", "apply", "mine/rules.yaml"); !regexp.MustCompile(`(?m)^\s+[1-9]\d*\s+(no longer|hidden)`).MatchString(out) {
		t.Errorf("it does not say how many it hides:\n%s", out)
	}
	lost := before[0]["asin"]
	left := n.deals(t)
	if named(left, lost) || slices.ContainsFunc(left, func(d map[string]string) bool { return profit(d) < float64(least)/100 }) {
		t.Errorf("some are listed that earn less than %d cents:\n%s", least, n.run(t, "deals", "--columns", "asin,profit,rule_set"))
	}
	if out := n.run(t, "why", lost); !strings.Contains(out, "no_profit") && !strings.Contains(out, "profit") {
		t.Errorf("why %s is hidden:\n%s", lost, out)
	}
	n.run(t, "rules", "revert")
	desk.Await(t, lost+" to be back", func() bool { return named(n.deals(t), lost) })
	if out := n.run(t, "rules", "history"); strings.Count(out, "\n") < 3 {
		t.Errorf("the history of two changes is\n%s", out)
	}
}

// reads has a spreadsheet read the list, where there is one.
func (n *newcomer) reads(t *testing.T) {
	t.Helper()
	for _, d := range n.deals(t) {
		if len(d["asin"]) != 10 || d["currency"] != "USD" || number(t, d["profit"]) <= 0 || d["note"] != "simulated" || d["link"] != "" {
			t.Errorf("a row of the CSV: %v", d)
		}
	}
	t.Run("LibreOffice opens the CSV", func(t *testing.T) {
		office, err := exec.LookPath("soffice")
		if err != nil {
			t.Skip("no soffice on this machine: install LibreOffice's calc")
		}
		file := filepath.Join(n.dir, "deals.csv")
		if err := os.WriteFile(file, []byte(n.run(t, "deals", "--format", "csv")), 0o600); err != nil {
			t.Fatal(err)
		}
		cmd := exec.CommandContext(t.Context(), office, "--headless", "--convert-to", "html", "--outdir", n.dir, file)
		cmd.Env = n.env
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		html, err := os.ReadFile(filepath.Join(n.dir, "deals.html"))
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range n.deals(t)[:3] {
			if !strings.Contains(string(html), ">"+d["asin"]+"<") {
				t.Errorf("%s is not a text of its own", d["asin"])
			}
		}
	})
}

// acts buys one deal and ignores another: neither is listed, until that is taken back.
func (n *newcomer) acts(t *testing.T) {
	t.Helper()
	all := n.deals(t)
	bought, ignored := all[0]["asin"], all[1]["asin"]
	n.run(t, "buy", bought, "--price", "9.99")
	n.run(t, "ignore", ignored, "--for", "30d")
	if left := n.deals(t); named(left, bought) || named(left, ignored) {
		t.Errorf("%s was bought and %s is ignored, and the list has one of them", bought, ignored)
	}
	n.run(t, "ignore", ignored, "--undo")
	if !named(n.deals(t), ignored) {
		t.Errorf("%s is ignored no more, and is not listed", ignored)
	}
	n.run(t, "sold", bought, "--price", "39")
	for _, d := range all[1:min(len(all), 7)] { // the notes beside a sum differ from deal to deal
		n.shown["a deal"] += n.run(t, "why", d["asin"])
	}
}

// status asks for the status until it is whole: it says what is known within a second, in which a busy machine does not
// always answer.
func (n *newcomer) status(t *testing.T) string {
	t.Helper()
	desk.Await(t, "a whole status", func() bool {
		out, err := n.command("status").Output()
		n.shown["status"] = string(out)
		return err == nil && !strings.HasPrefix(string(out), "No answer in time: ")
	})
	return n.shown["status"]
}

// asks has the questions answered that people ask.
func (n *newcomer) asks(t *testing.T) {
	t.Helper()
	if out := n.status(t); !regexp.MustCompile(`^(Not stuck|STUCK): ?`).MatchString(out) {
		t.Errorf("status begins with %.100q", out)
	}
	for _, c := range []struct{ command, begins string }{
		{"why", `^\d+ deals? (was|were) found`},
		{"spend", `^\d+ tokens were spent`},
	} {
		if out := n.run(t, c.command); !regexp.MustCompile(c.begins).MatchString(out) {
			t.Errorf("%s begins with %.100q", c.command, out)
		}
	}
	n.shown["why"] = n.shown["a deal"]
	n.run(t, "rules", "cost")
}

// forecast asks what a plan would find on a made-up list. The function that it returns holds the answer against what is
// promised of it.
func (n *newcomer) forecast() (answered func(*testing.T)) {
	cmd := n.command("forecast", "--rate", "5", "--rows", "50")
	type answer struct {
		out []byte
		err error
	}
	said := make(chan answer, 1)
	go func() {
		out, err := cmd.CombinedOutput()
		said <- answer{out, err}
	}()
	return func(t *testing.T) {
		t.Helper()
		if a := <-said; a.err != nil || !strings.Contains(string(a.out), "deals") {
			t.Errorf("forecast: %v\n%s", a.err, a.out)
		}
	}
}

// examples runs what the help of some commands shows.
func (n *newcomer) examples(t *testing.T, commands ...string) {
	t.Helper()
	for _, command := range commands {
		all := regexp.MustCompile(`(?m)^ +ratchet (.*)$`).FindAllStringSubmatch(n.run(t, command, "--help"), -1)
		if len(all) == 0 {
			t.Errorf("%s has no example", command)
		}
		for _, m := range all {
			var args []string
			for _, arg := range regexp.MustCompile(`"[^"]*"|\S+`).FindAllString(m[1], -1) {
				args = append(args, strings.Trim(arg, `"`))
			}
			n.run(t, args...)
		}
	}
}

// isToldInDigests waits for a digest at every service.
func (n *newcomer) isToldInDigests(t *testing.T) {
	t.Helper()
	for name, s := range map[string]*service{"Slack": n.slack, "Telegram": n.telegram, "the mailbox": n.mail} {
		desk.Await(t, "a digest for "+name, func() bool {
			return slices.ContainsFunc(s.letters(), func(l letter) bool { return strings.Contains(l.text, " deals") && strings.Contains(l.text, "rank") })
		})
	}
}

// isToldOfItsOwn holds the deals that the webhook was sent against those that were found: what a forecast invents is
// none.
func (n *newcomer) isToldOfItsOwn(t *testing.T, found map[string]bool) {
	t.Helper()
	for _, l := range n.hook.letters()[1:] { // behind the test
		for _, d := range l.deals {
			if !found[d.ASIN] {
				t.Errorf("%s was notified and not found", d.ASIN)
			}
		}
	}
}

// isToldOnce counts what the webhook took: the kill may repeat one message. A book at another price is another deal.
func (n *newcomer) isToldOnce(t *testing.T) {
	t.Helper()
	times, twice := map[told]int{}, map[string]bool{}
	for _, l := range n.hook.letters() {
		for _, d := range l.deals {
			if times[d]++; times[d] > 1 {
				twice[l.key] = true
			}
		}
	}
	if len(times) == 0 || len(twice) > 1 {
		t.Errorf("%d deals were notified, and %d messages repeat one: %v", len(times), len(twice), twice)
	}
}

// standing is how everything stands.
type standing struct {
	at    time.Time
	began map[string]time.Time // when each daemon began, by its process
	found map[string]bool      // every deal of which there is a version
	works int                  // decided
	rules string               // the applied ones, with all before them
}

func (n *newcomer) stands(t *testing.T) (s standing) {
	t.Helper()
	s.at, s.began = n.daemons(t)
	s.found, s.rules = map[string]bool{}, n.run(t, "rules", "history")
	// The recorder is at most seconds behind.
	rows := n.run(t, "sql", "--format", "csv", `SELECT asin, 0 FROM deal_states UNION ALL SELECT '', uniqExact(work_id) FROM verdicts WHERE run = 'live'`)
	for _, row := range strings.Fields(rows)[1:] {
		asin, works, _ := strings.Cut(row, ",")
		if asin = strings.Trim(asin, `="`); asin != "" {
			s.found[asin] = true
			continue
		}
		s.works, _ = strconv.Atoi(works) // digits
	}
	return s
}

// daemons are the pipeline's time, and when each daemon began, as far as they answer in time.
func (n *newcomer) daemons(t *testing.T) (at time.Time, began map[string]time.Time) {
	t.Helper()
	var status struct {
		At      time.Time            `json:"at"`
		Daemons []pipeline.Heartbeat `json:"daemons"`
	}
	desk.Await(t, "daemons that answer", func() bool {
		out, err := n.command("status", "--json").Output()
		return err == nil && json.Unmarshal(out, &status) == nil && len(status.Daemons) > 0
	})
	began = map[string]time.Time{}
	for _, h := range status.Daemons {
		began[h.Daemon+h.Instance] = h.StartedAt
	}
	return status.At, began
}

// keeps compares with what was before: the clock did not go back, and nothing is lost.
func (n *newcomer) keeps(t *testing.T, after string, before standing) {
	t.Helper()
	now := n.stands(t)
	anew := false
	desk.Await(t, "the daemons to be seen", func() bool {
		_, began := n.daemons(t)
		for process, at := range began { // what a dead process said last stays for a while
			if _, known := before.began[process]; known {
				continue
			}
			if anew = true; at.Before(before.at) {
				t.Errorf("after %s the clock went back from %v to %v", after, before.at, at)
			}
		}
		return anew
	})
	if now.rules != before.rules {
		t.Errorf("after %s the applied rules are\n%s\nbefore it they were\n%s", after, now.rules, before.rules)
	}
	for asin := range before.found {
		if !now.found[asin] {
			t.Errorf("after %s the deal %s is gone", after, asin)
		}
	}
	if now.works < before.works || before.works == 0 {
		t.Errorf("after %s %d works are decided, before it were %d", after, now.works, before.works)
	}
}
