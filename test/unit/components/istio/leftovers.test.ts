/** Tests of components/istio/leftovers.ts. */
import { expect, it } from "vitest";
import { checkLeftovers } from "../../../../components/istio/leftovers.ts";
import { apiOf, type Paths } from "../../../support/clusterServer.ts";
import { OWNER } from "../../../support/preflight.ts";

const KINDS = "/apis/admissionregistration.k8s.io/v1";
const webhooks = (name: string, webhook: object = {}, service = "istiod-canary") => ({
  items: [
    {
      metadata: { name },
      webhooks: [
        {
          failurePolicy: "Fail",
          clientConfig: { service: { namespace: "istio-system", name: service } },
          ...webhook,
        },
      ],
    },
  ],
});
const validating = (...args: Parameters<typeof webhooks>): Paths => ({
  [`${KINDS}/validatingwebhookconfigurations`]: webhooks(...args),
});
const mutating = (...args: Parameters<typeof webhooks>): Paths => ({
  [`${KINDS}/mutatingwebhookconfigurations`]: webhooks(...args),
});
const forNamespaces = (matchLabels: object) => ({ namespaceSelector: { matchLabels } });

it.each<[string, Paths, RegExp[]]>([
  ["none", {}, []],
  [
    "one that validates",
    validating("istio-validator-canary"),
    [
      /^validatingwebhookconfiguration istio-validator-canary is left of an Istio that is gone: its Service istio-system\/istiod-canary does not exist, .*\(kubectl delete validatingwebhookconfigurations istio-validator-canary\)$/,
    ],
  ],
  [
    "one that injects into the namespace",
    mutating("tag-default", forNamespaces({ "istio-injection": "enabled" })),
    [/^mutatingwebhookconfiguration tag-default is left/],
  ],
  [
    "one that injects into other namespaces",
    mutating("canary", forNamespaces({ "istio.io/rev": "canary" })),
    [],
  ],
  ["one that may fail", validating("v", { failurePolicy: "Ignore" }), []],
  ["one whose Service the installation makes", validating("istio-validator-istio-system", {}, "istiod"), []],
  [
    "one with a server",
    {
      ...validating("istio-validator-canary"),
      "/api/v1/namespaces/istio-system/services/istiod-canary": { metadata: { name: "istiod-canary" } },
    },
    [],
  ],
])("webhooks without a server: %s", async (_, paths, messages) => {
  const { api } = await apiOf(paths);
  const context = { api, owner: OWNER, signal: AbortSignal.timeout(10_000) };
  const check = (manage: boolean) =>
    checkLeftovers({ ...context, config: { namespace: "shop", istio: { manage } } });
  expect((await check(true)).faults.map(({ message }) => message)).toEqual(
    messages.map((message) => expect.stringMatching(message)),
  );
  expect((await check(false)).faults).toEqual([]);
});
