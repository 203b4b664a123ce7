// Starts Debian's Prometheus with the configuration of an official one.
//
// Debian builds Prometheus without Kubernetes service discovery and before auto-reload-config came. This program puts
// both back: it serves the pods of the namespaces that the configuration names to Prometheus' HTTP service discovery,
// with the labels that kubernetes_sd_configs would give, and sends SIGHUP when a file beside the configuration changes.
// Everything else is Prometheus' own.
package main

import (
	"log"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

const prometheus = "/usr/bin/prometheus"

func main() {
	log.SetFlags(0)
	source := valueOf("--config.file=", "/etc/prometheus/prometheus.yml")
	target := filepath.Join(valueOf("--storage.tsdb.path=", "/prometheus"), ".config")
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	discovery := newDiscovery()
	go func() { log.Fatal(http.Serve(listener, discovery)) }()
	url := "http://" + listener.Addr().String() + "/pods"
	seen, err := translate(filepath.Dir(source), target, url)
	if err != nil {
		log.Fatal(err)
	}

	arguments := []string{"--config.file=" + filepath.Join(target, filepath.Base(source))}
	for _, argument := range os.Args[1:] {
		if !strings.HasPrefix(argument, "--config.file=") {
			arguments = append(arguments, argument)
		}
	}
	command := exec.Command(program(), arguments...)
	command.Stdout, command.Stderr = os.Stdout, os.Stderr
	if err := command.Start(); err != nil {
		log.Fatal(err)
	}
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP)
	go func() {
		for received := range signals {
			_ = command.Process.Signal(received)
		}
	}()
	go func() {
		for range time.Tick(2 * time.Second) {
			now, err := translate(filepath.Dir(source), target, url)
			if err == nil && now != seen {
				seen = now
				_ = command.Process.Signal(syscall.SIGHUP)
			}
		}
	}()
	_ = command.Wait()
	os.Exit(command.ProcessState.ExitCode())
}

// valueOf gives the value of a flag on the command line.
func valueOf(flag, otherwise string) string {
	for _, argument := range os.Args[1:] {
		if value, found := strings.CutPrefix(argument, flag); found {
			return value
		}
	}
	return otherwise
}

// program is Prometheus; another path is for tests of this program outside its image.
func program() string {
	if path := os.Getenv("LAB_PROMETHEUS"); path != "" {
		return path
	}
	return prometheus
}
