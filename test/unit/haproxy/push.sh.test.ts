/** Tests of haproxy/push.sh. */
import { chmodSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, describe, expect, it } from "vitest";
import {
  config,
  makeMachine,
  ORIGINAL,
  OWNER,
  removeMachines,
  sha256,
  signed,
} from "../../support/haproxy/standInMachine.ts";

afterEach(removeMachines);

describe.skipIf(process.platform !== "linux")("push.sh", () => {
  it("puts the file into use, and keeps the previous file with its mode", () => {
    const machine = makeMachine({ original: ORIGINAL });
    chmodSync(machine.file, 0o640);
    expect(machine.push(config())).toMatchObject({ status: 0, stderr: "" });
    expect(machine.read()).toBe(config());
    expect(machine.read(".before-istio-lab")).toBe(ORIGINAL);
    expect(machine.loaded()).toBe(config());
    expect(statSync(machine.file).mode & 0o777).toBe(0o640);
    expect(machine.files()).toEqual(["haproxy.cfg", "haproxy.cfg.before-istio-lab"]);
  });

  it("does not reload for the same bytes", () => {
    const machine = makeMachine({ original: ORIGINAL });
    machine.push(config());
    const worker = machine.worker();
    expect(machine.push(config())).toMatchObject({
      status: 0,
      stdout: `unchanged: ${machine.file}, no reload\n`,
    });
    expect(machine.worker()).toBe(worker);
  });

  it("starts a stopped service for the same bytes", () => {
    const machine = makeMachine({ original: ORIGINAL });
    machine.push(config());
    machine.stop();
    expect(machine.push(config())).toMatchObject({ status: 0 });
    expect(machine.loaded()).toBe(config());
  });

  it("keeps the file from before the first push through later pushes", () => {
    const machine = makeMachine({ original: ORIGINAL });
    machine.push(config(30001));
    machine.push(config(30002));
    expect(machine.read(".before-istio-lab")).toBe(ORIGINAL);
    expect(machine.loaded()).toBe(config(30002));
  });

  it("leaves nothing when the caller hangs up before the file is replaced", () => {
    const machine = makeMachine({ original: ORIGINAL });
    const hangUp = 'mv "$@"; case "$*" in *before-istio-lab) kill -PIPE $PPID;; esac';
    writeFileSync(join(machine.root, "bin/mv"), `#!/bin/sh\nPATH=/usr/bin:/bin\n${hangUp}\n`, {
      mode: 0o755,
    });
    expect(machine.push(config())).toMatchObject({ status: 1 });
    expect(machine.files()).toEqual(["haproxy.cfg"]);
    expect(machine.read()).toBe(ORIGINAL);
  });

  it("takes the copy of a push that was killed for its own", () => {
    const machine = makeMachine({ original: ORIGINAL });
    writeFileSync(`${machine.file}.before-istio-lab`, ORIGINAL);
    expect(machine.push(config())).toMatchObject({ status: 0 });
    expect(machine.files()).toEqual(["haproxy.cfg", "haproxy.cfg.before-istio-lab"]);
    expect(machine.restore()).toMatchObject({ status: 0 });
    expect(machine.files()).toEqual(["haproxy.cfg"]);
  });

  it("changes nothing when HAProxy rejects the file, and shows the line that it means", () => {
    const machine = makeMachine({ original: ORIGINAL });
    const bad = signed(config().replace("mode http", "mode httpp"));
    const { status, stderr } = machine.push(bad);
    expect(status).toBe(1);
    expect(stderr).toMatch(
      /^error: HAProxy rejects the new file; nothing was changed, HAProxy worker 100 serves as before\n/,
    );
    expect(stderr).toMatch(/ {2}\[ALERT\] .* : unknown mode\n/);
    expect(stderr).toMatch(/ {2}line \d+: {5}mode httpp\n/);
    expect(machine.read()).toBe(ORIGINAL);
    expect(machine.files()).toEqual(["haproxy.cfg"]);
  });

  it("changes nothing when a port is in use, and says by what", () => {
    const machine = makeMachine({ original: ORIGINAL });
    machine.push(config());
    const { status, stderr } = machine.push(signed(config().replace("bind *:80", "bind *:23")));
    expect({ status, stderr }).toEqual({
      status: 1,
      stderr:
        "error: HAProxy could not listen on *:23 (Address already in use, by inetd); nothing was " +
        "changed\n",
    });
    expect(machine.loaded()).toBe(config());
    expect(machine.files()).toEqual(["haproxy.cfg", "haproxy.cfg.before-istio-lab"]);
  });

  it("puts the old file back when the new one does not serve", () => {
    const machine = makeMachine({ original: ORIGINAL });
    machine.push(config());
    const { status, stderr } = machine.push(signed(config().replace("bind *:80", "bind *:22")));
    expect(status).toBe(1);
    expect(stderr).toMatch(
      /^error: HAProxy accepts the new file but does not serve with it; the old file is back and worker \d+ serves it\n/,
    );
    expect(stderr).toMatch(/ {2}line \d+: {5}bind \*:22\n/);
    expect(machine.loaded()).toBe(config());
    expect(machine.files()).toEqual(["haproxy.cfg", "haproxy.cfg.before-istio-lab"]);
  });

  it("puts the old file back when a worker answers that is not the new one", () => {
    const machine = makeMachine({ original: ORIGINAL, patience: 3 });
    machine.push(config());
    const stale = signed(config().replace("lf-string %pid", "lf-string stale"));
    expect(machine.push(stale)).toMatchObject({ status: 1 });
    expect(machine.loaded()).toBe(config());
  });

  it("takes any answer for a file that is not this project's", () => {
    const machine = makeMachine({ original: `${ORIGINAL}# lf-string stale\n` });
    const { stderr } = machine.push(signed(config().replace("bind *:80", "bind *:22")));
    expect(stderr).toMatch(/the old file is back and worker \d+ serves it\n/);
  });

  it("leaves no trace of a first push that does not serve", () => {
    const machine = makeMachine({});
    expect(machine.push(signed(config().replace("bind *:80", "bind *:22")))).toMatchObject({ status: 1 });
    expect(machine.files()).toEqual([]);
  });

  it("finishes a push that was cut between rename and reload", () => {
    const machine = makeMachine({ original: ORIGINAL });
    machine.push(config(30001));
    writeFileSync(join(machine.directory, ".haproxy.cfg.istio-lab-old"), config(30001));
    writeFileSync(machine.file, config(30002));
    expect(machine.push(config(30002))).toMatchObject({ status: 0 });
    expect(machine.loaded()).toBe(config(30002));
    expect(machine.files()).toEqual(["haproxy.cfg", "haproxy.cfg.before-istio-lab"]);
  });

  it("removes the staged files of a killed push", () => {
    const machine = makeMachine({ original: ORIGINAL });
    writeFileSync(join(machine.directory, ".haproxy.cfg.istio-lab-new.aBcDeF"), "half");
    machine.push(config());
    expect(machine.files()).toEqual(["haproxy.cfg", "haproxy.cfg.before-istio-lab"]);
  });

  it("keeps an edit by hand beside the new file and says so", () => {
    const machine = makeMachine({ original: ORIGINAL });
    machine.push(config(30001));
    const edit = config(30001).replace("retries 5", "retries 9");
    writeFileSync(machine.file, edit);
    const kept = `.by-hand-${sha256(edit).slice(0, 12)}`;
    expect(machine.push(config(30002)).stdout).toMatch(
      `edited by hand: the edit is kept in ${machine.file}${kept}\n`,
    );
    expect(machine.read(kept)).toBe(edit);
    expect(machine.loaded()).toBe(config(30002));
  });

  it("refuses a file that did not arrive whole", () => {
    const machine = makeMachine({ original: ORIGINAL });
    expect(machine.push(config().slice(0, -40)).stderr).toMatch(/^error: the new file did not arrive whole/);
    expect(machine.push("").stderr).toMatch(/^error: the new file did not arrive whole/);
    expect(machine.read()).toBe(ORIGINAL);
  });

  it("refuses to take another stack's load balancer", () => {
    const machine = makeMachine({ original: ORIGINAL });
    machine.push(config(30001, "organization/istio-lab/prod"));
    expect(machine.push(config()).stderr).toMatch(`belongs to organization/istio-lab/prod, not to ${OWNER}`);
    expect(machine.loaded()).toBe(config(30001, "organization/istio-lab/prod"));
  });

  it.each([
    ["masked", /^error: haproxy\.service is masked; unmask it: .*; nothing was changed/],
    ["not-found", /^error: systemd has no haproxy\.service/],
  ])("says that the service is %s", (loadState, message) => {
    const machine = makeMachine({ original: ORIGINAL, loadState });
    expect(machine.push(config()).stderr).toMatch(message);
    expect(machine.read()).toBe(ORIGINAL);
  });

  it("takes a reload command where there is no systemd", () => {
    const machine = makeMachine({ original: ORIGINAL, loadState: "not-found" });
    expect(machine.push(config(), "--reload", "systemctl reload haproxy")).toMatchObject({ status: 0 });
    expect(machine.loaded()).toBe(config());
  });

  it("changes nothing in a dry run, and shows what would change", () => {
    const machine = makeMachine({ original: ORIGINAL });
    const { status, stdout } = machine.push(config(), "--dry-run");
    expect(status).toBe(0);
    expect(stdout).toMatch(/^dry run: would replace .*\n[\s\S]*\+ {4}maxconn 2000\n/);
    expect(machine.read()).toBe(ORIGINAL);
    expect(machine.files()).toEqual(["haproxy.cfg"]);
    expect(machine.worker()).toBe("100");
  });
});
