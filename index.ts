// The lab from top to bottom: config, cluster, components, outputs.
import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import { capabilities } from "./capabilities.ts";
import { HaproxyEdge } from "./components/haproxyEdge/haproxyEdge.ts";
import { IngressPorts } from "./components/haproxyEdge/ingressPorts.ts";
import { Istio } from "./components/istio/istio.ts";
import { TrafficSplit } from "./components/trafficSplit/trafficSplit.ts";
import { MeshNamespace } from "./components/webApp/meshNamespace.ts";
import { serviceObject } from "./components/webApp/objects.ts";
import { pagesOf, WebApp } from "./components/webApp/webApp.ts";
import { preflight } from "./preflight/preflight.ts";
import { loadSettings } from "./settings/settings.ts";

const config = loadSettings(capabilities);
const { kubeconfig, context, namespace, versions, gatewayHosts, loadBalancer } = config;
const tls = config.tls && { ...config.tls, key: pulumi.secret(config.tls.key) };
const gatewayTls = tls?.mode === "passthrough";
const owner = `${pulumi.getOrganization()}/${pulumi.getProject()}/${pulumi.getStack()}`;
const cluster = await preflight(capabilities, config, { owner });
const nodes = config.nodes.length > 0 ? config.nodes : cluster.nodes;
/** Somebody may be asking; where nobody can yet, nothing has to wait for the sake of requests. */
const live = cluster.routed.length > 0;

const provider = new k8s.Provider("cluster", {
  // Given even where it is empty: the SDK would fill in KUBECONFIG, of which the provider reads one path only.
  kubeconfig,
  ...(context ? { context } : {}),
  clusterIdentifier: cluster.id,
  enableConfigMapMutable: true,
  // A new certificate is put in the old one's place; as a new Secret, it would leave the gateway without one
  // meanwhile.
  enableSecretMutable: true,
  // An update that was killed has made objects that no state knows; whose they are was looked at above.
  upsertExistingObjects: true,
  // Fields that kubectl has changed since are set back; without it, each would be a conflict that stops the
  // update.
  enablePatchForce: true,
});
const inCluster = { providers: { kubernetes: provider } };

const istio = new Istio("istio", { ...config.istio, owner, kubeconfig, context }, inCluster);

const mesh = new MeshNamespace("mesh", { namespace }, inCluster);

const app = new WebApp(
  "nginx",
  { namespace, versions, sidecar: istio.sidecar, owner },
  { ...inCluster, dependsOn: [mesh, live ? istio.installed : istio.ready] },
);

const split = new TrafficSplit(
  "split",
  {
    namespace,
    service: serviceObject(namespace).name,
    host: config.host,
    gatewayHosts,
    versions,
    weights: config.weights,
    routed: cluster.routed,
    // A new version gets no traffic before it answers.
    backends: live ? app.deployments : [],
    tls: gatewayTls ? tls : undefined,
    owner,
  },
  { ...inCluster, dependsOn: istio.ready },
);

const ingress = new IngressPorts("ingress", {
  gatewayService: istio.gatewayService,
  cluster: { kubeconfig, context },
  reinstall: istio.reinstall,
});

const edge = new HaproxyEdge(
  "edge",
  {
    owner,
    nodes,
    nodePorts: ingress.nodePorts,
    machine: loadBalancer,
    edits: cluster.edits,
    privateKey: pulumi.secret(config.loadBalancerPrivateKey),
    tls,
    stats: config.stats,
  },
  // Costs nothing on the way up; on the way down the load balancer lets go before Istio does.
  { dependsOn: gatewayTls ? [istio.ready, split.gateway] : istio.ready },
);

/** The test page, through the load balancer. */
export const url = `${tls ? "https" : "http"}://${config.host}/echo/test.txt`;
/** Host name that the application answers to. */
export const host = config.host;
/** Namespace of the application and its routes. */
export { namespace };
/** Version name to percent, as the VirtualService holds them. */
export const weights = split.weights;
/** NodePorts of the ingress gateway. */
export const nodePorts = ingress.nodePorts;
/** Nodes behind the load balancer. */
export { nodes };
/** Path of haproxy.cfg on the load balancer. */
export const configFile = loadBalancer.configFile;
/** SHA-256 in the first line of haproxy.cfg on the load balancer. */
export const configHash = edge.configHash;
/** Version name to page: who answered. */
export const pages = pagesOf(versions);
