package bus_test

import (
	"errors"
	"strings"
	"testing"

	"ratchet/pipeline/platform/bus"
	"ratchet/pipeline/platform/process"
)

func TestAddressesOfNATSAreShownWithoutTheirPassword(t *testing.T) {
	t.Parallel()
	for raw, want := range map[string]string{
		"nats://host:4222":                            "nats://host:4222",
		"nats://u:hunter2@host:4222":                  "nats://u:xxxxx@host:4222",
		"nats://hunter2@host":                         "nats://xxxxx@host",
		"u:hunter2@host":                              "nats://u:xxxxx@host",
		"nats://u:hunter2@bad host":                   "[unreadable URL]",
		"nats://u:hunter2@a:4222, nats://hunter2@b:1": "nats://u:xxxxx@a:4222,nats://xxxxx@b:1",
	} {
		if got := bus.RedactURL(raw); got != want {
			t.Errorf("%q: got %q, want %q", raw, got, want)
		}
	}
}

func TestAnInvalidAddressOfNATSIsWrongUsage(t *testing.T) {
	t.Parallel()
	for raw, good := range map[string]bool{
		"nats://host:4222": true, "host:4222": true, "host": true, "nats://a:1,nats://b:2": true, "nats://in-process": true,
		"": false, "nats://": false, "nats://u:hunter2@bad host": false, "nats://a:1,": false, "nats://u:hunter2@host:port": false,
	} {
		err := bus.Config{URL: raw, Replicas: 1}.Validate()
		var usage *process.UsageError
		if (err == nil) != good || !good && (!errors.As(err, &usage) || strings.Contains(err.Error(), "hunter2")) {
			t.Errorf("%q: got %v, want good %t", raw, err, good)
		}
	}
}
