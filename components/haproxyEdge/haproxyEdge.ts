import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { local, remote } from "@pulumi/command";
import * as pulumi from "@pulumi/pulumi";
import { quote, sudoComplaint } from "../../clients/shell.ts";
import { credential, type LabModelArgs, type Listen, labModel } from "../../haproxy/model.ts";
import { ADMIN_SOCKET, configHash, renderHaproxy } from "../../haproxy/render.ts";

export interface HaproxyEdgeArgs {
  /** Who pushes, e.g. `organization/istio-lab/dev`; a file of another owner is refused. */
  owner: string;
  /** Nodes that take requests for the gateway. */
  nodes: pulumi.Input<LabModelArgs["nodes"]>;
  /** NodePorts of the gateway. */
  nodePorts: pulumi.Input<LabModelArgs["nodePorts"]>;
  /** The machine with HAProxy. */
  machine: Machine;
  /** Edits by hand that the machine holds, by hash; one that was not there at the last push is a reason to push. @default none */
  edits?: readonly string[] | undefined;
  /** Private key for the machine's user. */
  privateKey: pulumi.Input<string>;
  /** Port 443. @default none */
  tls?: EdgeTls | undefined;
  /** Where those who watch it may ask. @default the admin socket alone */
  stats?: EdgeStats | undefined;
}

export interface EdgeStats {
  /** HAProxy's exporter, at `/metrics`. @default none */
  prometheus?: Listen | undefined;
  /** HAProxy's stats page. @default none */
  page?: (Listen & { user: string; password: pulumi.Input<string> }) | undefined;
}

export interface EdgeTls {
  /** Who holds the certificate: HAProxy (`terminate`) or the gateway (`passthrough`). */
  mode: "terminate" | "passthrough";
  /** Whether port 80 answers with a redirect to https. */
  redirect: boolean;
  /** Chain in PEM, the server's own certificate first. */
  certificate: string;
  /** Its key in PEM. */
  key: pulumi.Input<string>;
}

export interface Machine {
  /** Address or name for SSH. */
  host: string;
  /** Port of sshd. */
  port: number;
  /** User that may run `sudo -n`, or root. */
  user: string;
  /** Public host key, `TYPE BASE64`: another machine in its place gets nothing. */
  hostKey: string;
  /** Absolute path of the file that HAProxy reads. */
  configFile: string;
  /** Starts or reloads HAProxy. @default systemctl */
  reloadCommand?: string | undefined;
}

/**
 * HAProxy in front of the nodes: haproxy.cfg is rendered, pushed, checked, used and verified, or the old one stays; its
 * deletion puts back the file from before the first push.
 */
export class HaproxyEdge extends pulumi.ComponentResource {
  /** SHA-256 of the pushed configuration, as its first line has it. */
  public readonly configHash: pulumi.Output<string>;
  /** The pushed configuration. */
  public readonly config: pulumi.Output<string>;

  constructor(name: string, args: HaproxyEdgeArgs, opts?: pulumi.ComponentResourceOptions) {
    super("istio-lab:index:HaproxyEdge", name, {}, opts);
    const { owner, machine } = args;
    const tls = args.tls && {
      mode: args.tls.mode,
      redirect: args.tls.redirect,
      certificateFile: certificateFile(machine.configFile, args.tls.certificate),
    };
    const rendered = pulumi
      .all([args.nodes, args.nodePorts, endpoints(args.stats)])
      .apply(([nodes, nodePorts, stats]) => render({ owner, nodes, nodePorts, tls, stats }, this));
    const connection = connectionTo(machine, args.privateKey);
    const { delete: remove, ...pushing } = commands(machine, owner, args.edits);
    // There before the push and gone after it, so that a push which was cut short is undone too.
    const undo = new remote.Command(
      `${name}-undo`,
      {
        connection,
        create: "cat >/dev/null",
        delete: remove,
        stdin: standardInput(""),
        addPreviousOutputInEnv: false,
      },
      { parent: this },
    );
    const push = new remote.Command(
      name,
      {
        connection,
        ...pushing,
        stdin: pulumi
          .all([rendered, certificateAndKey(args.tls)])
          .apply(([config, pem]) => standardInput(config, pem)),
        addPreviousOutputInEnv: false,
      },
      {
        parent: this,
        dependsOn: undo,
        additionalSecretOutputs: tls?.mode === "terminate" || args.stats?.page ? ["stdin"] : [],
      },
    );
    // The first to go: it says what the command provider's error does not, and the way out.
    new local.Command(`${name}-reachable`, reachable(machine, undo), { parent: this, dependsOn: push });
    this.config = pulumi.all([rendered, push.id]).apply(([config]) => config);
    this.configHash = pulumi.unsecret(this.config.apply((config) => configHash(config) ?? ""));
    this.registerOutputs({ config: this.config, configHash: this.configHash });
  }
}

