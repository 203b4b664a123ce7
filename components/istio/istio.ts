import { createHash } from "node:crypto";
import { local } from "@pulumi/command";
import * as pulumi from "@pulumi/pulumi";
import { stringify } from "yaml";

export interface IstioArgs {
  /** Istio's version, e.g. `1.31.0`; istioctl must be of the same minor. */
  version: string;
  /** Installation profile, e.g. `demo`. */
  profile: string;
  /** Registry of the images. @default istioctl's own */
  hub?: string | undefined;
  /** Tag of the images. @default the version */
  tag?: string | undefined;
  /** Helm-style values of Istio's charts. @default none */
  values?: Record<string, unknown> | undefined;
  /** False: Istio is somebody else's; only wait for it, neither install nor uninstall. @default true */
  manage?: boolean | undefined;
  /** Who owns the installation, e.g. `organization/istio-lab/dev`; one owner a cluster. */
  owner: string;
  /** Path of the kubeconfig. @default KUBECONFIG or ~/.kube/config */
  kubeconfig?: string | undefined;
  /** Context in it. @default the current one */
  context?: string | undefined;
}

/**
 * Istio by istioctl. A change of any argument is an update in place.
 *
 * The claim comes first and goes last: whatever needs Istio is made after it and gone before its deletion uninstalls.
 * Install and gates run at the same time, so nothing waits for a part of Istio that it does not need.
 */
export class Istio extends pulumi.ComponentResource {
  /** Depend on this for sidecars and for custom resources: istiod is available, gateways may still be starting. */
  public readonly ready: pulumi.Resource;
  /** Depend on this where no sidecar of before the update will do. */
  public readonly installed: pulumi.Resource;
  /** Other text when pods need another sidecar; undefined where Istio is somebody else's. */
  public readonly sidecar: string | undefined;
  /** `istio-system/istio-ingressgateway`, unknown until that Service has its NodePorts. */
  public readonly gatewayService: pulumi.Output<string>;

  constructor(name: string, args: IstioArgs, opts?: pulumi.ComponentResourceOptions) {
    super("istio-lab:index:Istio", name, {}, opts);
    const environment = environmentOf(args);
    const manage = args.manage ?? true;
    const claim = manage ? [this.claim(name, environment)] : [];
    const gate = (part: "istiod" | "gateway") =>
      new local.Command(
        `${name}-${part}`,
        { ...run(`wait.sh ${part}`), environment, addPreviousOutputInEnv: false },
        { parent: this, dependsOn: claim },
      );
    this.ready = gate("istiod");
    this.installed = manage ? this.install(name, args, environment, claim) : this.ready;
    this.sidecar = manage ? sidecarHash(args) : undefined;
    this.gatewayService = onceDone(gate("gateway"), "istio-system/istio-ingressgateway");
    const { ready, installed, sidecar, gatewayService } = this;
    this.registerOutputs({ ready, installed, sidecar, gatewayService });
  }

  /** Refuses somebody else's Istio, claims ours; its deletion uninstalls. */
  private claim(name: string, environment: Record<string, string>): pulumi.Resource {
    return new local.Command(
      `${name}-claim`,
      { ...run("claim.sh"), delete: script("uninstall.sh"), environment, addPreviousOutputInEnv: false },
      { parent: this },
    );
  }

  private install(
    name: string,
    args: IstioArgs,
    environment: Record<string, string>,
    dependsOn: pulumi.Resource[],
  ): pulumi.Resource {
    return new local.Command(
      name,
      { ...run("install.sh"), stdin: istioOperator(args), environment, addPreviousOutputInEnv: false },
      { parent: this, dependsOn },
    );
  }
}

/** What istioctl reads: the profile with this lab's changes. */
export function istioOperator({ version, profile, hub, tag, values }: IstioArgs): string {
  return stringify({
    apiVersion: "install.istio.io/v1alpha1",
    kind: "IstioOperator",
    spec: {
      profile,
      ...(hub === undefined ? {} : { hub }),
      tag: tag ?? version,
      ...(values === undefined || Object.keys(values).length === 0 ? {} : { values }),
    },
  });
}

/**
 * What a sidecar is made of, as a hash: its image, and the values that the injection template and the proxy's own
 * configuration read. The profile counts as a whole, for it sets such values too.
 */
export function sidecarHash({ version, profile, hub, tag, values = {} }: IstioArgs): string {
  const { global, sidecarInjectorWebhook, meshConfig } = values;
  const { defaultConfig } = (meshConfig ?? {}) as { defaultConfig?: unknown };
  const parts = { profile, hub, tag: tag ?? version, global, sidecarInjectorWebhook, defaultConfig };
  return createHash("sha256").update(JSON.stringify(parts)).digest("hex").slice(0, 16);
}

/** `exec`: the scripts find each other by their common parent process, the plugin. */
const script = (command: string) => `exec sh components/istio/${command}`;

const run = (command: string) => ({ create: script(command), update: script(command) });

function environmentOf({ version, owner, kubeconfig, context }: IstioArgs): Record<string, string> {
  return {
    ISTIO_LAB_OWNER: owner,
    ISTIO_LAB_VERSION: version,
    ...(context ? { ISTIO_LAB_CONTEXT: context } : {}),
    ...(kubeconfig ? { KUBECONFIG: kubeconfig } : {}),
  };
}

/**
 * A constant that nobody sees before the command has run. It hangs on the output, which a preview does not know, and not
 * on the id, which a preview makes up; what the output says does not matter, so that it may change.
 */
function onceDone(command: local.Command, value: string): pulumi.Output<string> {
  return command.stdout.apply(() => value);
}
