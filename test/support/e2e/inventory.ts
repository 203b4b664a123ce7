/** Lists a lab's cluster and load balancer, to find what a change leaves behind. */
import { json } from "node:stream/consumers";
import type { KubernetesApi } from "../../../clients/kubernetes.ts";
import { connectToCluster } from "../../../embedded/lab/stack.ts";
import type { TestLab } from "./harness.ts";
import type { Sightings } from "./trial.ts";

/**
 * Every object of the cluster, a namespace with its labels, and every file of HAProxy with its content's
 * hash.
 */
export type Inventory = ReadonlySet<string>;

/** Kinds whose objects come and go by themselves, and the one that has no stored objects. */
const VOLATILE = [...["events", "events.events.k8s.io", "leases.coordination.k8s.io"], "componentstatuses"];

/** What the API server says of its kinds, all groups in one answer. */
interface Discovery {
  readonly items: readonly {
    readonly metadata: { readonly name?: string };
    /** The preferred one comes first. */
    readonly versions: readonly {
      readonly version: string;
      readonly resources?: readonly {
        readonly resource: string;
        readonly responseKind: { readonly kind: string };
        readonly verbs: readonly string[];
      }[];
    }[];
  }[];
}
const DISCOVERY = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";

/** The current inventory, one line each, such as `ConfigMap shop nginx-static-files`. */
export async function inventory(lab: TestLab): Promise<Inventory> {
  const [objects, files] = await Promise.all([
    allObjects(lab),
    lab.run("ssh", "sudo find /etc/haproxy /run/haproxy -type f -exec sha256sum {} +"),
  ]);
  return new Set([...objects, ...lines(files).map((line) => `File ${line}`)]);
}

/** One client for all lists: a kubectl for each inventory would take two seconds of the processor. */
async function allObjects(lab: TestLab): Promise<string[]> {
  const api = await connectToCluster(lab.instance);
  try {
    const collections = (await Promise.all(["/api", "/apis"].map((root) => collectionsOf(api, root)))).flat();
    const found = await Promise.all(
      collections.map(async ({ path, kind }) => {
        const { items } = await api.listMetadata(path);
        return items.flatMap(({ metadata: { namespace = "", name, labels = {} } }) => [
          `${kind} ${namespace} ${name}`,
          ...(kind === "Namespace"
            ? [`Labels ${name} ${JSON.stringify(Object.entries(labels).sort())}`]
            : []),
        ]);
      }),
    );
    return found.flat();
  } finally {
    await api.close();
  }
}

/** The collections below a root that can be listed, each kind in its preferred version. */
async function collectionsOf(api: KubernetesApi, root: string): Promise<{ path: string; kind: string }[]> {
  const answer = await api.raw("GET", root, { accept: DISCOVERY });
  const { items } = (await json(answer)) as Discovery;
  return items.flatMap(({ metadata: { name: group = "" }, versions: [preferred] }) =>
    (preferred?.resources ?? [])
      .filter(({ resource, verbs }) => verbs.includes("list") && !VOLATILE.includes(nameOf(resource, group)))
      .map(({ resource, responseKind: { kind } }) => ({
        path: [root, ...(group ? [group] : []), preferred?.version, resource].join("/"),
        kind,
      })),
  );
}

const nameOf = (resource: string, group: string) => (group ? `${resource}.${group}` : resource);

/**
 * Finds what is there now and was not before, and prints the number of things that it compared.
 * @param renewed kinds whose objects a rollout replaces, such as pods
 * @returns the leaks and the missing things
 */
export async function leaksSince(
  before: Inventory,
  lab: TestLab,
  seen: Sightings,
  renewed: (thing: string) => boolean = () => false,
): Promise<{ leaks: string[]; missing: string[] }> {
  const now = await inventory(lab);
  const leaks = [...now].filter((thing) => !before.has(thing) && !renewed(thing));
  seen.lookedAt += now.size;
  seen.leaks.push(...leaks);
  const kinds = Map.groupBy(now, (thing) => thing.split(" ")[0] ?? "");
  const counts = [...kinds].map(([kind, things]) => `${things.length} ${kind}`).sort();
  console.log(`leak check: ${leaks.length} leaks among ${now.size} things: ${counts.join(", ")}`);
  return { leaks, missing: [...before].filter((thing) => !now.has(thing) && !renewed(thing)) };
}

const lines = (text: string) =>
  text
    .split("\n")
    .filter(Boolean)
    .map((line) => line.trim().replace(/\s+/g, " "));
