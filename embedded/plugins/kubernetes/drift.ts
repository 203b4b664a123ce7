/**
 * Converts live objects to Pulumi's state: marks secrets, and finds differences from the program's inputs.
 */
import { containsSecret, equal, isObject, type Properties, reveal, Secret, type Value } from "../values.ts";
import type { KubernetesObject } from "./cluster.ts";
import { toOutputs } from "./objects.ts";

/** A resource's state: the live object, and the provider's own data under names with two underscores. */
export function stateOf(
  live: KubernetesObject,
  inputs: Properties,
  secrets: Properties,
  fieldManager: string,
): Properties {
  return {
    ...markSecrets(toOutputs(live), secrets),
    __inputs: markSecrets(inputs, secrets),
    __initialApiVersion: live.apiVersion,
    __fieldManager: fieldManager,
  };
}

/** The outputs of a dry run. A dry run's status is empty, so it is left out. */
export function previewOutputs(live: KubernetesObject, inputs: Properties): Properties {
  const { status: _, ...outputs } = toOutputs(live);
  return markSecrets(outputs, inputs);
}

/** The inputs as they would have to be for the live object. */
export function liveInputs(inputs: Properties, recorded: Properties, live: KubernetesObject): Properties {
  return (drifted(reveal(inputs), reveal(recorded), toOutputs(live)) ?? {}) as Properties;
}

/** Marks as secret in `outputs` what is secret in `inputs`, and all data of a Secret. */
export function markSecrets(outputs: Properties, inputs: Properties): Properties {
  const marked: Properties = { ...outputs };
  if (outputs.kind === "Secret") {
    for (const key of ["data", "stringData"])
      if (marked[key] !== undefined) marked[key] = new Secret(reveal(marked[key]));
    return marked;
  }
  for (const [key, input] of Object.entries(inputs)) {
    const output = marked[key];
    if (output === undefined || output instanceof Secret) continue;
    if (isObject(output) && isObject(input)) marked[key] = markSecrets(output, input);
    else if (containsSecret(input)) marked[key] = new Secret(output);
  }
  return marked;
}

/**
 * The inputs as they would have to be for the live object: the program's value where the object is as
 * recorded, the live one where it was changed since. Fields that the program does not set are left out.
 * @param recorded the object as it was after the last update
 */
export function drifted(
  input: Value,
  recorded: Value | undefined,
  live: Value | undefined,
): Value | undefined {
  if (equal(recorded, live)) return input;
  if (live === undefined) return undefined;
  if (isObject(input) && isObject(live)) {
    const before = isObject(recorded) ? recorded : {};
    const entries = Object.entries(input)
      .map(([key, value]) => [key, drifted(value, before[key], live[key])] as const)
      .filter(([, value]) => value !== undefined);
    return Object.fromEntries(entries) as Properties;
  }
  if (Array.isArray(input) && Array.isArray(live)) {
    const before = Array.isArray(recorded) ? recorded : [];
    return live.map((element, index) => {
      const own = counterpart(element, index, input);
      return own === undefined
        ? element
        : (drifted(own, counterpart(element, index, before), element) ?? element);
    });
  }
  return live;
}

/** Elements with a name (containers, ports, routes) match by name, others by position. */
function counterpart(element: Value, index: number, list: Value[]): Value | undefined {
  const name = isObject(element) ? element.name : undefined;
  if (name === undefined) return list[index];
  return list.find((other) => isObject(other) && other.name === name) ?? undefined;
}
