import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** A certificate that signs itself, good for one day, and its key, both in PEM. */
export function makeCertificate(host: string): { certificate: string; key: string } {
  const dir = mkdtempSync(join(tmpdir(), "istio-lab-certificate-"));
  const [keyFile, file] = [join(dir, "key.pem"), join(dir, "certificate.pem")];
  const names = ["-subj", `/CN=${host}`, "-addext", `subjectAltName=DNS:${host}`];
  const kind = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "1"];
  execFileSync("openssl", ["req", "-x509", ...kind, ...names, "-keyout", keyFile, "-out", file], {
    stdio: "ignore",
  });
  const made = { certificate: readFileSync(file, "utf8"), key: readFileSync(keyFile, "utf8") };
  rmSync(dir, { recursive: true });
  return made;
}
