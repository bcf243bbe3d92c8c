package verdict

import (
	"reflect"
	"strings"
	"testing"
)

func TestTheSuccessorOfARemovedNameIsGiven(t *testing.T) {
	t.Parallel()
	var settings struct {
		Prep int64 `yaml:"prep_cents"`
	}
	d := &decoder{}
	d.read([]byte("prep_cents: 1\namazon_ceiling_percent: 90\n"), &settings)
	want := "line 2: amazon_ceiling_percent: no longer exists: caps are built in: a copy cannot bring more than Amazon's or the lowest new landed price"
	if err := d.Err(); err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
	present := map[string]bool{}
	for i := range reflect.TypeFor[file]().NumField() {
		if f := reflect.TypeFor[file]().Field(i); f.Name == "Settings" {
			for k := range f.Type.NumField() {
				present[f.Type.Field(k).Tag.Get("yaml")] = true
			}
		}
	}
	for name, instead := range successors {
		if _, input := inputNamed(name); input || present[name] {
			continue // not gone yet
		}
		for _, text := range []string{when(name + " > 5"), rulesOf("settings: {" + name + ": 1}\n")} {
			if _, err := NewJudge([]byte(text)); err == nil || !strings.Contains(err.Error(), "no longer exists: "+instead) {
				t.Errorf("%s: got %v, want its successor: %s", name, err, instead)
			}
		}
	}
}
