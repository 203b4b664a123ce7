/** Tests of lab. */
import { spawnSync } from "node:child_process";
import { chmodSync, copyFileSync, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { expect, onTestFinished, test } from "vitest";

const AUTHORITIES = "/etc/ssl/certs/ca-certificates.crt";
const LAUNCHER = join(import.meta.dirname, "../../lab");

test.each(["v20.19.5", "v22.18.1", "v23.5.0", "nonsense"])(
  "Node %s on PATH gives way to the one that was just brought",
  (old) => {
    const { stdout, stderr, status } = launch({ old });
    expect(stderr).toBe("");
    expect(stdout).toMatch(/^brought: --no-warnings \S+\/embedded\/cli\.ts up$/m);
    expect(status).toBe(0);
  },
);

test("Node trusts the authorities that the host trusts, or those that the user names", () => {
  const own = existsSync(AUTHORITIES) ? AUTHORITIES : "";
  expect(launch({}).stdout).toContain(`authorities: ${own}\n`);
  expect(launch({ authorities: "/home/ca.pem" }).stdout).toContain("authorities: /home/ca.pem\n");
});

test("the machines' files are readable, also where root's are not", () => {
  expect(launch({ shell: 'umask 077; exec sh "$0" "$@"' }).stdout).toMatch(/^umask: 0?022$/m);
});

/**
 * Runs `lab up` where host.sh installs a Node that prints its version, or else its authorities, its
 * umask, and its arguments.
 */
function launch({ old = "v20.19.5", authorities, shell = 'exec sh "$0" "$@"' }: Start) {
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
  write(
    "brought",
    [
      "#!/bin/sh",
      '[ "$1" != --version ] || { echo v22.19.0; exit; }',
      'echo "authorities: $NODE_EXTRA_CA_CERTS"',
      'echo "umask: $(umask)"',
      'echo brought: "$@"',
    ].join("\n"),
  );
  write(
    "embedded/toolchain/host.sh",
    `case $3 in "${root}"/*) ;; *) echo "should bring Node to '$3'" >&2; exit 1 ;; esac
     mkdir -p "$3/bin"; for tool in node npm; do cp "${root}/brought" "$3/bin/$tool"; done`,
  );
  const env = {
    PATH: `${join(root, "old")}:/usr/bin:/bin`,
    XDG_CACHE_HOME: join(root, "cache"),
    HOME: root,
    ...(authorities === undefined ? {} : { NODE_EXTRA_CA_CERTS: authorities }),
  };
  return spawnSync("sh", ["-c", shell, join(root, "lab"), "up"], { env, encoding: "utf8" });
}

interface Start {
  /** Version of the Node that is on PATH before. */
  old?: string;
  /** NODE_EXTRA_CA_CERTS. @default unset */
  authorities?: string;
  /** The shell's commands that start the launcher, which is `$0`. */
  shell?: string;
}
