/** Lists a lab's cluster and load balancer, to find what a change leaves behind. */
import type { TestLab } from "./harness.ts";
import type { Sightings } from "./trial.ts";

/**
 * Every object of the cluster, a namespace with its labels, and every file of HAProxy with its content's
 * hash.
 */
export type Inventory = ReadonlySet<string>;

/** Kinds whose objects come and go by themselves. */
const VOLATILE = ["events", "events.events.k8s.io", "leases.coordination.k8s.io"];

/** The current inventory, one line each, such as `ConfigMap shop/nginx-static-files`. */
export async function inventory(lab: TestLab): Promise<Inventory> {
  const [objects, labels, files] = await Promise.all([
    allObjects(lab),
    lab.kubectl("get", "namespaces", "--no-headers", COLUMNS_OF_NAMESPACES),
    lab.run("ssh", "sudo find /etc/haproxy /run/haproxy -type f -exec sha256sum {} +"),
  ]);
  return new Set([
    ...objects,
    ...lines(labels).map((line) => `Labels ${line}`),
    ...lines(files).map((line) => `File ${line}`),
  ]);
}

const COLUMNS_OF_NAMESPACES = "--output=custom-columns=NAME:.metadata.name,LABELS:.metadata.labels";
const COLUMNS = "--output=custom-columns=KIND:.kind,NAMESPACE:.metadata.namespace,NAME:.metadata.name";

async function allObjects(lab: TestLab): Promise<string[]> {
  const kinds = lines(await lab.kubectl("api-resources", "--verbs=list", "--output=name"));
  const stable = kinds.filter((kind) => !VOLATILE.includes(kind)).join(",");
  return lines(await lab.kubectl("get", stable, "--all-namespaces", "--no-headers", COLUMNS));
}

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
