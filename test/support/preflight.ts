/** Runs the checks of one capability's preflight. */
import type { KubernetesApi } from "../../clients/kubernetes.ts";
import type { CheckContext, Findings, Preflight } from "../../preflight/capability.ts";

/** The stack that the checks run for. */
export const OWNER = "organization/istio-lab/test";

/** All faults, as messages, all warnings and all facts. */
export async function runChecks<Config>(preflight: Preflight<Config>, api: KubernetesApi, config: Config) {
  const context = { api, config, owner: OWNER, signal: AbortSignal.timeout(20_000) };
  const { checks = [], machineChecks = [] } = preflight;
  const atEnd: (() => void)[] = [];
  const machine = {
    ...context,
    answered: () => undefined,
    atEnd: (work: () => void) => void atEnd.push(work),
  };
  const findings = await Promise.all([...checks, ...machineChecks].map((check) => check(machine)));
  for (const work of atEnd) work();
  return {
    faults: findings.flatMap(({ faults }) => faults.map(({ message }) => message)),
    warnings: findings.flatMap(({ warnings = [] }) => warnings),
    facts: Object.assign({}, ...findings.map(({ facts }) => facts)) as object,
  };
}

/** The faults of one check, as messages. */
export async function faultsOfCheck<Config>(
  check: (context: CheckContext<Config>) => Promise<Findings>,
  api: KubernetesApi,
  config: Config,
): Promise<string[]> {
  const { faults } = await check({ api, config, owner: OWNER, signal: AbortSignal.timeout(20_000) });
  return faults.map(({ message }) => message);
}
