/** X.509 certificates and keys, made with openssl. */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { run } from "../../clients/process.ts";

/** The holder of a certificate. */
export interface Subject {
  /** File name without extension. */
  readonly file: string;
  /** Common name: the Kubernetes user. */
  readonly user: string;
  /** Organisation: the Kubernetes group. */
  readonly group?: string;
  /** `DNS:…` and `IP:…` entries for a server's certificate. */
  readonly names?: readonly string[];
}

/** Days for which a lab's certificates are valid. */
const DAYS = "30";

/** Makes `ca.key` and `ca.crt` in the directory. */
export async function makeCertificateAuthority(pki: string): Promise<void> {
  await run("openssl", [
    ...["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", DAYS],
    ...["-subj", "/CN=istio-lab", "-addext", "keyUsage=critical,keyCertSign,cRLSign,digitalSignature"],
    ...["-keyout", join(pki, "ca.key"), "-out", join(pki, "ca.crt")],
  ]);
}

/** Makes `FILE.key` and `FILE.crt` for a server or a client. The authority in the same directory signs it. */
export async function makeCertificate(pki: string, subject: Subject): Promise<void> {
  const file = (extension: string) => join(pki, `${subject.file}.${extension}`);
  const group = subject.group ? `/O=${subject.group}` : "";
  await run("openssl", [
    ...["req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"],
    ...["-subj", `${group}/CN=${subject.user}`, "-keyout", file("key"), "-out", file("csr")],
  ]);
  const extensions = [
    "keyUsage=critical,digitalSignature,keyEncipherment",
    "extendedKeyUsage=serverAuth,clientAuth",
    ...(subject.names ? [`subjectAltName=${subject.names.join(",")}`] : []),
  ];
  await writeFile(file("ext"), `${extensions.join("\n")}\n`);
  await run("openssl", [
    ...["x509", "-req", "-in", file("csr"), "-days", DAYS, "-extfile", file("ext"), "-out", file("crt")],
    ...["-CA", join(pki, "ca.crt"), "-CAkey", join(pki, "ca.key")],
  ]);
}

/** Makes `service-account.key` and `.pub`. With them the API server signs and verifies pods' tokens. */
export async function makeServiceAccountKey(pki: string): Promise<void> {
  const key = join(pki, "service-account.key");
  await run("openssl", ["ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", key]);
  await run("openssl", ["ec", "-in", key, "-pubout", "-out", join(pki, "service-account.pub")]);
}
