/** The contract of a capability, besides its component: settings, owned objects, permissions, checks. */
import type { KubernetesApi } from "../clients/kubernetes.ts";
import type { OwnedObject } from "../mesh/ownedObject.ts";
import type { Fault } from "../settings/faults.ts";
import type { Slice } from "../settings/slice.ts";

/** Verbs on one resource that the program needs. */
export interface Permission {
  readonly verbs: readonly string[];
  readonly group: string;
  readonly resource: string;
  /** Empty: the whole cluster. A Namespace object counts as within itself: roles bound in it apply to it. */
  readonly namespace: string;
  readonly name?: string;
}

/** What a check without the cluster can use. */
export interface MachineContext<Config> {
  readonly config: Config;
  /** The stack: `ORGANIZATION/PROJECT/STACK`. */
  readonly owner: string;
  /** Aborted when the preflight's time is over. */
  readonly signal: AbortSignal;
}

/** What a check of tools and other machines can use. */
export interface MachineCheckContext<Config> extends MachineContext<Config> {
  /** Has this done when all checks have ended, e.g. a connection closed that a later check uses too. */
  readonly atEnd: (work: () => void) => void;
  /** To be called when a machine has answered: the time limit starts again. */
  readonly answered: () => void;
}

/** What a check of the cluster can use. */
export interface CheckContext<Config> extends MachineContext<Config> {
  readonly api: KubernetesApi;
}

/** What a check of the last round can use. */
export interface LastContext<Config> extends MachineContext<Config> {
  /** The facts of all other checks. */
  readonly facts: object;
}

/** The result of a check. */
export interface Findings<Facts extends object = object> {
  readonly faults: readonly Fault[];
  /** Possible faults, one sentence each. The update goes on. @default nothing */
  readonly warnings?: readonly string[];
  /** Facts for the program. They are used only where no check has faults. @default nothing */
  readonly facts?: Facts;
}

/** An object as the update would write it, for the API server to try. */
export interface Trial {
  readonly object: OwnedObject;
  /** Everything but `apiVersion` and `kind`. */
  readonly body: object;
  /** Refusals that the update itself takes away. @default none */
  readonly tolerates?: RegExp | undefined;
}

/** A capability's part of the preflight. */
export interface Preflight<Config> {
  /** Everything that the capability owns with this configuration. @default nothing */
  readonly objects?: (config: Config) => readonly OwnedObject[];
  /**
   * Objects that the API server tries by a dry run, with every policy that it has. @default none
   * @param owner the stack
   */
  readonly trials?: (config: Config, owner: string) => readonly Trial[];
  /** Permissions that it needs besides the verbs on its own objects. @default nothing */
  readonly permissions?: (config: Config) => readonly Permission[];
  /**
   * Checks of the cluster, before anything is touched, also at preview. A check that ends in HTTP 403 has no
   * findings: the permission check names what is not allowed.
   * @default none
   */
  readonly checks?: readonly ((context: CheckContext<Config>) => Promise<Findings>)[];
  /**
   * Checks of tools and other machines. They run at the same time, also without an answer of the cluster.
   * @default none
   */
  readonly machineChecks?: readonly ((context: MachineCheckContext<Config>) => Promise<Findings>)[];
  /**
   * Checks of the last round. They run where no other check has faults, with the facts of those. @default
   * none
   */
  readonly lastChecks?: readonly ((context: LastContext<Config>) => Promise<Findings>)[];
}

/** One line of capabilities.ts. */
export interface Capability<Config, S extends Slice = Slice> extends Preflight<Config> {
  readonly name: string;
  readonly settings: S;
  /** Values that it adds to those of Istio's charts. @default nothing */
  readonly istioValues?: (config: Config) => Record<string, unknown>;
}

type FactsOfCheck<F> = F extends (...args: never[]) => Promise<Findings<infer Facts>> ? Facts : never;
type ChecksOf<P> =
  | (P extends { readonly checks: readonly (infer F)[] } ? F : never)
  | (P extends { readonly machineChecks: readonly (infer F)[] } ? F : never);
type Intersection<U> = (U extends unknown ? (part: U) => void : never) extends (all: infer I) => void
  ? I
  : never;

/** The facts of all checks of these capabilities. */
export type FactsOf<C extends readonly unknown[]> = Intersection<FactsOfCheck<ChecksOf<C[number]>>>;
