/** HAProxy in front of the nodes, as one component: rendered, pushed, verified, and restored at the end. */
import { local, remote } from "@pulumi/command";
import * as pulumi from "@pulumi/pulumi";
import { readFirstLine } from "../../haproxy/firstLine.ts";
import { credential, type LabModelArgs, type LabTls, labModel } from "../../haproxy/model.ts";
import { certificateFile, push, restore } from "../../haproxy/push.ts";
import { renderHaproxy } from "../../haproxy/render.ts";
import type { Tls } from "../../mesh/model.ts";
import type { Stats } from "../stats/config.ts";
import type { LoadBalancer } from "./config.ts";

export interface HaproxyEdgeArgs {
  /** The stack, e.g. `organization/istio-lab/dev`; a file of another owner is refused. */
  owner: string;
  /** Nodes that take requests for the gateway. */
  nodes: pulumi.Input<LabModelArgs["nodes"]>;
  /** NodePorts of the gateway. */
  nodePorts: pulumi.Input<LabModelArgs["nodePorts"]>;
  /** The load balancer. */
  machine: LoadBalancer;
  /** Host of a request in HTTP/1.0 that names none. @default such a request stays without */
  host?: string | undefined;
  /**
   * Edits by hand that the load balancer holds, by hash; one that was not there at the last push is a reason
   * to push. @default none
   */
  edits?: readonly string[] | undefined;
  /** Private key for the load balancer's user; empty for this machine. */
  privateKey: pulumi.Input<string>;
  /** Port 443. @default none */
  tls?: Tls | undefined;
  /** Ports of the gateway that read the PROXY protocol. @default none */
  proxyProtocol?: pulumi.Input<LabModelArgs["proxyProtocol"]> | undefined;
  /** Where HAProxy's metrics and stats page are. @default the admin socket alone */
  stats?: Stats | undefined;
}

/**
 * Renders haproxy.cfg and pushes it; where HAProxy does not serve with it, the previous file stays in use.
 * Its deletion puts back the file from before the first push.
 */
export class HaproxyEdge extends pulumi.ComponentResource {
  /** The pushed configuration. */
  public readonly config: pulumi.Output<string>;
  /** SHA-256 of the pushed configuration, as its first line has it. */
  public readonly configHash: pulumi.Output<string>;

  constructor(name: string, args: HaproxyEdgeArgs, opts?: pulumi.ComponentResourceOptions) {
    super("istio-lab:index:HaproxyEdge", name, {}, opts);
    const { machine } = args;
    const rendered = renderedConfig(args, this);
    const run = machine.local ? runHere : runOn(connectionTo(machine, args.privateKey));
    // Created before the push and deleted after it, so that a push that was cut short is undone too.
    const undo = run(`${name}-undo`, undoArgs(args), { parent: this });
    const pushed = run(name, pushArgs(args, rendered), {
      parent: this,
      dependsOn: undo,
      additionalSecretOutputs: holdsSecrets(args) ? ["stdin"] : [],
    });
    // Deleted first: a load balancer that is gone fails with advice, not with the provider's bare dial error.
    if (!machine.local)
      new local.Command(`${name}-reachable`, reachableArgs(machine, undo), {
        parent: this,
        dependsOn: pushed,
      });
    this.config = pulumi.all([rendered, pushed.id]).apply(([config]) => config);
    this.configHash = pulumi.unsecret(this.config.apply((config) => readFirstLine(config)?.hash ?? ""));
    this.registerOutputs({ config: this.config, configHash: this.configHash });
  }
}

/** What both kinds of command take. */
type CommandArgs = Pick<
  remote.CommandArgs,
  "create" | "update" | "delete" | "stdin" | "addPreviousOutputInEnv"
>;
type Run = (name: string, args: CommandArgs, opts: pulumi.CustomResourceOptions) => pulumi.CustomResource;

const runHere: Run = (name, args, opts) => new local.Command(name, args, opts);

const runOn =
  (connection: Connection): Run =>
  (name, args, opts) =>
    new remote.Command(name, { ...args, connection }, opts);

