/** Whether a namespace's quotas have room for all pods of an update together. Pure. */
import type { KubernetesObject } from "../../clients/kubernetes.ts";
import { amountOf } from "../../mesh/quantity.ts";

type Amounts = Readonly<Record<string, string | number>>;

interface Container {
  readonly resources?: { readonly requests?: Amounts; readonly limits?: Amounts };
  /** `Always` makes an init container run beside the others. */
  readonly restartPolicy?: string;
}

/** What a pod counts with. */
export interface PodSpec {
  readonly containers: readonly Container[];
  readonly initContainers?: readonly Container[];
  readonly overhead?: Amounts;
  readonly priorityClassName?: string;
  readonly activeDeadlineSeconds?: number;
}

interface ScopeRule {
  readonly scopeName: string;
  readonly operator: string;
  readonly values?: readonly string[];
}

/** As the API server has it. */
export interface ResourceQuota extends KubernetesObject {
  readonly spec?: {
    readonly hard?: Amounts;
    readonly scopes?: readonly string[];
    readonly scopeSelector?: { readonly matchExpressions?: readonly ScopeRule[] };
  };
  readonly status?: { readonly hard?: Amounts; readonly used?: Amounts };
}

/** Pods that an update adds to those that run. */
export interface Demand {
  readonly pods: number;
  readonly pod: PodSpec;
  /** True: a Deployment is made for them. */
  readonly deployment: boolean;
}

/** Each quota that is too small, and what it lacks: one sentence a quota. */
export function shortagesOf(quotas: readonly ResourceQuota[], demands: readonly Demand[]): string[] {
  return quotas.flatMap(({ metadata, spec = {}, status = {} }) => {
    const counted = demands.filter(({ pod }) => isInScope(spec, pod));
    const lacks = Object.entries(status.hard ?? spec.hard ?? {}).flatMap(([resource, hard]) => {
      const needed = sum(counted.map((demand) => demand.pods * ofOnePod(resource, demand)));
      const more = needed + (hasScope(spec) ? 0 : objectsOf(resource, demands));
      const used = status.used?.[resource] ?? 0;
      // Sums of fractions are not exact.
      const isEnough = amountOf(used) + more <= amountOf(hard) * (1 + 1e-9);
      if (more === 0 || isEnough) return [];
      return [`${resource} ${hard}, of which ${used} is used and ${inWords(resource, more)} more is needed`];
    });
    return lacks.length > 0 ? [`ResourceQuota ${metadata.name} allows ${lacks.join("; ")}`] : [];
  });
}

/** Objects that are counted besides pods. */
function objectsOf(resource: string, demands: readonly Demand[]): number {
  const isCounted = /^count\/(deployments|replicasets)\.apps$/.test(resource);
  return isCounted ? demands.filter(({ deployment }) => deployment).length : 0;
}

function ofOnePod(resource: string, { pod }: Demand): number {
  if (resource === "pods" || resource === "count/pods") return 1;
  const [, which = "requests", name = ""] = /^(?:(requests|limits)\.)?([a-z-]+)$/.exec(resource) ?? [];
  return ["cpu", "memory", "ephemeral-storage"].includes(name)
    ? effective(pod, which as "requests" | "limits", name)
    : 0;
}

/** As the scheduler counts: init containers run before the others, one after the other. */
function effective(pod: PodSpec, which: "requests" | "limits", name: string): number {
  const of = ({ resources }: Container) => amountOf(resources?.[which]?.[name] ?? 0);
  let beside = 0;
  let highest = 0;
  for (const container of pod.initContainers ?? []) {
    highest = Math.max(highest, beside + of(container));
    if (container.restartPolicy === "Always") beside += of(container);
  }
  const together = beside + sum(pod.containers.map(of));
  return Math.max(highest, together) + amountOf(pod.overhead?.[name] ?? 0);
}

const hasScope = ({ scopes, scopeSelector }: NonNullable<ResourceQuota["spec"]>) =>
  Boolean(scopes?.length || scopeSelector?.matchExpressions?.length);

function isInScope(
  { scopes = [], scopeSelector }: NonNullable<ResourceQuota["spec"]>,
  pod: PodSpec,
): boolean {
  const rules = [
    ...scopes.map((scopeName): ScopeRule => ({ scopeName, operator: "Exists" })),
    ...(scopeSelector?.matchExpressions ?? []),
  ];
  return rules.every((rule) => matches(rule, pod));
}

function matches({ scopeName, operator, values = [] }: ScopeRule, pod: PodSpec): boolean {
  const { priorityClassName: priority, activeDeadlineSeconds } = pod;
  switch (scopeName) {
    case "Terminating":
      return activeDeadlineSeconds !== undefined;
    case "NotTerminating":
      return activeDeadlineSeconds === undefined;
    case "BestEffort":
      return isBestEffort(pod);
    case "NotBestEffort":
      return !isBestEffort(pod);
    case "PriorityClass":
      if (operator === "Exists") return priority !== undefined;
      if (operator === "DoesNotExist") return priority === undefined;
      return values.includes(priority ?? "") === (operator === "In");
    default:
      return false;
  }
}

const isBestEffort = ({ containers, initContainers = [] }: PodSpec) =>
  [...containers, ...initContainers].every(({ resources }) =>
    [resources?.requests, resources?.limits].every((given) => !given?.cpu && !given?.memory),
  );

const sum = (numbers: readonly number[]) => numbers.reduce((total, each) => total + each, 0);

/** As a user would write it. */
const inWords = (resource: string, amount: number) =>
  /memory|storage/.test(resource) ? `${Math.ceil(amount / 2 ** 20)}Mi` : String(Number(amount.toFixed(3)));
