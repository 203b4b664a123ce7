/** Tests of clients/kubectlConfig.ts. */
import { mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { describe, expect, it } from "vitest";
import { readTarget, withAbsolutePaths } from "../../../clients/kubectlConfig.ts";
import {
  authority,
  credential,
  home,
  kubeconfig,
  type Parts,
  plugin,
  reach,
} from "../../support/kubeconfigs.ts";

describe("with absolute paths, for a reader that does not know the kubeconfig's directory", () => {
  it.each<[string, (directory: string) => Parts, string]>([
    [
      "authority and client's certificate",
      (directory) => {
        writeFileSync(join(directory, "ca.crt"), authority.root);
        writeFileSync(join(directory, "client.crt"), authority.client.certificate);
        writeFileSync(join(directory, "client.key"), authority.client.key);
        return {
          cluster: "certificate-authority: ca.crt",
          user: "{client-certificate: ./client.crt, client-key: client.key}",
        };
      },
      "CN client",
    ],
    [
      "file of the token",
      (directory) => {
        writeFileSync(join(directory, "token"), "of-the-file\n");
        return { user: "{tokenFile: token}" };
      },
      "Bearer of-the-file",
    ],
    [
      "plugin",
      (directory) => {
        writeFileSync(join(directory, "login"), `#!/bin/sh\necho '${credential}'\n`, { mode: 0o755 });
        return { user: plugin("args: []", "./login") };
      },
      "Bearer of-the-plugin",
    ],
  ])("%s", async (_, parts, user) => {
    const directory = mkdtempSync(join(home, "elsewhere-"));
    const file = kubeconfig(parts(directory), join(basename(directory), "kubeconfig"));
    expect((await readTarget({ kubeconfig: file })).hasRelativePaths).toBe(true);
    const text = await withAbsolutePaths({ kubeconfig: file });
    expect((await reach({ kubeconfig: text }))?.user).toBe(user);
    const moved = join(home, "moved");
    writeFileSync(moved, text);
    expect((await readTarget({ kubeconfig: moved })).hasRelativePaths).toBe(false);
  });

  it("holds the chosen context alone; a plugin without a slash is looked up on PATH", async () => {
    const file = kubeconfig({ user: plugin("args: []", "login") });
    expect((await readTarget({ kubeconfig: file })).hasRelativePaths).toBe(false);
    const two = kubeconfig({ user: "{tokenFile: token}" }, "two");
    const other = readFileSync(two, "utf8").replace(
      "contexts: [",
      "contexts: [{name: other, context: {cluster: k, user: none}}, ",
    );
    writeFileSync(two, other);
    const held = JSON.parse(await withAbsolutePaths({ kubeconfig: two, context: "c" }));
    expect(held.contexts.map(({ name }: { name: string }) => name)).toEqual(["c"]);
    expect(held.users[0].user.tokenFile).toBe(join(home, "token"));
  });
});
