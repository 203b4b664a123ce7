/** Looks for a collector of the user's own: a wrong endpoint loses every span and nothing else. */
import { connect } from "node:net";
import { type ApiError, unlessForbidden } from "../../clients/kubernetes.ts";
import type { CheckContext, Findings } from "../../preflight/capability.ts";
import type { TracingSettings } from "./config.ts";

/** For one connection, in milliseconds. */
const LIMIT_MS = 2000;

/**
 * A warning where the endpoint does not answer. It is no fault: a collector may start later, and pods may
 * reach what this machine does not.
 */
export async function checkCollector({
  api,
  config,
  signal,
}: CheckContext<{ readonly tracing: TracingSettings | undefined }>): Promise<
  Required<Pick<Findings, "faults" | "warnings">>
> {
  const collector = config.tracing?.collector;
  if (!collector) return { faults: [], warnings: [] };
  const { host, port } = collector;
  const [, name, namespace] =
    /^([a-z0-9-]+)\.([a-z0-9-]+)\.svc(\.[a-z0-9.-]+)?$/.exec(host.toLowerCase()) ?? [];
  const problem =
    name && namespace
      ? await serviceProblem(api, { name, namespace, port })
      : await connectionProblem(host, port, signal);
  if (problem === undefined) return { faults: [], warnings: [] };
  const endpoint = `${host.includes(":") ? `[${host}]` : host}:${port}`;
  return {
    faults: [],
    warnings: [
      `tracing.endpoint is ${endpoint}, and ${problem}: proxies drop their spans until a collector ` +
        "answers there; requests go on",
    ],
  };
}

/** Why a Service of the cluster does not answer at that port; undefined where it may. */
async function serviceProblem(
  api: CheckContext<object>["api"],
  { name, namespace, port }: { name: string; namespace: string; port: number },
): Promise<string | undefined> {
  const path = `/api/v1/namespaces/${namespace}/services/${name}`;
  const forbidden: ApiError[] = [];
  const service = await unlessForbidden(api.get<Service>(path), forbidden);
  if (forbidden.length > 0) return undefined;
  if (!service) return `${api.where} has no Service ${name} in namespace ${namespace}`;
  const ports = service.spec.ports ?? [];
  // Without a port the Service is a name for another host.
  if (ports.length === 0 || ports.some((one) => one.port === port)) return undefined;
  return `that Service has the ports ${ports.map((one) => one.port).join(", ")}`;
}

interface Service {
  readonly spec: { readonly ports?: readonly { readonly port: number }[] };
}

/** Why a TCP connection from this machine fails; undefined where it does not. */
function connectionProblem(host: string, port: number, signal: AbortSignal): Promise<string | undefined> {
  return new Promise((resolve) => {
    const limit = AbortSignal.any([signal, AbortSignal.timeout(LIMIT_MS)]);
    const socket = connect({ host, port });
    const end = (problem?: string) => {
      limit.removeEventListener("abort", late);
      socket.destroy();
      resolve(problem && `a connection from this machine fails (${problem})`);
    };
    const late = () => end(`no answer within ${LIMIT_MS / 1000} s`);
    if (limit.aborted) return late();
    limit.addEventListener("abort", late);
    socket.once("connect", () => end());
    socket.once("error", (error: NodeJS.ErrnoException) => end(error.code ?? error.message));
  });
}
