package kubernetes_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	"sigs.k8s.io/yaml"
)

var (
	root = filepath.Join("..", "..", "..")
	dir  = filepath.Join(root, "deploy", "kubernetes")
)

// scaledObject is KEDA's, as far as we use it.
type scaledObject struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	Metadata   struct {
		Name string `json:"name"`
	} `json:"metadata"`
	Spec struct {
		ScaleTargetRef struct {
			Name string `json:"name"`
		} `json:"scaleTargetRef"`
		MinReplicaCount int32 `json:"minReplicaCount"`
		MaxReplicaCount int32 `json:"maxReplicaCount"`
		PollingInterval int32 `json:"pollingInterval"`
		CooldownPeriod  int32 `json:"cooldownPeriod"`
		Fallback        struct {
			FailureThreshold int32 `json:"failureThreshold"`
			Replicas         int32 `json:"replicas"`
		} `json:"fallback"`
		Triggers []struct {
			Type     string            `json:"type"`
			Metadata map[string]string `json:"metadata"`
		} `json:"triggers"`
	} `json:"spec"`
}

// kustomization is kustomize's, as far as we use it.
type kustomization struct {
	APIVersion string   `json:"apiVersion"`
	Kind       string   `json:"kind"`
	Namespace  string   `json:"namespace"`
	Resources  []string `json:"resources"`
	Images     []struct {
		Name    string `json:"name"`
		NewName string `json:"newName"`
		NewTag  string `json:"newTag"`
	} `json:"images"`
	ConfigMapGenerator []generator `json:"configMapGenerator"`
	SecretGenerator    []generator `json:"secretGenerator"`
}

type generator struct {
	Name     string   `json:"name"`
	Files    []string `json:"files"`
	Literals []string `json:"literals"`
}

func read[T any](t *testing.T, path ...string) T {
	t.Helper()
	body, err := os.ReadFile(filepath.Join(append([]string{dir}, path...)...))
	if err != nil {
		t.Fatal(err)
	}
	return strict[T](t, body)
}

func strict[T any](t *testing.T, body []byte) (out T) {
	t.Helper()
	if err := yaml.UnmarshalStrict(body, &out); err != nil {
		t.Fatalf("%v in\n%s", err, body)
	}
	return out
}

// manifests are what the files hold.
type manifests struct {
	pods    map[string]corev1.PodTemplateSpec // by KIND/NAME
	scaled  map[string]int32                  // replicas of what runs for ever
	budgets map[string]policyv1.PodDisruptionBudget
	nats    appsv1.StatefulSet
	scalers []scaledObject
}

func load(t *testing.T) manifests {
	t.Helper()
	m := manifests{pods: map[string]corev1.PodTemplateSpec{}, scaled: map[string]int32{}, budgets: map[string]policyv1.PodDisruptionBudget{}}
	for _, file := range []string{"nats.yaml", "daemons.yaml", "notifier.yaml", "page.yaml", "keda/scaled.yaml"} {
		body, err := os.ReadFile(filepath.Join(dir, file))
		if err != nil {
			t.Fatal(err)
		}
		for _, one := range strings.Split(string(body), "\n---\n") {
			if regexp.MustCompile(`(?m)^[^#\s]`).MatchString(one) {
				m.add(t, []byte(one))
			}
		}
	}
	return m
}

func (m *manifests) add(t *testing.T, body []byte) {
	t.Helper()
	var of struct{ Kind string }
	if err := yaml.Unmarshal(body, &of); err != nil {
		t.Fatal(err)
	}
	switch of.Kind {
	case "Service":
		strict[corev1.Service](t, body)
	case "StatefulSet":
		m.nats = strict[appsv1.StatefulSet](t, body)
		m.pods["nats"], m.scaled["nats"] = m.nats.Spec.Template, *m.nats.Spec.Replicas
	case "Deployment":
		d := strict[appsv1.Deployment](t, body)
		m.pods[d.Name], m.scaled[d.Name] = d.Spec.Template, *d.Spec.Replicas
	case "Job":
		j := strict[batchv1.Job](t, body)
		m.pods[j.Name] = j.Spec.Template
		if j.Spec.TTLSecondsAfterFinished == nil {
			t.Errorf("the Job %s stays when it has finished, and cannot be changed", j.Name)
		}
	case "PodDisruptionBudget":
		b := strict[policyv1.PodDisruptionBudget](t, body)
		m.budgets[b.Spec.Selector.MatchLabels["app"]] = b
	case "ScaledObject":
		m.scalers = append(m.scalers, strict[scaledObject](t, body))
	default:
		t.Fatalf("kind %q: no rule checks it", of.Kind)
	}
}

