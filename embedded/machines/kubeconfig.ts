/** Writes the kubeconfigs of the machines' daemons and of the administrator. */
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";

/** Writes a self-contained kubeconfig for a certificate in `pki`. Only the file's owner can read it. */
export async function writeKubeconfig(
  file: string,
  {
    server,
    pki,
    certificate,
    context,
  }: { server: string; pki: string; certificate: string; context: string },
): Promise<void> {
  const base64 = async (name: string) => (await readFile(join(pki, name))).toString("base64");
  const kubeconfig = {
    apiVersion: "v1",
    kind: "Config",
    clusters: [{ name: context, cluster: { server, "certificate-authority-data": await base64("ca.crt") } }],
    users: [
      {
        name: context,
        user: {
          "client-certificate-data": await base64(`${certificate}.crt`),
          "client-key-data": await base64(`${certificate}.key`),
        },
      },
    ],
    contexts: [{ name: context, context: { cluster: context, user: context } }],
    "current-context": context,
  };
  // Loaded here: most commands write none.
  const { stringify } = await import("yaml");
  await writeFile(file, stringify(kubeconfig), { mode: 0o600 });
}
