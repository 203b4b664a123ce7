// The preflight as a whole: a real kubectl, an API server of a few answers on loopback, checks of the test's
// own.
import { mkdtempSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { NoAnswer } from "../../../clients/kubernetes.ts";
import { ownedObject, pathOf } from "../../../mesh/ownedObject.ts";
import { adviceOn } from "../../../preflight/advice.ts";
import type { Findings, Preflight } from "../../../preflight/capability.ts";
import { preflight } from "../../../preflight/preflight.ts";
import { makeAuthority } from "../../support/authority.ts";
import { makeExpiredCertificate } from "../../support/certificates.ts";
import { clusterOf, kubeconfigOf } from "../../support/clusterServer.ts";
import { findKubectl } from "../../support/kubectl.ts";
import { OWNER } from "../../support/preflight.ts";

interface Selection {
  readonly kubeconfig?: string;
  readonly context?: string;
}

const KUBECTL = findKubectl();
const VERSION = { "/version": { gitVersion: "v1.34.4" } };
const fault = (message: string): Findings => ({ faults: [{ key: "", message }] });

let home = "";
beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), "istio-lab-test-"));
  symlinkSync(KUBECTL, join(home, "kubectl"));
  vi.stubEnv("PATH", `${home}:/usr/bin:/bin`);
});
afterEach(() => {
  vi.unstubAllEnvs();
  rmSync(home, { recursive: true });
});

const run = (capabilities: readonly Preflight<Selection>[], selection: Selection) =>
  preflight(capabilities, selection, { owner: OWNER });

/** One RunError with exactly these faults, in this order. */
async function expectFaults(
  capabilities: readonly Preflight<Selection>[],
  selection: Selection,
  ...faults: RegExp[]
): Promise<void> {
  const error: unknown = await run(capabilities, selection).catch((error: unknown) => error);
  expect(error).toMatchObject({ __pulumiRunError: true });
  const [heading, ...lines] = (error as Error).message.split("\n");
  expect(lines.map((line) => line.trim())).toEqual(faults.map((fault) => expect.stringMatching(fault)));
  expect(heading).toBe(
    `Nothing was touched, because of ${faults.length === 1 ? "1 fault" : `${faults.length} faults`}:`,
  );
}

describe("without a fault", () => {
  it("merges the facts of all capabilities' checks", async () => {
    const { kubeconfig, requests } = await clusterOf({ ...VERSION, "/one": { metadata: { name: "o" } } });
    const one = {
      checks: [
        async ({ api }) => ({
          faults: [],
          facts: { one: (await api.metadata("/one"))?.metadata.name },
        }),
      ],
    } satisfies Preflight<Selection>;
    const two = {
      machineChecks: [async () => ({ faults: [], facts: { two: 2 } })],
    } satisfies Preflight<Selection>;
    const facts = await preflight([one, two], { kubeconfig }, { owner: OWNER });
    expect({ one: facts.one, two: facts.two }).toEqual({ one: "o", two: 2 });
    expect(requests.filter((request) => !request.startsWith("GET "))).toHaveLength(1);
  });
});

describe("checks that come last", () => {
  const first = {
    machineChecks: [async () => ({ faults: [], facts: { nodes: 3 }, warnings: ["first"] })],
  } satisfies Preflight<Selection>;

  it("see the facts of the others; their warnings stop nothing", async () => {
    const { kubeconfig } = await clusterOf(VERSION);
    const last: Preflight<Selection> = {
      lastChecks: [async ({ facts }) => ({ faults: [], warnings: [`last: ${JSON.stringify(facts)}`] })],
    };
    const warnings: string[] = [];
    const options = { owner: OWNER, warn: (message: string) => warnings.push(message) };
    expect(await preflight([last, first], { kubeconfig }, options)).toEqual({ nodes: 3 });
    expect(warnings).toEqual(["first", 'last: {"nodes":3}']);
  });

  it("use what an earlier check holds open until then", async () => {
    const { kubeconfig } = await clusterOf(VERSION);
    const events: string[] = [];
    const open: Preflight<Selection> = {
      machineChecks: [
        async ({ atEnd }) => {
          atEnd(() => events.push("closed"));
          return { faults: [] };
        },
      ],
      lastChecks: [async () => ({ faults: [], facts: { used: events.push("used") } })],
    };
    await preflight([open], { kubeconfig }, { owner: OWNER });
    expect(events).toEqual(["used", "closed"]);
    await expectFaults(
      [open, { machineChecks: [async () => fault("no machine")] }],
      { kubeconfig },
      /^no machine$/,
    );
    expect(events).toEqual(["used", "closed", "closed"]);
  });

  it("have faults too, and are left out where the others have some", async () => {
    const { kubeconfig } = await clusterOf(VERSION);
    const last: Preflight<Selection> = { lastChecks: [async () => fault("no node answers")] };
    await expectFaults([first, last], { kubeconfig }, /^no node answers$/);
    const wrong: Preflight<Selection> = { machineChecks: [async () => fault("no machine")] };
    await expectFaults([last, wrong], { kubeconfig }, /^no machine$/);
  });
});

