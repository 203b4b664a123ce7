import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, describe, expect, it } from "vitest";

// The scripts themselves, against a cluster that is a few answers: kubectl and istioctl of these names come first on PATH.
const OWNER = "organization/istio-lab/dev";

const roots: string[] = [];
afterEach(() => {
  for (const root of roots.splice(0)) rmSync(root, { recursive: true });
});

describe("claim.sh", () => {
  it("claims a cluster without Istio", () => {
    const { status, calls } = run("claim.sh");
    expect(status).toBe(0);
    expect(calls).toContain("kubectl apply --server-side --field-manager=istio-lab --filename=-");
  });

  it("has nothing to do where it has claimed already", () => {
    const { status, calls } = run("claim.sh", { owner: OWNER });
    expect(status).toBe(0);
    expect(calls.join()).not.toContain("apply");
  });

  it.each<[string, Cluster, string]>([
    [
      "another stack's Istio",
      { owner: "organization/istio-lab/prod" },
      "installed by stack organization/istio-lab/prod; to use it",
    ],
    [
      "an Istio of nobody known",
      { planes: "istio-system/istiod " },
      "that this stack did not install (istio-system/istiod): set istio.manage to false",
    ],
    [
      "an istioctl of another minor",
      { istioctl: "1.30.4" },
      "istioctl on PATH is version 1.30.4, and istio.version is 1.31.0: set",
    ],
    ["no istioctl", { istioctl: "" }, "istioctl is not on PATH; get version 1.31.0 from https://istio.io/"],
  ])("refuses %s and touches nothing", (_, cluster, message) => {
    const { status, stderr, calls } = run("claim.sh", cluster);
    expect(status).toBe(1);
    expect(stderr).toContain(message);
    expect(calls.join()).not.toContain("apply");
  });

  it("asks the configured context", () => {
    const { calls } = run("claim.sh", {}, { ISTIO_LAB_CONTEXT: "my lab" });
    expect(
      calls.filter((call) => call.startsWith("kubectl")).every((call) => call.includes("--context=my lab")),
    ).toBe(true);
  });
});

describe("uninstall.sh", () => {
  it("purges ours and removes what a purge leaves", () => {
    const { status, calls } = run("uninstall.sh", { owner: OWNER, leftovers: "istio-sidecar-injector" });
    expect(status).toBe(0);
    expect(calls).toContain("istioctl uninstall --purge --skip-confirmation");
    expect(calls.join("\n")).toMatch(/kubectl delete mutatingwebhookconfigurations istio-sidecar-injector /);
    expect(calls.at(-1)).toMatch(/^kubectl delete namespace istio-system /);
  });

  it.each<[string, Cluster, string]>([
    [
      "somebody's objects that are not just going",
      {
        owner: OWNER,
        objects: "VirtualService shop/theirs \\nGateway shop/old 2026-11-23T16:00:00Z\\nGateway shop/door ",
      },
      "VirtualService shop/theirs, Gateway shop/door; when these are gone, uninstall it",
    ],
    [
      "another control plane",
      {
        owner: OWNER,
        planes:
          "Deployment istio-canary/istiod-canary \\nDeployment istio-old/istiod 2026-11-23T16:00:00Z\\nDeployment istio-system/istiod ",
      },
      ": Deployment istio-canary/istiod-canary; when",
    ],
    [
      "pods with a sidecar that are not just going",
      { owner: OWNER, pods: "Pod shop/web \\nPod shop/old 2026-11-23T16:00:00Z" },
      ": Pod shop/web; when",
    ],
    [
      "Gateways of the Gateway API that are Istio's",
      {
        owner: OWNER,
        crds: "gateways.gateway.networking.k8s.io",
        gateways: "istio Gateway shop/door \\nother Gateway shop/else ",
      },
      ": Gateway shop/door; when",
    ],
  ])("keeps Istio for %s, and names what holds it", (_, cluster, message) => {
    const { status, stderr, calls } = run("uninstall.sh", cluster);
    expect(status).toBe(0);
    expect(stderr).toContain(message);
    expect(calls.join()).not.toMatch(/uninstall|delete/);
  });

  it("tells how to run it again, for the same cluster", () => {
    const { stderr } = run(
      "uninstall.sh",
      { owner: OWNER, objects: "Gateway shop/door " },
      { KUBECONFIG: "/my lab/config", ISTIO_LAB_CONTEXT: "prod" },
    );
    expect(stderr.trimEnd()).toMatch(
      new RegExp(
        `: KUBECONFIG='/my lab/config' ISTIO_LAB_CONTEXT='prod' ISTIO_LAB_OWNER='${OWNER}' sh \\S+/uninstall.sh$`,
      ),
    );
  });

  it("removes what bears the stack's name before it looks who is left", () => {
    const { status, calls } = run("uninstall.sh", { owner: OWNER, orphans: "kind: Deployment" });
    expect(status).toBe(0);
    const removed = calls.findIndex((call) => call.startsWith("kubectl delete --filename=-"));
    const asked = calls.findIndex((call) => call.startsWith("kubectl get pods"));
    expect(removed).toBeGreaterThan(0);
    expect(asked).toBeGreaterThan(removed);
    expect(calls.join()).toContain(`annotations.istio-lab/owner=="${OWNER}"`);
  });

  it.each<[string, Cluster]>([
    ["another stack's", { owner: "organization/istio-lab/prod" }],
    ["nobody's", { owner: "" }],
  ])("leaves %s Istio alone", (_, cluster) => {
    const { status, calls } = run("uninstall.sh", cluster);
    expect(status).toBe(0);
    expect(calls.join()).not.toMatch(/uninstall|delete/);
  });

  it.each(["namespace", "customresourcedefinitions", "virtualservices", "deployments", "pods"])(
    "does not take silence about %s for nobody",
    (silent) => {
      const { status, calls } = run("uninstall.sh", { owner: OWNER, silent });
      expect(status).not.toBe(0);
      expect(calls.join()).not.toMatch(/uninstall|delete/);
    },
  );
});

