/** A load-balancer machine with two plain servers behind it. Their pages show which haproxy.cfg serves. */
import { readFile } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { request } from "undici";
import { expect } from "vitest";
import { EdgeMachine, haproxyWorker } from "../../../bench/edgeMachine.ts";
import { openSession, type Runner } from "../../../components/haproxyEdge/machine.ts";
import { checkLoadBalancer, type LoadBalancerState } from "../../../components/haproxyEdge/preflight.ts";
import { hostKey, sshKeyFile } from "../../../embedded/machines/loadBalancer.ts";
import { withFirstLine } from "../../../haproxy/firstLine.ts";
import { type LabModelArgs, labModel } from "../../../haproxy/model.ts";
import { renderHaproxy } from "../../../haproxy/render.ts";
import { RequestLoop } from "../../../probe/loop.ts";
import { rootOfRelease } from "./release.ts";
import { SOON } from "./soon.ts";
import type { Sightings } from "./trial.ts";

/** The servers that each of two haproxy.cfg puts behind the load balancer. */
export type Page = "a" | "b";

export interface ConfigOptions
  extends Pick<LabModelArgs, "tls" | "stats" | "host" | "trustedProxies" | "ipv6" | "proxyProtocol"> {
  /** How many servers of that page. @default 1 */
  servers?: number;
  /** Of the server behind HAProxy. @default the page's */
  address?: string;
  /** Of the server behind HAProxy. @default the page's */
  port?: number;
  /** Of that server with TLS, for `passthrough`. @default none */
  httpsPort?: number;
}

export class EdgeSite extends EdgeMachine {
  get file(): string {
    return this.machine.configFile;
  }

  /** The file from before the first push. */
  original = "";
  readonly #servers = new Map<Page, Server>();

  /** With HAPROXY in the environment on a machine of another release, as {@link rootOfRelease} knows it. */
  override async start(root?: string): Promise<void> {
    const release = process.env.HAPROXY;
    await super.start(root ?? (release && (await rootOfRelease(release))));
    if (release) await this.inside(NO_PENALTIES);
    for (const page of ["a", "b"] as const) this.#servers.set(page, await servePage(page, this.lab.gateway));
    this.original = await this.inside(`cat ${this.file}`);
  }

