/** Makes a lab's Pulumi stack, with the settings that describe its machines and images. */
import { randomBytes } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setAll } from "../../clients/pulumi.ts";
import type { Instance } from "../host/instance.ts";
import { adminKubeconfig } from "../machines/controlPlane.ts";
import { hostKey, SSH_USER, sshKeyFile } from "../machines/loadBalancer.ts";
import type { ImageNames } from "../toolchain/images/names.ts";
import { ISTIO_VERSION } from "../toolchain/versions/versions.ts";
import { httpsFiles } from "./certificate.ts";
import { passphraseFile, pulumi, stackFile } from "./stack.ts";

/** Makes the lab's stack once, with the settings of its machines. Settings that the user changed stay. */
export async function initStack(
  lab: Instance,
  images: ImageNames,
  { monitoring }: { readonly monitoring: boolean },
): Promise<void> {
  const ready = join(lab.dir, "stack.ready");
  if (existsSync(ready) && existsSync(stackFile(lab))) return;
  await mkdir(join(lab.dir, "pulumi"), { recursive: true });
  if (!existsSync(passphraseFile(lab))) {
    await writeFile(passphraseFile(lab), randomBytes(24).toString("base64url"), { mode: 0o600 });
  }
  // A previous lab of this name left the file. The passphrase of its secrets is gone.
  await rm(stackFile(lab), { force: true });
  await pulumi(lab, ["stack", "select", "--create", lab.name]);
  await pulumi(
    lab,
    setAll({ ...(await machineSettings(lab, images)), ...(monitoring ? observability(images) : {}) }),
  );
  const secrets = { loadBalancerPrivateKey: sshKeyFile(lab), tlsKey: httpsFiles(lab).key };
  for (const [name, file] of Object.entries(secrets)) {
    await pulumi(lab, ["config", "set", "--secret", name], { input: await readFile(file, "utf8") });
  }
  await writeFile(ready, "");
}

/** Settings, by path. */
async function machineSettings(lab: Instance, images: ImageNames): Promise<Record<string, string>> {
  return {
    kubeconfig: adminKubeconfig(lab),
    "loadBalancer.host": lab.loadBalancer.address,
    "loadBalancer.user": SSH_USER,
    "loadBalancer.hostKey": (await hostKey(lab)).text,
    // They are used when the user sets tls.mode.
    tlsCertificate: await readFile(httpsFiles(lab).certificate, "utf8"),
    "istio.version": ISTIO_VERSION,
    "istio.profile": "demo",
    "istio.hub": images.istio.hub,
    "istio.tag": images.istio.tag,
    // The plain build of Envoy has no filters for Istio's telemetry to configure.
    ...(images.istio.plain ? { "istio.values.telemetry.enabled": "false" } : {}),
    "versions[0].name": "v116",
    "versions[0].version": "1.16",
    "versions[0].image": images.nginx.v116,
    "versions[1].name": "v117",
    "versions[1].version": "1.17",
    "versions[1].image": images.nginx.v117,
    "weights.v116": "50",
    "weights.v117": "50",
  };
}

/** In a lab every request is traced, and metrics are seconds old. */
function observability({ prometheus, zipkin, istio }: ImageNames): Record<string, string> {
  return {
    "monitoring.enabled": "true",
    ...(prometheus ? { "monitoring.image": prometheus } : {}),
    "monitoring.scrapeSeconds": "2",
    ...(istio.plain ? { "monitoring.proxies": "envoy" } : {}),
    "stats.prometheus": "0.0.0.0:8404",
    "tracing.provider": "zipkin",
    ...(zipkin ? { "tracing.image": zipkin } : {}),
    "tracing.sampling": "100",
  };
}
