/** The objects of the web application. */
import { type OwnedObject, ownedObject } from "../../mesh/ownedObject.ts";

/** The pages of all versions. */
export const pagesObject = (namespace: string) => ownedObject("ConfigMap", namespace, "nginx-static-files");

/** The Service in front of all versions. */
export const serviceObject = (namespace: string) => ownedObject("Service", namespace, "nginx-svc");

/** The Deployment of one version. */
export const deploymentObject = (namespace: string, version: string) =>
  ownedObject("Deployment", namespace, `nginx-${version}`);

export interface WebAppObjectsArgs {
  /** Namespace of the application. */
  readonly namespace: string;
  readonly versions: readonly { readonly name: string }[];
}

/** Everything that the web application owns. */
export function webAppObjects({ namespace, versions }: WebAppObjectsArgs): OwnedObject[] {
  return [
    pagesObject(namespace),
    serviceObject(namespace),
    ...versions.map(({ name }) => deploymentObject(namespace, name)),
  ];
}
