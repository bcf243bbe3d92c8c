package trace

import (
	"cmp"
	"errors"
	"fmt"
	"net/url"
	"strings"
)

// The standard variables that are read here. The library reads OTEL_RESOURCE_ATTRIBUTES, OTEL_SERVICE_NAME,
// OTEL_TRACES_SAMPLER and OTEL_BSP_….
const (
	disabledVar = "OTEL_SDK_DISABLED"
	exporterVar = "OTEL_TRACES_EXPORTER"
	baseVar     = "OTEL_EXPORTER_OTLP_ENDPOINT"
	endpointVar = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"
	headersVar  = "OTEL_EXPORTER_OTLP_HEADERS"
)

var protocolVars = []string{"OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"}

// Lookup returns a variable.
type Lookup func(name string) (value string, set bool, err error)

// Settings is where spans are sent.
type Settings struct {
	URL     string            // of the collector's traces; empty: the standard's http://localhost:4318/v1/traces
	Headers map[string]string // of every request; may hold a credential
}

// Read reads the variables; nil if they ask for no traces. They do where OTEL_TRACES_EXPORTER is otlp or an endpoint
// is set, unless OTEL_SDK_DISABLED is true or OTEL_TRACES_EXPORTER is none. An error names the variable.
func Read(lookup Lookup) (*Settings, error) {
	v := values{lookup: lookup}
	exporter, endpoint, base := v.of(exporterVar), v.of(endpointVar), v.of(baseVar)
	switch {
	case v.err != nil:
		return nil, v.err
	case strings.EqualFold(v.of(disabledVar), "true"), exporter == "none", exporter == "" && endpoint == "" && base == "":
		return nil, nil //nolint:nilnil // documented: no traces
	case exporter != "" && exporter != "otlp":
		return nil, fmt.Errorf("%s: want otlp or none, got %q", exporterVar, exporter)
	}
	for _, name := range protocolVars {
		if p := v.of(name); p != "" && p != "http/protobuf" {
			return nil, fmt.Errorf("%s: want http/protobuf, which collectors take on port 4318, got %q", name, p)
		}
	}
	var s Settings
	var err error
	switch {
	case endpoint != "":
		s.URL, err = address(endpointVar, endpoint, "")
	case base != "":
		s.URL, err = address(baseVar, base, "v1/traces")
	}
	if err != nil {
		return nil, err
	}
	s.Headers, err = headers(v.of(headersVar))
	return &s, errors.Join(v.err, err)
}

// values looks variables up and keeps the first error.
type values struct {
	lookup Lookup
	err    error
}

func (v *values) of(name string) string {
	value, _, err := v.lookup(name)
	v.err = cmp.Or(v.err, err)
	return strings.TrimSpace(value)
}

// address returns a collector's URL. The error does not repeat it: it may hold a credential.
func address(name, raw, path string) (string, error) {
	u, err := url.Parse(raw)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return "", fmt.Errorf("%s: not the address of a collector; want http://host:4318", name)
	}
	if u.User != nil || u.RawQuery != "" {
		return "", fmt.Errorf("%s: must hold no credential, which belongs in %s", name, headersVar)
	}
	return u.JoinPath(path).String(), nil
}

// headers reads NAME=VALUE,NAME=VALUE, each value as in a URL.
func headers(raw string) (map[string]string, error) {
	out := map[string]string{}
	for pair := range strings.SplitSeq(raw, ",") {
		if strings.TrimSpace(pair) == "" {
			continue
		}
		name, value, ok := strings.Cut(pair, "=")
		value, err := url.PathUnescape(strings.TrimSpace(value))
		if !ok || err != nil {
			return nil, fmt.Errorf("%s: want NAME=VALUE,NAME=VALUE with %%-encoded values", headersVar)
		}
		out[strings.TrimSpace(name)] = value
	}
	return out, nil
}
