/**
 * Runs inside the stock machine, as a service of its systemd. Makes a lab of one worker as a user does, sends
 * requests to it, and checks the lab and the host.
 */
import { existsSync } from "node:fs";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { execa } from "execa";
import { launch, run, until } from "../../clients/process.ts";
import { isUnified } from "../../embedded/host/cgroupVersion.ts";
import { cacheHome, type Instance, instance, KUBERNETES_SERVICE_IP } from "../../embedded/host/instance.ts";
import { PROGRAM } from "../../embedded/lab/stack.ts";
import { adminKubeconfig } from "../../embedded/machines/controlPlane.ts";
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
  return run(join(cacheHome(), "tools/kubectl"), ["--kubeconfig", adminKubeconfig(lab), ...args]);
}

/** Runs a command of the lab as a user does. What it prints goes to the host. */
async function labCommand(...args: string[]): Promise<string | undefined> {
  const inSession = ["--scope", "--quiet", "--unit=login", "--collect"];
  const command = [join(PROGRAM, "lab"), "--name", lab.name, ...args];
  const result = await execa("systemd-run", [...inSession, ...command], {
    all: true,
    reject: false,
    stdin: "ignore",
    stdout: ["pipe", "inherit"],
    stderr: ["pipe", "inherit"],
  });
  if (!result.failed) return undefined;
  const how = result.signal ?? `exit code ${result.exitCode}`;
  return `${how}: ${result.all.split("\n").slice(-8).join(" | ")}`;
}

/** The output of a command in the node's network namespace. */
async function onNode(...command: string[]): Promise<string> {
  const inside = [`--net=/run/netns/${worker?.netns}`, ...command];
  return (await launch("nsenter", inside, { input: "", all: true })).all;
}

/**
 * Sends requests until all of 200 in a row are answered, and split as configured. Emulation can stop a
 * kubelet for seconds, so that a version's only pod is not Ready for a moment.
 */
async function probe(): Promise<string | undefined> {
  let fault: string | undefined;
  for (let tries = 1; tries <= 5; tries += 1) {
    fault = await labCommand("probe", "--requests", "200", "--concurrency", "2");
    if (!fault) return undefined;
    report(`probe ${tries} of 5: ${fault}`);
  }
  return fault;
}

/** @param path as `pulumi config set --path` takes it */
async function setting(path: string, value: string): Promise<void> {
  const fault = await labCommand("pulumi", "config", "set", "--path", path, value);
  if (fault) throw new Error(fault);
}

const FIRST_IMAGE = "{.spec.template.spec.containers[0].image}";

/** Starts a pod. For it, the cluster's DNS is a Service whose pod is on the same node. */
async function serviceOnOwnNode(pod: string): Promise<string | undefined> {
  // Istio never adds a sidecar there.
  const inSystem = (...args: string[]) => kubectl("--namespace=kube-system", ...args);
  const image = await inSystem("get", "deployment/coredns", `--output=jsonpath=${FIRST_IMAGE}`);
  await inSystem("run", pod, `--image=${image.trim()}`, "--image-pull-policy=Never", "--restart=Never");
  await inSystem("wait", "--for=condition=Ready", `pod/${pod}`, `--timeout=${LONG}s`);
  const address = (await inSystem("get", "pod", pod, "--output=jsonpath={.status.podIP}")).trim();
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
const started = await check("up makes a lab of one worker, Istio and the application", async () => {
  const machines = await labCommand("up", "--workers", "1", "--no-monitoring", "--no-program");
  if (machines) return machines;
  // Emulation leaves no room for the six pods of the article.
  for (const version of [0, 1]) await setting(`versions[${version}].replicas`, "1");
  return labCommand("up");
});
await check("the end of the session that started it takes no machine along", async () => {
  // With its last process, the session is gone already.
  await run("systemctl", ["stop", "login.scope"]).catch(() => "");
  return (await strayMachines(lab)).join("; ") || undefined;
});
await check("the load balancer's systemd has its cgroups below the lab's, with controllers", async () => {
  const dir = join("/sys/fs/cgroup", lab.loadBalancer.cgroup, "machine");
  const has = (name: string) => existsSync(join(dir, name, "cgroup.procs"));
  report(`load balancer: ${(await readFile(join(dir, "cgroup.controllers"), "utf8")).trim()}`);
  return has("supervisor") && has("payload/init.scope") ? undefined : `nothing in ${dir}`;
});
await check("no setting of the host has changed", noSettingChanged);
if (started) {
  await check("status finds the lab as it should be", () => labCommand("status"));
  await check("200 requests are split 50 to 50", probe);
  await check("up moves the requests to 80 and 20", async () => {
    await setting("weights.v116", "80");
    await setting("weights.v117", "20");
    return labCommand("up");
  });
  await check("200 requests are split 80 to 20", probe);
  await check("a pod reaches a Service whose pod is on its own node", () => serviceOnOwnNode("first"));
}
report(`modules ${await modulesLoaded()}`);
report(`inotify instances: ${await inotifyInstances()}`);
await check("a second lab, with more inotify instances than are left, is refused at once", async () => {
  const limit = (await readFile("/proc/sys/fs/inotify/max_user_instances", "utf8")).trim();
  report(`fs.inotify.max_user_instances is ${limit}`);
  const fault = await labCommand("--name", "second", "up", "--workers", "8");
  const made = existsSync(instance("second").dir);
  return fault?.includes(`fs.inotify.max_user_instances is ${limit}`) && !made ? undefined : (fault ?? "up");
});

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
  await check("with Docker's settings, 200 requests are split 80 to 20", probe);
}
await check("with Docker's settings, no packet of the lab passed the host's FORWARD chain", async () => {
  const policy = (await run("iptables", ["--list", "FORWARD", "--verbose", "--exact"])).split("\n")[0] ?? "";
  return /policy DROP 0 packets/.test(policy) ? undefined : policy;
});
await check("down destroys the program and powers off the machines", () => labCommand("down"));
await check("down leaves nothing: no name of the lab, no setting, no rule, no unit", async () => {
  const leaks = await leaksOnHost(lab, { requests: 0, failed: 0, lookedAt: 0, leaks: [] });
  const known = changes(before, docker);
  return leaks.filter((leak) => !known.includes(leak)).join("; ") || undefined;
});
clearInterval(progress);
report(failed === 0 ? "RESULT ok" : `RESULT ${failed} failed`);
process.exit(failed === 0 ? 0 : 1);