/** Three tries of at most 8 s each: a machine that is off is an error within 30 s. */
export function connectionTo({ host, port, user, hostKey }: LoadBalancer, privateKey: pulumi.Input<string>) {
  return {
    host,
    port,
    user,
    hostKey: hostKey?.text,
    privateKey: pulumi.secret(privateKey),
    dialErrorLimit: 2,
    perDialTimeout: 8,
  };
}

type Connection = ReturnType<typeof connectionTo>;

function renderedConfig(args: HaproxyEdgeArgs, resource: pulumi.Resource): pulumi.Output<string> {
  const { owner, machine } = args;
  const tls = args.tls && labTls(args.tls, machine.configFile);
  const { ports, connectionsPerSource, trustedProxies, ipv6, mode } = machine;
  const clients = { host: args.host, ports, connectionsPerSource, trustedProxies, ipv6 };
  return pulumi
    .all([args.nodes, args.nodePorts, endpoints(args.stats), args.proxyProtocol])
    .apply(([nodes, nodePorts, stats, proxyProtocol]) =>
      render(
        { owner, nodes, nodePorts, proxyProtocol, tls, stats, ...clients, include: mode === "include" },
        resource,
      ),
    );
}

function labTls({ mode, redirect, certificate }: Tls, configFile: string): LabTls {
  return { mode, redirect, certificateFile: certificateFile(configFile, certificate) };
}

/**
 * With a password the whole file is a secret: it holds a hash, from which a weak password could be guessed.
 */
function endpoints({ prometheus, page }: Stats = {}): pulumi.Output<LabModelArgs["stats"]> {
  if (!page) return pulumi.output({ prometheus });
  const { user, password, address, port } = page;
  return pulumi
    .secret(password)
    .apply((plain) => ({ prometheus, page: { address, port, credential: credential(user, plain) } }));
}

function render(args: LabModelArgs, resource: pulumi.Resource): string {
  try {
    return renderHaproxy(labModel(args));
  } catch (error) {
    throw new pulumi.ResourceError((error as Error).message, resource, true);
  }
}

/** Does nothing on the way up. */
function undoArgs({ machine, owner }: HaproxyEdgeArgs): CommandArgs {
  const { command, input } = restore(machine, owner);
  return {
    create: "cat >/dev/null",
    delete: command,
    stdin: input,
    addPreviousOutputInEnv: false,
  };
}

/** A new edit by hand changes the command of updates alone: a second create would be a first push. */
function pushArgs(
  { machine, tls, edits = [] }: HaproxyEdgeArgs,
  rendered: pulumi.Output<string>,
): CommandArgs {
  return {
    create: push(machine, { config: "" }).command,
    update: push(machine, { config: "", edits }).command,
    stdin: pulumi
      .all([rendered, certificateAndKey(tls)])
      .apply(([config, pem]) => push(machine, { config, pem }).input),
    addPreviousOutputInEnv: false,
  };
}

/** What HAProxy needs to hold the certificate; empty when it need not. */
function certificateAndKey(tls: Tls | undefined): pulumi.Input<string> {
  if (tls?.mode !== "terminate") return "";
  return pulumi.secret(tls.key).apply((key) => tls.certificate + key);
}

const holdsSecrets = ({ tls, stats }: HaproxyEdgeArgs) =>
  tls?.mode === "terminate" || stats?.page !== undefined;

/**
 * Nothing on the way up; on the way down an error, within 10 s, for a load balancer that is gone or replaced.
 */
function reachableArgs(
  { host, port, user, hostKey }: LoadBalancer,
  undo: pulumi.Resource,
): local.CommandArgs {
  return {
    delete: "exec sh components/haproxyEdge/reachable.sh",
    environment: {
      ISTIO_LAB_MACHINE: `${user}@${host}`,
      ISTIO_LAB_PORT: String(port),
      ISTIO_LAB_HOST_KEY: hostKey?.text ?? "",
      ISTIO_LAB_UNDO: undo.urn,
    },
    addPreviousOutputInEnv: false,
  };
}
