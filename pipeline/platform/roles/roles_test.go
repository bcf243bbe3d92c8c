package roles_test

import (
	"slices"
	"strings"
	"testing"

	"ratchet/pipeline/platform/roles"
)

// The server's configuration is generated from the table, so a row that is too wide would be
// in force without a test that failed. Here each kind of subject is written down a second time.
func TestNoRowOfTheTableIsWiderThanItsWorkNeeds(t *testing.T) {
	t.Parallel()
	for may, c := range map[string]struct {
		allows func(roles.Permissions, string) bool
		want   map[string]string // the roles, by subject
	}{
		"publish": {roles.Permissions.MayPublish, map[string]string{
			"candidate.1.live.B000000000": "watermarker page operator",
			"survivor.1.glance.live.B":    "peeker page operator",
			"response.1.whole.x":          "watermarker peeker committer",
			"response.1.deals.x":          "watermarker",
			"response.1.peek.x":           "peeker",
			"response.1.commit.x":         "committer",
			"verdict.1.list.x":            "watermarker page operator",
			"verdict.1.peek.x":            "peeker page operator",
			"verdict.1.commit.x":          "committer page operator",
			"deal.1.used.B":               "peeker committer page operator",
			"ledger.tokend.x":             "tokend operator",
			"ledger.peeker.x":             "tokend peeker operator",
			"dead.peeker.x":               "peeker recorder operator",
			"dead.recorder.x":             "recorder operator",
			"action.1.buy.B":              "page operator",

			"$KV.TOKENS.balance":         "tokend provisioner",
			"$KV.TOKENS.mode":            "tokend provisioner operator",
			"$KV.TOKENS.policy":          "provisioner operator",
			"$KV.TOKENS.grant.peeker":    "tokend peeker provisioner",
			"$KV.TOKENS.grant.committer": "tokend committer provisioner",
			"$KV.TOKEND.leader":          "tokend provisioner",
			"$KV.WATERMARKS.x":           "watermarker provisioner",
			"$KV.SEEN.x":                 "watermarker peeker committer provisioner",
			"$KV.ORDERS.x":               "watermarker peeker committer provisioner",
			"$KV.STATUS.tokend.x":        "tokend provisioner",
			"$KV.STATUS.recorder.x":      "recorder provisioner",
			"$KV.POSTED.x":               "notifier provisioner",
			"$KV.CONFIG.rules":           "page provisioner operator",
			"$KV.CONFIG.queries":         "provisioner operator",

			"$JS.API.STREAM.CREATE.DEALS":                  "provisioner",
			"$JS.API.STREAM.UPDATE.DEALS":                  "provisioner",
			"$JS.API.STREAM.RESTORE.DEALS":                 "provisioner",
			"$JS.API.STREAM.SNAPSHOT.DEALS":                "operator",
			"$JS.API.STREAM.DELETE.DEALS":                  "",
			"$JS.API.STREAM.PURGE.DEALS":                   "",
			"$JS.API.STREAM.MSG.DELETE.DEALS":              "",
			"$JS.API.STREAM.MSG.GET.KV_TOKENS":             "",
			"$JS.API.STREAM.LEADER.STEPDOWN.DEALS":         "",
			"$JS.API.META.LEADER.STEPDOWN":                 "",
			"$JS.API.ACCOUNT.PURGE.RATCHET":                "",
			"$JS.API.CONSUMER.DURABLE.CREATE.DEALS.x":      "provisioner",
			"$JS.API.CONSUMER.DELETE.SURVIVORS.commit-a":   "",
			"$JS.API.CONSUMER.PAUSE.SURVIVORS.commit-a":    "operator",
			"$JS.API.CONSUMER.RESET.SURVIVORS.commit-a":    "provisioner operator",
			"$JS.API.CONSUMER.MSG.NEXT.CANDIDATES.glance":  "peeker",
			"$JS.API.CONSUMER.MSG.NEXT.SURVIVORS.commit-a": "committer",
			"$JS.ACK.SURVIVORS.commit-a.1.1.1.1.1":         "committer",
			"$JS.API.DIRECT.GET.RESPONSES":                 "watermarker peeker committer recorder page reader operator",
			"$JS.API.DIRECT.GET.KV_CONFIG":                 "watermarker peeker committer page reader operator",

			"svc.peeker.status": "notifier page reader operator", "svc.peeker.drain": "operator",
			"_INBOX.x": "", "_INBOX_operator.x": "", "_INBOX_provisioner.x": "", "$SYS.REQ.SERVER.PING": "",
		}},
		"subscribe to": {maySubscribe, map[string]string{
			"_INBOX.x":                    "reader operator", // that of the nats CLI
			"_INBOX_tokend.x":             "tokend",
			"_INBOX_peeker.x":             "peeker",
			"_INBOX_provisioner.x":        "provisioner",
			"_INBOX_page.x":               "page",
			"candidate.1.live.B":          "page reader operator",
			"response.1.peek.x":           "page reader operator",
			"deal.1.used.B":               "recorder page reader operator",
			"$KV.TOKENS.balance":          "page reader operator",
			"$KV.TOKENS.grant.peeker":     "tokend peeker page reader operator",
			"$KV.CONFIG.rules":            "watermarker peeker committer page reader operator",
			"svc.tokend.status":           "tokend",
			"$JS.API.STREAM.CREATE.DEALS": "",
			"$SYS.ACCOUNT.RATCHET.CONNS":  "",
		}},
	} {
		for subject, want := range c.want {
			var got []string
			for _, r := range roles.Table() {
				if c.allows(r.Permissions(), subject) {
					got = append(got, r.Name)
				}
			}
			slices.Sort(got)
			if want := strings.Fields(want); !slices.Equal(got, slices.Sorted(slices.Values(want))) {
				t.Errorf("%v may %s %s, want %v", got, may, subject, want)
			}
		}
	}
}

func maySubscribe(p roles.Permissions, subject string) bool {
	return slices.ContainsFunc(p.Subscribe, func(pattern string) bool { return roles.Covers(pattern, subject) })
}
