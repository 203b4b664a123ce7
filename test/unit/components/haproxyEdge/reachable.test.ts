/** Tests of components/haproxyEdge/reachable.sh. */
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, describe, expect, it } from "vitest";

// Runs the script itself. The machine is one answer: that of an ssh-keyscan that is first on PATH.
const SCRIPT = fileURLToPath(new URL("../../../../components/haproxyEdge/reachable.sh", import.meta.url));
const KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIExample";
const URN = "urn:pulumi:dev::istio-lab::istio-lab:index:HaproxyEdge$command:remote:Command::edge-undo";

const roots: string[] = [];
afterEach(() => {
  for (const root of roots.splice(0)) rmSync(root, { recursive: true });
});

describe("reachable.sh", () => {
  it("is silent for a machine with the right key", () => {
    const { status, stderr, stdout } = run(`192.0.2.10 ${KEY}`);
    expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
    expect(stdout).toBe("arguments: -T 10 -p 22 -t ed25519 192.0.2.10\n");
  });

  it("takes a directory's user name for one", () => {
    const { status, stdout } = run(`192.0.2.10 ${KEY}`, "first.last@ad.example.org");
    expect([status, stdout]).toEqual([0, "arguments: -T 10 -p 22 -t ed25519 192.0.2.10\n"]);
  });

  it.each([
    ["does not answer", ""],
    [
      "is another machine now, with another host key",
      "192.0.2.10 ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOther",
    ],
  ])("reports a load balancer that %s, and how to continue without it", (what, answer) => {
    const { status, stderr } = run(answer);
    expect(status).toBe(1);
    expect(stderr).toContain(`error: load balancer debian@192.0.2.10:22 ${what}, so the haproxy.cfg`);
    expect(stderr).toContain(`  pulumi state delete --yes --target-dependents '${URN}' && pulumi destroy\n`);
  });
});

/** @param answer what ssh-keyscan prints; without one it fails. */
function run(answer: string, user = "debian") {
  const root = mkdtempSync(join(tmpdir(), "istio-lab-edge-"));
  roots.push(root);
  writeFileSync(
    join(root, "ssh-keyscan"),
    `#!/bin/sh\necho "arguments: $*" >&9\n[ -n "${answer}" ] || exit 1\necho "${answer}"\n`,
    { mode: 0o755 },
  );
  return spawnSync("/bin/sh", ["-c", `exec sh ${SCRIPT} 9>&1`], {
    encoding: "utf8",
    env: {
      PATH: `${root}:/usr/bin:/bin`,
      ISTIO_LAB_MACHINE: `${user}@192.0.2.10`,
      ISTIO_LAB_PORT: "22",
      ISTIO_LAB_HOST_KEY: KEY,
      ISTIO_LAB_UNDO: URN,
    },
  });
}
