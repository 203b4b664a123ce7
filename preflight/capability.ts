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
  /**
   * Empty: the whole cluster. A namespace counts as within itself: roles that are bound in it apply to it.
   */
  readonly namespace: string;
  readonly name?: string;
}

/** What a check that needs no cluster may look at. */
export interface MachineContext<Config> {
  readonly config: Config;
  /** The stack: `ORGANIZATION/PROJECT/STACK`. */
  readonly owner: string;
  /** Aborted when the preflight's time is over. */
  readonly signal: AbortSignal;
}

/** What a check of the cluster may look at. */
export interface CheckContext<Config> extends MachineContext<Config> {
  readonly api: KubernetesApi;
}

/** What a check that comes last may look at. */
export interface LastContext<Config> extends MachineContext<Config> {
  /** What all other checks found out. */
  readonly facts: object;
}

/** What a check brings back. */
export interface Findings<Facts extends object = object> {
  readonly faults: readonly Fault[];
  /** What may be wrong, one sentence each; the update goes on. @default nothing */
  readonly warnings?: readonly string[];
  /** What the program needs to know; counts only where no check has faults. @default nothing */
  readonly facts?: Facts;
}

/** What a capability brings to the preflight. */
export interface Preflight<Config> {
  /** Everything that the capability owns with this configuration. @default nothing */
  readonly objects?: (config: Config) => readonly OwnedObject[];
  /** What it needs besides the verbs on its own objects. @default nothing */
  readonly permissions?: (config: Config) => readonly Permission[];
  /**
   * Look at the cluster before anything is touched, at preview too. A check that ends in HTTP 403 has no
   * findings: the permission check names what is not allowed.
   * @default none
   */
  readonly checks?: readonly ((context: CheckContext<Config>) => Promise<Findings>)[];
  /**
   * Look at tools and other machines, at the same time and whether or not the cluster answers. @default none
   */
  readonly machineChecks?: readonly ((context: MachineContext<Config>) => Promise<Findings>)[];
  /** Look once more, where no other check has faults, with what these found out. @default none */
  readonly lastChecks?: readonly ((context: LastContext<Config>) => Promise<Findings>)[];
}

/** One line of capabilities.ts. */
export interface Capability<Config, S extends Slice = Slice> extends Preflight<Config> {
  readonly name: string;
  readonly settings: S;
  /** What it adds to the values of Istio's charts. @default nothing */
  readonly istioValues?: (config: Config) => Record<string, unknown>;
}

type FactsOfCheck<F> = F extends (...args: never[]) => Promise<Findings<infer Facts>> ? Facts : never;
type ChecksOf<P> =
  | (P extends { readonly checks: readonly (infer F)[] } ? F : never)
  | (P extends { readonly machineChecks: readonly (infer F)[] } ? F : never);
type Intersection<U> = (U extends unknown ? (part: U) => void : never) extends (all: infer I) => void
  ? I
  : never;

/** What all checks of these capabilities find out together. */
export type FactsOf<C extends readonly unknown[]> = Intersection<FactsOfCheck<ChecksOf<C[number]>>>;
