// Foreign objects stay, and a destroy ends also where something holds it.
import { execa } from "execa";
import { afterAll, beforeAll, describe, expect } from "vitest";
import { until } from "../../clients/process.ts";
import { labEnvironment, PROGRAM } from "../../embedded/lab/stack.ts";
import { type Outcome, SMALL, TestLab } from "../support/e2e/harness.ts";
import { type Inventory, inventory, leaksSince } from "../support/e2e/inventory.ts";
import { trial } from "../support/e2e/trial.ts";

const lab = new TestLab("ground-test", { workers: 1 });
/** The cluster and the load balancer before the first update. */
let before: Inventory;

beforeAll(async () => {
  await lab.run("down", "--fast", "--quiet");
  await lab.run("up", "--no-program");
  before = await inventory(lab);
  await lab.set(SMALL);
});
afterAll(() => lab.run("down", "--fast", "--quiet"));

describe("what is not the stack's stays", () => {
  trial(
    "a Secret and a ConfigMap of others beside Istio keep it, until they are gone; the stack's own " +
      "orphan goes",
    async (seen) => {
      await lab.up();
      await lab.kubectl("create", "secret", "generic", "theirs", IN_ISTIO, "--from-literal=key=kept");
      await lab.kubectl("create", "configmap", "theirs", IN_ISTIO, "--from-literal=key=kept");
      await lab.create(ORPHAN);
      const { exitCode, output } = await destroy();
      expect(exitCode, output).toBe(0);
      expect(await namesOf("secrets")).not.toContain(ORPHAN.metadata.name);
      expect(output).toContain("because of ConfigMap istio-system/theirs, Secret istio-system/theirs; when");
      expect(await lab.get("secret", "theirs", IN_ISTIO)).toMatchObject({ data: { key: "a2VwdA==" } });
      expect(await lab.get("configmap", "theirs", IN_ISTIO)).toMatchObject({ data: { key: "kept" } });
      await lab.kubectl("delete", "secret,configmap", "theirs", IN_ISTIO);
      const [, uninstall = ""] = /uninstall it from the directory of this program: (.*)/.exec(output) ?? [];
      await execa("sh", ["-c", uninstall], { cwd: PROGRAM, env: labEnvironment(lab.instance) });
      expect(await leaksSince(before, lab, seen)).toEqual({ leaks: [], missing: [] });
    },
  );

  trial("a namespace istio-system that existed before, with its rules", async (seen) => {
    await lab.kubectl("create", "namespace", "istio-system");
    await lab.kubectl("label", "namespace", "istio-system", "team=mesh");
    await lab.create({
      apiVersion: "v1",
      kind: "LimitRange",
      metadata: { name: "theirs", namespace: "istio-system" },
      spec: { limits: [{ type: "PersistentVolumeClaim", max: { storage: "1Gi" } }] },
    });
    const withNamespace = await inventory(lab);
    await lab.up();
    const { exitCode, output } = await destroy();
    expect(exitCode, output).toBe(0);
    expect(output).toContain("namespace istio-system stays, because it holds LimitRange istio-system/theirs");
    expect(await leaksSince(withNamespace, lab, seen)).toEqual({ leaks: [], missing: [] });
    const { metadata } = await lab.get("namespace", "istio-system");
    expect(metadata.annotations ?? {}).toEqual({});
    await lab.kubectl("delete", "namespace", "istio-system");
  });
});

describe("a destroy ends", () => {
  trial("where a webhook refuses a deletion because its server is gone, which it names", async () => {
    await lab.up();
    await lab.create(BROKEN_WEBHOOK);
    await until("the webhook to be in force", async () => (await lab.try("kubectl", ...TRY)).exitCode !== 0);
    const { exitCode, output } = await destroy();
    expect(exitCode).not.toBe(0);
    expect(output).toContain('failed calling webhook "none.example.org"');
    await lab.kubectl("delete", "validatingwebhookconfiguration", BROKEN_WEBHOOK.metadata.name);
  });

  trial("within a minute where a finalizer holds an object, which it names", async () => {
    await lab.kubectl("patch", ...PAGES, "--type=merge", `--patch=${HOLD}`);
    const { exitCode, output } = await destroy();
    expect(exitCode).not.toBe(0);
    expect(output).toMatch(/ConfigMap nginx-pages \*\*deleting failed\*\*/);
    await lab.kubectl("patch", ...PAGES, "--type=merge", `--patch=${RELEASE}`);
  });

  trial("where an API of the cluster is down, which holds the namespace", async (seen) => {
    await lab.create(BROKEN_API);
    await until("the API to count as down", async () => {
      const { status } = await lab.get<{ status?: { conditions?: { status: string }[] } }>(...API);
      return status?.conditions?.[0]?.status === "False";
    });
    const { exitCode, output } = await destroy();
    expect(exitCode, output).toBe(0);
    expect(output).toContain(`kubectl delete apiservice ${API[1]}`);
    await lab.kubectl("delete", ...API);
    await until(
      "the namespace to be gone",
      async () => !(await namesOf("namespaces")).includes("istio-system"),
    );
    expect(await leaksSince(before, lab, seen)).toEqual({ leaks: [], missing: [] });
  });
});

const IN_ISTIO = "--namespace=istio-system";
/** The remains of an update that was killed before it wrote its state. */
const ORPHAN = {
  apiVersion: "v1",
  kind: "Secret",
  metadata: {
    name: "nginx-gateway-tls-default",
    namespace: "istio-system",
    annotations: { "istio-lab/owner": `organization/istio-lab/${lab.instance.name}` },
  },
};
const PAGES = ["configmap", "nginx-static-files"] as const;
const HOLD = JSON.stringify({ metadata: { finalizers: ["example.org/hold"] } });
const RELEASE = JSON.stringify({ metadata: { finalizers: null } });

/** Nothing answers for it. */
const BROKEN_WEBHOOK = {
  apiVersion: "admissionregistration.k8s.io/v1",
  kind: "ValidatingWebhookConfiguration",
  metadata: { name: "none" },
  webhooks: [
    {
      name: "none.example.org",
      admissionReviewVersions: ["v1"],
      sideEffects: "None",
      clientConfig: { service: { namespace: "kube-system", name: "none" } },
      namespaceSelector: { matchLabels: { "kubernetes.io/metadata.name": "default" } },
      rules: [{ apiGroups: [""], apiVersions: ["v1"], operations: ["DELETE"], resources: ["configmaps"] }],
    },
  ],
};
const TRY = ["delete", ...PAGES, "--dry-run=server"];

const API = ["apiservice", "v1beta1.metrics.k8s.io"] as const;
/** An aggregated API whose server does not exist. */
const BROKEN_API = {
  apiVersion: "apiregistration.k8s.io/v1",
  kind: "APIService",
  metadata: { name: API[1] },
  spec: {
    group: "metrics.k8s.io",
    version: "v1beta1",
    groupPriorityMinimum: 100,
    versionPriority: 100,
    insecureSkipTLSVerify: true,
    service: { name: "none", namespace: "kube-system" },
  },
};

const namesOf = async (kind: string) =>
  (await lab.list(kind, "--all-namespaces")).map(({ metadata }) => metadata.name);

async function destroy(): Promise<Pick<Outcome, "exitCode"> & { output: string }> {
  const { exitCode, stdout, stderr } = await lab.try("pulumi", "destroy", "--yes", "--skip-preview");
  return { exitCode, output: stdout + stderr };
}
