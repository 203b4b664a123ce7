/** Settings of port 443. */
import { describe, expect, it } from "vitest";
import { makeCertificate } from "../../../support/certificates.ts";
import { faultsOf, settings } from "../../../support/settings.ts";

describe("tls", () => {
  const good = makeCertificate("nginx.hung.org.hk");
  const other = makeCertificate("www.example.org");
  const WANT_CERTIFICATE =
    "give the server's certificate and its chain in PEM: pulumi config set --secret tlsCertificate < " +
    "fullchain.pem";
  const WANT_KEY =
    "give the certificate's private key in PEM: pulumi config set --secret tlsKey < privkey.pem";
  const tomorrow = new Date(Date.now() + 2 * 86_400_000);
  const lastYear = new Date(Date.now() - 365 * 86_400_000);
  const tls = { mode: "terminate" };

  it("is off by default, and may be off while certificate and key stay", () => {
    expect(settings().tls).toBeUndefined();
    expect(settings({ tlsCertificate: "old", tlsKey: "old" }).tls).toBeUndefined();
  });

  it("takes a chain and its key, and drops all other text", () => {
    const tlsCertificate =
      `server s_client says:\n${good.certificate}` + `# istio-lab owner=x\n${other.certificate}`;
    const config = settings({ tls, tlsCertificate, tlsKey: good.key });
    expect(config.tls).toEqual({
      mode: "terminate",
      redirect: false,
      certificate: good.certificate + other.certificate,
      key: expect.stringMatching(/^-----BEGIN PRIVATE KEY-----\n[^#]+\n-----END PRIVATE KEY-----\n$/),
    });
  });

  it.each<[string, Record<string, unknown>, Date | undefined, (string | RegExp)[]]>([
    [
      "nothing given",
      { tls },
      undefined,
      [`tlsCertificate is missing: ${WANT_CERTIFICATE}`, `tlsKey is missing: ${WANT_KEY}`],
    ],
    [
      "no PEM",
      { tls, tlsCertificate: "surely", tlsKey: "not shown" },
      undefined,
      [`tlsCertificate is not usable: ${WANT_CERTIFICATE}`, `tlsKey is not usable: ${WANT_KEY}`],
    ],
    [
      "another host's certificate, another certificate's key, all at once",
      { tls, tlsCertificate: other.certificate, tlsKey: good.key },
      undefined,
      [
        "tlsCertificate is not usable: it is for DNS:www.example.org; give one for nginx.hung.org.hk",
        "tlsKey is not usable: it does not belong to the first certificate in tlsCertificate, which " +
          "has to be the server's own",
      ],
    ],
    [
      "an expired certificate",
      { tls, tlsCertificate: good.certificate, tlsKey: good.key },
      tomorrow,
      [/^tlsCertificate is not usable: it expired on .* GMT; give a new one$/],
    ],
    [
      "a certificate of the future",
      { tls, tlsCertificate: good.certificate, tlsKey: good.key },
      lastYear,
      [/^tlsCertificate is not usable: it is valid from .* GMT only$/],
    ],
    [
      "a key with a passphrase",
      { tls, tlsCertificate: good.certificate, tlsKey: good.key.replaceAll("PRIVATE", "ENCRYPTED PRIVATE") },
      undefined,
      ["tlsKey is not usable: it is protected by a passphrase; give it without one"],
    ],
    [
      "a redirect to nowhere",
      { tls: { redirect: true } },
      undefined,
      ["tls.mode is missing: give terminate or passthrough"],
    ],
    ["another mode", { tls: { mode: "on" } }, undefined, ['tls.mode is "on": give terminate or passthrough']],
    [
      "a misspelt field",
      { tls: { mod: "terminate" } },
      undefined,
      ["tls.mod is no key of this project (did you mean mode?); the keys are mode, redirect"],
    ],
  ])("reports %s", (_, raw, now, lines) => {
    expect(faultsOf(raw, { now })).toEqual(
      lines.map((line) => (typeof line === "string" ? line : expect.stringMatching(line))),
    );
  });
});
