/** Tests of haproxy/ask.sh: what a unit runs. */
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, describe, expect, it } from "vitest";

const directory = mkdtempSync(join(tmpdir(), "istio-lab-unit-"));
afterAll(() => rmSync(directory, { recursive: true }));
const settings = join(directory, "haproxy");
const script = fileURLToPath(new URL("../../../haproxy/ask.sh", import.meta.url));

/** What read_command_line prints for the properties of a unit that does not run. */
function read(program: string, words: string, environment: string, file = ""): string[] {
  writeFileSync(settings, file);
  const input = [
    `Environment=${environment}`,
    `EnvironmentFiles=${settings} (ignore_errors=yes)`,
    "EnvironmentFiles=/nonexistent/haproxy (ignore_errors=yes)",
    `ExecStart={ path=${program} ; argv[]=${program} ${words} ; ignore_errors=no ; pid=0 }`,
    "",
  ].join("\n");
  const { stdout, stderr } = spawnSync("sh", ["-c", `. ${script}; read_command_line 0`], {
    encoding: "utf8",
    input,
  });
  expect(stderr).toBe("");
  return stdout.trim().split("\n");
}

const DEBIAN = '"CONFIG=/etc/haproxy/haproxy.cfg" PIDFILE=/run/haproxy.pid "EXTRAOPTS=-S /run/master.sock"';

describe("read_command_line", () => {
  const paths = (lines: string[]) => lines.flatMap((line) => /^path (.*)/.exec(line)?.[1] ?? []);

  it("reads Debian's unit", () => {
    expect(read("/usr/sbin/haproxy", "-Ws -f $CONFIG -p $PIDFILE $EXTRAOPTS", DEBIAN)).toEqual([
      "program /usr/sbin/haproxy",
      "next /etc/haproxy/haproxy.cfg",
      "path /etc/haproxy/haproxy.cfg",
      "master /run/master.sock",
      "environment CONFIG=/etc/haproxy/haproxy.cfg",
      "environment EXTRAOPTS=-S /run/master.sock",
      "environment PIDFILE=/run/haproxy.pid",
      `variable EXTRAOPTS ${settings} -S /run/master.sock`,
    ]);
  });

  it.each([
    [
      'EXTRAOPTS="-S /run/master.sock -f /etc/haproxy/conf.d"',
      ["/etc/haproxy/haproxy.cfg", "/etc/haproxy/conf.d"],
    ],
    ["CONFIG=/srv/lb.cfg # not a comment", ["/srv/lb.cfg"]],
    ["# CONFIG=/srv/lb.cfg\n  CONFIG='/srv/other.cfg'\n;EXTRAOPTS=x", ["/srv/other.cfg"]],
    ["EXTRAOPTS=-f /a.cfg \\\n  -f /b.cfg", ["/etc/haproxy/haproxy.cfg", "/a.cfg", "/b.cfg"]],
  ])("takes settings from its file before those of the unit: %j", (file, expected) => {
    const lines = read("/usr/sbin/haproxy", "-Ws -f $CONFIG $EXTRAOPTS", DEBIAN, file);
    expect(paths(lines).slice(0, expected.length)).toEqual(expected);
  });

  it("reads Fedora's unit, with a directory of its own", () => {
    const environment = "CONFIG=/etc/haproxy/haproxy.cfg CFGDIR=/etc/haproxy/conf.d";
    const lines = read("/usr/sbin/haproxy", "-Ws -f $CONFIG -f $CFGDIR -p $PIDFILE $OPTIONS", environment);
    expect(paths(lines)).toEqual(["/etc/haproxy/haproxy.cfg", "/etc/haproxy/conf.d"]);
    expect(lines).toContain(`variable OPTIONS ${settings}`);
  });

  it("keeps the words that matter to a check, and no others", () => {
    const name = ["$", "{NAME}"].join("");
    const words =
      `-sf 12 13 -x sockpair@4 -Ws -C /srv -f a.cfg -L ${name}-1 -n 100 -S /m,level,user -db -dM ` +
      "-p /p -- /b.cfg c.cfg";
    expect(read("/opt/hapee-2.8/sbin/hapee-lb", words, '"NAME=my peer"').slice(0, -1)).toEqual([
      "program /opt/hapee-2.8/sbin/hapee-lb",
      ...["next /srv/a.cfg", "next /b.cfg", "next /srv/c.cfg"],
      ...["path /srv/a.cfg", "path /b.cfg", "path /srv/c.cfg"],
      ...["-C", "/srv", "-L", "my peer-1", "-n", "100", "-dM"].map((word) => `option ${word}`),
      "master /m",
    ]);
  });

  it("finds that a unit runs another program", () => {
    expect(read("/usr/bin/podman", "run haproxy", "")).toEqual(["other /usr/bin/podman"]);
  });
});