describe("all faults are reported at once, one a line", () => {
  it("of machines, checks, owned objects and permissions", async () => {
    const service = ownedObject("Service", "default", "nginx-svc");
    const { kubeconfig } = await clusterOf(
      { ...VERSION, [pathOf(service)]: { metadata: { name: "nginx-svc" } } },
      { refused: ({ verb, resource }) => verb === "*" || resource === "services" },
    );
    const all = {
      objects: () => [service],
      checks: [async () => fault("of the cluster")],
      machineChecks: [async () => fault("of a machine")],
    };
    await expectFaults(
      [all],
      { kubeconfig },
      /^of a machine$/,
      /^of the cluster$/,
      /^Service nginx-svc .* is not this stack's/,
      /does not allow this user to get, list, watch, create, patch, delete services in namespace default/,
    );
  });

  it("of machines also where the cluster does not answer", async () => {
    const { kubeconfig, server } = await clusterOf(VERSION);
    server.close();
    await expectFaults(
      [{ machineChecks: [async () => fault("of a machine")] }],
      { kubeconfig },
      /^of a machine$/,
      /^cluster http:\S+ \(kubeconfig .*, context lab\) does not answer: .*connection refused; is the cluster up/,
    );
  });

  const reader: Preflight<Selection> = {
    checks: [async ({ api }) => ({ faults: [], facts: { it: await api.get("/it") } })],
  };

  it("403 once, by the permission check", async () => {
    const permissions = () => [{ verbs: ["get"], group: "", resource: "its", namespace: "" }];
    const { kubeconfig } = await clusterOf({ ...VERSION, "/it": 403 }, { refused: () => true });
    await expectFaults(
      [{ ...reader, permissions }],
      { kubeconfig },
      /does not allow this user to get its: allow/,
    );
  });

  it("403 in the server's words where the permission check sees no reason", async () => {
    const { kubeconfig } = await clusterOf({ ...VERSION, "/it": 403 });
    const message = /answers with an error: no \(HTTP 403\); use a context whose user may do that$/;
    await expectFaults([reader], { kubeconfig }, message);
  });

  it("a credential plugin that wants a terminal, with the setting that does without", async () => {
    const words = "getting credentials: exec plugin cannot support interactive mode";
    const error = new NoAnswer("credentials", words);
    expect(await adviceOn(error, {}, undefined, AbortSignal.timeout(10_000))).toMatch(
      /wants a terminal, and an update has none .*: set interactiveMode of the user to IfAvailable/,
    );
  });

  it("a context whose cluster is missing, with the command that adds it", async () => {
    const kubeconfig = kubeconfigOf("", { token: "good" });
    const message =
      /^kubeconfig \S+: context lab names no cluster with a server; add it \(kubectl config set-cluster\)/;
    await expectFaults([reader], { kubeconfig }, message);
  });

  it("500 in the server's words", async () => {
    const { kubeconfig } = await clusterOf({ ...VERSION, "/it": 500 });
    await expectFaults([reader], { kubeconfig }, /answers with an error: no \(HTTP 500\); try again later$/);
  });

  it("a mistake of a check is no fault of the user: it keeps its stack", async () => {
    const { kubeconfig } = await clusterOf(VERSION);
    const broken = { checks: [async () => Promise.reject(new TypeError("x is undefined"))] };
    await expect(run([broken], { kubeconfig })).rejects.toThrow(TypeError);
  });
});

