/** `./lab dashboard`, opened in headless Chromium. */
import { expect } from "vitest";
import { run } from "../../../clients/process.ts";
import type { Picture } from "../../../dashboard/picture.ts";
import { Browser } from "./browser.ts";
import type { TestLab } from "./harness.ts";
import { prometheusPod } from "./metrics.ts";
import { SOON } from "./soon.ts";

interface Measured {
  readonly picture?: { readonly gateway: { readonly errors: number | null } };
}

/** The states of HAProxy's servers in the picture of a dashboard without a browser, or why there is none. */
export async function withServerStates(
  lab: TestLab,
  check: (states: () => Promise<unknown>) => Promise<void>,
): Promise<void> {
  const { process, said } = lab.start("dashboard", "--port", "0");
  try {
    const url = new URL("picture.json", (await said("Ctrl-C ends it.")).trim());
    await check(async () => {
      const answer = (await (await fetch(url)).json()) as { picture?: Picture; problem?: string };
      return answer.picture?.servers.map(({ state }) => state) ?? answer.problem;
    });
  } finally {
    process.kill("SIGINT");
    await process;
  }
}

/** A row of one of the page's tables: its state for the style sheet, and its words. */
export interface Row {
  readonly state: string;
  readonly cells: readonly string[];
}

/** The page, open in a browser. */
export class DashboardPage {
  readonly url: string;
  readonly browser: Browser;
  readonly #lab: TestLab;
  readonly #process: ReturnType<TestLab["start"]>["process"];

  static async open(lab: TestLab): Promise<DashboardPage> {
    const { process, said } = lab.start("dashboard", "--port", "0");
    const url = (await said("Ctrl-C ends it.")).trim();
    const browser = await Browser.start({ hosts: { "127.0.0.1": "127.0.0.1" } });
    await browser.resize({ width: 1100, height: 1160 });
    await browser.open(url);
    return new DashboardPage(lab, url, browser, process);
  }

  private constructor(
    lab: TestLab,
    url: string,
    browser: Browser,
    process: ReturnType<TestLab["start"]>["process"],
  ) {
    this.#lab = lab;
    this.url = url;
    this.browser = browser;
    this.#process = process;
  }

  /** The state that the page shows of itself: `live`, `stale` or `away`. */
  state(): Promise<unknown> {
    return this.browser.evaluate('document.getElementById("state").dataset.state');
  }

  /** The words beside the state, which name a fault if there is one. */
  words(): Promise<unknown> {
    return this.browser.evaluate('document.getElementById("state").innerText');
  }

  /** The rows of a table by name. */
  async rows(table: "versions" | "servers"): Promise<Record<string, Row>> {
    const row =
      "[row.dataset.name, { state: row.dataset.state, cells: [...row.cells].map((c) => c.innerText) }]";
    const all = `[...document.querySelectorAll("#${table} tbody tr")].map((row) => ${row})`;
    return (await this.browser.evaluate(`Object.fromEntries(${all})`)) as Record<string, Row>;
  }

  /** Waits until each version has its weight on the page, and a share that agrees with it. */
  async expectSplit(weights: Readonly<Record<string, number>>): Promise<void> {
    const wanted = Object.entries(weights).map(([name, weight]) => [name, `${weight} %`, "ok"]);
    const seen = async () =>
      Object.entries(await this.rows("versions")).map(([name, { state, cells }]) => [name, cells[1], state]);
    await expect.poll(seen, SOON).toEqual(wanted);
  }

  /** Waits until every edge of the graph has p50 and p99. */
  async showsPercentiles(): Promise<void> {
    const all = '[...document.querySelectorAll("#graph .figures")].map((edge) => edge.lastChild.textContent)';
    const others = async () =>
      ((await this.browser.evaluate(all)) as string[]).filter((words) => !/^p50 .* · p99 /.test(words));
    await expect.poll(others, SOON).toEqual([]);
  }

  /**
   * Cuts a node off from the load balancer and expects its server to be down on the page, and up after that.
   */
  async showsDeadNode(): Promise<void> {
    // Prometheus itself has to reach the load balancer.
    const { node: kept } = await prometheusPod(this.#lab);
    const node = this.#lab.instance.workers.find(({ name }) => name !== kept);
    if (!node) throw new Error("every worker has a pod of Prometheus");
    // With a blackhole route only the node's answers to the load balancer get lost.
    const answers = (change: "add" | "del") => {
      const route = ["blackhole", `${this.#lab.instance.loadBalancer.address}/32`];
      return run("ip", ["-n", node.netns, "route", change, ...route]);
    };
    const server = async () => (await this.rows("servers"))[node.name]?.state;
    await expect.poll(server, SOON).toBe("up");
    await answers("add");
    await expect
      .poll(server, SOON)
      .toBe("down")
      .finally(() => answers("del"));
    await expect.poll(server, SOON).toBe("up");
  }

  /**
   * Stops the pods of a version and expects their number and the errors on the page; then starts them again.
   */
  async showsStoppedVersion(version: string): Promise<void> {
    const pods = async () => (await this.rows("versions"))[version]?.cells.at(-1);
    const scale = (replicas: number) =>
      this.#lab.kubectl("scale", "deployment", `nginx-${version}`, `--replicas=${replicas}`);
    const errors = async () =>
      ((await (await fetch(`${this.url}picture.json`)).json()) as Measured).picture?.gateway.errors ?? 0;
    await scale(0);
    await expect.poll(pods, SOON).toBe("0 of 0");
    await expect.poll(errors, SOON).toBeGreaterThan(0);
    await scale(3);
    await expect.poll(pods, SOON).toBe("3 of 3");
  }

  /** The words of the links to traces that lead to at least one. */
  async linksWithTraces(): Promise<string[]> {
    const links = (await this.browser.evaluate(
      '[...document.querySelectorAll("#links a")].map((link) => [link.innerText, link.href])',
    )) as [string, string][];
    const found = await Promise.all(
      links.map(async ([words, href]) => {
        const { origin, searchParams } = new URL(href);
        const api = new URL("/api/v2/traces?limit=1&lookback=900000", origin);
        const annotation = searchParams.get("annotationQuery");
        if (annotation) api.searchParams.set("annotationQuery", annotation);
        return ((await (await fetch(api)).json()) as unknown[]).length > 0 ? [words] : [];
      }),
    );
    return found.flat();
  }

  /** @returns the exit code of the command. */
  async close(): Promise<number | undefined> {
    await this.browser.close();
    this.#process.kill("SIGINT");
    return (await this.#process).exitCode;
  }
}