  override async stop(): Promise<void> {
    for (const server of this.#servers.values()) server.close();
    await super.stop();
  }

  // ---- files ----

  config(
    page: Page,
    {
      address = this.lab.gateway,
      port = this.portOf(page),
      httpsPort,
      servers = 1,
      ...more
    }: ConfigOptions = {},
  ): string {
    const nodes = Array.from({ length: servers }, (_, i) => ({ name: `${page}${i || ""}`, address }));
    const nodePorts = { http2: port, statusPort: port, https: httpsPort };
    const where = { ports: this.machine.ports, include: this.machine.mode === "include" };
    return renderHaproxy(labModel({ owner: this.owner, nodes, nodePorts, ...where, ...more }));
  }

  /** The text with a first line that has the right hash. */
  signed(text: string): string {
    return withFirstLine(this.owner, text.slice(text.indexOf("\n") + 1));
  }

  // ---- the machine ----

  /** From HAProxy 3.4 on, Debian's unit reads conf.d. This makes it read one file, as it did before. */
  async readsOneFile(): Promise<void> {
    await this.inside(`
      unit=/lib/systemd/system/haproxy.service; grep -q CFGDIR $unit || exit
      sed -i 's/ -f $CFGDIR//' $unit; rmdir /etc/haproxy/conf.d
      systemctl daemon-reload; systemctl restart haproxy`);
  }

  async exists(pattern: string): Promise<boolean> {
    return (await this.inside(`ls -d ${pattern}`)) !== "";
  }

  worker(): Promise<string> {
    return haproxyWorker(this.lab);
  }

  /** Resolves when no push runs: each holds a lock on the directory. */
  async finished(): Promise<void> {
    await this.inside("flock -w 30 /etc/haproxy true");
  }

  /** Files of the project beside haproxy.cfg. */
  async ourFiles(): Promise<string[]> {
    const files = await this.inside("ls -A /etc/haproxy");
    return files.split("\n").filter((name) => name.includes("istio-lab"));
  }

  /** Expects the page through HAProxy, its file, its active service, and no remains of a push. */
  async serves(
    page: Page,
    { file = page, files = [] as string[] }: { file?: Page; files?: string[] } = {},
  ): Promise<void> {
    const none = files.some((name) => name.endsWith("-none"));
    expect(await this.get("/echo/test.txt")).toEqual({ statusCode: 200, body: page });
    expect(await this.inside(`cat ${this.file}`)).toBe(this.config(file).trimEnd());
    await this.isActive();
    expect(await this.ourFiles()).toEqual([...files, ...(none ? [] : ["haproxy.cfg.before-istio-lab"])]);
  }

  /** The service of HAProxy is active; for a moment after a reload it is `reloading`. */
  async isActive(): Promise<void> {
    const state = () => this.inside("systemctl is-active haproxy");
    await expect.poll(state, SOON).toBe("active");
  }

  /** The findings of the preflight. */
  async look(
    change: { owner?: string; listen?: string[]; reloadCommand?: string } = {},
  ): Promise<LoadBalancerState> {
    const access = {
      ...this.machine,
      hostKey: await hostKey(this.lab),
      privateKey: await readFile(sshKeyFile(this.lab), "utf8"),
      owner: this.owner,
      listen: Object.values(this.machine.ports ?? { http: 80, https: 443 }).map((port) => `*:${port}`),
    };
    const here: Runner = async (command, { input }) => {
      const { stdout, stderr, exitCode } = await this.here(command, input);
      return { stdout, stderr, exitCode };
    };
    const session = openSession(access);
    const run = this.machine.local ? here : session.run;
    try {
      return await checkLoadBalancer({ ...access, ...change }, AbortSignal.timeout(20_000), run);
    } finally {
      session.close();
    }
  }

  // ---- requests ----

  async get(path: string, port = 80): Promise<{ statusCode: number; body: string }> {
    const url = `http://${this.lab.loadBalancer.address}:${port}${path}`;
    const { statusCode, body } = await request(url, { reset: true });
    return { statusCode, body: await body.text() };
  }

  /** Expects a push to change nothing, while requests go on and none fails. */
  async pushInVain(seen: Sightings, text: string) {
    const pushed = { exitCode: 0 as number | undefined, stderr: "" };
    const failures = await this.duringRequests(seen, async () => {
      const { exitCode, stderr } = await this.push(text);
      Object.assign(pushed, { exitCode, stderr });
    });
    expect(failures).toEqual([]);
    return pushed;
  }

  /** Expects a push to succeed after the fault is gone. */
  async nextPushServes(page: Page): Promise<void> {
    expect(await this.push(this.config(page))).toMatchObject({ exitCode: 0 });
    await this.serves(page);
  }

  /**
   * Sends requests without a pause during the action, to each of the ports, over kept and over new
   * connections.
   *
   * @returns the failures
   */
  async duringRequests(
    seen: Sightings,
    action: () => Promise<unknown>,
    ports: readonly number[] = [80],
  ): Promise<string[]> {
    const urls = ports.map((port) => `http://${this.lab.loadBalancer.address}:${port}/`);
    const loops = urls.map((url) =>
      new RequestLoop(url, { pages: ["a", "b"], kept: 2, fresh: 1, pause: 2 }).start(),
    );
    const done = action();
    // The loops end in any case. The action's own error is thrown after that.
    await done.catch(() => undefined);
    const failures: string[] = [];
    for (const loop of loops) failures.push(...(await loop.stop(seen)));
    await done;
    return failures;
  }

  /** Port of the page's server. */
  portOf(page: Page): number {
    const server = this.#servers.get(page);
    if (!server) throw new Error(`page ${page} is not served yet`);
    return (server.address() as AddressInfo).port;
  }
}

/** OpenSSH 9.8 and later closes the connections of an address with failed log-ons, as some trials have. */
const NO_PENALTIES = `
  sshd -T | grep -q persourcepenalties || exit
  echo 'PerSourcePenalties no' >/etc/ssh/sshd_config.d/trials.conf
  systemctl reload ssh`;

async function servePage(page: Page, address: string): Promise<Server> {
  const server = createServer((_, response) => response.end(page));
  await new Promise<void>((resolve) => server.listen(0, address, resolve));
  return server;
}
