/**
 * Reads what both ways of the benchmark need: the stack's page and cluster, byHand.sh's files and
 * environment.
 */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { execa } from "execa";
import { stringify } from "yaml";
import { bestHostKey } from "../clients/hostKey.ts";
import type { SshTarget } from "../clients/ssh.ts";
import type { ShiftTarget } from "../probe/shift/shift.ts";
import { pulumi, selectedStack } from "../probe/stack.ts";
import { describeMachine } from "./machine.ts";

/** The project's directory, where Pulumi runs. */
export const ROOT = join(import.meta.dirname, "..");

export interface Bench extends ShiftTarget {
  readonly loadBalancer: SshTarget;
  /** Environment of byHand.sh. */
  readonly byHand: Readonly<Record<string, string>>;
}

/** The settings that are read here. */
interface StackConfig {
  versions: { name: string; image: string }[];
  istio: { profile?: string; hub?: string; tag?: string; values?: object };
  loadBalancer: { host: string; port?: number; user: string; hostKey: string };
  loadBalancerPrivateKey: string;
}

/** Reads outputs and settings of the stack, and writes what byHand.sh expects as files into a directory. */
export async function readBench(work: string): Promise<Bench> {
  const { page, outputs, config: settings, cluster } = await selectedStack(ROOT, { secrets: true });
  const config = settings as unknown as StackConfig;
  const { host, user } = config.loadBalancer;
  const hostKey = bestHostKey(config.loadBalancer.hostKey);
  const port = Number(config.loadBalancer.port ?? 22);
  // OpenSSH needs a newline at the end, which Pulumi's value lacks.
  const privateKey = `${config.loadBalancerPrivateKey.trimEnd()}\n`;
  const { profile = "demo", hub, tag, values } = config.istio;
  const file = async (name: string, text: string): Promise<string> => {
    await writeFile(join(work, name), text, { mode: 0o600 });
    return join(work, name);
  };
  const image = (version: string): string =>
    config.versions.find(({ name }) => name === version)?.image ?? "";
  const operator = {
    apiVersion: "install.istio.io/v1alpha1",
    kind: "IstioOperator",
    spec: { profile, hub, tag, values },
  };
  return {
    ...page,
    cluster,
    namespace: outputs.namespace,
    loadBalancer: { host, port, user, hostKey, privateKey },
    byHand: {
      NAMESPACE: outputs.namespace,
      ISTIO_FILE: await file("istio.yaml", stringify(operator)),
      IMAGE_V116: image("v116"),
      IMAGE_V117: image("v117"),
      PAGE_V116: page.pages.v116?.trimEnd() ?? "",
      PAGE_V117: page.pages.v117?.trimEnd() ?? "",
      LB_HOST: host,
      LB_PORT: String(port),
      LB_USER: user,
      LB_KEY: await file("key", privateKey),
      LB_KNOWN_HOSTS: await file(
        "known_hosts",
        `${port === 22 ? host : `[${host}]:${port}`} ${hostKey?.text}\n`,
      ),
    },
  };
}

/** When and on what it runs, a line each. */
export async function describeSetting(rounds: number): Promise<string[]> {
  const [pulumiVersion, istioctl] = await Promise.all([
    pulumi(ROOT, "version"),
    execa("istioctl", ["version", "--remote=false"]),
  ]);
  const istio = istioctl.stdout.replace(/^client version: /, "").trim();
  return [
    `${describeMachine()}, Pulumi ${pulumiVersion.trim()}, istioctl ${istio}. ` +
      `${rounds} rounds, in turn by hand and by Pulumi, on one embedded lab.`,
  ];
}
