/** Tests of preflight/trials.ts, and of what the capabilities have tried. */
import { describe, expect, it } from "vitest";
import { capabilities } from "../../../capabilities.ts";
import { ApiError, type KubernetesApi, NoAnswer } from "../../../clients/kubernetes.ts";
import { ownedObject } from "../../../mesh/ownedObject.ts";
import type { Capability, Trial } from "../../../preflight/capability.ts";
import { trialFaults } from "../../../preflight/trials.ts";
import { OWNER } from "../../support/preflight.ts";
import { settings } from "../../support/settings.ts";

const trialOf = (name: string, tolerates?: RegExp): Trial => ({
  object: ownedObject("Deployment", "shop", name),
  body: { spec: {} },
  tolerates,
});

/** An API server that answers each dry run with an error. */
function server(errorOf: (path: string) => Error | undefined) {
  const bodies: object[] = [];
  const apply = async (path: string, body: object, options: { dryRun?: boolean; force?: boolean }) => {
    expect(options).toMatchObject({ dryRun: true, force: true });
    bodies.push(body);
    const error = errorOf(path);
    if (error) throw error;
    return body;
  };
  return { api: { apply } as unknown as KubernetesApi, bodies };
}

const messages = async (error: (path: string) => Error | undefined, trials: readonly Trial[]) =>
  (await trialFaults(server(error).api, trials)).map(({ message }) => message);

const denied = (path: string) =>
  new ApiError(
    422,
    "Invalid",
    `deployments.apps "${path.split("/").at(-1)}" is forbidden: ValidatingAdmissionPolicy 'team' with binding ` +
      "'all' denied request: label team is required",
  );

describe("a refusal", () => {
  it("is one fault for all objects that it concerns, with the settings that satisfy a policy", async () => {
    expect(await messages(denied, [trialOf("nginx-v116"), trialOf("nginx-v117")])).toEqual([
      expect.stringMatching(
        /^the API server does not accept Deployment nginx-v116, Deployment nginx-v117 in namespace shop: deployments\.apps is forbidden: .* label team is required: give what the policy requires \(labels /,
      ),
    ]);
  });

  it.each<[string, Error, RegExp]>([
    [
      "of a quota",
      new ApiError(403, "Forbidden", "exceeded quota: counts, requested: count/deployments.apps=1"),
      /ResourceQuota changed, or set namespace to another one$/,
    ],
    [
      "of a webhook without a server",
      new ApiError(500, "InternalError", 'failed calling webhook "a.b": service "gone" not found'),
      /: repair what answers for that webhook, or delete its configuration/,
    ],
    [
      "of an object that was made immutable by hand",
      new ApiError(422, "Invalid", "data: Forbidden: field is immutable when `immutable` is set"),
      /`immutable` is set: delete that object, .*, and run pulumi up --refresh$/,
    ],
    [
      "by silence",
      new NoAnswer("time", "no answer within 6 s"),
      /a dry run got no answer within 6 s, as with a webhook that is silent: repair/,
    ],
  ])("%s has its way out", async (_, error, message) => {
    expect(await messages(() => error, [trialOf("nginx")])).toEqual([expect.stringMatching(message)]);
  });

  it.each([
    ["a namespace or kind that is not there", new ApiError(404, "NotFound", "not found")],
    [
      "a right that is missing",
      new ApiError(403, "Forbidden", 'User "u" cannot patch resource "deployments"'),
    ],
    ["a namespace that goes", new ApiError(403, "Forbidden", "forbidden: it is being terminated")],
    ["another owner's object", new ApiError(422, "Invalid", "spec.selector: field is immutable")],
    ["a connection that ends", new NoAnswer("connection", "socket hang up")],
    ["a webhook that cannot try", new ApiError(400, "BadRequest", "a.b does not support dry run")],
  ])("is left to another check for %s", async (_, error) => {
    expect(await messages(() => error, [trialOf("nginx")])).toEqual([]);
  });

  it("is tolerated where the update takes its cause away", async () => {
    expect(await messages(denied, [trialOf("nginx", /team is required/)])).toEqual([]);
  });
});

describe("what is tried", () => {
  const tried = (change: Record<string, unknown>) => {
    const all: readonly Capability<ReturnType<typeof settings>>[] = capabilities;
    const config = settings(change);
    return all.flatMap(({ trials }) => trials?.(config, OWNER) ?? []);
  };

  it("is every object of the application and of its routes, and the namespace's label", () => {
    expect(tried({}).map(({ object }) => `${object.kind} ${object.name}`)).toEqual([
      "Namespace default",
      "ConfigMap nginx-static-files",
      "Service nginx-svc",
      "Deployment nginx-v116",
      "Deployment nginx-v117",
      "Gateway nginx-gateway",
      "VirtualService nginx",
      "DestinationRule nginx",
    ]);
  });

  it("has the labels of the configuration on each, and on the pods", () => {
    const bodies = tried({ labels: { team: "shop" } }).map(({ body }) => body);
    const [, ...own] = bodies;
    for (const body of own) expect(body).toMatchObject({ metadata: { labels: { team: "shop" } } });
    expect(bodies[3]).toMatchObject({
      spec: { template: { metadata: { labels: { team: "shop", app: "nginx", version: "1.16" } } } },
    });
  });

  it("tolerates Istio's own webhook without a server only where the stack installs Istio", () => {
    const words = 'failed calling webhook "validation.istio.io": service "istiod" not found';
    const gateway = (manage: boolean) =>
      tried({ istio: { manage } })
        .find(({ object }) => object.kind === "Gateway")
        ?.tolerates?.test(words);
    expect(gateway(true)).toBe(true);
    expect(gateway(false)).toBeUndefined();
  });
});
