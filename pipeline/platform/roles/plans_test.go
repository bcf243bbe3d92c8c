package roles_test

import (
	"slices"
	"testing"

	"ratchet/pipeline/platform/roles"
)

func TestARoleHasTheRightsOfItsDaemonsOfEveryPlanAndNoOthers(t *testing.T) {
	t.Parallel()
	for _, r := range roles.Table("de", "jp") {
		p := r.Permissions()
		for subject, of := range map[string][]string{
			"$KV.TOKENS_de.balance":                            {"tokend"},
			"$KV.TOKENS_jp.grant.peeker":                       {"tokend", "peeker"},
			"$KV.TOKENS_de.shed":                               {"peeker"},
			"$KV.TOKENS_de.mode":                               {"tokend", roles.Operator},
			"$KV.TOKEND.leader_jp":                             {"tokend"},
			"$KV.TOKEND.watermarker_de":                        {"watermarker"},
			"$KV.CONFIG.rules_de":                              {"page", roles.Operator},
			"$JS.API.CONSUMER.MSG.NEXT.CANDIDATES.glance_de":   {"peeker"},
			"$JS.API.CONSUMER.MSG.NEXT.SURVIVORS.peek-live_jp": {"peeker"},
			"$JS.API.CONSUMER.MSG.NEXT.SURVIVORS.commit-a_de":  {"committer"},
			"$JS.API.CONSUMER.DELETE.SURVIVORS.commit-a_de":    nil,
			"$JS.API.CONSUMER.CREATE.SURVIVORS.peek-live_de":   nil,
			"$KV.TOKENS_fr.balance":                            nil,
		} {
			if r.Name == roles.Provisioner {
				continue // it may write every bucket
			}
			if want := slices.Contains(of, r.Name); p.MayPublish(subject) != want {
				t.Errorf("%s may publish %s: %t, want %t", r.Name, subject, !want, want)
			}
		}
	}
}