describe("install.sh and wait.sh", () => {
  it("hand standard input to istioctl", () => {
    const { status, calls } = run("install.sh", { owner: OWNER });
    expect(status).toBe(0);
    expect(calls).toEqual(["istioctl install --skip-confirmation --readiness-timeout=5m --filename=-"]);
  });

  it("end the wait as soon as the install has failed", () => {
    const root = makeCluster({ owner: OWNER, installFails: true, absent: true });
    // One parent for both, as the plugin is: the shell that runs them.
    const { status, stderr } = sh(root, `sh ${SCRIPTS}/install.sh; sh ${SCRIPTS}/wait.sh istiod`);
    expect(status).toBe(1);
    expect(stderr).toContain("error: the installation of Istio failed; its own error tells why");
  });

  it.each(["istiod", "gateway"])("let go when %s is there", (part) => {
    expect(run(`wait.sh ${part}`, { owner: OWNER })).toMatchObject({ status: 0 });
  });
});

interface Cluster {
  /** Annotation on istio-system. @default none */
  owner?: string;
  /** What is answered about Deployments of control planes. @default none */
  planes?: string;
  /** Istio's objects. @default none */
  objects?: string;
  /** Pods with a sidecar, and when they were told to go. @default none */
  pods?: string;
  /** Definitions besides Istio's. @default some other project's */
  crds?: string;
  /** Gateways of the Gateway API, with their class. @default none */
  gateways?: string;
  /** What bears the stack's name. @default nothing */
  orphans?: string;
  /** A webhook, CRD or role that a purge has left. @default none */
  leftovers?: string;
  /** A question that fails. @default none */
  silent?: string;
  /** istioctl's version; empty for none. @default 1.31.0 */
  istioctl?: string;
  /** True: `istioctl install` fails. @default false */
  installFails?: boolean;
  /** True: nothing of Istio is there. @default false */
  absent?: boolean;
}

const SCRIPTS = fileURLToPath(new URL("../../../../components/istio", import.meta.url));

function run(script: string, cluster: Cluster = {}, env: Record<string, string> = {}) {
  const root = makeCluster(cluster);
  return sh(root, `exec sh ${SCRIPTS}/${script}`, env);
}

function sh(root: string, command: string, env: Record<string, string> = {}) {
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
  const log = join(root, "calls");
  return { ...result, calls: existsSync(log) ? readFileSync(log, "utf8").trim().split("\n") : [] };
}

function makeCluster({
  owner = "",
  planes = "",
  objects = "",
  pods = "",
  crds = "other.example.org",
  gateways = "",
  orphans = "",
  leftovers = "",
  silent = "nothing",
  ...more
}: Cluster): string {
  const root = mkdtempSync(join(tmpdir(), "istio-lab-cluster-"));
  roots.push(root);
  mkdirSync(join(root, "bin"));
  const tool = (name: string, body: string) =>
    writeFileSync(join(root, "bin", name), `#!/bin/sh\necho "${name} $*" >> ${root}/calls\n${body}\n`, {
      mode: 0o755,
    });
  const { istioctl = "1.31.0", installFails = false, absent = false } = more;
  const there = absent ? "exit 1" : "exit 0";
  tool(
    "kubectl",
    `case "$1" in --context=*) shift;; esac
    verb=$1 kind=$2
    case "$kind" in ${silent}*|*,${silent}*) echo "Unable to connect to the server" >&2; exit 1;; esac
    case "$verb $kind" in
      "get namespace") echo "${owner}";;
      "get deployments") printf '${planes}';;
      "get customresourcedefinitions") echo virtualservices.networking.istio.io; echo gateways.networking.istio.io; echo ${crds};;
      "get virtualservices.networking.istio.io,gateways.networking.istio.io") printf '${objects}';;
      "get deployments,services,"*) echo "${orphans}";;
      "get gateways.gateway.networking.k8s.io") printf '${gateways}';;
      "get pods") printf '${pods}';;
      "get mutatingwebhookconfigurations") case "$*" in *caBundle*) echo bundle;; *) echo "${leftovers}";; esac;;
      "get service") echo "30934 30580";;
      "get deployment/istiod"|"wait "*) ${there};;
    esac`,
  );
  const install = installFails ? "exit 1" : "exit 0";
  if (istioctl)
    tool("istioctl", `case "$1" in version) echo "client version: ${istioctl}";; install) ${install};; esac`);
  return root;
}
