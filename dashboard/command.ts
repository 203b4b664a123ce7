/** The command that serves the dashboard, or another program's own pages, until it is interrupted. */
import { Command, InvalidArgumentError, Option } from "commander";
import type { KubernetesApi } from "../clients/kubernetes.ts";
import { type Dashboard, startDashboard } from "./dashboard.ts";
import { startForward } from "./forward.ts";
import { type ServiceRef, Source, type SourceArgs } from "./source.ts";

/** What the command shows. */
export interface Observed extends Omit<SourceArgs, "api" | "links" | "versions"> {
  /** @default nothing traces */
  readonly zipkin?: ServiceRef | undefined;
  /** Version name to the label `version` of its pods. */
  readonly versionLabels: Readonly<Record<string, string>>;
}

export interface DashboardContext {
  /** Connects to the cluster of the stack. */
  connect(): Promise<KubernetesApi>;
  /** @throws Error with the way out when monitoring is off. */
  observed(): Promise<Observed>;
}

/** Port of the dashboard, unless another is given. */
const PORT = 4180;
/** Why the operating system refuses a port, by its code. */
const PORT_REFUSED: Readonly<Record<string, string>> = {
  EADDRINUSE: "is in use",
  EACCES: "is not allowed for this user",
};

/** Pages of Zipkin: the newest traces, those of each version, and those with an error. */
function traceQueries(versionLabels: Observed["versionLabels"]): { label: string; query: string }[] {
  const annotation = (text: string) => `&annotationQuery=${encodeURIComponent(text)}`;
  return [
    { label: "The latest traces", query: "" },
    ...Object.entries(versionLabels).map(([name, version]) => ({
      label: `Traces of ${name}`,
      query: annotation(`istio.canonical_revision=${version}`),
    })),
    { label: "Traces with errors", query: annotation("error") },
  ];
}

export function dashboardCommand(context: DashboardContext): Command {
  return new Command("dashboard")
    .description("serve a page on 127.0.0.1 that shows the way of the requests, their shares and the weights")
    .option("--port <number>", "TCP port on 127.0.0.1; 0 takes a free one", portOf, PORT)
    .addOption(
      new Option("--open <program>", "serve its own pages instead").choices(["prometheus", "zipkin"]),
    )
    .option(
      "--headers <file>",
      "a header a line, e.g. Authorization: Bearer …, for the Prometheus at monitoring.url",
    )
    .action(async ({ port, open, headers }: Options, command: Command) => {
      const observed = withHeaders(await context.observed(), headers);
      const api = await context.connect();
      const started: Dashboard[] = [];
      try {
        const main = open
          ? await startForward({
              api,
              service: serviceOf(observed, open),
              port,
              start: open === "zipkin" ? "/zipkin/" : "/",
            })
          : await startDashboard({ port, measure: await measuring(api, observed, started) });
        started.push(main);
        console.log(main.url);
        console.error("Ctrl-C ends it.");
        await interrupted();
      } catch (error) {
        const why = PORT_REFUSED[(error as { code?: string }).code ?? ""];
        if (!why) throw error;
        const words = `port ${port} of 127.0.0.1 ${why}; give another one with --port`;
        command.error(`error: ${words}`, { exitCode: 1 });
      } finally {
        await Promise.all(started.map((one) => one.close()));
        await api.close();
      }
    });
}

interface Options {
  readonly port: number;
  readonly open?: "prometheus" | "zipkin";
  readonly headers?: string;
}

/** Headers are for an address of the user's own: the API server has its kubeconfig. */
function withHeaders(observed: Observed, headers: string | undefined): Observed {
  const { prometheus } = observed;
  if (headers === undefined) return observed;
  if ("url" in prometheus) return { ...observed, prometheus: { ...prometheus, headers } };
  throw new Error("--headers is for the Prometheus at monitoring.url, which this stack does not set");
}

/** Measures for the page, whose links lead to Zipkin where there is one. */
async function measuring(
  api: KubernetesApi,
  { zipkin, versionLabels, ...args }: Observed,
  started: Dashboard[],
) {
  const traces = zipkin && (await startForward({ api, service: zipkin, port: 0, start: "/zipkin/" }));
  if (traces) started.push(traces);
  const links = traces
    ? traceQueries(versionLabels).map(({ label, query }) => ({
        label,
        href: `${traces.url}?lookback=15m&limit=20${query}`,
      }))
    : [];
  const source = new Source({ ...args, versions: Object.keys(versionLabels), api, links });
  return (signal: AbortSignal) => source.picture(signal);
}

function serviceOf({ prometheus, zipkin }: Observed, program: "prometheus" | "zipkin"): ServiceRef {
  if (program === "zipkin") {
    if (zipkin) return zipkin;
    throw new Error(
      "no Zipkin is deployed by this stack: set tracing.provider to zipkin, without an endpoint",
    );
  }
  if ("url" in prometheus)
    throw new Error(`Prometheus is not deployed by this stack; its pages are at ${prometheus.url}`);
  return prometheus;
}

function portOf(text: string): number {
  const port = Number(text);
  if (!/^\d{1,5}$/.test(text) || port > 65_535)
    throw new InvalidArgumentError("give a port from 0 to 65535.");
  return port;
}

function interrupted(): Promise<void> {
  return new Promise((resolve) => {
    for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => resolve());
  });
}
