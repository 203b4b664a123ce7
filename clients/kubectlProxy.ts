/**
 * Runs `kubectl proxy` on a Unix socket that only this user can open. The proxy logs on to the API server
 * exactly as kubectl does: credential plugins, proxies, authorities, relative paths, several kubeconfigs.
 */
import { type ChildProcessWithoutNullStreams as Child, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import type { Socket } from "node:net";
import { homedir, tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { stripVTControlCharacters } from "node:util";
import { readTarget, type Selection, selectionArgs, type Target } from "./kubectlConfig.ts";

/** kubectl cannot be run, or cannot use the kubeconfig. */
export class KubectlError extends Error {
  override readonly name = "KubectlError";
  /**
   * `missing`: kubectl is not on PATH. `no-kubeconfig`: the kubeconfig does not exist or is empty.
   * `no-context`: the context is not set or does not exist. `no-credentials`: the context's user has none.
   * `kubeconfig`: anything else, in kubectl's words.
   */
  readonly kind: "missing" | "no-kubeconfig" | "no-context" | "no-credentials" | "kubeconfig";
  /** The selected part of the kubeconfig, where kubectl can read it. */
  readonly target: Target | undefined;
  constructor(kind: KubectlError["kind"], message: string, target?: Target) {
    super(message);
    this.kind = kind;
    this.target = target;
  }
}

export interface ProxyOptions {
  /** Ends the proxy at any moment. */
  readonly signal?: AbortSignal | undefined;
  /** Takes each line that a credential plugin prints for its user, such as a code for a browser. */
  readonly onNotice?: ((line: string) => void) | undefined;
}

/** Longest path of a socket: 104 bytes on macOS, 108 on Linux. */
const LONGEST_DIRECTORY = 90;
/** A shell's exit code for a command that does not exist. */
const NOT_FOUND = 127;
const SUPERVISOR = fileURLToPath(new URL("untilStdinEnds.sh", import.meta.url));

/** A running `kubectl proxy`. It ends with this process, however that ends. */
export class KubectlProxy {
  readonly socket: string;
  readonly target: Target;
  /** As given; its kubeconfig is a path. */
  readonly selection: Selection;
  readonly #child: Child;
  readonly #lines: Lines;

  /** @throws KubectlError */
  static async start(selection: Selection, options: ProxyOptions = {}): Promise<KubectlProxy> {
    const { signal, onNotice } = options;
    signal?.throwIfAborted();
    const directory = mkdtempSync(
      join(tmpdir().length > LONGEST_DIRECTORY ? "/tmp" : tmpdir(), "istio-lab-api-"),
    );
    const chosen = { ...selection, kubeconfig: fileOf(selection.kubeconfig ?? "", directory) };
    const socket = join(directory, "socket");
    const args = ["proxy", `--unix-socket=${socket}`, "--append-server-path", ...selectionArgs(chosen)];
    const child = spawn("/bin/sh", [SUPERVISOR, directory, "kubectl", ...args], { detached: true });
    const lines = new Lines(child, onNotice);
    const stop = () => child.stdin.destroy();
    // For the case that the script was killed.
    child.once("close", () => rmSync(directory, { recursive: true, force: true }));
    signal?.addEventListener("abort", stop, { once: true });
    const target = readTarget(chosen, signal).catch(() => undefined);
    try {
      await lines.serving;
      const known = await target;
      signal?.throwIfAborted();
      letGo(child);
      return new KubectlProxy(socket, usable(known, chosen), chosen, child, lines);
    } catch (error) {
      stop();
      signal?.throwIfAborted();
      throw error instanceof KubectlError ? error : refusal(lines, await target, chosen);
    }
  }

  private constructor(socket: string, target: Target, selection: Selection, child: Child, lines: Lines) {
    this.socket = socket;
    this.target = target;
    this.selection = selection;
    this.#child = child;
    this.#lines = lines;
  }

  /** The lines of a credential plugin before the proxy logged this error. Waits a moment for the log. */
  async noticesBefore(error: string): Promise<string[]> {
    await this.#lines.logged(error);
    return this.#lines.notices;
  }

  /** Ends kubectl and removes the socket; resolves when both are gone. */
  async close(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const exit = once(this.#child, "exit");
    this.#child.ref();
    this.#child.stdin.destroy();
    await exit;
  }
}

/** Nothing of the child keeps this process alive. Only a request without an answer does. */
function letGo(child: Child): void {
  child.unref();
  for (const stream of [child.stdin, child.stdout, child.stderr]) (stream as unknown as Socket).unref();
}

/** A kubeconfig that is given as text is written beside the socket. */
function fileOf(kubeconfig: string, directory: string): string {
  if (/^\s*\{|\n/.test(kubeconfig)) {
    const file = join(directory, "kubeconfig");
    writeFileSync(file, kubeconfig, { mode: 0o600 });
    return file;
  }
  return kubeconfig.startsWith("~/") ? join(homedir(), kubeconfig.slice(2)) : kubeconfig;
}

/**
 * Where the kubeconfig names no server, kubectl would use localhost:8080, or in a pod the pod's own cluster.
 */
function usable(target: Target | undefined, chosen: Selection): Target {
  if (target === undefined) throw new KubectlError("kubeconfig", "kubectl config view fails");
  if (target.server || process.env.KUBERNETES_SERVICE_HOST) return target;
  if (target.contexts.length === 0)
    throw new KubectlError("no-kubeconfig", `there is no kubeconfig at ${target.files}`, target);
  const context = chosen.context || target.context;
  throw new KubectlError(
    "no-context",
    context ? `context ${context} names no cluster with a server` : "there is no current context",
    target,
  );
}

/** The error of a kubectl that ended before it served. */
function refusal(lines: Lines, target: Target | undefined, chosen: Selection): KubectlError {
  const words = lines.notices.map((line) => line.replace(/^error: /, "")).join(" ");
  if (lines.missing) return new KubectlError("missing", "kubectl is not on PATH", target);
  if (lines.asksForUser)
    return new KubectlError("no-credentials", "the context's user has no credentials", target);
  const missing = chosen.context && target && !target.contexts.includes(chosen.context);
  return new KubectlError(missing ? "no-context" : "kubeconfig", words || "kubectl proxy fails", target);
}

/** Reads kubectl's output line by line. */
class Lines {
  /** Lines outside kubectl's log: a credential plugin's, or the reason for kubectl's end. */
  readonly notices: string[] = [];
  /** Resolves when the proxy accepts requests; rejects when it ends before. */
  readonly serving: Promise<void>;
  missing = false;
  asksForUser = false;
  readonly #log: string[] = [];
  readonly #waiting = new Set<() => void>();
  #serves = false;

  constructor(child: Child, onNotice: ((line: string) => void) | undefined) {
    this.serving = new Promise((resolve, reject) => {
      child.stdout.setEncoding("utf8").on("data", (text: string) => {
        this.asksForUser ||= text.includes("enter Username");
        if (!text.includes("Starting to serve")) return;
        this.#serves = true;
        resolve();
      });
      child.once("error", reject);
      child.once("close", (code) => {
        this.missing = code === NOT_FOUND;
        reject(new Error("kubectl proxy has ended"));
      });
    });
    let rest = "";
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      const lines = (rest + text).split(/[\r\n]+/);
      rest = lines.pop() ?? "";
      for (const line of lines) this.#take(printable(line), onNotice);
    });
    child.stdin.on("error", () => {});
  }

  /** Resolves when the log has a line with these words, or after a moment. */
  async logged(words: string): Promise<void> {
    if (this.#log.some((line) => line.includes(words))) return;
    await new Promise<void>((resolve) => {
      const done = () => {
        clearTimeout(timer);
        this.#waiting.delete(look);
        resolve();
      };
      const look = () => this.#log.some((line) => line.includes(words)) && done();
      const timer = setTimeout(done, 500);
      this.#waiting.add(look);
    });
  }

  #take(line: string, onNotice: ((line: string) => void) | undefined): void {
    if (line.trim() === "") return;
    if (/^[EIWF]\d{4} \d\d:\d\d/.test(line)) {
      this.#log.push(line);
      for (const look of this.#waiting) look();
      return;
    }
    this.notices.push(line);
    if (this.#serves) onNotice?.(line);
  }
}

/** Drops colours and other codes for a terminal. */
const printable = (line: string) => stripVTControlCharacters(line).replace(/\p{Cc}/gu, "");
