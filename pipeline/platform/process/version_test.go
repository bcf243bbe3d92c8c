package process

import (
	"runtime/debug"
	"testing"
)

func TestAReleaseIsNamedByItsTagAndAnotherBuildByItsRevision(t *testing.T) {
	t.Parallel()
	at := func(version, revision, modified string) *debug.BuildInfo {
		return &debug.BuildInfo{Main: debug.Module{Version: version}, Settings: []debug.BuildSetting{
			{Key: "vcs.revision", Value: revision}, {Key: "vcs.modified", Value: modified},
		}}
	}
	const revision = "0123456789abcdef0123456789abcdef01234567"
	for want, info := range map[string]*debug.BuildInfo{
		"v1.2.3":        at("v1.2.3", revision, "false"),
		"0123456789ab":  at("v1.2.4-0.20261129093000-0123456789ab", revision, "false"),
		"0123456789ab+": at("v1.2.3+dirty", revision, "true"),
		"v0.9.0-rc.1":   at("v0.9.0-rc.1", "", ""),
		"dev":           at("(devel)", "", ""),
	} {
		if got := version(info); got != want {
			t.Errorf("%s %v: got %s, want %s", info.Main.Version, info.Settings, got, want)
		}
	}
}
