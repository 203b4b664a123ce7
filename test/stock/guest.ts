/**
 * Runs inside the stock machine, as a service of its systemd: makes a lab of one worker and checks it and the
 * host.
 */
import { existsSync, readFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { Listr } from "listr2";
import { launch, run, until } from "../../clients/process.ts";
import { requireAll } from "../../embedded/host/checks.ts";
import { requireInotify } from "../../embedded/host/inotify.ts";
import { requireFreeSubnet } from "../../embedded/host/subnet.ts";
import { CLUSTER_DNS_IP, type Instance, instance } from "../../embedded/instance.ts";
import { startTasks, stop } from "../../embedded/lab/lab.ts";
import { PROGRAM } from "../../embedded/lab/stack.ts";
import { isUnified } from "../../embedded/machines/cgroups.ts";
import { adminKubeconfig } from "../../embedded/machines/controlPlane.ts";
import { runningPid } from "../../embedded/machines/machine.ts";
import type { Toolchain } from "../../embedded/toolchain/toolchain.ts";
import { changes, hostSettings } from "../support/e2e/hostSettings.ts";
import { leaksOnHost } from "../support/e2e/traces.ts";

process.env.ISTIO_LAB_PATIENCE ??= "30";

const all = instance("stock");
const workers = all.workers.slice(0, 1);
const lab: Instance = { ...all, workers, machines: [all.controlPlane, ...workers, all.loadBalancer] };
const [worker] = workers;
const tools = JSON.parse(readFileSync("/root/toolchain.json", "utf8")) as Toolchain;

/** Prints a line that the host picks up. */
function report(line: string): void {
  console.log(`STOCK ${Math.round(process.uptime())} s: ${line}`);
}

let failed = 0;
/** One finding, which the host counts. */
async function check(what: string, finding: () => Promise<string | undefined>): Promise<void> {
  const fault = await finding().catch((error: unknown) => String(error));
  if (fault) failed += 1;
  report(fault ? `FAIL ${what}: ${fault}` : `ok ${what}`);
}

function kubectl(...args: string[]): Promise<string> {
  return run(join(tools.tools, "kubectl"), ["--kubeconfig", adminKubeconfig(lab), ...args]);
}

/** What a command in the node's network namespace prints. */
async function onNode(...command: string[]): Promise<string> {
  const inside = [`--net=/run/netns/${worker?.netns}`, ...command];
  return (await launch("nsenter", inside, { input: "", all: true })).all;
}

/** A pod that queries the cluster's DNS, which is a Service with its pod on the same node. */
async function serviceOnOwnNode(pod: string): Promise<string | undefined> {
  const shell = (script: string) => kubectl("exec", pod, "--", "/bin/busybox", "sh", "-c", script);
  await until(
    `an answer to ${pod}`,
    async () => {
      const answer = await shell(
        `/bin/busybox nslookup kubernetes.default.svc.cluster.local ${CLUSTER_DNS_IP} 2>&1 || :`,
      ).catch(String);
      return /Address.*10\.96\.0\.1$/m.test(answer);
    },
    { timeoutMs: 900_000, intervalMs: 2000 },
  );
  const nodes = await kubectl("get", "pods", "--all-namespaces", "-o", "jsonpath={.items[*].spec.nodeName}");
  return new Set(nodes.split(" ")).size === 1 ? undefined : `pods are on ${nodes}`;
}

async function startPod(name: string): Promise<void> {
  const image = tools.images.pause;
  await kubectl("run", name, `--image=${image}`, "--image-pull-policy=Never", "--restart=Never");
  await kubectl("wait", "--for=condition=Ready", `pod/${name}`, "--timeout=900s");
}

async function modulesLoaded(): Promise<string> {
  return (await readFile("/proc/modules", "utf8")).replace(/ .*$/gm, "").trim().split("\n").sort().join(" ");
}

const before = await hostSettings();
report(
  `kernel ${(await run("uname", ["-r"])).trim()}, ${(await run("systemctl", ["--version"])).split("\n")[0]}`,
);
report(`own cgroup ${(await readFile("/proc/self/cgroup", "utf8")).trim()}`);
report(`controllers ${(await readFile("/sys/fs/cgroup/cgroup.controllers", "utf8")).trim()}`);
report(`modules ${await modulesLoaded()}`);

await check("the host has cgroup v2 alone, and br_netfilter is not loaded", async () =>
  isUnified() && !existsSync("/proc/sys/net/bridge") ? undefined : "it is not as it should be",
);
await check("host.sh finds nothing missing", async () => {
  const host = join(PROGRAM, "embedded/toolchain/host.sh");
  const said = await run("sh", [host, "/root/.cache/istio-lab", "/root/.local/state/istio-lab", ""], {
    all: true,
  });
  return /needs/.test(said) ? said : undefined;
});
await check("the checks of up pass", async () => {
  await requireAll([() => requireFreeSubnet(lab), () => requireInotify(lab)]);
  return undefined;
});
await check(
  "a lab of one worker starts: control plane, node Ready, CoreDNS Available, load balancer",
  async () => {
    await new Listr(startTasks(lab, tools), { renderer: "simple" } as object).run();
    return undefined;
  },
);
await check("every machine is in a cgroup of its own, none in that of its caller", async () => {
  const lines = await Promise.all(
    lab.machines.map(async (machine) => {
      const cgroup = await readFile(`/proc/${await runningPid(machine)}/cgroup`, "utf8");
      return cgroup.trim() === `0::/${machine.cgroup}/machine` ||
        cgroup.startsWith(`0::/${machine.cgroup}/machine/`)
        ? []
        : [`${machine.name} in ${cgroup.trim()}`];
    }),
  );
  return lines.flat().join("; ") || undefined;
});
await check("the load balancer's systemd has its cgroups there, with controllers", async () => {
  const dir = join("/sys/fs/cgroup", lab.loadBalancer.cgroup, "machine");
  const has = (name: string) => existsSync(join(dir, name, "cgroup.procs"));
  report(`load balancer: ${(await readFile(join(dir, "cgroup.controllers"), "utf8")).trim()}`);
  return has("supervisor") && has("payload/init.scope") ? undefined : `nothing in ${dir}`;
});
await check("a pod reaches a Service whose pod is on its own node", async () => {
  await startPod("first");
  return serviceOnOwnNode("first");
});
await check("no setting of the host has changed while the lab is up", async () => {
  const now = changes(before, await hostSettings()).filter(
    (line) => line.startsWith("setting") || line.startsWith("packet"),
  );
  return now.join("; ") || undefined;
});
report(`modules ${await modulesLoaded()}`);
report(
  `inotify instances: ${await run("sh", ["-c", "ls -l /proc/[0-9]*/fd 2>/dev/null | grep -c inode:inotify"])}`,
);

// What Docker does to a host.
await run("modprobe", ["br_netfilter"]);
await run("iptables", ["--policy", "FORWARD", "DROP"]);
const docker = await hostSettings();
await check("with Docker's settings, the node reaches the API server", async () => {
  const url = `https://${lab.controlPlane.address}:6443`;
  const said = await onNode("openssl", "s_client", "-connect", url.replace("https://", ""), "-brief").catch(
    String,
  );
  return /Protocol version|CONNECTION ESTABLISHED/.test(said) ? undefined : said;
});
await check("with Docker's settings, a new pod starts and reaches the Service", async () => {
  await startPod("second");
  return serviceOnOwnNode("second");
});
await check("with Docker's settings, no packet of the lab passed the host's FORWARD chain", async () => {
  const policy = (await run("iptables", ["--list", "FORWARD", "--verbose", "--exact"])).split("\n")[0] ?? "";
  return /policy DROP 0 packets/.test(policy) ? undefined : policy;
});
await check("down leaves nothing: no name of the lab, no setting, no rule, no unit", async () => {
  await stop(lab);
  const leaks = await leaksOnHost(lab, { requests: 0, failed: 0, lookedAt: 0, leaks: [] });
  const known = changes(before, docker);
  return leaks.filter((leak) => !known.includes(leak)).join("; ") || undefined;
});
report(failed === 0 ? "RESULT ok" : `RESULT ${failed} failed`);
process.exit(failed === 0 ? 0 : 1);
