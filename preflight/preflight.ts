/** Runs the checks of all capabilities at once, under one deadline, before anything is touched. */
import * as pulumi from "@pulumi/pulumi";
import { type ApiError, type KubernetesApi, type Selection, unlessForbidden } from "../clients/kubernetes.ts";
import { SingleReads } from "../clients/singleReads.ts";
import type { Fault } from "../settings/faults.ts";
import { adviceOn } from "./advice.ts";
import type { CheckContext, FactsOf, Findings, Preflight } from "./capability.ts";
import { Deadline } from "./deadline.ts";
import { ownershipFaults } from "./objects.ts";
import { neededPermissions, permissionFaults } from "./permissions.ts";
import { trialFaults } from "./trials.ts";

export interface PreflightOptions {
  /** The stack: `ORGANIZATION/PROJECT/STACK`. */
  readonly owner: string;
  /** Receives what a credential plugin prints for its user. @default Pulumi's log */
  readonly notify?: (line: string) => void;
  /** Receives warnings. @default Pulumi's log */
  readonly warn?: (message: string) => void;
  /** What the limits for silence are multiplied with, as slownessAfter gives it. @default 1 */
  readonly slowness?: number;
}

/** Limit for silence, so that the error about a cluster or machine that does not answer comes within 10 s. */
const LIMIT_MS = 9000;
/** Limit for all checks of a cluster or machine that answers slowly. */
const MOST_MS = 60_000;
/** Limit for the last round, which only a silent machine makes long. */
const LAST_MS = 6000;
/** Limit for one answer, so that a silent server is reported within the limit for all. */
const ANSWER_MS = 8000;
/** Limit where a credential plugin waits for its user to open a browser. */
const PLUGIN_MS = 120_000;
/** How long a credential plugin runs before a message names it. */
const PLUGIN_QUIET_MS = 3000;

/**
 * Finds every reason for which an update would fail half-way, in the cluster and on the machines that it
 * needs.
 * @returns the facts of the checks
 * @throws pulumi.RunError that lists every fault, one a line. It comes within 10 s of the last answer, and
 * within a minute, on a machine of ordinary speed
 */
export async function preflight<
  Config extends Pick<Selection, "kubeconfig" | "context">,
  const C extends readonly (Preflight<Config> & { readonly name?: string })[],
>(capabilities: C, config: Config, options: PreflightOptions): Promise<FactsOf<C>> {
  const { slowness = 1 } = options;
  const deadline = new Deadline(LIMIT_MS * slowness, MOST_MS * slowness);
  const ofMachines = new Deadline(LIMIT_MS * slowness, MOST_MS * slowness);
  const atEnd: (() => void)[] = [];
  const machine = { config, owner: options.owner, signal: ofMachines.signal };
  const context = {
    ...machine,
    answered: () => ofMachines.extend(),
    atEnd: (work: () => void) => void atEnd.push(work),
  };
  try {
    const machineChecks = capabilities.flatMap(({ machineChecks = [] }) => machineChecks);
    const [machines, cluster] = await Promise.all([
      Promise.all(machineChecks.map((check) => check(context))),
      checkCluster(capabilities, config, options, deadline),
    ]);
    const findings = [...machines, ...cluster];
    refuse(findings.flatMap(({ faults }) => faults));
    const facts: object = Object.assign({}, ...findings.map(({ facts }) => facts));
    const last = { ...machine, facts, signal: AbortSignal.timeout(Math.ceil(LAST_MS * slowness)) };
    const lastChecks = capabilities.flatMap(({ lastChecks = [] }) => lastChecks);
    const lastFindings = await Promise.all(lastChecks.map((check) => check(last)));
    refuse(lastFindings.flatMap(({ faults }) => faults));
    const { warn = (message) => void pulumi.log.warn(message) } = options;
    for (const { warnings = [] } of [...findings, ...lastFindings]) warnings.forEach(warn);
    return facts as FactsOf<C>;
  } finally {
    deadline.clear();
    ofMachines.clear();
    for (const work of atEnd) work();
  }
}

function refuse(faults: readonly Fault[]): void {
  if (faults.length === 0) return;
  const count = faults.length === 1 ? "1 fault" : `${faults.length} faults`;
  const lines = faults.map(({ message }) => `  ${message}`);
  throw new pulumi.RunError(`Nothing was touched, because of ${count}:\n${lines.join("\n")}`);
}

async function checkCluster<Config extends Selection>(
  capabilities: readonly Preflight<Config>[],
  config: Config,
  options: PreflightOptions,
  deadline: Deadline,
): Promise<Findings[]> {
  const { signal } = deadline;
  const { owner, slowness = 1, notify = (line) => void pulumi.log.info(line) } = options;
  const selection = { kubeconfig: config.kubeconfig, context: config.context };
  let api: KubernetesApi | undefined;
  try {
    api = await SingleReads.connect(selection, {
      signal,
      answerMs: ANSWER_MS,
      slowness,
      onAnswer: () => deadline.extend(),
      onNotice: (line) => notify(`credential plugin: ${line}`),
    });
    await firstAnswer(api, notify, deadline, LIMIT_MS * slowness);
    return await runChecks(capabilities, { api, config, owner, signal });
  } catch (error) {
    const message = await adviceOn(error, selection, api, signal);
    if (message === undefined) throw error;
    return [{ faults: [{ key: "", message }] }];
  } finally {
    await api?.close();
  }
}

/** No other request is sent before the server's first answer, which can wait for a credential plugin. */
async function firstAnswer(
  api: KubernetesApi,
  notify: (line: string) => void,
  deadline: Deadline,
  limitMs: number,
): Promise<void> {
  const plugin = api.target.credentialPlugin;
  if (!plugin) {
    await unlessForbidden(api.get("/version"));
    return;
  }
  deadline.restart(PLUGIN_MS);
  const quiet = setTimeout(() => notify(`waiting for the credential plugin ${plugin}`), PLUGIN_QUIET_MS);
  try {
    await unlessForbidden(api.get("/version", { answerMs: PLUGIN_MS }));
    deadline.restart(limitMs);
  } finally {
    clearTimeout(quiet);
  }
}

async function runChecks<Config>(
  capabilities: readonly Preflight<Config>[],
  context: CheckContext<Config>,
): Promise<Findings[]> {
  const { api, config, owner } = context;
  const objects = capabilities.flatMap((each) => each.objects?.(config) ?? []);
  const permissions = neededPermissions(capabilities, config);
  const trials = capabilities.flatMap((each) => each.trials?.(config, owner) ?? []);
  const checks = capabilities.flatMap(({ checks = [] }) => checks);
  const forbidden: ApiError[] = [];
  const [refused, ...findings] = await Promise.all([
    permissionFaults(api, permissions),
    ...[
      ...checks.map((check) => check(context)),
      ownershipFaults(api, objects, owner, (config as { namespace?: string }).namespace).then(asFindings),
      trialFaults(api, trials).then(asFindings),
    ].map((findings) => unlessForbidden(findings, forbidden)),
  ]);
  // The permission check names everything forbidden, unless the server's answers contradict it.
  const [first] = forbidden;
  if (first && refused.length === 0) throw first;
  return [...findings.flatMap((each) => each ?? []), asFindings(refused)];
}

const asFindings = (faults: readonly Fault[]): Findings => ({ faults });
