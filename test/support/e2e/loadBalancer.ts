/** HAProxy on a lab's load balancer, for the end-to-end tests. */
import { chmod, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { execa } from "execa";
import { haproxyWorker, onLoadBalancer } from "../../../bench/edgeMachine.ts";
import type { Instance } from "../../../embedded/host/instance.ts";
import { labEnvironment, PROGRAM } from "../../../embedded/lab/stack.ts";
import { knownHostsFile, SSH_USER, sshKeyFile } from "../../../embedded/machines/loadBalancer.ts";

/** Whether HAProxy sends requests to that server. */
export async function inUse(lab: Instance, server: string): Promise<boolean> {
  const states = await adminSocket(lab, "show stat");
  const line = states.split("\n").find((row) => row.split(",")[1] === server);
  return line?.split(",")[17]?.startsWith("UP") ?? false;
}

/** Seconds until HAProxy closes the connection of a frontend that may be silent for the longest. */
export async function longestRest(lab: Instance, frontend: string): Promise<number> {
  const sessions = (await adminSocket(lab, "show sess")).split("\n");
  const ends = sessions
    .filter((line) => line.includes(` fe=${frontend} `))
    .map((line) => /,re?x=(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?/.exec(line) ?? []);
  return Math.max(0, ...ends.map(([, h = 0, m = 0, s = 0]) => Number(h) * 3600 + Number(m) * 60 + Number(s)));
}

/** The work of a worker process. */
export interface Work {
  /** Rounds of its event loop. */
  readonly loops: number;
  /** CPU time, in hundredths of a second. */
  readonly ticks: number;
}

/** The work of the serving worker process since its start. */
export async function workDone(lab: Instance): Promise<Work> {
  const activity = await adminSocket(lab, "show activity");
  const stat = await onLoadBalancer(lab, `cat /proc/${await haproxyWorker(lab)}/stat`);
  // The second field is the name, in parentheses.
  const [user, system] = stat.slice(stat.lastIndexOf(")")).split(" ").slice(12, 14);
  return {
    loops: Number(/^loops: (\d+)/m.exec(activity)?.[1]),
    ticks: Number(user) + Number(system),
  };
}

function adminSocket(lab: Instance, command: string): Promise<string> {
  return onLoadBalancer(
    lab,
    `perl -MIO::Socket::UNIX -e 'my $s = IO::Socket::UNIX->new(Peer => "/run/haproxy/admin.sock");` +
      ` print $s "${command}\\n"; print while <$s>;'`,
  );
}

/** The output of the command in docs/config.md, unchanged, with `lb` as the load balancer's name for ssh. */
export async function documentedCheck(lab: Instance): Promise<string> {
  const documentation = await readFile(join(PROGRAM, "docs", "config.md"), "utf8");
  const line = documentation.split("\n").find((candidate) => candidate.includes("echo as pushed"));
  if (!line) throw new Error("docs/config.md has no line with `echo as pushed`");
  const bin = await mkdtemp(join(tmpdir(), "istio-lab-ssh-"));
  try {
    const { address } = lab.loadBalancer;
    const settings = [
      `UserKnownHostsFile=${knownHostsFile(lab)}`,
      `HostName=${address}`,
      `HostKeyAlias=${address}`,
    ];
    const options = [
      `-i ${sshKeyFile(lab)} -l ${SSH_USER}`,
      ...settings.map((setting) => `-o ${setting}`),
    ].join(" ");
    await writeFile(join(bin, "ssh"), `#!/bin/sh\nexec /usr/bin/ssh ${options} "$@"\n`);
    await chmod(join(bin, "ssh"), 0o755);
    const env = labEnvironment(lab);
    const { stdout } = await execa("sh", ["-c", line], {
      cwd: PROGRAM,
      env: { ...env, PATH: `${bin}${delimiter}${env.PATH}` },
    });
    return stdout;
  } finally {
    await rm(bin, { recursive: true });
  }
}
