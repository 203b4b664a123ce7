/**
 * Runs Istio's scripts against a fake cluster with fixed answers: fakes of kubectl and istioctl come first on
 * PATH.
 */
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach } from "vitest";

/** The stack that runs the scripts. */
export const OWNER = "organization/istio-lab/dev";
export const SCRIPTS = fileURLToPath(new URL("../../components/istio", import.meta.url));

/** The cluster's answers. In each text, `\n` separates lines and `\t` columns, as in the scripts' queries. */
export interface FakeCluster {
  /** False: the API server refuses connections. @default true */
  readonly reachable?: boolean;
  /** Annotation istio-lab/owner of namespace istio-system. @default none */
  readonly owner?: string;
  /** False: namespace istio-system does not exist. @default true */
  readonly home?: boolean;
  /** True: the namespace was there before the claim. @default false */
  readonly existed?: boolean;
  /** Phase and discovery failure of the namespace after its deletion. @default it is gone */
  readonly afterDeletion?: string;
  /** Deployments of control planes. @default none */
  readonly planes?: string;
  /** Workloads that another IstioOperator installed. @default none */
  readonly operators?: string;
  /** Deployments of an IstioOperator without a name. @default none */
  readonly unnamed?: string;
  /** Revision that any tag stands for. @default there is no tag */
  readonly tagged?: string;
  /** Istio's objects. @default none */
  readonly objects?: string;
  /** Pods with a sidecar, and the time of their deletion. @default none */
  readonly pods?: string;
  /** Definitions besides Istio's. @default those of some other project */
  readonly crds?: string;
  /** Gateways of the Gateway API, with their class. @default none */
  readonly gateways?: string;
  /** Kind of the one object with the stack's annotation, as kubectl names it. @default none */
  readonly orphan?: string;
  /**
   * Objects in namespace istio-system: kind, name, type, and a mark of those that go by themselves. @default
   * none
   */
  readonly inNamespace?: string;
  /** APIServices that are not available. @default none */
  readonly broken?: string;
  /** Beginning of a kind for which the API server fails. @default none */
  readonly silent?: string;
  /** istioctl's version; empty: there is no istioctl. @default 1.31.0 */
  readonly istioctl?: string;
  /** True: `istioctl install` fails. @default false */
  readonly installFails?: boolean;
  /** True: `istioctl uninstall` fails. @default false */
  readonly purgeFails?: boolean;
  /** True: the deletion of Istio's pods does not end in time. @default false */
  readonly podsStay?: boolean;
  /** True: the cluster's own Pod Security refuses Istio's pods. @default false */
  readonly restricted?: boolean;
  /** URL of an istiod outside the cluster. @default none */
  readonly external?: string;
  /** Ports of the gateway's Service, `NAME/NUMBER/NODEPORT`. @default those of Istio's charts */
  readonly gatewayPorts?: string;
  /** True: nothing of Istio is installed. @default false */
  readonly absent?: boolean;
}

const roots: string[] = [];
afterEach(() => {
  for (const root of roots.splice(0)) rmSync(root, { recursive: true });
});

/** Runs one script, `NAME.sh ARG...`; `calls` are the command lines of kubectl and istioctl. */
export function runScript(script: string, cluster: FakeCluster = {}, env: Record<string, string> = {}) {
  return runShell(fakeCluster(cluster), `exec sh ${SCRIPTS}/${script}`, env);
}

/** Runs a command line with a cluster's fakes on PATH. */
export function runShell(root: string, command: string, env: Record<string, string> = {}) {
  const result = spawnSync("/bin/sh", ["-c", command], {
    encoding: "utf8",
    input: "",
    timeout: 20_000,
    env: {
      PATH: `${root}/bin:/usr/bin:/bin`,
      TMPDIR: root,
      ISTIO_LAB_OWNER: OWNER,
      ISTIO_LAB_VERSION: "1.31.0",
      ...env,
    },
  });
  const read = (name: string) =>
    existsSync(join(root, name)) ? readFileSync(join(root, name), "utf8").trim().split("\n") : [];
  return { ...result, calls: read("calls"), inputs: read("inputs") };
}

