/** A certificate authority with an intermediate one, and an HTTPS server with their certificate. */
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import type { IncomingMessage, ServerResponse } from "node:http";
import { createServer, type Server } from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";

export interface Authority {
  /** Of the root, the intermediate and a client, each in PEM. */
  readonly root: string;
  readonly intermediate: string;
  readonly client: { readonly certificate: string; readonly key: string };
  /** An HTTPS server at 127.0.0.1. It accepts clients with and without a certificate. */
  readonly serve: (answer: (request: IncomingMessage, response: ServerResponse) => void) => Promise<Server>;
}

export function makeAuthority(): Authority {
  const dir = mkdtempSync(join(tmpdir(), "istio-lab-authority-"));
  const at = (name: string) => join(dir, name);
  const openssl = (...args: string[]) => execFileSync("openssl", args, { stdio: "ignore" });
  const read = (name: string) => readFileSync(at(name), "utf8");
  const curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
  const sign = (name: string, issuer: string, extensions: string) => {
    openssl(
      "req",
      "-new",
      ...curve,
      "-subj",
      `/CN=${name}`,
      "-keyout",
      at(`${name}.key`),
      "-out",
      at(`${name}.csr`),
    );
    writeFileSync(at(`${name}.ext`), extensions);
    const signed = [
      "-CA",
      at(`${issuer}.crt`),
      "-CAkey",
      at(`${issuer}.key`),
      "-CAcreateserial",
      "-days",
      "1",
    ];
    openssl(
      "x509",
      "-req",
      "-in",
      at(`${name}.csr`),
      ...signed,
      "-extfile",
      at(`${name}.ext`),
      "-out",
      at(`${name}.crt`),
    );
  };
  openssl(
    "req",
    "-x509",
    ...curve,
    "-days",
    "1",
    "-subj",
    "/CN=root",
    "-keyout",
    at("root.key"),
    "-out",
    at("root.crt"),
  );
  sign("intermediate", "root", "basicConstraints=critical,CA:true\nkeyUsage=keyCertSign\n");
  sign("server", "intermediate", "subjectAltName=IP:127.0.0.1,DNS:api.test\n");
  sign("client", "root", "extendedKeyUsage=clientAuth\n");
  const made = {
    root: read("root.crt"),
    intermediate: read("intermediate.crt"),
    client: { certificate: read("client.crt"), key: read("client.key") },
  };
  const server = { cert: read("server.crt") + made.intermediate, key: read("server.key") };
  rmSync(dir, { recursive: true });
  return {
    ...made,
    serve: async (answer) => {
      const options = { ...server, ca: made.root, requestCert: true, rejectUnauthorized: false };
      const listening = createServer(options, answer);
      await new Promise<void>((resolve) => listening.listen(0, "127.0.0.1", resolve));
      return listening;
    },
  };
}
