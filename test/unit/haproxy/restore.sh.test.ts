/** Tests of haproxy/restore.sh. */
import { chmodSync, statSync, writeFileSync } from "node:fs";
import { afterEach, describe, expect, it } from "vitest";
import {
  config,
  makeMachine,
  ORIGINAL,
  removeMachines,
  sha256,
} from "../../support/haproxy/standInMachine.ts";

afterEach(removeMachines);

describe.skipIf(process.platform !== "linux")("restore.sh", () => {
  it("puts back exactly the file from before the first push, and can do so twice", () => {
    const machine = makeMachine({ original: ORIGINAL });
    chmodSync(machine.file, 0o600);
    machine.push(config(30001));
    machine.push(config(30002));
    expect(machine.restore()).toMatchObject({ status: 0 });
    expect(machine.read()).toBe(ORIGINAL);
    expect(machine.loaded()).toBe(ORIGINAL);
    expect(statSync(machine.file).mode & 0o777).toBe(0o600);
    expect(machine.files()).toEqual(["haproxy.cfg"]);
    expect(machine.restore()).toMatchObject({ status: 0 });
    expect(machine.read()).toBe(ORIGINAL);
  });

  it("removes the project's file where there was none before, and can do so twice", () => {
    const machine = makeMachine({});
    machine.stop();
    machine.push(config());
    expect(machine.restore()).toMatchObject({ status: 0 });
    expect(machine.files()).toEqual([]);
    expect(machine.loaded()).toBeUndefined();
    expect(machine.restore()).toMatchObject({
      status: 0,
      stdout: `nothing to do: there is no ${machine.file}\n`,
    });
  });

  it.each([
    ["by hand", "global\n# another one\n"],
    ["by another stack", config(30001, "organization/istio-lab/prod")],
  ])("touches nothing when the file was replaced %s", (_, theirs) => {
    const machine = makeMachine({ original: ORIGINAL });
    machine.push(config());
    writeFileSync(machine.file, theirs);
    const worker = machine.worker();
    expect(machine.restore()).toMatchObject({ status: 0 });
    expect(machine.read()).toBe(theirs);
    expect(machine.read(".before-istio-lab")).toBe(ORIGINAL);
    expect(machine.worker()).toBe(worker);
  });

  it("removes the copy of a push that was killed before it replaced the file", () => {
    const machine = makeMachine({ original: ORIGINAL });
    writeFileSync(`${machine.file}.before-istio-lab`, ORIGINAL);
    expect(machine.restore()).toMatchObject({ status: 0 });
    expect(machine.files()).toEqual(["haproxy.cfg"]);
    expect(machine.read()).toBe(ORIGINAL);
  });

  it("keeps an edit by hand before it puts the old file back", () => {
    const machine = makeMachine({ original: ORIGINAL });
    machine.push(config());
    const edit = `${config()}# mine\n`;
    writeFileSync(machine.file, edit);
    machine.restore();
    expect(machine.read()).toBe(ORIGINAL);
    expect(machine.read(`.by-hand-${sha256(edit).slice(0, 12)}`)).toBe(edit);
  });

  it("changes nothing in a dry run", () => {
    const machine = makeMachine({ original: ORIGINAL });
    machine.push(config());
    expect(machine.restore("--dry-run").stdout).toMatch(/^dry run: would put back /);
    expect(machine.read()).toBe(config());
  });
});
