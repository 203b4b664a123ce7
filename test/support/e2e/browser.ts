/** A headless Chromium, driven over its debugging protocol. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Readable, Writable } from "node:stream";
import { until } from "../../../clients/process.ts";
import { ensureBrowser } from "../../../embedded/toolchain/browser.ts";

export interface BrowserOptions {
  /** Host name to address. Any other name does not resolve. */
  readonly hosts: Readonly<Record<string, string>>;
  /** Public keys that are trusted without an authority: SHA-256 of the SPKI, in Base64. @default none */
  readonly pins?: readonly string[];
}

type Fields = Record<string, unknown>;

/** Headless Chromium with one tab, driven by its DevTools protocol over a pair of pipes. */
export class Browser {
  readonly #profile: string;
  readonly #process: ReturnType<typeof startChromium>;
  readonly #waiting = new Map<number, PromiseWithResolvers<Fields>>();
  readonly #loaded = new Set<unknown>();
  #session: Fields = {};
  #sent = 0;

  /** Chromium has a new profile, and its background activity is off. */
  static async start(options: BrowserOptions): Promise<Browser> {
    const profile = await mkdtemp(join(tmpdir(), "istio-lab-browser-"));
    const browser = new Browser(profile, startChromium(await ensureBrowser(), profile, options));
    const { targetId } = await browser.#call("Target.createTarget", { url: "about:blank" });
    const { sessionId } = await browser.#call("Target.attachToTarget", { targetId, flatten: true });
    browser.#session = { sessionId };
    await browser.#call("Page.enable");
    await browser.#call("Page.setLifecycleEventsEnabled", { enabled: true });
    // Each load is a request. From a cache it would show the same version again.
    await browser.#call("Network.enable");
    await browser.#call("Network.setCacheDisabled", { cacheDisabled: true });
    return browser;
  }

  private constructor(profile: string, process: ReturnType<typeof startChromium>) {
    this.#profile = profile;
    this.#process = process;
    let text = "";
    (process.stdio[4] as Readable).setEncoding("utf8").on("data", (chunk: string) => {
      const messages = (text + chunk).split("\0");
      text = messages.pop() ?? "";
      for (const message of messages) this.#take(JSON.parse(message));
    });
    process.once("exit", () => {
      for (const { reject } of this.#waiting.values()) reject(new Error("Chromium has ended"));
    });
  }

  /**
   * Opens the address and returns the page's text, when all of the page is there.
   * @throws Error with Chromium's own code, e.g. `net::ERR_CERT_AUTHORITY_INVALID`
   */
  async open(url: string): Promise<string> {
    const { errorText, loaderId } = await this.#call("Page.navigate", { url });
    if (errorText) throw new Error(`${url}: ${errorText}`);
    await until(`${url} in Chromium`, async () => this.#loaded.has(loaderId), { intervalMs: 10 });
    return (await this.evaluate("document.body.innerText.trim()")) as string;
  }

  /** The value of an expression in the page, if JSON can hold it. */
  async evaluate(expression: string): Promise<unknown> {
    const { result } = await this.#call("Runtime.evaluate", { expression, returnByValue: true });
    return (result as { value?: unknown }).value;
  }

  /** Makes the page so many pixels large. */
  async resize(size: { width: number; height: number }): Promise<void> {
    const screen = { deviceScaleFactor: 1, mobile: false };
    await this.#call("Emulation.setDeviceMetricsOverride", { ...size, ...screen });
  }

  /** Presses and releases a key, e.g. `Tab`. */
  async press(key: string): Promise<void> {
    const code = { key, code: key, ...(key === "Tab" ? { windowsVirtualKeyCode: 9 } : {}) };
    await this.#call("Input.dispatchKeyEvent", { type: "rawKeyDown", ...code });
    await this.#call("Input.dispatchKeyEvent", { type: "keyUp", ...code });
  }

  /** Media features of the user, e.g. `prefers-color-scheme`. */
  async prefer(media: Readonly<Record<string, string>>): Promise<void> {
    const features = Object.entries(media).map(([name, value]) => ({ name, value }));
    await this.#call("Emulation.setEmulatedMedia", { features });
  }

  /** The page's accessibility tree, as a screen reader gets it. */
  async accessibility(): Promise<{ readonly role: string; readonly name: string }[]> {
    interface Node {
      readonly ignored: boolean;
      readonly role?: { readonly value: string };
      readonly name?: { readonly value: string };
    }
    const { nodes } = (await this.#call("Accessibility.getFullAXTree")) as unknown as { nodes: Node[] };
    return nodes
      .filter(({ ignored }) => !ignored)
      .map(({ role, name }) => ({ role: role?.value ?? "", name: name?.value ?? "" }));
  }

  /** A picture of the page: a PNG. */
  async screenshot(): Promise<Buffer> {
    const { data } = await this.#call("Page.captureScreenshot", { format: "png" });
    return Buffer.from(data as string, "base64");
  }

  async close(): Promise<void> {
    if (this.#process.exitCode === null && this.#process.kill()) await once(this.#process, "exit");
    // Chromium's other processes end a little later, and write until then.
    await rm(this.#profile, { recursive: true, maxRetries: 50, retryDelay: 100 });
  }

  #call(method: string, params: Fields = {}): Promise<Fields> {
    const id = ++this.#sent;
    const answer = Promise.withResolvers<Fields>();
    this.#waiting.set(id, answer);
    (this.#process.stdio[3] as Writable).write(
      `${JSON.stringify({ id, method, params, ...this.#session })}\0`,
    );
    return answer.promise;
  }

  #take({ id, method, params, result, error }: Message): void {
    if (method === "Page.lifecycleEvent" && params?.name === "load") this.#loaded.add(params.loaderId);
    if (id === undefined) return;
    if (error) this.#waiting.get(id)?.reject(new Error(error.message));
    else this.#waiting.get(id)?.resolve(result ?? {});
    this.#waiting.delete(id);
  }
}

interface Message {
  readonly id?: number;
  readonly method?: string;
  readonly params?: Fields;
  readonly result?: Fields;
  readonly error?: { readonly message: string };
}

function startChromium(program: string, profile: string, { hosts, pins = [] }: BrowserOptions) {
  const rules = Object.entries(hosts).map(([name, address]) => `MAP ${name} ${address}`);
  const flags = [
    "--headless",
    "--remote-debugging-pipe",
    `--user-data-dir=${profile}`,
    // No sandbox, in which Chromium refuses to run as root. It only opens the lab's own pages.
    ...[
      "--no-sandbox",
      "--disable-gpu",
      "--disable-quic",
      "--no-first-run",
      "--no-proxy-server",
      "--hide-scrollbars",
    ],
    ...["--disable-background-networking", "--disable-component-update", "--disable-sync"],
    `--host-resolver-rules=${[...rules, "MAP * ~NOTFOUND"].join(", ")}`,
    // Otherwise Chromium would try https before http.
    "--disable-features=HttpsUpgrades",
    // A pin, because an authority of one's own would need another tool. Chromium verifies all other
    // certificates as usual.
    ...(pins.length > 0 ? [`--ignore-certificate-errors-spki-list=${pins.join(",")}`] : []),
  ];
  return spawn(program, flags, { stdio: ["ignore", "ignore", "ignore", "pipe", "pipe"] });
}
