/** The lab from top to bottom: settings, preflight, provider, components, outputs. */
import * as pulumi from "@pulumi/pulumi";
import { capabilities, istioValues } from "./capabilities.ts";
import { ClusterGuard } from "./components/cluster/clusterGuard.ts";
import { clusterProvider } from "./components/cluster/provider.ts";
import { siteUrl } from "./components/haproxyEdge/config.ts";
import { awaitPage } from "./components/haproxyEdge/firstAnswer.ts";
import { HaproxyEdge } from "./components/haproxyEdge/haproxyEdge.ts";
import { IngressPorts } from "./components/haproxyEdge/ingressPorts.ts";
import { ProxyProtocol, proxiedPorts } from "./components/haproxyEdge/proxyProtocol.ts";
import { Istio } from "./components/istio/istio.ts";
import { Observability } from "./components/observability/observability.ts";
import { TrafficSplit } from "./components/trafficSplit/trafficSplit.ts";
import { pagesOf } from "./components/webApp/manifests.ts";
import { MeshNamespace } from "./components/webApp/meshNamespace.ts";
import { serviceObject } from "./components/webApp/objects.ts";
import { reportRefusals } from "./components/webApp/refusals.ts";
import { awaitRollouts } from "./components/webApp/rollout.ts";
import { WebApp } from "./components/webApp/webApp.ts";
import { preflight } from "./preflight/preflight.ts";
import { slownessAfter } from "./preflight/slowness.ts";
import { loadSettings } from "./settings/settings.ts";

const config = loadSettings(capabilities);
const { kubeconfig, context, namespace, labels, versions, tls, loadBalancer } = config;
const owner = `${pulumi.getOrganization()}/${pulumi.getProject()}/${pulumi.getStack()}`;
const cluster = await preflight(capabilities, config, {
  owner,
  slowness: slownessAfter(performance.now()),
});
const nodes = config.nodes.length > 0 ? config.nodes : cluster.nodes;
/** True when traffic may already flow; a first `up` skips the zero-downtime waits. */
const live = cluster.routed.length > 0;
const gatewayTls = tls?.mode === "passthrough" ? tls : undefined;
const inCluster = { providers: { kubernetes: clusterProvider("cluster", config, cluster) } };

const istio = new Istio(
  "istio",
  { ...config.istio, labels, values: istioValues(config), kubeconfig, context, clusterId: cluster.id, owner },
  inCluster,
);

const mesh = new MeshNamespace("mesh", { namespace, revision: config.istio.revision }, inCluster);

const app = new WebApp(
  "nginx",
  // uninstall.sh waits for pods with a sidecar.
  { namespace, labels, versions, sidecar: istio.sidecar, owner, awaitPods: !config.istio.manage },
  { ...inCluster, dependsOn: [mesh, live ? istio.installed : istio.ready] },
);

awaitRollouts(app.deployments, { kubeconfig, context });
reportRefusals([...app.deployments, istio.installed], { cluster: { kubeconfig, context }, config, owner });

const split = new TrafficSplit(
  "split",
  {
    namespace,
    labels,
    service: serviceObject(namespace).name,
    host: config.host,
    gatewayHosts: config.gatewayHosts,
    versions,
    weights: config.weights,
    routed: cluster.routed,
    // A new version gets no traffic before its pods answer.
    backends: live ? app.deployments : [],
    tls: gatewayTls,
    gateway: config.istio.gateway,
    owner,
  },
  { ...inCluster, dependsOn: istio.ready },
);

const ingress = new IngressPorts("ingress", {
  gatewayService: istio.gatewayService,
  cluster: { kubeconfig, context },
  reinstall: istio.reinstall,
});

const proxied = proxiedPorts(config);
const proxyProtocol =
  proxied.length > 0
    ? new ProxyProtocol(
        "proxy-protocol",
        {
          ports: proxied,
          reads: cluster.readsProxy,
          namespace,
          targetPorts: ingress.targetPorts,
          gateway: config.istio.gateway,
          manage: config.istio.manage,
          live,
          labels,
          owner,
        },
        { ...inCluster, dependsOn: istio.ready },
      )
    : undefined;

const edge = new HaproxyEdge(
  "edge",
  {
    owner,
    nodes,
    nodePorts: ingress.nodePorts,
    machine: loadBalancer,
    host: config.host,
    edits: cluster.edits,
    privateKey: config.loadBalancerPrivateKey,
    tls,
    proxyProtocol: proxyProtocol?.ports,
    stats: config.stats,
  },
  // On destroy, haproxy.cfg is restored before Istio is uninstalled.
  {
    dependsOn: [
      istio.ready,
      ...(gatewayTls ? [split.gateway] : []),
      ...(proxyProtocol ? [proxyProtocol] : []),
    ],
  },
);

const observability =
  config.monitoring || config.tracing
    ? new Observability(
        "observability",
        {
          monitoring: config.monitoring,
          tracing: config.tracing,
          namespace,
          weights: config.weights,
          gateway: config.istio.gateway,
          loadBalancer: {
            host: loadBalancer.host,
            exporter: config.stats.prometheus,
            mode: loadBalancer.mode,
            servers: nodes.map(({ name }) => name),
          },
          labels,
          owner,
        },
        { ...inCluster, dependsOn: istio.ready },
      )
    : undefined;

if (!live)
  awaitPage({ host: config.host, machine: loadBalancer, https: tls !== undefined }, [
    ...app.deployments.map(({ id }) => id),
    split.weights,
    edge.configHash,
  ]);

const others = [proxyProtocol, observability].filter((each) => each !== undefined);

new ClusterGuard(
  "guard",
  { id: cluster.id, namespace, ownNamespace: observability?.namespace, kubeconfig, context },
  { dependsOn: [istio, mesh, app, split, ingress, edge, ...others] },
);

/** The test page, through the load balancer. */
export const url = siteUrl(config.host, loadBalancer.ports, tls !== undefined);
/** Host name that the application answers to. */
export const { host } = config;
/** Namespace of the application and its routes. */
export { namespace };
/** Version name to percent, as the VirtualService holds them. */
export const { weights } = split;
/** NodePorts of the ingress gateway. */
export const { nodePorts } = ingress;
/** Nodes behind the load balancer. */
export { nodes };
/** The cluster of this update: the next one refuses another. */
export const { identity: clusterIdentity } = cluster;
/** Path of haproxy.cfg on the load balancer. */
export const { configFile } = loadBalancer;
/** SHA-256 in the first line of haproxy.cfg on the load balancer. */
export const { configHash } = edge;
/** Version name to page: the page of an answer identifies its version. */
export const pages = pagesOf(versions);
// Pulumi warns of an output that is undefined, and not of null.
/** Where Prometheus answers; null where monitoring is off. */
export const monitoring = observability?.monitoring ?? null;
/** Where traces go; null where tracing is off. */
export const tracing = observability?.tracing ?? null;
/** Version name to the label `version` of its pods. */
export const versionLabels = Object.fromEntries(versions.map(({ name, version }) => [name, version]));
