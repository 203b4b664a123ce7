/** `./lab dashboard`, opened in headless Chromium. */
import { expect } from "vitest";
import { Browser } from "./browser.ts";
import type { TestLab } from "./harness.ts";

/** A row of one of the page's tables: what it says of itself to the style sheet, and its words. */
export interface Row {
  readonly state: string;
  readonly cells: readonly string[];
}

/** The page, open in a browser. */
export class DashboardPage {
  readonly url: string;
  readonly browser: Browser;
  readonly #process: ReturnType<TestLab["start"]>["process"];

  static async open(lab: TestLab): Promise<DashboardPage> {
    const { process, said } = lab.start("dashboard", "--port", "0");
    const url = (await said("Ctrl-C ends it.")).trim();
    const browser = await Browser.start({ hosts: { "127.0.0.1": "127.0.0.1" } });
    await browser.resize({ width: 1100, height: 1160 });
    await browser.open(url);
    return new DashboardPage(url, browser, process);
  }

  private constructor(url: string, browser: Browser, process: ReturnType<TestLab["start"]>["process"]) {
    this.url = url;
    this.browser = browser;
    this.#process = process;
  }

  /** What the page shows of its own state: `live`, `stale` or `away`. */
  state(): Promise<unknown> {
    return this.browser.evaluate('document.getElementById("state").dataset.state');
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
    await expect.poll(seen, { timeout: 60_000, interval: 500 }).toEqual(wanted);
  }

  /** @returns the exit code of the command. */
  async close(): Promise<number | undefined> {
    await this.browser.close();
    this.#process.kill("SIGINT");
    return (await this.#process).exitCode;
  }
}