describe("a kubeconfig that leads nowhere", () => {
  it("is not there", () =>
    expectFaults(
      [],
      { kubeconfig: "/no/such/file" },
      /^kubeconfig \/no\/such\/file cannot be used: .*no such file.*; correct it, or set kubeconfig to the path of another one$/,
    ));

  it("is none", async () => {
    vi.stubEnv("KUBECONFIG", undefined);
    vi.stubEnv("HOME", home);
    const text =
      /^there is no kubeconfig: neither KUBECONFIG nor ~\/\.kube\/config; set kubeconfig to the path of one$/;
    await expectFaults([], {}, text);
    vi.stubEnv("KUBECONFIG", "/no/such/file");
    await expectFaults([], {}, /^there is no kubeconfig: KUBECONFIG names \/no\/such\/file, which/);
  });

  it("has no such context", async () => {
    const kubeconfig = kubeconfigOf("https://127.0.0.1:1", { token: "x" });
    await expectFaults(
      [],
      { kubeconfig, context: "prod" },
      /^kubeconfig \S+ has no usable context prod; it has: lab; set context to one of them$/,
    );
  });

  it("has no credentials, for which kubectl would prompt at a terminal", async () => {
    const kubeconfig = kubeconfigOf("https://127.0.0.1:1", {});
    await expectFaults(
      [],
      { kubeconfig },
      /^kubeconfig \S+ has no credentials for the user of context lab; add them \(kubectl config set-credentials\)/,
    );
  });

  it("leads to a server that does not know the user, whose certificate has expired", async () => {
    const { certificate, key } = makeExpiredCertificate("me");
    const base64 = (text: string) => Buffer.from(text).toString("base64");
    const user = { "client-certificate-data": base64(certificate), "client-key-data": base64(key) };
    const { kubeconfig } = await clusterOf({}, { user, otherwise: 401 });
    await expectFaults(
      [],
      { kubeconfig },
      /user's certificate expired on \d+-\S+Z; get a new kubeconfig from/,
    );
  });

  it("leads to a server that does not know the user", async () => {
    const { kubeconfig } = await clusterOf({}, { otherwise: 401 });
    await expectFaults(
      [],
      { kubeconfig },
      /does not know this user: its certificate or token may have expired; get/,
    );
  });

  it("leads to a server that takes every request and answers none", async () => {
    const { kubeconfig } = await clusterOf({}, { silent: true });
    await expectFaults(
      [],
      { kubeconfig },
      /does not answer in time; is the cluster up.* set context or kubeconfig/,
    );
  }, 20_000);
});

it("a credential plugin's words reach the user while it is waited for", async () => {
  const authority = makeAuthority();
  const server = await authority.serve((_, response) => void response.writeHead(200).end("{}"));
  const { port } = server.address() as { port: number };
  const apiVersion = "client.authentication.k8s.io/v1";
  const credential = JSON.stringify({ apiVersion, kind: "ExecCredential", status: { token: "t" } });
  const args = ["-c", `echo "enter ABCD at https://login.test" >&2; echo '${credential}'`];
  const exec = { apiVersion, command: "sh", args, interactiveMode: "IfAvailable" };
  const authorityData = Buffer.from(authority.root).toString("base64");
  const cluster = { "certificate-authority-data": authorityData };
  const kubeconfig = kubeconfigOf(`https://127.0.0.1:${port}`, { exec }, cluster);
  const lines: string[] = [];
  const run = preflight([], { kubeconfig }, { owner: OWNER, notify: (line) => lines.push(line) });
  // The server does not answer reviews as a real one does, which does not matter here.
  await run.catch(() => {});
  server.close();
  server.closeAllConnections();
  expect(lines).toContain("credential plugin: enter ABCD at https://login.test");
});

it("kubectl is missing", async () => {
  rmSync(join(home, "kubectl"));
  vi.stubEnv("PATH", home);
  const { kubeconfig } = await clusterOf(VERSION);
  await expectFaults([], { kubeconfig }, /^kubectl is not on PATH; get it from https:/);
});
