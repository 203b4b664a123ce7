module istio-lab/prometheus

go 1.26
