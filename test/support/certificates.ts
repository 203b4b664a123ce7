/** Certificates for tests, made by openssl. */
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** Both in PEM. */
export interface Certificate {
  readonly certificate: string;
  readonly key: string;
}

/** A self-signed certificate, valid for one day, and its key. */
export function makeCertificate(host: string): Certificate {
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

/** A self-signed certificate that expired yesterday, and its key. */
export function makeExpiredCertificate(name: string): Certificate {
  const dir = mkdtempSync(join(tmpdir(), "istio-lab-certificate-"));
  const [keyFile, request, file] = ["key.pem", "request.pem", "certificate.pem"].map((part) =>
    join(dir, part),
  );
  const kind = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
  const openssl = (...args: string[]) => execFileSync("openssl", args, { stdio: "ignore" });
  openssl("req", "-new", ...kind, "-subj", `/CN=${name}`, "-keyout", `${keyFile}`, "-out", `${request}`);
  openssl("x509", "-req", "-in", `${request}`, "-signkey", `${keyFile}`, "-days", "-1", "-out", `${file}`);
  const made = { certificate: readFileSync(`${file}`, "utf8"), key: readFileSync(`${keyFile}`, "utf8") };
  rmSync(dir, { recursive: true });
  return made;
}
