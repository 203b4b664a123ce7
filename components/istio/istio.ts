/** Installs Istio with istioctl, or waits for an Istio that another tool installed. */
import { createHash } from "node:crypto";
import { local } from "@pulumi/command";
import * as pulumi from "@pulumi/pulumi";
import { quote } from "../../clients/shell.ts";
import { type GatewayRef, ISTIO_GATEWAY } from "../../mesh/model.ts";
import { OWNED_KINDS, resourceOf } from "../../mesh/ownedObject.ts";
import { hasCni } from "./cni.ts";
import { istioOperator } from "./operator.ts";

export interface IstioArgs {
  /** Istio's version, e.g. `1.31.0`; istioctl must be of the same minor. */
  version: string;
  /** Installation profile, e.g. `demo`. */
  profile: string;
  /** Registry of the images. @default istioctl's own */
  hub?: string | undefined;
  /** Tag of the images. @default the version */
  tag?: string | undefined;
  /** Helm values of Istio's charts. @default none */
  values?: Record<string, unknown> | undefined;
  /** Components of the IstioOperator beside its values. @default none */
  components?: Readonly<Record<string, unknown>> | undefined;
  /** Further labels of Istio's own Deployments and pods. @default none */
  labels?: Readonly<Record<string, string>> | undefined;
  /** Revision or tag that injects sidecars. @default the default one */
  revision?: string | undefined;
  /** The gateway that requests come in through. @default the one that istioctl's profiles install */
  gateway?: GatewayRef | undefined;
  /** False: another owner's Istio is used; it is neither installed nor uninstalled. @default true */
  manage?: boolean | undefined;
  /**
   * The stack that owns the installation, e.g. `organization/istio-lab/dev`; a cluster's Istio has one owner.
   */
  owner: string;
  /** UID of namespace kube-system; Istio is uninstalled from that cluster only. @default from any */
  clusterId?: string | undefined;
  /** Path of the kubeconfig. @default KUBECONFIG or ~/.kube/config */
  kubeconfig?: string | undefined;
  /** Context in it. @default the current one */
  context?: string | undefined;
}

/**
 * Istio by istioctl. A change of any argument is an update in place.
 *
 * The claim is made first and deleted last, and its deletion uninstalls Istio: everything that needs Istio is
 * created after the claim and deleted before it. The install and the two gates run at the same time, so that
 * a resource waits only for the part of Istio that it needs.
 */
export class Istio extends pulumi.ComponentResource {
  /**
   * Depend on this for sidecars and custom resources: istiod is available, gateways may still be starting.
   */
  public readonly ready: pulumi.Resource;
  /** Depend on this when pods must start with the new sidecar. */
  public readonly installed: pulumi.Resource;
  /** Changes when pods must roll to get another sidecar: a hash, or the revision. @default pods never must */
  public readonly sidecar: string | undefined;
  /** `namespace/name` of the gateway's Service, unknown until that Service has its NodePorts. */
  public readonly gatewayService: pulumi.Output<string>;
  /** Command that installs Istio again. Undefined when `manage` is false. */
  public readonly reinstall: string | undefined;

  constructor(name: string, args: IstioArgs, opts?: pulumi.ComponentResourceOptions) {
    super("istio-lab:index:Istio", name, {}, opts);
    const manage = args.manage ?? true;
    const claim = manage ? [this.createClaim(name, args)] : [];
    this.ready = this.createGate(name, "istiod", args, claim);
    this.installed = manage ? this.createInstall(name, args, claim) : this.ready;
    this.sidecar = manage ? sidecarHash(args) : args.revision;
    this.reinstall = manage ? reinstallCommand(args) : undefined;
    const gateway = this.createGate(name, "gateway", args, claim);
    this.gatewayService = afterRun(gateway, serviceOf(args));
    const { ready, installed, sidecar, gatewayService, reinstall } = this;
    this.registerOutputs({ ready, installed, sidecar, gatewayService, reinstall });
  }

  /** Refuses an Istio of another owner and claims the cluster's; its deletion uninstalls. */
  private createClaim(name: string, args: IstioArgs): pulumi.Resource {
    const environment = {
      ...environmentOf(args),
      ISTIO_LAB_KINDS: ownedKinds(),
      ISTIO_LAB_GATEWAYS: gatewayNames(args).join(" "),
      ...(hasCni(args) ? { ISTIO_LAB_CNI: "true" } : {}),
      ...(args.clusterId ? { ISTIO_LAB_CLUSTER: args.clusterId } : {}),
    };
    return new local.Command(
      `${name}-claim`,
      { ...run("claim.sh"), delete: script("uninstall.sh"), environment, addPreviousOutputInEnv: false },
      { parent: this },
    );
  }