func TestWhatIsThereIsWhatRuns(t *testing.T) {
	m := load(t)
	for _, name := range []string{"nats", "tokend", "watermarker", "peeker", "committer", "recorder"} {
		if m.scaled[name] < 2 {
			t.Errorf("%s: %d replicas, want two at least", name, m.scaled[name])
		}
		b, ok := m.budgets[name]
		if !ok || b.Spec.MaxUnavailable == nil || b.Spec.MaxUnavailable.IntValue() != 1 {
			t.Errorf("%s: no disruption budget of one at a time", name)
		}
		if a := m.pods[name].Spec.Affinity; a == nil || a.PodAntiAffinity == nil {
			t.Errorf("%s: nothing spreads it over nodes", name)
		}
	}
	if m.scaled["notifier"] != 1 {
		t.Errorf("%d notifiers: two would split the digests", m.scaled["notifier"])
	}
	if m.scaled["nats"] != 3 || len(m.nats.Spec.VolumeClaimTemplates) != 1 || m.pods["nats"].Spec.Affinity.PodAntiAffinity.RequiredDuringSchedulingIgnoredDuringExecution == nil {
		t.Error("want three servers with a volume each, on different nodes")
	}
}

func TestEveryContainerIsBoundedAndUnprivilegedAndProbed(t *testing.T) {
	for name, pod := range load(t).pods {
		if app := pod.Labels["app"]; app != name {
			t.Errorf("%s: its pods are labelled %q", name, app)
		}
		s := pod.Spec
		if s.SecurityContext == nil || s.SecurityContext.RunAsNonRoot == nil || !*s.SecurityContext.RunAsNonRoot || s.AutomountServiceAccountToken == nil || *s.AutomountServiceAccountToken {
			t.Errorf("%s: may be root, or is given an account of the cluster", name)
		}
		for _, c := range s.Containers {
			if c.Resources.Requests.Cpu().IsZero() || c.Resources.Limits.Memory().IsZero() {
				t.Errorf("%s: no request of CPU, or no limit of memory", name)
			}
			if x := c.SecurityContext; x == nil || x.ReadOnlyRootFilesystem == nil || !*x.ReadOnlyRootFilesystem || x.AllowPrivilegeEscalation == nil || *x.AllowPrivilegeEscalation || len(x.Capabilities.Drop) == 0 {
				t.Errorf("%s: the container is not locked down", name)
			}
			if name != "topology" && (c.LivenessProbe == nil || c.ReadinessProbe == nil || c.StartupProbe == nil) {
				t.Errorf("%s: a probe is missing", name)
			}
			if name != "topology" && name != "nats" {
				daemonProbes(t, name, c)
			}
		}
		if name != "topology" && (s.TerminationGracePeriodSeconds == nil || *s.TerminationGracePeriodSeconds <= 30) {
			t.Errorf("%s: a step that takes the whole grace would be killed", name)
		}
	}
}

func TestAServerOfNATSIsReadyOnceItsStreamsAreCurrentAndAliveBefore(t *testing.T) {
	c := load(t).nats.Spec.Template.Spec.Containers[0]
	for path, probes := range map[string][]*corev1.Probe{"/healthz": {c.ReadinessProbe}, "/healthz?js-enabled-only=true": {c.StartupProbe, c.LivenessProbe}} {
		for _, p := range probes {
			if p.Exec == nil || !slices.Contains(p.Exec.Command, "http://127.0.0.1:8222"+path) {
				t.Errorf("a probe runs %v, want one that asks for %s", p.Exec, path)
			}
		}
	}
}

// daemonProbes asks where METRICS_ADDR listens.
func daemonProbes(t *testing.T, name string, c corev1.Container) {
	t.Helper()
	for path, p := range map[string]*corev1.Probe{"/livez": c.LivenessProbe, "/readyz": c.ReadinessProbe} {
		if p == nil || p.HTTPGet == nil || p.HTTPGet.Path != path || p.HTTPGet.Port.String() != c.Ports[0].Name {
			t.Errorf("%s: no probe of %s", name, path)
		}
	}
	if !slices.Contains(read[kustomization](t, "kustomization.yaml").ConfigMapGenerator[0].Literals, fmt.Sprintf("METRICS_ADDR=0.0.0.0:%d", c.Ports[0].ContainerPort)) {
		t.Errorf("%s: METRICS_ADDR is not its port %d", name, c.Ports[0].ContainerPort)
	}
}

func TestOnlyWhatCallsKeepaHasItsKey(t *testing.T) {
	for name, pod := range load(t).pods {
		has := slices.ContainsFunc(pod.Spec.Volumes, func(v corev1.Volume) bool { return v.Secret != nil && v.Secret.SecretName == "keepa" })
		for _, c := range pod.Spec.Containers {
			has = has || slices.ContainsFunc(c.Env, func(e corev1.EnvVar) bool { return strings.HasPrefix(e.Name, "KEEPA_API_KEY") })
		}
		if calls := slices.Contains([]string{"tokend", "watermarker", "peeker", "committer"}, name); has != calls {
			t.Errorf("%s has the key: %t, want %t", name, has, calls)
		}
	}
}

