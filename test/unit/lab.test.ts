/** Tests of lab. */
import { spawnSync } from "node:child_process";
import { chmodSync, copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { expect, onTestFinished, test } from "vitest";

const LAUNCHER = join(import.meta.dirname, "../../lab");

test.each(["v20.19.5", "v22.17.1", "nonsense"])(
  "Node %s on PATH gives way to the one that was just brought",
  (old) => {
    const root = mkdtempSync(join(tmpdir(), "istio-lab-launcher-"));
    onTestFinished(() => rmSync(root, { recursive: true }));
    const write = (name: string, text: string) => {
      mkdirSync(dirname(join(root, name)), { recursive: true });
      writeFileSync(join(root, name), text);
      chmodSync(join(root, name), 0o755);
    };
    copyFileSync(LAUNCHER, join(root, "lab"));
    write("package-lock.json", "{}");
    write("node_modules/.installed", "{}");
    write("embedded/toolchain/wheels/node.txt", "pinned\n");
    write("old/node", `#!/bin/sh\n[ "$1" = --version ] && echo ${old}\n`);
    write("old/npm", "#!/bin/sh\n");
    // Installs a Node that prints its version, or else its arguments.
    write(
      "embedded/toolchain/host.sh",
      `case $3 in "${root}"/*) ;; *) echo "should bring Node to '$3'" >&2; exit 1 ;; esac
     mkdir -p "$3/bin"; for tool in node npm; do
       printf '#!/bin/sh\\n[ "$1" = --version ] && echo v22.18.0 || echo brought: "$@"\\n' >"$3/bin/$tool"; chmod +x "$3/bin/$tool"; done`,
    );
    const env = {
      PATH: `${join(root, "old")}:/usr/bin:/bin`,
      XDG_CACHE_HOME: join(root, "cache"),
      HOME: root,
    };
    const { stdout, stderr, status } = spawnSync("sh", [join(root, "lab"), "up"], { env, encoding: "utf8" });
    expect(stderr).toBe("");
    expect(stdout).toMatch(/^brought: --no-warnings \S+\/embedded\/cli\.ts up$/m);
    expect(status).toBe(0);
  },
);
