/** Tests of preflight/objects.ts. */
import { expect, it } from "vitest";
import { ownedObject, pathOf } from "../../../mesh/ownedObject.ts";
import { objectPermissions, ownershipFaults } from "../../../preflight/objects.ts";
import { apiOf } from "../../support/clusterServer.ts";
import { OWNER } from "../../support/preflight.ts";

const SERVICE = ownedObject("Service", "default", "nginx-svc");
const GATEWAY = ownedObject("Gateway", "default", "nginx-gateway");
const TELEMETRY = ownedObject("Telemetry", "istio-system", "istio-lab-tracing");
const NAMESPACE = ownedObject("Namespace", "", "istio-lab-observability");

async function faultsFor(metadata: object, object = SERVICE): Promise<string[]> {
  const { api } = await apiOf({ [pathOf(object)]: { metadata: { name: object.name, ...metadata } } });
  const objects = [SERVICE, GATEWAY, TELEMETRY, NAMESPACE];
  return (await ownershipFaults(api, objects, OWNER, "default")).map(({ message }) => message);
}

it("this stack's object, and a free name, are right", async () => {
  expect(await faultsFor({ annotations: { "istio-lab/owner": OWNER } })).toEqual([]);
});

it("another stack's object: names the stack, and how to take it over", async () => {
  const annotations = { "istio-lab/owner": "organization/istio-lab/prod" };
  expect(await faultsFor({ annotations }, GATEWAY)).toEqual([
    "Gateway nginx-gateway in namespace default exists already and belongs to stack " +
      "organization/istio-lab/prod: delete it, or set namespace to another one, or let this stack take " +
      "it over (kubectl annotate --overwrite --namespace=default Gateway nginx-gateway " +
      `istio-lab/owner=${OWNER})`,
  ]);
});

it("an object without an owner: names its field managers, without controllers", async () => {
  const managedFields = [
    { manager: "kubectl-create" },
    { manager: "kube-controller-manager", subresource: "status" },
  ];
  expect(await faultsFor({ managedFields })).toEqual([
    expect.stringMatching(
      /^Service nginx-svc in namespace default exists already and is not this stack's \(field manager: kubectl-create\): delete it,/,
    ),
  ]);
  expect(await faultsFor({})).toEqual([expect.stringMatching(/\(field manager: none\)/)]);
});

it("an object whose namespace no setting moves: the way out is another one", async () => {
  expect(await faultsFor({}, TELEMETRY)).toEqual([
    "Telemetry istio-lab-tracing in namespace istio-system exists already and is not this stack's (field " +
      "manager: none): delete it, or let this stack take it over (kubectl annotate --overwrite " +
      `--namespace=istio-system Telemetry istio-lab-tracing istio-lab/owner=${OWNER})`,
  ]);
});

it("a namespace of others: the message says what taking it over means", async () => {
  expect(await faultsFor({}, NAMESPACE)).toEqual([
    "Namespace istio-lab-observability exists already and is not this stack's (field manager: none): delete " +
      "it, or let this stack take it over, whose destroy then deletes all that is in it (kubectl annotate " +
      `--overwrite Namespace istio-lab-observability istio-lab/owner=${OWNER})`,
  ]);
});

it("an update and a destroy wait: they list and watch each kind that the stack owns", () => {
  expect(objectPermissions([GATEWAY])).toEqual([
    {
      verbs: ["get", "list", "watch", "create", "patch", "delete"],
      group: "networking.istio.io",
      resource: "gateways",
      namespace: "default",
    },
  ]);
});
