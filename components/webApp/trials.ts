/** What the API server tries of the web application, besides its pods. */
import { OWNED_KINDS } from "../../mesh/ownedObject.ts";
import { injectionLabel } from "../../mesh/selector.ts";
import type { Trial } from "../../preflight/capability.ts";
import { deploymentManifest, type ManifestArgs, pagesManifest, serviceManifest } from "./manifests.ts";
import { deploymentObject, pagesObject, serviceObject } from "./objects.ts";

export interface TrialNeeds extends Omit<ManifestArgs, "owner"> {
  readonly istio: { readonly revision?: string | undefined };
}

/** Each object, and the label of the namespace. */
export function webAppTrials(config: TrialNeeds, owner: string): Trial[] {
  const { namespace, versions, istio } = config;
  const args = { ...config, owner };
  const own = { ...OWNED_KINDS.Namespace, namespace: "", name: namespace };
  return [
    { object: own, body: { metadata: { name: namespace, labels: injectionLabel(istio.revision) } } },
    { object: pagesObject(namespace), body: pagesManifest(args) },
    { object: serviceObject(namespace), body: serviceManifest(args) },
    ...versions.map((version) => ({
      object: deploymentObject(namespace, version.name),
      body: deploymentManifest(version, args),
    })),
  ];
}
