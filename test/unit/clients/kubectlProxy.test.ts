/** Tests of clients/kubectlProxy.ts. */
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readdirSync, rmSync, statSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { KubectlProxy } from "../../../clients/kubectlProxy.ts";
import { until } from "../../../clients/process.ts";
import { kubeconfigOf } from "../../support/clusterServer.ts";
import { findKubectl } from "../../support/kubectl.ts";

const SOURCE = fileURLToPath(new URL("../../../clients/kubectlProxy.ts", import.meta.url));

let home = "";
beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), "istio-lab-test-"));
  symlinkSync(findKubectl(), join(home, "kubectl"));
  vi.stubEnv("PATH", `${home}:${dirname(process.execPath)}:/usr/bin:/bin`);
  vi.stubEnv("TMPDIR", home);
});
afterEach(() => {
  vi.unstubAllEnvs();
  rmSync(home, { recursive: true, force: true });
});

const kubeconfig = () => kubeconfigOf("https://127.0.0.1:1", { token: "x" });

/** Processes that have the socket's path on their command line. */
const proxiesOn = (socket: string) =>
  execFileSync("ps", ["-eo", "args"], { encoding: "utf8" })
    .split("\n")
    .filter((line) => line.includes(socket));

const sockets = () => readdirSync(home).filter((name) => name.startsWith("istio-lab-api-"));

it("opens a socket for this user only, and leaves nothing when it is closed", async () => {
  const proxy = await KubectlProxy.start({ kubeconfig: kubeconfig() });
  expect(statSync(dirname(proxy.socket)).mode & 0o777).toBe(0o700);
  expect(proxiesOn(proxy.socket)).not.toEqual([]);
  await proxy.close();
  expect(sockets()).toEqual([]);
  expect(proxiesOn(proxy.socket)).toEqual([]);
});

it("listens on no TCP port", async () => {
  const proxy = await KubectlProxy.start({ kubeconfig: kubeconfig() });
  const args = proxiesOn(proxy.socket).join("\n");
  expect(args).toContain(`--unix-socket=${proxy.socket}`);
  expect(args).not.toContain("--port");
  await proxy.close();
});

it("ends with the signal", async () => {
  const ended = new AbortController();
  const { socket } = await KubectlProxy.start({ kubeconfig: kubeconfig() }, { signal: ended.signal });
  ended.abort();
  await until(
    "the proxy has ended",
    async () => !existsSync(dirname(socket)) && proxiesOn(socket).length === 0,
  );
});

it("leaves no files when kubectl refuses", async () => {
  await expect(KubectlProxy.start({ kubeconfig: "/no/such/file" })).rejects.toThrow(/no such file/);
  await until("the directory is gone", async () => sockets().length === 0);
});

describe("a process that starts it and ends without closing it", () => {
  async function parent(code: string) {
    const program = `import { KubectlProxy } from ${JSON.stringify(SOURCE)};
      const proxy = await KubectlProxy.start({ kubeconfig: ${JSON.stringify(kubeconfig())} });
      console.log(proxy.socket); ${code}`;
    const child = spawn(process.execPath, ["--input-type=module", "--eval", program], { env: process.env });
    const exit = once(child, "exit");
    const [socket] = (await once(child.stdout.setEncoding("utf8"), "data")) as [string];
    return { child, exit, socket: socket.trim() };
  }

  it("is not kept alive by it, and takes it along", async () => {
    const { exit, socket } = await parent("");
    expect(await exit).toEqual([0, null]);
    await until("the proxy has ended", async () => proxiesOn(socket).length === 0);
    await until("the socket is gone", async () => !existsSync(dirname(socket)));
  });

  it("takes it along when it is killed", async () => {
    const { child, exit, socket } = await parent("setInterval(() => {}, 1000)");
    expect(proxiesOn(socket)).not.toEqual([]);
    child.kill("SIGKILL");
    await exit;
    await until("the proxy has ended", async () => proxiesOn(socket).length === 0);
    await until("the socket is gone", async () => !existsSync(dirname(socket)));
  });
});