  private createInstall(name: string, args: IstioArgs, claim: pulumi.Resource[]): pulumi.Resource {
    return new local.Command(
      name,
      {
        ...run("install.sh"),
        stdin: istioOperator(args),
        environment: environmentOf(args),
        addPreviousOutputInEnv: false,
      },
      { parent: this, dependsOn: claim },
    );
  }

  /** Waits for one part of Istio. */
  private createGate(
    name: string,
    part: "istiod" | "gateway",
    args: IstioArgs,
    claim: pulumi.Resource[],
  ): local.Command {
    const environment = {
      ...environmentOf(args),
      ...((args.manage ?? true) ? {} : { ISTIO_LAB_MANAGE: "false" }),
    };
    return new local.Command(
      `${name}-${part}`,
      { ...run(`wait.sh ${part}`), environment, addPreviousOutputInEnv: false },
      { parent: this, dependsOn: claim },
    );
  }
}

/**
 * What a user types where a part of Istio was deleted by hand: the install command's inputs have not changed.
 */
function reinstallCommand(args: IstioArgs): string {
  const context = args.context ? ` --context=${quote(args.context)}` : "";
  return `istioctl install${context} --skip-confirmation --filename=- <<'END'\n${istioOperator(args)}END`;
}

/**
 * Hash of what shapes a sidecar: its image, and the values that the injection template and the proxy's
 * configuration read. The profile counts as a whole, because it sets such values too.
 */
function sidecarHash({ version, profile, hub, tag, values = {}, components = {} }: IstioArgs): string {
  const { global, sidecarInjectorWebhook, meshConfig } = values;
  const { defaultConfig } = (meshConfig ?? {}) as { defaultConfig?: unknown };
  const { cni } = components;
  const parts = { profile, hub, tag: tag ?? version, global, sidecarInjectorWebhook, defaultConfig, cni };
  return createHash("sha256").update(JSON.stringify(parts)).digest("hex").slice(0, 16);
}

/** The kinds whose orphans uninstall.sh removes, as kubectl names them. */
const ownedKinds = () => Object.values(OWNED_KINDS).map(resourceOf).join(" ");

/** `namespace/name` of each gateway's Deployment that istioctl can make of these arguments. */
function gatewayNames({ components = {} }: IstioArgs): string[] {
  const { ingressGateways, egressGateways } = components;
  const given = [ingressGateways, egressGateways].flatMap((list) => (Array.isArray(list) ? list : []));
  const configured = given.map((gateway: { namespace?: unknown; name?: unknown } | null) => {
    const { namespace = ISTIO_GATEWAY.namespace, name = ISTIO_GATEWAY.service } = gateway ?? {};
    return `${namespace}/${name}`;
  });
  return [...new Set([DEFAULT_SERVICE, `${ISTIO_GATEWAY.namespace}/istio-egressgateway`, ...configured])];
}

/** `exec`: install.sh and wait.sh find each other by the process id of their common parent, the plugin. */
const script = (command: string) => `exec sh components/istio/${command}`;

const run = (command: string) => ({ create: script(command), update: script(command) });

const serviceOf = ({ gateway = ISTIO_GATEWAY }: IstioArgs) => `${gateway.namespace}/${gateway.service}`;

const DEFAULT_SERVICE = `${ISTIO_GATEWAY.namespace}/${ISTIO_GATEWAY.service}`;

function environmentOf(args: IstioArgs): Record<string, string> {
  const { version, owner, kubeconfig, context, revision } = args;
  const service = serviceOf(args);
  return {
    ISTIO_LAB_OWNER: owner,
    ISTIO_LAB_VERSION: version,
    ...(context ? { ISTIO_LAB_CONTEXT: context } : {}),
    ...(kubeconfig ? { KUBECONFIG: kubeconfig } : {}),
    ...(revision ? { ISTIO_LAB_REVISION: revision } : {}),
    ...(service === DEFAULT_SERVICE ? {} : { ISTIO_LAB_GATEWAY: service }),
  };
}

/**
 * Resolves to `value` after the command ran; unknown in a preview. It is derived from stdout, which a preview
 * does not know; the id would not do, because a preview makes one up.
 */
function afterRun(command: local.Command, value: string): pulumi.Output<string> {
  return command.stdout.apply(() => value);
}
