/** Makes situations beside a lab in which the program has to refuse: settings, kubeconfigs, API servers. */
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createServer, type RequestOptions } from "node:http";
import { request } from "node:https";
import type { AddressInfo, Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import { expect } from "vitest";
import { parse, stringify } from "yaml";
import { labEnvironment, PROGRAM, stackFile } from "../../../embedded/lab/stack.ts";
import { adminKubeconfig, pkiDir } from "../../../embedded/machines/controlPlane.ts";
import type { TestLab } from "./harness.ts";
import { inventory, leaksSince } from "./inventory.ts";
import type { Sightings } from "./trial.ts";

/**
 * Limit for a command that hangs. The host can be busy; test/unit/preflight/preflight.test.ts shows that an
 * answer comes within 10 s.
 */
const LIMIT_MS = 150_000;

export interface Situation {
  /** Changed keys of the stack's config. Undefined unsets a key; an object is merged into the lab's. */
  readonly settings?: Readonly<Record<string, unknown>>;
  readonly env?: Readonly<Record<string, string | undefined>>;
}

export class Refusals {
  /** A directory for the tests' files. */
  work = "";
  readonly #lab: TestLab;
  readonly #servers: Server[] = [];
  #previewed = false;

  constructor(lab: TestLab) {
    this.#lab = lab;
  }

  async start(): Promise<void> {
    this.work = await mkdtemp(join(tmpdir(), "istio-lab-preflight-"));
  }

  async stop(): Promise<void> {
    for (const server of this.#servers) server.close();
    // It does not exist when the lab did not start.
    if (this.work) await rm(this.work, { recursive: true });
  }

  /**
   * Expects up to end in time with exactly these faults, and the cluster and the load balancer to be
   * unchanged. The first call expects the same of preview, which runs the same checks.
   */
  async refused(seen: Sightings, { settings = {}, env = {} }: Situation, ...faults: RegExp[]): Promise<void> {
    const file = await this.#configWith(settings);
    const before = await inventory(this.#lab);
    const commands = [["up", "--yes", "--skip-preview"], ...(this.#previewed ? [] : [["preview"]])];
    this.#previewed = true;
    await Promise.all(commands.map((command) => this.#expectFaults(command, file, env, faults)));
    expect(await leaksSince(before, this.#lab, seen)).toEqual({ leaks: [], missing: [] });
  }

  /** The administrator's kubeconfig with changes of its cluster or another user. */
  async kubeconfig({ cluster, user }: { cluster?: object; user?: object }): Promise<string> {
    const config = parse(await readFile(adminKubeconfig(this.#lab.instance), "utf8")) as {
      clusters: { cluster: object }[];
      users: { user: object }[];
    };
    for (const entry of config.clusters) entry.cluster = { ...entry.cluster, ...cluster };
    for (const entry of config.users) entry.user = user ?? entry.user;
    const file = join(this.work, "kubeconfig");
    await writeFile(file, stringify(config));
    return file;
  }

  /** Address of the lab's API server with other answers to some paths. */
  async apiServerWith(answers: Readonly<Record<string, object>>): Promise<string> {
    const pki = pkiDir(this.#lab.instance);
    const [ca, cert, key] = await Promise.all(
      ["ca.crt", "admin.crt", "admin.key"].map((file) => readFile(join(pki, file))),
    );
    const target: RequestOptions = { host: this.#lab.instance.controlPlane.address, port: 6443 };
    return await this.listening(
      createServer((incoming, answer) => {
        const other = answers[incoming.url?.split("?")[0] ?? ""];
        if (other) {
          answer.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(other));
          return;
        }
        const { method, url: path, headers } = incoming;
        const { host: _, ...others } = headers;
        const passedOn = request({ ...target, ca, cert, key, method, path, headers: others }, (response) => {
          answer.writeHead(response.statusCode ?? 502, response.headers);
          response.pipe(answer);
        });
        incoming.pipe(passedOn);
      }),
    );
  }

  /** Where the server listens on loopback, until the end of the tests. */
  async listening(server: Server): Promise<string> {
    this.#servers.push(server);
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    return `127.0.0.1:${(server.address() as AddressInfo).port}`;
  }

  async #expectFaults(
    command: readonly string[],
    configFile: string,
    env: Situation["env"],
    faults: readonly RegExp[],
  ): Promise<void> {
    const { exitCode, stdout, timedOut } = await execa(
      "pulumi",
      [...command, "--non-interactive", "--suppress-progress", "--config-file", configFile],
      {
        cwd: PROGRAM,
        env: { ...labEnvironment(this.#lab.instance), ...env },
        reject: false,
        timeout: LIMIT_MS,
      },
    );
    expect({ exitCode, timedOut, errors: errorsIn(stdout) }, stdout).toEqual({
      exitCode: 1,
      timedOut: false,
      errors: [
        "error: Nothing was touched, because of " +
          `${faults.length === 1 ? "1 fault" : `${faults.length} faults`}:`,
        ...faults.map((fault) => expect.stringMatching(fault)),
      ],
    });
  }

  /** A config file of the lab's stack with other settings, beside the lab's own. */
  async #configWith(settings: Readonly<Record<string, unknown>>): Promise<string> {
    const text = await readFile(stackFile(this.#lab.instance), "utf8");
    const stack = parse(text) as { config: Record<string, unknown> };
    for (const [key, value] of Object.entries(settings)) {
      const path = `istio-lab:${key}`;
      stack.config[path] = value instanceof Object ? { ...(stack.config[path] as object), ...value } : value;
    }
    const file = join(this.work, "stack.yaml");
    await writeFile(file, stringify(stack));
    return file;
  }
}

/** The lines below `Diagnostics`, without the resource that each belongs to. */
function errorsIn(output: string): string[] {
  const [, diagnostics = ""] = output.split("Diagnostics:\n");
  const [section = ""] = diagnostics.split("\n\n");
  return section
    .split("\n")
    .slice(1)
    .map((line) => line.trim());
}