func TestEveryImageHasAVersion(t *testing.T) {
	k := read[kustomization](t, "kustomization.yaml")
	for name, pod := range load(t).pods {
		image := pod.Spec.Containers[0].Image
		for _, i := range k.Images {
			if i.Name == image {
				image = i.NewName + ":" + i.NewTag
			}
		}
		if _, tag, found := strings.Cut(image, ":"); !found || tag == "" || tag == "latest" {
			t.Errorf("%s: image %s has no version", name, image)
		}
	}
}

func TestWhatPodsMountIsGenerated(t *testing.T) {
	k := read[kustomization](t, "kustomization.yaml")
	made := map[string]bool{"page-tls": true} // a certificate is the operator's
	for _, g := range slices.Concat(k.ConfigMapGenerator, k.SecretGenerator) {
		made[g.Name] = true
	}
	for name, pod := range load(t).pods {
		body, err := json.Marshal(pod)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile(`"(?:secretName|configMap":\{"name|secret":\{"name|configMapRef":\{"name)":"([^"]+)"`).FindAllStringSubmatch(string(body), -1) {
			if !made[m[1]] {
				t.Errorf("%s wants %s, which nothing generates", name, m[1])
			}
		}
		for _, c := range pod.Spec.Containers {
			for _, e := range c.Env {
				file := strings.HasPrefix(e.Value, "/run/secrets/")
				if strings.HasSuffix(e.Name, "PASSWORD") || strings.HasSuffix(e.Name, "_KEY") && !file {
					t.Errorf("%s: %s is a secret in the environment", name, e.Name)
				}
				if user, is := strings.CutPrefix(e.Value, "/run/secrets/nats/nats-"); is && !strings.Contains(string(body), `"secretName":"nats-`+user+`"`) {
					t.Errorf("%s does not mount the password of %s", name, user)
				}
			}
		}
	}
}

func TestEveryVariableIsInTheManual(t *testing.T) {
	manual, err := os.ReadFile(filepath.Join(root, "docs", "config.md"))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, l := range read[kustomization](t, "kustomization.yaml").ConfigMapGenerator[0].Literals {
		name, _, _ := strings.Cut(l, "=")
		names = append(names, name)
	}
	for name, pod := range load(t).pods {
		for _, e := range pod.Spec.Containers[0].Env {
			if name != "nats" {
				names = append(names, e.Name)
			}
		}
	}
	for _, name := range names {
		if !strings.Contains(string(manual), "\n## "+name+"\n") {
			t.Errorf("%s is not in docs/config.md", name)
		}
	}
}

func TestScalersAskForMetricsThatExistAndScaleWhatIsThere(t *testing.T) {
	m := load(t)
	metrics, err := os.ReadFile(filepath.Join(root, "docs", "metrics.md"))
	if err != nil {
		t.Fatal(err)
	}
	if len(m.scalers) != 3 {
		t.Errorf("%d scalers, want those of peeker, committer and recorder", len(m.scalers))
	}
	for _, s := range m.scalers {
		if m.scaled[s.Spec.ScaleTargetRef.Name] == 0 || s.Spec.MinReplicaCount < 2 || s.Spec.MaxReplicaCount <= s.Spec.MinReplicaCount {
			t.Errorf("%s scales %s from %d to %d", s.Metadata.Name, s.Spec.ScaleTargetRef.Name, s.Spec.MinReplicaCount, s.Spec.MaxReplicaCount)
		}
		for _, trigger := range s.Spec.Triggers {
			asked := regexp.MustCompile(`ratchet_[a-z_]+`).FindAllString(trigger.Metadata["query"], -1)
			if trigger.Type != "prometheus" || len(asked) == 0 || trigger.Metadata["threshold"] == "" {
				t.Errorf("%s: trigger %v", s.Metadata.Name, trigger)
			}
			for _, metric := range asked {
				if !strings.Contains(string(metrics), "\n- `"+metric+"` (") {
					t.Errorf("%s asks for %s, which does not exist", s.Metadata.Name, metric)
				}
			}
		}
	}
}

func TestCopiedFilesAreThoseOfTheRepository(t *testing.T) {
	for file, of := range map[string]string{
		"nats.conf": "deploy/nats/nats.conf", "cluster.conf": "deploy/nats/cluster.conf",
		"used-books.yaml": "schemas/rules/used-books.yaml", "used-books.json": "schemas/queries-keepa/used-books.json",
	} {
		have, err := os.ReadFile(filepath.Join(dir, "files", file))
		if err != nil {
			t.Fatal(err)
		}
		want, err := os.ReadFile(filepath.Join(root, of))
		if err != nil {
			t.Fatal(err)
		}
		if string(have) != string(want) {
			t.Errorf("deploy/kubernetes/files/%s is not %s: copy it", file, of)
		}
	}
}
