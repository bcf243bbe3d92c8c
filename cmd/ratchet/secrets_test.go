package main

import (
	"strings"
	"testing"
)

func TestAPasswordAmongTheArgumentsIsRefused(t *testing.T) {
	t.Parallel()
	for args, refused := range map[string]bool{
		"status --nats-url nats://a:hunter2@h:4222":        true,
		"status --nats-url=nats://a:hunter2@h:4222":        true,
		"status --nats-url nats://h,a:hunter2@h2":          true,
		"status --nats-url hunter2@h":                      true, // a token
		"up --clickhouse http://a:hunter2@h:8123/ratchet":  true,
		"up --clickhouse=http://a:hunter2@h:8123/ratchet":  true,
		"notify test slack://a:hunter2@h":                  true,
		"status --nats-url nats://h:4222":                  false,
		"up --clickhouse http://default@h:8123/ratchet":    false,
		"sql SELECT_'a:b@c'":                               false,
		"status --clickhouse-url http://127.0.0.1/ratchet": false,
	} {
		err := noPasswords(strings.Fields(args))
		if (err != nil) != refused {
			t.Errorf("%s: got %v, want a refusal: %t", args, err, refused)
		}
		if err != nil && (strings.Contains(err.Error(), "hunter2") || !strings.Contains(err.Error(), "_FILE")) {
			t.Errorf("%s: the error repeats the password or names no other way: %v", args, err)
		}
	}
}
