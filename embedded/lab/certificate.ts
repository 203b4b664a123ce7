/** Makes the lab's certificate for https, and the authority that signs it. */
import { existsSync } from "node:fs";
import { mkdir, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import type { Instance } from "../host/instance.ts";
import { makeCertificate, makeCertificateAuthority } from "../machines/certificates.ts";

/** The program's default host, and the hosts of its Gateway. */
const NAMES = ["nginx.hung.org.hk", "*.hung.org.hk"];

/**
 * Paths of a lab's certificate for https, of its private key (mode 0600) and of its authority's certificate.
 */
export function httpsFiles(lab: Instance): { authority: string; certificate: string; key: string } {
  const file = (name: string) => join(directory(lab), name);
  return { authority: file("ca.crt"), certificate: file("server.crt"), key: file("server.key") };
}

/**
 * Makes the lab's certificate for https, once. It is valid for the default host, its siblings and the load
 * balancer's address. An authority of the lab's own signs it.
 */
export async function makeHttpsCertificate(lab: Instance): Promise<void> {
  const made = directory(lab);
  if (existsSync(made)) return;
  const partial = `${made}.partial`;
  await rm(partial, { recursive: true, force: true });
  await mkdir(partial, { mode: 0o700 });
  await makeCertificateAuthority(partial);
  await makeCertificate(partial, {
    file: "server",
    user: NAMES[0] ?? "",
    names: [...NAMES.map((name) => `DNS:${name}`), `IP:${lab.loadBalancer.address}`],
  });
  // The authority must sign nothing else, so its key is deleted, and the signing requests with it.
  for (const done of ["ca.key", "server.csr", "server.ext"]) await rm(join(partial, done));
  await rename(partial, made);
}

function directory(lab: Instance): string {
  return join(lab.dir, "https");
}
