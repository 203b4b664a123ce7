// A stack that the previous version of the program made: its state is updated without a replacement.
import { readFile } from "node:fs/promises";
import { isDeepStrictEqual } from "node:util";
import { expect, it } from "vitest";
import { immutablePaths } from "../../embedded/plugins/kubernetes/objects.ts";
import { makeCertificate } from "../support/certificates.ts";
import type { Registered } from "../support/mocks.ts";
import { runProgram } from "../support/program.ts";

/** A resource in the previous state, without secrets, long texts and values that differ between stacks. */
interface Recorded {
  readonly urn: string;
  readonly type: string;
  /** True: it was only read. */
  readonly external?: boolean;
  readonly inputs?: Record<string, unknown>;
}

it("keeps every resource of the previous version under its name, and replaces none", async () => {
  const file = new URL("../support/previousState.json", import.meta.url);
  const recorded = JSON.parse(await readFile(file, "utf8")) as Recorded[];
  const mine = recorded.filter(
    ({ type, external }) => !external && type !== "pulumi:pulumi:Stack" && !type.includes("command::default"),
  );
  const resources = await program();
  const lost = mine.filter(({ urn }) => !resources.has(pathOf(urn)) && !urn.includes("providers:command"));
  expect(lost.map(({ urn }) => urn)).toEqual([]);
  const replaced = mine.flatMap(({ urn, type, inputs }) => {
    const next = resources.get(pathOf(urn));
    return next ? replacing(type, inputs ?? {}, next).map((path) => `${urn} ${path}`) : [];
  });
  expect(replaced).toEqual([]);
});

/** The program as it is now, with https in the gateway, by the ends of its URNs. */
async function program(): Promise<Map<string, Registered>> {
  const { certificate, key } = makeCertificate("nginx.hung.org.hk");
  const https = { tls: { mode: "passthrough" }, tlsCertificate: certificate, tlsKey: key };
  const { resources } = await runProgram(https, { routed: [] });
  return new Map(resources.map((resource) => [resource.path, resource]));
}

const pathOf = (urn: string) => urn.split("::").slice(2).join("::");

/** The property paths that a plugin would replace the resource for. */
function replacing(type: string, before: Record<string, unknown>, { inputs: after }: Registered): string[] {
  const paths = type.startsWith("command:")
    ? ["triggers"]
    : type === "pulumi:providers:kubernetes"
      ? ["clusterIdentifier"]
      : immutablePaths(after);
  return paths.filter((path) => !isDeepStrictEqual(at(before, path), at(after, path)));
}

const at = (inputs: unknown, path: string) =>
  path.split(".").reduce<unknown>((value, part) => (value as Record<string, unknown>)?.[part], inputs);