/** Makes the fakes and returns their directory, which is removed after the test. */
export function fakeCluster(cluster: FakeCluster): string {
  const root = mkdtempSync(join(tmpdir(), "istio-lab-cluster-"));
  roots.push(root);
  mkdirSync(join(root, "bin"));
  const tool = (name: string, body: string) =>
    writeFileSync(join(root, "bin", name), `#!/bin/sh\necho "${name} $*" >> ${root}/calls\n${body}\n`, {
      mode: 0o755,
    });
  tool("kubectl", kubectl(root, cluster));
  const { istioctl = "1.31.0", installFails = false, purgeFails = false } = cluster;
  const install = installFails ? "exit 1" : "exit 0";
  if (istioctl)
    tool(
      "istioctl",
      `case "$1" in version) echo "client version: ${istioctl}";; install) ${install};;
       uninstall) exit ${purgeFails ? 1 : 0};; esac`,
    );
  return root;
}

function kubectl(root: string, cluster: FakeCluster): string {
  const {
    reachable = true,
    owner = "",
    existed = false,
    afterDeletion = "",
    home = true,
    planes = "",
    operators = "",
    unnamed = "",
    tagged = "",
  } = cluster;
  const { objects = "", pods = "", crds = "other.example.org", gateways = "", orphan = "nothing" } = cluster;
  const { inNamespace = "", broken = "", silent = "nothing", absent = false, podsStay = false } = cluster;
  const { restricted = false, external = "" } = cluster;
  const { gatewayPorts = "status-port/15021/30580 http2/80/30934" } = cluster;
  return `
case "$1" in --context=*) shift;; esac
verb=$1 kind=$2
${reachable ? "" : 'echo "connection refused" >&2; exit 1'}
case "$kind" in ${silent}*|*,${silent}*) echo "Unable to connect to the server" >&2; exit 1;; esac
case "$verb $*" in
  "get get --raw"*) echo ok;;
  "get get namespace"*istio-lab/owner*) echo "${owner}";;
  "get get namespace"*istio-lab/namespace*) echo "${existed ? "existed" : ""}";;
  "get get namespace"*status.phase*) printf '${afterDeletion}';;
  "get get namespace"*metadata.uid*) echo "${home ? "uid" : ""}";;
  "get get namespace"*--output=name*) echo "${existed ? "namespace/istio-system" : ""}";;
  "get get deployments "*availableReplicas*) echo "${absent ? "" : "1"}";;
  "get get deployments "*owning-resource=unknown*) printf '${unnamed}';;
  "get get deployments "*) printf '${planes}';;
  "get get daemonsets,deployments "*"notin (unknown)"*) printf '${operators}';;
  "get get customresourcedefinitions"*jsonpath*)
    echo virtualservices.networking.istio.io; echo gateways.networking.istio.io
    echo destinationrules.networking.istio.io; echo envoyfilters.networking.istio.io
    echo serviceentries.networking.istio.io; echo telemetries.telemetry.istio.io; echo ${crds};;
  "get "*annotations.istio-lab/owner*)
    case ",$kind," in *,${orphan},*) echo "kind: Orphan"; echo "  name: left";; esac;;
  "get get virtualservices.networking.istio.io,gateways.networking.istio.io,"*) printf '${objects}';;
  "get get gateways.gateway.networking.k8s.io"*) printf '${gateways}';;
  "get get pods"*) printf '${pods}';;
  "get get configmaps,secrets,"*) printf '${inNamespace}';;
  "get get apiservices"*) printf '${broken ? `${broken} False` : ""}\\nv1.apps True\\n';;
  "api-resources "*) printf 'configmaps\\nsecrets\\nevents\\nvirtualservices.networking.istio.io\\ndeployments.apps\\n';;
  "get get mutatingwebhookconfigurations"*metadata.labels*) echo "${tagged}";;
  "get get mutatingwebhookconfigurations"*caBundle*) echo bundle;;
  "get get mutatingwebhookconfigurations"*clientConfig.url*) echo "${external}";;
  "create create --dry-run=server"*) cat >> ${root}/inputs
    ${restricted ? 'echo "Error: violates PodSecurity" >&2; exit 1' : ""};;
  "get get service "*) echo " ${gatewayPorts} ";;
  "delete delete pods "*) exit ${podsStay ? 1 : 0};;
  "delete delete --filename=-"*|"apply apply "*) cat >> ${root}/inputs;;
esac`;
}
