import { existsSync } from "node:fs";
import { mkdir, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import type { Instance } from "../instance.ts";
import { makeCertificate, makeCertificateAuthority } from "../machines/certificates.ts";

/** The program's default host, and the names that its Gateway lets in. */
const NAMES = ["nginx.hung.org.hk", "*.hung.org.hk"];

/** Paths of a lab's certificate for https, its private key (readable by its owner alone), and the authority to verify it by. */
export function httpsFiles(lab: Instance): { authority: string; certificate: string; key: string } {
  const file = (name: string) => join(directory(lab), name);
  return { authority: file("ca.crt"), certificate: file("server.crt"), key: file("server.key") };
}

/**
 * Makes the lab's certificate for https, unless it is there: for the default host, its siblings and the load balancer's
 * address, by an authority of the lab's own.
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
  // Whoever trusts this authority need not fear that it signs anything else; and requests have had their answers.
  for (const done of ["ca.key", "server.csr", "server.ext"]) await rm(join(partial, done));
  await rename(partial, made);
}

function directory(lab: Instance): string {
  return join(lab.dir, "https");
}
