/**
 * Runs inside the stock machine, as a service of its systemd. Makes a lab of one worker, and checks the lab
 * and the host. Cheap checks come first, so that a slow host gets to them.
 */
import { existsSync, readFileSync } from "node:fs";
import { mkdir, readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { Listr } from "listr2";
import { launch, run, until } from "../../clients/process.ts";
import { isUnified } from "../../embedded/host/cgroupVersion.ts";
import { requireAll } from "../../embedded/host/checks.ts";
import { requireInotify } from "../../embedded/host/inotify.ts";
import { type Instance, instance, KUBERNETES_SERVICE_IP } from "../../embedded/host/instance.ts";
import { requireFreeSubnet } from "../../embedded/host/subnet.ts";
import { startTasks, stop } from "../../embedded/lab/lab.ts";
import { PROGRAM } from "../../embedded/lab/stack.ts";
import { adminKubeconfig } from "../../embedded/machines/controlPlane.ts";
import { loadBalancerReady, startLoadBalancer } from "../../embedded/machines/loadBalancer.ts";
import { startNetwork } from "../../embedded/machines/network.ts";
import type { Toolchain } from "../../embedded/toolchain/toolchain.ts";
import { changes, hostSettings } from "../support/e2e/hostSettings.ts";
import { podNetworks, resolvedBy, strayMachines } from "../support/e2e/machines.ts";
import { leaksOnHost } from "../support/e2e/traces.ts";

process.env.ISTIO_LAB_PATIENCE ??= "30";
/** Seconds for what takes a second or two on an ordinary machine. */
const LONG = 900;

const all = instance("stock");
const workers = all.workers.slice(0, 1);
const lab: Instance = { ...all, workers, machines: [all.controlPlane, ...workers, all.loadBalancer] };
const [worker] = workers;
const tools = JSON.parse(readFileSync("/root/toolchain.json", "utf8")) as Toolchain;

/** Prints a line for the host. */
function report(line: string): void {
  console.log(`STOCK ${Math.round(process.uptime())} s: ${line}`);
}

let failed = 0;
let current = "start";

/**
 * Reports a finding to the host: a fault, or undefined.
 *
 * @returns whether all is as it should be
 */
async function check(what: string, finding: () => Promise<string | undefined>): Promise<boolean> {
  current = what;
  const fault = await finding().catch((error: unknown) => String(error));
  if (fault) failed += 1;
  report(fault ? `FAIL ${what}: ${fault}` : `ok ${what}`);
  return !fault;
}

/** The last line of every log of the machines, shortened. */
async function lastLines(): Promise<string[]> {
  const lines = lab.machines.map(async ({ name, dir }) => {
    const logs = (await readdir(join(dir, "log")).catch(() => [])).filter((file) => file.endsWith(".log"));
    return Promise.all(
      logs.map(async (log) => {
        const text = (await run("tail", ["-n", "1", join(dir, "log", log)])).trim();
        return `${name} ${log}: ${text.slice(0, 150)}`;
      }),
    );
  });
  return (await Promise.all(lines)).flat();
}

const progress = setInterval(async () => {
  report(`... ${current}`);
  for (const line of await lastLines().catch(String)) console.log(`      ${line}`);
}, 60_000);

function kubectl(...args: string[]): Promise<string> {
  return run(join(tools.tools, "kubectl"), ["--kubeconfig", adminKubeconfig(lab), ...args]);
}

/** The output of a command in the node's network namespace. */
async function onNode(...command: string[]): Promise<string> {
  const inside = [`--net=/run/netns/${worker?.netns}`, ...command];
  return (await launch("nsenter", inside, { input: "", all: true })).all;
}

/** Starts a pod. For it, the cluster's DNS is a Service whose pod is on the same node. */
async function serviceOnOwnNode(pod: string): Promise<string | undefined> {
  const image = tools.images.pause;
  await kubectl("run", pod, `--image=${image}`, "--image-pull-policy=Never", "--restart=Never");
  await kubectl("wait", "--for=condition=Ready", `pod/${pod}`, `--timeout=${LONG}s`);
  const address = (await kubectl("get", "pod", pod, "-o", "jsonpath={.status.podIP}")).trim();
  const network = (await podNetworks(worker ?? lab.controlPlane)).find((each) => each.address === address);
  if (!network) return `no network with ${address} on the node`;
  let answer = "";
  const resolves = async () => {
    answer = await resolvedBy(network);
    return answer === KUBERNETES_SERVICE_IP;
  };
  await until(`an answer to ${pod}`, resolves, { timeoutMs: LONG * 1000, hint: async () => answer });
  return undefined;
}

async function modulesLoaded(): Promise<string> {
  return (await readFile("/proc/modules", "utf8")).replace(/ .*$/gm, "").trim().split("\n").sort().join(" ");
}

/** How many instances each program has, in all its processes. */
async function inotifyInstances(): Promise<string> {
  const script = `for dir in /proc/[0-9]*; do
    count=$(ls -l $dir/fd 2>/dev/null | grep -c inode:inotify) && echo "$(cat $dir/comm) $count"
  done | awk '{ count[$1] += $2; processes[$1] += 1; all += $2 }
    END { for (name in count) print name, count[name], "in", processes[name]; print "all", all }'`;
  return (await run("sh", ["-c", script])).trim().replaceAll("\n", ", ");
}

async function noSettingChanged(): Promise<string | undefined> {
  const now = changes(before, await hostSettings());
  return now.filter((line) => /^(setting|packet)/.test(line)).join("; ") || undefined;
}

report(`modules ${await modulesLoaded()}`);
const before = await hostSettings();
report(
  `kernel ${(await run("uname", ["-r"])).trim()}, ${(await run("systemctl", ["--version"])).split("\n")[0]}`,
);
report(`own cgroup ${(await readFile("/proc/self/cgroup", "utf8")).trim()}`);
report(`controllers ${(await readFile("/sys/fs/cgroup/cgroup.controllers", "utf8")).trim()}`);

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
await check("the load balancer boots, and sshd answers", async () => {
  await mkdir(lab.dir, { recursive: true, mode: 0o700 });
  await startNetwork(lab);
  await startLoadBalancer(lab, tools.loadBalancerRoot);
  await loadBalancerReady(lab);
  return undefined;
});
await check("its systemd has its cgroups below the lab's, with controllers", async () => {
  const dir = join("/sys/fs/cgroup", lab.loadBalancer.cgroup, "machine");
  const has = (name: string) => existsSync(join(dir, name, "cgroup.procs"));
  report(`load balancer: ${(await readFile(join(dir, "cgroup.controllers"), "utf8")).trim()}`);
  return has("supervisor") && has("payload/init.scope") ? undefined : `nothing in ${dir}`;
});
await check("no setting of the host has changed", noSettingChanged);

const started = await check(
  "a lab of one worker starts: control plane, node Ready, CoreDNS Available, load balancer",
  async () => {
    await new Listr(startTasks(lab, tools), { renderer: "simple" } as object).run();
    return undefined;
  },
);
await check("every machine is in a cgroup of its own, none in that of its caller", async () => {
  return (await strayMachines(lab)).join("; ") || undefined;
});
await check("no setting of the host has changed while the lab is up", noSettingChanged);
if (started) {
  await check("a pod reaches a Service whose pod is on its own node", () => serviceOnOwnNode("first"));
}
report(`modules ${await modulesLoaded()}`);
report(`inotify instances: ${await inotifyInstances()}`);

// Docker's changes of a host.
await run("modprobe", ["br_netfilter"]);
await run("iptables", ["--policy", "FORWARD", "DROP"]);
const docker = await hostSettings();
if (started) {
  await check("with Docker's settings, the node reaches the API server", async () => {
    const address = `${lab.controlPlane.address}:6443`;
    const said = await onNode("openssl", "s_client", "-connect", address, "-brief").catch(String);
    return /Protocol version|CONNECTION ESTABLISHED/.test(said) ? undefined : said;
  });
  await check("with Docker's settings, a new pod starts and reaches the Service", () =>
    serviceOnOwnNode("second"),
  );
}
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
clearInterval(progress);
report(failed === 0 ? "RESULT ok" : `RESULT ${failed} failed`);
process.exit(failed === 0 ? 0 : 1);
