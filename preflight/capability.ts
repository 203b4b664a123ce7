/** What a capability brings besides its component: settings, owned objects, permissions, checks. */
import type { KubernetesApi } from "../clients/kubernetes.ts";
import type { OwnedObject } from "../mesh/ownedObject.ts";
import type { Fault } from "../settings/faults.ts";
import type { Slice } from "../settings/slice.ts";

/** Verbs on one resource that the program needs. */
export interface Permission {
  readonly verbs: readonly string[];
  readonly group: string;
  readonly resource: string;
  /** Empty: the whole cluster. */
  readonly namespace: string;
  readonly name?: string;
}

/** What a check may look at. */
export interface CheckContext<Config> {
  readonly config: Config;
  /** The stack: `ORGANIZATION/PROJECT/STACK`. */
  readonly owner: string;
  readonly api: KubernetesApi;
  /** Aborted when the preflight's time is over. */
  readonly signal: AbortSignal;
}

/** One line of capabilities.ts. */
export interface Capability<Config, S extends Slice = Slice> {
  readonly name: string;
  readonly settings: S;
  /** Everything that the capability owns with this configuration. @default nothing */
  readonly objects?: (config: Config) => readonly OwnedObject[];
  /** What it needs besides the verbs on its own objects. @default nothing */
  readonly permissions?: (config: Config) => readonly Permission[];
  /** Looked at before anything is touched, at preview too. @default nothing */
  readonly checks?: (context: CheckContext<Config>) => Promise<readonly Fault[]>;
  /** What it adds to the values of Istio's charts. @default nothing */
  readonly istioValues?: (config: Config) => Record<string, unknown>;
}
