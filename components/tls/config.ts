/** Settings of port 443: who holds the certificate, and the certificate itself. */
import { createPrivateKey, type KeyObject, X509Certificate } from "node:crypto";
import { z } from "zod";
import type { Tls } from "../../mesh/model.ts";
import { type ConfigOf, field, key, slice } from "../../settings/slice.ts";
import { flag, object } from "../../settings/values.ts";
import { trafficSplitSettings } from "../trafficSplit/config.ts";

const WANT_CERTIFICATE =
  "give the server's certificate and its chain in PEM: pulumi config set --secret tlsCertificate < " +
  "fullchain.pem";
const WANT_KEY = "give the certificate's private key in PEM: pulumi config set --secret tlsKey < privkey.pem";

export const tlsSettings = slice({
  keys: {
    tls: key(
      object("give an object with mode and redirect", {
        mode: field(
          z.enum(["terminate", "passthrough"], { error: "give terminate or passthrough" }).optional(),
          "Who holds the certificate: the load balancer (`terminate`) or the ingress gateway (`passthrough`)",
          "off",
        ),
        redirect: field(flag().default(false), "True answers on port 80 with a redirect to https"),
      }).prefault({}),
      "Port 443",
    ),
    tlsCertificate: key(
      z.string({ error: WANT_CERTIFICATE }).default(""),
      "The host's certificate and its chain in PEM, the server's own first",
      { secret: "masked" },
    ),
    tlsKey: key(
      z.string({ error: WANT_KEY }).default(""),
      "The certificate's private key in PEM, without a passphrase",
      { secret: "private" },
    ),
  },
  /** Certificate and key may stay in the configuration while https is off. */
  check({ tls, tlsCertificate = "", tlsKey = "" }, { valuesOf, now, fault }) {
    if (!tls?.mode) {
      if (tls?.redirect) fault("tls.mode", undefined, "give terminate or passthrough");
      return;
    }
    const [own] = certificatesIn(tlsCertificate) ?? [];
    const { host } = valuesOf(trafficSplitSettings);
    if (!own) fault("tlsCertificate", tlsCertificate, WANT_CERTIFICATE);
    else if (host)
      for (const right of certificateFaults(own, host, now)) fault("tlsCertificate", tlsCertificate, right);
    const key = privateKeyIn(tlsKey);
    if (typeof key === "string") fault("tlsKey", tlsKey, key);
    else if (own && !own.checkPrivateKey(key)) {
      fault(
        "tlsKey",
        tlsKey,
        "it does not belong to the first certificate in tlsCertificate, which has to be the server's own",
      );
    }
  },
  resolve: ({ tls, tlsCertificate, tlsKey }): { readonly tls?: Tls | undefined } => {
    if (!tls.mode) return { tls: undefined };
    const certificate = (certificatesIn(tlsCertificate) ?? []).map(String).join("");
    const key = createPrivateKey(tlsKey).export({ type: "pkcs8", format: "pem" });
    return { tls: { mode: tls.mode, redirect: tls.redirect, certificate, key: String(key) } };
  },
});

/** The capability's part of the configuration. */
export type TlsConfig = ConfigOf<typeof tlsSettings>;

/** The certificates of a PEM text, or undefined where there is none or one cannot be read. */
function certificatesIn(pem: string): X509Certificate[] | undefined {
  const blocks = pem.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? [];
  try {
    return blocks.length > 0 ? blocks.map((block) => new X509Certificate(block)) : undefined;
  } catch {
    return undefined;
  }
}

/** The key of a PEM text, or what would be right. */
function privateKeyIn(pem: string): KeyObject | string {
  if (/ENCRYPTED/.test(pem)) return "it is protected by a passphrase; give it without one";
  try {
    return createPrivateKey(pem);
  } catch {
    return WANT_KEY;
  }
}

function certificateFaults(certificate: X509Certificate, host: string, now: Date): string[] {
  const { subjectAltName, validFrom, validTo } = certificate;
  const faults = [
    // Browsers read the alternative names only.
    certificate.checkHost(host, { subject: "never" }) === undefined &&
      `it is for ${subjectAltName?.slice(0, 200) ?? "no name at all"}; give one for ${host}`,
    new Date(validFrom) > now && `it is valid from ${validFrom} only`,
    new Date(validTo) <= now && `it expired on ${validTo}; give a new one`,
  ];
  return faults.filter((right) => right !== false);
}
