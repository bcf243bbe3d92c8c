package roles

import (
	"fmt"
	"strings"

	"ratchet/pipeline"
)

// Config renders the server's configuration, for the plans beside the first one too. The passwords are variables
// NAME_PASSWORD in the file passwords.conf next to it, which deploy/init generates.
func Config(plans ...pipeline.Plan) string {
	var b strings.Builder
	b.WriteString(`# Written by docs/roles_test.go from pipeline/platform/roles; change that and run ` + "`make golden`" + `.

server_name: ratchet
# For this host alone: without a tls block, passwords and messages are plain text. container.conf and cluster.conf open
# it to the network of the containers; docs/fleet.md has the lines for TLS. Monitoring is off: its port
# would answer every user and every browser page on this host, without authentication.
host: 127.0.0.1
port: 4222
# A stored answer is one product, up to a few megabytes.
max_payload: 8MB

jetstream {
  store_dir: /data
  # What was acknowledged survives a power failure.
  sync_interval: always
  max_file_store: 80GB
  max_memory_store: 256MB
}

include ./passwords.conf

accounts {
  SYS: { users: [ { user: sys, password: $SYS_PASSWORD } ] }
  RATCHET: {
    jetstream: enabled
    users: [
`)
	for _, r := range Table(plans...) {
		p := r.Permissions()
		fmt.Fprintf(&b, "      # %s\n      { user: %s, password: $%s, permissions: {\n", r.Purpose, r.Name, Variable(r.Name))
		fmt.Fprintf(&b, "        publish: { allow: %s", list(p.Publish))
		if len(p.NotPublish) > 0 {
			fmt.Fprintf(&b, ", deny: %s", list(p.NotPublish))
		}
		fmt.Fprintf(&b, " }\n        subscribe: { allow: %s }\n", list(p.Subscribe))
		if p.Answers {
			b.WriteString("        allow_responses: { max: 1, expires: \"10s\" }\n")
		}
		b.WriteString("      } }\n")
	}
	b.WriteString("    ]\n  }\n}\nsystem_account: SYS\n")
	return b.String()
}

// Variable is the name in the configuration of a user's password.
func Variable(user string) string { return strings.ToUpper(user) + "_PASSWORD" }

func list(subjects []string) string {
	if len(subjects) == 0 {
		return "[]"
	}
	return "[\n          \"" + strings.Join(subjects, "\",\n          \"") + "\"\n        ]"
}
