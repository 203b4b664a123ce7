/** `probe` on the command line. */
import { X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import { Command, InvalidArgumentError } from "commander";
import type { Page } from "../outputs.ts";
import type { ProbeOptions } from "./probe.ts";
import { parseWeights } from "./weights.ts";

/** What is probed where the command line leaves it open. */
export interface ProbeDefaults extends Page {
  /** Authorities to trust besides Node's and the system's, in PEM. @default none */
  ca?: string | undefined;
}

/** Exit code for a wrong command line. Exit code 1 stands for a split that is not as configured. */
const USAGE = 2;

interface Flags {
  requests: number;
  concurrency: number;
  json?: true;
  live?: true;
  url?: string;
  host?: string;
  ca?: string;
  weights?: string;
  page: Record<string, string>;
}

/**
 * Builds the command `probe`.
 *
 * @param getDefaults called only where the flags leave something open, so that with all flags no lab is
 * needed
 */
export function probeCommand(getDefaults: () => Promise<ProbeDefaults>): Command {
  return new Command("probe")
    .description("send requests, count which version answered, compare with the configured weights")
    .option(
      "-n, --requests <number>",
      "how many to send; with --live, how many of the newest to show",
      positive,
      400,
    )
    .option("-c, --concurrency <number>", "how many at a time", positive, 8)
    .option("--json", "print one object: requests, failed, served, weights, ok")
    .option("--live", "redraw the shares each second until Ctrl-C")
    .option("--url <url>", "probe another address, such as a NodePort behind the load balancer")
    .option("--host <name>", "send this Host header")
    .option("--ca <file>", "trust this authority (PEM) too, besides the system's, for https", authority)
    .option("--weights <list>", "compare with these weights, such as v116=50,v117=50")
    .option("--page <version=text>", "the page that identifies a version; once for each version", page, {})
    .addHelpText(
      "after",
      "\nExit code: 0 split as configured, 1 not as configured or any request failed, 2 wrong usage.",
    )
    .action(async (flags: Flags, command: Command) => {
      const target = await resolveTarget(flags, command, getDefaults);
      if (flags.live) await runLive(flags, target, getDefaults);
      else await runOnce(flags, target);
    });
}

async function runOnce(flags: Flags, target: ProbeTarget): Promise<void> {
  // Loaded here, as live.ts below: other commands should not wait for an HTTP client.
  const [{ probe, resultOf }, { renderReport, renderResolution }] = await Promise.all([
    import("./probe.ts"),
    import("./render.ts"),
  ]);
  const report = await probe({ ...target, requests: flags.requests, concurrency: flags.concurrency });
  if (flags.json) {
    console.log(JSON.stringify(resultOf(report)));
  } else {
    console.log(renderReport(report));
    console.error(renderResolution(report));
  }
  if (!report.ok) process.exitCode = 1;
}

async function runLive(
  flags: Flags,
  target: ProbeTarget,
  getDefaults: () => Promise<ProbeDefaults>,
): Promise<void> {
  const interrupted = new AbortController();
  process.once("SIGINT", () => interrupted.abort());
  const weights = flags.weights === undefined ? keepFresh(target.weights, getDefaults) : () => target.weights;
  const { live } = await import("./live.ts");
  await live({ ...target, weights, window: flags.requests, signal: interrupted.signal });
}

/** Returns the last known weights and refreshes them in the background. A failed refresh changes nothing. */
function keepFresh(
  first: Record<string, number>,
  getDefaults: () => Promise<ProbeDefaults>,
): () => Record<string, number> {
  let newest = first;
  let refreshing = false;
  async function refresh(): Promise<void> {
    refreshing = true;
    try {
      newest = (await getDefaults()).weights;
    } catch {
      // The last known weights stay.
    } finally {
      refreshing = false;
    }
  }
  return () => {
    if (!refreshing) void refresh();
    return newest;
  };
}

type ProbeTarget = Pick<ProbeOptions, "url" | "host" | "ca" | "pages" | "weights">;

/** Flags first, defaults for the rest; ends the process with every fault when they do not fit together. */
async function resolveTarget(
  flags: Flags,
  command: Command,
  getDefaults: () => Promise<ProbeDefaults>,
): Promise<ProbeTarget> {
  const pagesGiven = Object.keys(flags.page).length > 0;
  const complete = flags.url !== undefined && flags.weights !== undefined && pagesGiven;
  const defaults = complete ? undefined : await getDefaults();

  const url = flags.url ?? defaults?.url ?? "";
  const pages = pagesGiven ? flags.page : (defaults?.pages ?? {});
  const host = flags.host ?? defaults?.host;
  const ca = flags.ca ?? defaults?.ca;
  const parsed =
    flags.weights === undefined
      ? { weights: defaults?.weights ?? {}, faults: [] }
      : parseWeights(flags.weights.split(","), Object.keys(pages));

  const faults = [...urlFaults(url), ...pageFaults(pages), ...parsed.faults];
  if (flags.weights === undefined) faults.push(...unknownVersions(parsed.weights, pages));
  if (faults.length > 0)
    command.error(faults.map((fault) => `error: ${fault}`).join("\n"), { exitCode: USAGE });
  return { url, ca, pages, weights: parsed.weights, ...(host === undefined ? {} : { host }) };
}

function urlFaults(url: string): string[] {
  const protocol = URL.parse(url)?.protocol;
  return protocol === "http:" || protocol === "https:"
    ? []
    : [`--url ${url}: not a URL; write it out, such as http://192.0.2.10/echo/test.txt`];
}

function pageFaults(pages: Record<string, string>): string[] {
  const texts = Object.entries(pages).map(([version, text]) => [version, text.trimEnd()] as const);
  return texts.flatMap(([version, text], index) => {
    const twin = texts.slice(0, index).find(([, other]) => other === text);
    return twin
      ? [`--page ${version}=${text}: the same page as ${twin[0]}'s; give each version a page of its own`]
      : [];
  });
}

function unknownVersions(weights: Record<string, number>, pages: Record<string, string>): string[] {
  return Object.keys(weights)
    .filter((version) => !Object.hasOwn(pages, version))
    .map((version) => `--page: the page of ${version} is missing; add --page ${version}=TEXT`);
}

function positive(value: string): number {
  const number = Number(value);
  if (!Number.isInteger(number) || number < 1)
    throw new InvalidArgumentError("Write a whole number above 0.");
  return number;
}

/** Reads an authority from a file, for an option of the command line. */
export function authority(file: string): string {
  try {
    const pem = readFileSync(file, "utf8");
    new X509Certificate(pem);
    return pem;
  } catch (error) {
    throw new InvalidArgumentError(`Write the path of a certificate in PEM: ${(error as Error).message}.`);
  }
}

function page(value: string, pages: Record<string, string>): Record<string, string> {
  const [, version, text] = /^([^=]+)=(.+)$/s.exec(value) ?? [];
  if (version === undefined || text === undefined) throw new InvalidArgumentError("Write version=text.");
  return { ...pages, [version]: text };
}