/** The name holds the hash: a new certificate is a new file, and a new configuration names it. */
export function certificateFile(configFile: string, certificate: string): string {
  return `${configFile}.tls-${createHash("sha256").update(certificate).digest("hex").slice(0, 16)}.pem`;
}

function render(args: LabModelArgs, resource: pulumi.Resource): string {
  try {
    return renderHaproxy(labModel(args));
  } catch (error) {
    throw new pulumi.ResourceError((error as Error).message, resource, true);
  }
}

/** A password makes the whole file a secret: it holds a hash that a weak password could be guessed from. */
function endpoints({ prometheus, page }: EdgeStats = {}): pulumi.Output<LabModelArgs["stats"]> {
  if (!page) return pulumi.output({ prometheus });
  const { user, password, address, port } = page;
  return pulumi
    .secret(password)
    .apply((plain) => ({ prometheus, page: { address, port, credential: credential(user, plain) } }));
}

/** What HAProxy needs to hold the certificate; empty when it need not. */
function certificateAndKey(tls: EdgeTls | undefined): pulumi.Input<string> {
  if (tls?.mode !== "terminate") return "";
  return pulumi.secret(tls.key).apply((key) => tls.certificate + key);
}

/** Three tries of at most 8 s each: a machine that is off is an error within 30 s. */
export function connectionTo({ host, port, user, hostKey }: Machine, privateKey: pulumi.Input<string>) {
  return {
    host,
    port,
    user,
    hostKey,
    privateKey: pulumi.secret(privateKey),
    dialErrorLimit: 2,
    perDialTimeout: 8,
  };
}

/** Nothing on the way up; on the way down an error for a machine that is gone, or is another one, within 10 s. */
function reachable({ host, port, user, hostKey }: Machine, undo: pulumi.Resource): local.CommandArgs {
  return {
    delete: "exec sh components/haproxyEdge/reachable.sh",
    environment: {
      ISTIO_LAB_MACHINE: `${user}@${host}`,
      ISTIO_LAB_PORT: String(port),
      ISTIO_LAB_HOST_KEY: hostKey.trim().split(" ", 2).join(" "),
      ISTIO_LAB_UNDO: undo.urn,
    },
    addPreviousOutputInEnv: false,
  };
}

const APPLY = readFileSync(new URL("../../haproxy/push.sh", import.meta.url), "utf8");
const REMOVE = readFileSync(new URL("../../haproxy/restore.sh", import.meta.url), "utf8");

/**
 * Everything goes through standard input, the same for push and removal: restore.sh, push.sh, certificate and key, haproxy.cfg. Each command
 * takes what it needs off the front (`head` reads not one byte more); a push leaves the rest to its script, a removal
 * drops it, for a sender whose last bytes nobody takes sees an error.
 */
export function standardInput(config: string, pem = ""): string {
  return REMOVE + APPLY + pem + config;
}

/** The commands that take {@link standardInput}. */
export function commands(
  machine: Machine,
  owner: string,
  edits: readonly string[] = [],
): { create: string; update: string; delete: string } {
  const options = [
    "--file",
    machine.configFile,
    ...(machine.reloadCommand ? ["--reload", machine.reloadCommand] : []),
  ];
  const skip = `head -c ${Buffer.byteLength(REMOVE)} >/dev/null`;
  const push = asRoot(machine, [
    `${skip}; eval "$(head -c ${Buffer.byteLength(APPLY)})"`,
    "push.sh",
    ...options,
    "--socket",
    ADMIN_SOCKET,
  ]);
  const remove = asRoot(machine, [
    `script="$(head -c ${Buffer.byteLength(REMOVE)})"; cat >/dev/null; eval "$script"`,
    "restore.sh",
    ...options,
    "--owner",
    owner,
  ]);
  // A word that does nothing, and that makes this another command than the last one.
  const because = edits.length > 0 ? `: edited by hand ${edits.map(quote).join(" ")}; ` : "";
  return { create: push, update: because + push, delete: remove };
}

/** `sh -c` with these arguments as root, for 120 s at most; a user without the right to it gets a way out. */
function asRoot({ user, host }: Machine, args: readonly string[]): string {
  const command = `timeout 120 sh -c ${args.map(quote).join(" ")}`;
  if (user === "root") return command;
  const complaint = `error: ${sudoComplaint({ user, host })}`;
  return `sudo -n true </dev/null || { echo ${quote(complaint)} >&2; exit 1; }; sudo -n ${command}`;
}
