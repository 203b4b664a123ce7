package main

import (
	"crypto/sha256"
	"encoding/hex"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// translate copies the files of a directory, with kubernetes_sd_configs turned into http_sd_configs, and returns a hash
// of what it wrote.
func translate(source, target, discovery string) (string, error) {
	entries, err := os.ReadDir(source)
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(target, 0o755); err != nil {
		return "", err
	}
	hash := sha256.New()
	for _, entry := range entries {
		// A ConfigMap's files are links into a directory that begins with two dots.
		if strings.HasPrefix(entry.Name(), "..") {
			continue
		}
		text, err := os.ReadFile(filepath.Join(source, entry.Name()))
		if err != nil {
			return "", err
		}
		translated := withHTTPDiscovery(string(text), discovery)
		_, _ = io.WriteString(hash, entry.Name()+"\n"+translated)
		if err := replaceFile(filepath.Join(target, entry.Name()), translated); err != nil {
			return "", err
		}
	}
	return hex.EncodeToString(hash.Sum(nil)), nil
}

// replaceFile lets a reader see the old text or the new one, whole.
func replaceFile(path, text string) error {
	if old, err := os.ReadFile(path); err == nil && string(old) == text {
		return nil
	}
	if err := os.WriteFile(path+".new", []byte(text), 0o644); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}

var (
	discoveryBlock = regexp.MustCompile(`^( *)kubernetes_sd_configs:$`)
	listItem       = regexp.MustCompile(`^ *- ([a-z0-9-]+)$`)
)

// withHTTPDiscovery knows the block as this project writes it: role pod, and a list of namespaces.
func withHTTPDiscovery(text, discovery string) string {
	var out []string
	lines := strings.Split(text, "\n")
	for index := 0; index < len(lines); index++ {
		match := discoveryBlock.FindStringSubmatch(lines[index])
		if match == nil {
			out = append(out, lines[index])
			continue
		}
		indent := match[1]
		query := url.Values{}
		for index+1 < len(lines) && strings.HasPrefix(lines[index+1], indent+" ") {
			index++
			if item := listItem.FindStringSubmatch(lines[index]); item != nil {
				query.Add("namespace", item[1])
			}
		}
		out = append(out, indent+"http_sd_configs:", indent+"  - url: "+discovery+"?"+query.Encode(), indent+"    refresh_interval: 2s")
	}
	return strings.Join(out, "\n")
}
