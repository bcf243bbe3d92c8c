package roles

import (
	"fmt"
	"slices"
	"strings"

	"ratchet/pipeline"
)

// Config renders the server's configuration, for the plans beside the first one too. The passwords are variables
// NAME_PASSWORD in the file passwords.conf next to it, which deploy/init generates.
func Config(plans ...pipeline.Plan) string {
	var b strings.Builder
	b.WriteString(`# Written by docs/roles_test.go from pipeline/platform/roles; change that and run ` + "`make golden`" + `.

server_name: ratchet
port: 4222
# Monitoring stays on the loopback interface: it has no authentication.
http: 127.0.0.1:8222
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
		fmt.Fprintf(&b, "      # %s\n      { user: %s, password: $%s, permissions: {\n", r.Does, r.Name, Variable(r.Name))
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

const pageHead = "# Roles on NATS\n\n<!-- Written by `make golden` from pipeline/platform/roles. -->\n\n" +
	"Every process of a fleet, and every person, connects to NATS as a user with the rights below. " +
	"The server's configuration is [deploy/nats/nats.conf](../deploy/nats/nats.conf); `deploy/init` generates the passwords. " +
	"A process is given `NATS_USER` (the role's name) and `NATS_PASSWORD_FILE`, or `NATS_CREDS` or `NATS_NKEY`; " +
	"with `NATS_CA`, `NATS_CERT` and `NATS_KEY` it connects by TLS.\n\n" +
	"Everybody may also look at streams and consumers (`$JS.API.INFO`, `STREAM.INFO`, `CONSUMER.INFO`, `CONSUMER.LIST`), " +
	"which is how a daemon checks the topology. Daemons get their answers on an inbox of their own, `_INBOX_ROLE`, " +
	"which no other role can subscribe to.\n\n" +
	"A worker writes the whole grant of its stage and could issue tokens to itself. It has the Keepa key, " +
	"so that is not a security boundary; tokend revokes credit that is beyond its plan.\n"

// Page renders docs/roles.md, with a line for each paragraph and each kind of right.
func Page() string {
	var b strings.Builder
	b.WriteString(pageHead)
	for _, r := range Table() {
		fmt.Fprintf(&b, "\n## %s\n\n%s.\n\n", r.Name, strings.ToUpper(r.Does[:1])+r.Does[1:])
		row := func(name string, subjects []string) {
			if len(subjects) > 0 {
				fmt.Fprintf(&b, "- %s `%s`\n", name, strings.Join(subjects, "`, `"))
			}
		}
		row("publishes", sorted(r.Publishes))
		var takes []string
		for stream, names := range r.Takes {
			for _, name := range names {
				takes = append(takes, stream+" "+name)
			}
		}
		row("takes from", sorted(takes))
		row("reads by sequence or key", sorted(r.Gets))
		row("scans", sorted(r.Scans))
		row("subscribes", sorted(r.Hears))
		row("requests", sorted(r.Asks))
		if r.Serves {
			row("answers", []string{"svc." + r.Name + ".status", "$SRV.PING, INFO and STATS"})
		}
	}
	return b.String()
}

func sorted(list []string) []string { return slices.Compact(slices.Sorted(slices.Values(list))) }
