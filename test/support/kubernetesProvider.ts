/** The Kubernetes provider in this process, on a fake API server, with requests made short for tests. */
import { afterAll, beforeEach } from "vitest";
import { KubernetesProvider } from "../../embedded/plugins/kubernetes/provider.ts";
import type { InitializationError, Severity } from "../../embedded/plugins/provider.ts";
import type { Properties } from "../../embedded/plugins/values.ts";
import { FakeApiServer } from "./fakeApiServer.ts";

export const TYPES = {
  configMap: "kubernetes:core/v1:ConfigMap",
  deployment: "kubernetes:apps/v1:Deployment",
  namespacePatch: "kubernetes:core/v1:NamespacePatch",
  secret: "kubernetes:core/v1:Secret",
  service: "kubernetes:core/v1:Service",
  claim: "kubernetes:core/v1:PersistentVolumeClaim",
  widget: "kubernetes:x.io/v1:Widget",
} as const;

export const configMap: Properties = {
  apiVersion: "v1",
  kind: "ConfigMap",
  metadata: { name: "page" },
  data: { a: "1" },
};
export const deployment: Properties = {
  apiVersion: "apps/v1",
  kind: "Deployment",
  metadata: { name: "web" },
  spec: { replicas: 2, selector: { matchLabels: { app: "web" } } },
};
export const label: Properties = {
  apiVersion: "v1",
  kind: "Namespace",
  metadata: { name: "default", labels: { "istio-injection": "enabled" } },
};
export const widget: Properties = {
  apiVersion: "x.io/v1",
  kind: "Widget",
  metadata: { name: "w" },
  spec: { weight: 50 },
};
export const widgetKind = { apiVersion: "x.io/v1", kind: "Widget", plural: "widgets", namespaced: true };

export const PATHS = {
  configMap: "/api/v1/namespaces/default/configmaps/page",
  deployment: "/apis/apps/v1/namespaces/default/deployments/web",
  namespace: "/api/v1/namespaces/default",
  widget: "/apis/x.io/v1/namespaces/default/widgets/w",
} as const;

/** The program's own arguments, as the engine hands them to the provider. */
export const ARGUMENTS: Properties = {
  enableConfigMapMutable: "true",
  enablePatchForce: "true",
  enableSecretMutable: "true",
  enableServerSideApply: "true",
  upsertExistingObjects: "true",
};

export interface Line {
  readonly text: string;
  readonly severity: Severity;
}

export class TestProvider {
  lines: Line[] = [];
  provider: KubernetesProvider;
  readonly #api: FakeApiServer;

  constructor(api: FakeApiServer) {
    this.#api = api;
    this.provider = this.#new();
  }

  /** Begins anew, as after a start of the plugin. */
  reset(): void {
    this.lines = [];
    this.provider = this.#new();
  }

  #new(): KubernetesProvider {
    const add = (text: string, severity: Severity) => {
      if (text !== "") this.lines.push({ text, severity });
    };
    const provider = new KubernetesProvider(
      {
        status: (_urn, text, severity = "info") => add(text, severity),
        message: (_urn, severity, text) => add(text, severity),
      },
      async () => this.#api.cluster(),
    );
    void provider.configure(ARGUMENTS);
    return provider;
  }

  get texts(): string[] {
    return this.lines.map(({ text }) => text);
  }

  /** Requests that write, with dry runs. */
  get writes() {
    return this.#api.requests.filter(({ method }) => method !== "GET");
  }

  create(type: string, inputs: Properties, { preview = false, timeoutSeconds = 0 } = {}) {
    return this.provider.create({ ...named(type), inputs, preview, timeoutSeconds });
  }

  read(type: string, id: string, inputs: Properties = {}, outputs: Properties = {}) {
    return this.provider.read({ ...named(type), id, inputs, outputs });
  }

  update(type: string, id: string, olds: Properties, inputs: Properties, preview = false) {
    const { __fieldManager: _, ...oldInputs } = olds;
    return this.provider.update({ ...named(type), id, olds, oldInputs, inputs, preview, timeoutSeconds: 0 });
  }

  delete(type: string, id: string, outputs: Properties, timeoutSeconds = 0) {
    return this.provider.delete({ ...named(type), id, outputs, oldInputs: outputs, timeoutSeconds });
  }

  check(type: string, news: Properties) {
    return this.provider.check({ ...named(type), news, olds: undefined });
  }

  diff(type: string, before: Properties, after: Properties) {
    const request = { id: "x", olds: before, oldInputs: before, news: after };
    return this.provider.diff({ ...named(type), ...request });
  }
}

/** A fake API server for a file of tests, and the provider on it; each test begins with both empty. */
export async function fakeCluster(): Promise<{ readonly api: FakeApiServer; readonly it: TestProvider }> {
  const api = await FakeApiServer.start();
  const it = new TestProvider(api);
  beforeEach(() => {
    api.reset();
    it.reset();
  });
  afterAll(() => api.stop());
  return { api, it };
}

function named(type: string) {
  return { urn: `urn:pulumi:dev::test::${type}::r`, type, name: "r" };
}

/** The error of a resource that is recorded although it is not ready. */
export async function failureOf(work: Promise<unknown>): Promise<InitializationError> {
  return await work.then(
    () => Promise.reject(new Error("it did not fail")),
    (error: InitializationError) => error,
  );
}
