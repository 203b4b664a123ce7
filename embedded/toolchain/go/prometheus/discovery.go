package main

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// discovery answers Prometheus' HTTP service discovery with the pods of the namespaces in the query.
type discovery struct {
	client *http.Client
	server string
}

const serviceAccount = "/var/run/secrets/kubernetes.io/serviceaccount/"

func newDiscovery() *discovery {
	pool := x509.NewCertPool()
	authority, _ := os.ReadFile(serviceAccount + "ca.crt")
	pool.AppendCertsFromPEM(authority)
	server := "https://" + net.JoinHostPort(os.Getenv("KUBERNETES_SERVICE_HOST"), os.Getenv("KUBERNETES_SERVICE_PORT"))
	return &discovery{
		client: &http.Client{
			Timeout:   5 * time.Second,
			Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}},
		},
		server: server,
	}
}

type container struct {
	Name  string
	Ports []struct {
		Name          string
		ContainerPort int
	}
}

type pod struct {
	Metadata struct {
		Name, Namespace     string
		Labels, Annotations map[string]string
	}
	Spec   struct{ Containers, InitContainers []container }
	Status struct{ PodIP, Phase string }
}

type targetGroup struct {
	Targets []string          `json:"targets"`
	Labels  map[string]string `json:"labels"`
}

func (d *discovery) ServeHTTP(response http.ResponseWriter, request *http.Request) {
	groups := []targetGroup{}
	for _, namespace := range request.URL.Query()["namespace"] {
		pods, err := d.pods(namespace)
		if err != nil {
			http.Error(response, err.Error(), http.StatusBadGateway)
			return
		}
		for _, one := range pods {
			groups = append(groups, targetsOf(one)...)
		}
	}
	response.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(response).Encode(groups)
}

func (d *discovery) pods(namespace string) ([]pod, error) {
	// The kubelet renews the token.
	token, err := os.ReadFile(serviceAccount + "token")
	if err != nil {
		return nil, err
	}
	request, err := http.NewRequest("GET", d.server+"/api/v1/namespaces/"+namespace+"/pods", nil)
	if err != nil {
		return nil, err
	}
	request.Header.Set("Authorization", "Bearer "+strings.TrimSpace(string(token)))
	answer, err := d.client.Do(request)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("pods of namespace %s: %s", namespace, answer.Status)
	}
	var list struct{ Items []pod }
	err = json.NewDecoder(answer.Body).Decode(&list)
	return list.Items, err
}

// targetsOf gives a target for each port of each container, as kubernetes_sd_configs does for role pod.
func targetsOf(one pod) []targetGroup {
	if one.Status.PodIP == "" {
		return nil
	}
	var groups []targetGroup
	for index, each := range append(one.Spec.Containers, one.Spec.InitContainers...) {
		for _, port := range each.Ports {
			number := strconv.Itoa(port.ContainerPort)
			labels := map[string]string{
				"namespace":                 one.Metadata.Namespace,
				"pod_name":                  one.Metadata.Name,
				"pod_ip":                    one.Status.PodIP,
				"pod_phase":                 one.Status.Phase,
				"pod_container_name":        each.Name,
				"pod_container_init":        strconv.FormatBool(index >= len(one.Spec.Containers)),
				"pod_container_port_name":   port.Name,
				"pod_container_port_number": number,
			}
			add(labels, "pod_label_", one.Metadata.Labels)
			add(labels, "pod_annotation_", one.Metadata.Annotations)
			prefixed := make(map[string]string, len(labels))
			for name, value := range labels {
				prefixed["__meta_kubernetes_"+name] = value
			}
			groups = append(groups, targetGroup{[]string{net.JoinHostPort(one.Status.PodIP, number)}, prefixed})
		}
	}
	return groups
}

var notInLabel = regexp.MustCompile(`[^a-zA-Z0-9_]`)

func add(labels map[string]string, prefix string, values map[string]string) {
	for name, value := range values {
		labels[prefix+notInLabel.ReplaceAllString(name, "_")] = value
	}
}
