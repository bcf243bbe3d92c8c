package main

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestTheTestOfNotificationsReportsEachTarget(t *testing.T) {
	var said []string
	service := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		said = append(said, r.URL.Path)
		if strings.HasPrefix(r.URL.Path, "/bot") {
			w.WriteHeader(http.StatusNotFound)
			_, _ = w.Write([]byte(`{"ok":false,"error_code":404,"description":"Not Found"}`))
		}
	}))
	defer service.Close()
	targets := filepath.Join(t.TempDir(), "targets")
	test := func(list string) (code int, out, errOut string) {
		t.Helper()
		if err := os.WriteFile(targets, []byte(list), 0o600); err != nil {
			t.Fatal(err)
		}
		t.Setenv("NOTIFY_TARGETS_FILE", targets)
		var o, e bytes.Buffer
		code = run([]string{"notify", "test"}, &o, &e)
		return code, o.String(), e.String()
	}
	host := strings.TrimPrefix(service.URL, "http://")
	code, out, errOut := test("slack+" + service.URL + "/services/SECRETSECRET\n")
	if want := "1  slack  " + host + "  ok\n"; code != 0 || out != want {
		t.Errorf("exit %d, %q, %q", code, out, errOut)
	}
	code, out, errOut = test("# my phone\nslack+" + service.URL + "/services/SECRETSECRET\ntelegram://1:SECRETSECRET@telegram?chats=7&api=" + service.URL + "\n")
	if code != 1 || !strings.Contains(out, "2  telegram  "+host+" chat 7  404 Not Found\n") || !strings.Contains(errOut, "1 of 2 targets") || strings.Contains(out+errOut, "SECRET") {
		t.Errorf("exit %d\n%s%s", code, out, errOut)
	}
	if len(said) != 3 {
		t.Errorf("requests %v", said)
	}
	for _, list := range []string{"", "# nothing\n", "ftp://SECRETSECRET"} {
		if code, out, errOut := test(list); code != 2 || !strings.Contains(errOut, "NOTIFY_TARGETS") || strings.Contains(errOut, "SECRET") || out != "" {
			t.Errorf("%q: exit %d, %s", list, code, errOut)
		}
	}
}
