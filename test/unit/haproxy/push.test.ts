/** Tests of haproxy/push.ts. */
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { look, push, type RemoteScript, restore } from "../../../haproxy/push.ts";

const target = { host: "lb", user: "debian", configFile: "/etc/haproxy/haproxy.cfg" };
const bin = mkdtempSync(join(tmpdir(), "istio-lab-push-"));
afterAll(() => rmSync(bin, { recursive: true }));

/** A user of the load balancer: root, or an ordinary one with or without `sudo -n`. */
type User = "root" | "sudoer" | "user";

/**
 * Runs what goes over SSH in a login shell, with `timeout` standing for the script: it prints its arguments,
 * as NUL-terminated words, and what is left of standard input behind the script.
 */
function run({ command, input }: RemoteScript, { user = "root" as User, shell = "sh" } = {}) {
  const standIns = {
    id: `if [ "$1" = -un ]; then echo debian; else echo ${user === "root" ? 0 : 1000}; fi`,
    sudo: `[ "$1 $2 $3" = "-n -u root" ] || exit 9; shift 3; ${user === "sudoer" ? 'exec "$@"' : "exit 1"}`,
    timeout: `shift; printf '%s\\0' "$@"; head -c "$(printf %s "$3" | tr -dc 0-9)" | sha256sum >&2; cat`,
  };
  for (const [name, body] of Object.entries(standIns))
    writeFileSync(join(bin, name), `#!/bin/sh\n${body}\n`, { mode: 0o755 });
  const env = { ...process.env, PATH: `${bin}:${process.env.PATH}` };
  return spawnSync(shell, ["-c", command], { encoding: "utf8", env, input });
}

const words = (output: string) => output.split("\0").slice(3, -1);
const rest = (output: string) => output.split("\0").at(-1);

describe("a push", () => {
  it("hands its script the options, and leaves key and configuration on standard input", () => {
    const reloadCommand = 'it\'s; up "now" $HOME `x` \\n';
    const { stdout, status } = run(push({ ...target, reloadCommand }, { config: "config\n", pem: "pem\n" }));
    expect(status).toBe(0);
    expect(words(stdout)).toEqual([
      ...["push.sh", "--file", "/etc/haproxy/haproxy.cfg", "--reload", reloadCommand],
      ...["--socket", "/run/haproxy/admin.sock", "--probe", "/run/haproxy/istio-lab.sock"],
    ]);
    expect(rest(stdout)).toBe("pem\nconfig\n");
  });

  it("is one short line in an error", () => {
    const { command } = push(target, { config: "" });
    expect(command).toMatch(/^sh -c 'eval "\$\(head -c \d+\)"' push\.sh$/);
  });

  it("has a command of another text, which does the same, when there are edits by hand", () => {
    const script = push(target, { config: "config\n", edits: ["0123456789ab", "gone"] });
    expect(script.command).toMatch(/ push\.sh edited by hand 0123456789ab gone$/);
    expect(run(script).stdout).toBe(run(push(target, { config: "config\n" })).stdout);
  });

  it("becomes root with sudo, or reports what the user lacks before it reads anything", () => {
    const script = push(target, { config: "config\n" });
    expect(run(script, { user: "sudoer" }).stdout).toBe(run(script).stdout);
    expect(run(script, { user: "user" })).toMatchObject({
      status: 1,
      stdout: "",
      stderr:
        'error: debian may not run sudo without a password on lb: put "debian ALL=(ALL) NOPASSWD: ALL" ' +
        "into /etc/sudoers.d/istio-lab there\n",
    });
  });
});

describe("a login shell", () => {
  const edits = ["0123456789ab", "gone"];
  const scripts = {
    push: push(target, { config: "config\n", pem: "pem\n", edits }),
    restore: restore(target, "organization/istio-lab/dev"),
    look: look(target, { owner: "o", listen: ["*:80"] }),
  };

  it.for(["bash", "dash", "zsh", "ksh93", "fish", "tcsh"].map((shell) => [shell] as const))(
    "%s hands every command to sh unchanged",
    ([shell], { skip }) => {
      skip(spawnSync(shell, ["-c", "true"]).status !== 0, `no ${shell} on PATH`);
      for (const script of Object.values(scripts)) {
        const { status, stdout, stderr } = run(script, { shell });
        const { stdout: expected, stderr: read } = run(script);
        expect({ status, stdout, stderr }).toEqual({ status: 0, stdout: expected, stderr: read });
      }
    },
  );
});

describe("a restore", () => {
  it("reads all of its standard input", () => {
    const { stdout } = run(restore(target, "organization/istio-lab/dev"));
    expect(words(stdout)).toEqual([
      ...["restore.sh", "--file", "/etc/haproxy/haproxy.cfg"],
      ...["--owner", "organization/istio-lab/dev"],
    ]);
    expect(rest(stdout)).toBe("");
  });
});

describe("a look", () => {
  const script = look(target, { owner: "o", listen: ["*:80", "*:443"] });

  it("frames its report, with the exit status at its end", () => {
    const { stdout, status } = run(script);
    expect(status).toBe(0);
    expect(stdout).toMatch(/^istio-lab look begins\nsh\0[\s\S]*\0istio-lab look ended with status 0\n$/);
    expect(stdout).toContain("\0--look\0");
    expect(stdout).toContain("\0--listen\0*:80 *:443\0");
  });

  it("goes on without root where it must, and reports that", () => {
    const { stdout } = run(script, { user: "user" });
    expect(stdout).toMatch(
      /^istio-lab look begins\nfault debian may not run sudo without a password on lb: put ".*there\nsh\0/,
    );
  });
});
