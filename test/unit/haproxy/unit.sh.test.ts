/** Tests of haproxy/unit.sh, and of what the scripts make of it: a file beside others. */
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, describe, expect, it } from "vitest";
import { labModel } from "../../../haproxy/model.ts";
import { renderHaproxy } from "../../../haproxy/render.ts";
import { config, makeMachine, OWNER, removeMachines, signed } from "../../support/haproxy/standInMachine.ts";

afterEach(removeMachines);

const INCLUDE = ["--mode", "include"];
const OTHERS = "global\n  stats socket /run/haproxy/stats mode 600\nfrontend site\n  bind :80\n";

function beside(http2 = 30934): string {
  const nodes = [{ name: "node02", address: "10.0.0.2" }];
  const nodePorts = { http2, statusPort: 30580 };
  const ports = { http: 8080, https: 8443 };
  return renderHaproxy(labModel({ owner: OWNER, nodes, nodePorts, ports, include: true }));
}

/** A machine whose unit reads a file of another site, and the directory of this project's file. */
function makeSharedMachine() {
  const machine = makeMachine({});
  const main = join(machine.root, "main.cfg");
  writeFileSync(main, OTHERS);
  // Read by the name of the link.
  writeFileSync(join(machine.root, "available.cfg"), "backend site\n");
  symlinkSync("../available.cfg", join(machine.directory, "10-site.cfg"));
  const words = ["-f", main, "-f", machine.directory, "-L", "me"];
  machine.declare(words.join(" "), "Environment=SITE=x");
  machine.runsWith("-sf", "12", "13", "-x", "sockpair@4", ...words);
  return { ...machine, main };
}

describe.skipIf(process.platform !== "linux")("a file beside others", () => {
  it("is checked with them, in HAProxy's order and by the unit's words, and reloaded", () => {
    const machine = makeSharedMachine();
    const { status, stdout, stderr } = machine.push(beside(), ...INCLUDE);
    expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
    expect(stdout).toBe(`pushed: ${machine.file}, HAProxy worker 101 serves it\n`);
    const { root, directory, main } = machine;
    expect(machine.checked()?.replace(/new\.\w+/, "new")).toBe(
      `-c -L me -f ${main} -f ${root}/available.cfg -f ${directory}/.haproxy.cfg.istio-lab-new`,
    );
    expect(machine.loaded()).toBe(beside());
    expect(readFileSync(main, "utf8")).toBe(OTHERS);
    expect(machine.push(beside(), ...INCLUDE).stdout).toBe(`unchanged: ${machine.file}, no reload\n`);
  });

  it("is removed, and HAProxy is stopped, where the other files listen nowhere", () => {
    const machine = makeSharedMachine();
    machine.push(beside(), ...INCLUDE);
    machine.listensNowhereElse();
    expect(machine.restore(...INCLUDE)).toMatchObject({
      status: 0,
      stdout: `removed: ${machine.file}; HAProxy is stopped, because its other files listen nowhere\n`,
    });
    expect(machine.worker()).toBeUndefined();
  });

  it("is removed at the end, and HAProxy goes on without it", () => {
    const machine = makeSharedMachine();
    machine.push(beside(), ...INCLUDE);
    const worker = machine.worker();
    expect(machine.restore(...INCLUDE)).toMatchObject({
      status: 0,
      stdout: `removed: ${machine.file}; HAProxy goes on with its other files\n`,
    });
    expect(machine.checked()).toBe(`-c -L me -f ${machine.main} -f ${machine.root}/available.cfg`);
    expect(machine.files()).toEqual(["10-site.cfg"]);
    expect(machine.worker()).not.toBe(worker);
  });

  it("is removed again when HAProxy does not serve with the first one", () => {
    const machine = makeSharedMachine();
    const { status, stderr } = machine.push(signed(beside().replace("bind *:8080", "bind *:22")), ...INCLUDE);
    expect(status).toBe(1);
    expect(stderr).toMatch(
      /there was no file before, and there is none now; HAProxy worker \d+ serves as before/,
    );
    expect(machine.files()).toEqual(["10-site.cfg"]);
  });

  it("replaces no file that is not this project's", () => {
    const machine = makeSharedMachine();
    writeFileSync(machine.file, "backend theirs\n");
    expect(machine.push(beside(), ...INCLUDE).stderr).toContain(
      "is not this project's; set loadBalancer.configFile",
    );
    expect(machine.read()).toBe("backend theirs\n");
  });

  it("needs a name that HAProxy reads", () => {
    const machine = makeSharedMachine();
    const name = join(machine.directory, "lab.conf");
    expect(machine.look(...INCLUDE, "--file", name).stdout).toContain(
      "fault HAProxy reads no lab.conf in a directory; set loadBalancer.configFile",
    );
  });

  it("needs a directory that the unit reads: named where there is another one", () => {
    const machine = makeSharedMachine();
    const other = join(machine.root, "conf.d");
    mkdirSync(other);
    const words = `-f ${machine.main} -f ${other}`;
    machine.declare(words, "");
    machine.runsWith(...words.split(" "));
    expect(machine.look(...INCLUDE).stdout).toContain(
      `fault haproxy.service does not read ${machine.directory}; ` +
        `set loadBalancer.configFile (or --file) to ${other}/haproxy.cfg\n`,
    );
    machine.declare(`-f ${machine.main}`, "");
    machine.runsWith("-f", machine.main);
    expect(machine.look(...INCLUDE).stdout).toContain("systemctl edit haproxy (ExecStart= with -f ");
  });
});

describe.skipIf(process.platform !== "linux")("a master process that ignores signals", () => {
  it("is reloaded on its own socket", () => {
    const machine = makeMachine({ original: "global\n" });
    machine.runsWith("-f", machine.file, "-S", "unix@/run/haproxy-master.sock,mode,600");
    machine.blocksSignals();
    expect(machine.look().stdout).not.toContain("fault");
    expect(machine.push(config())).toMatchObject({ status: 0, stderr: "" });
    expect(machine.loaded()).toBe(config());
  });

  it("has to be restarted where it has no socket: named at preview and by a push", () => {
    const machine = makeMachine({ original: "global\n" });
    machine.runsWith("-f", machine.file);
    machine.blocksSignals();
    const fault =
      "haproxy.service takes no reload since one that failed, as some releases of HAProxy 3.1 to 3.3 do; " +
      "restart it, which closes its connections once: systemctl restart haproxy";
    expect(machine.look().stdout).toContain(`fault ${fault}\n`);
    expect(machine.push(config())).toMatchObject({
      status: 1,
      stderr: `error: ${fault}; nothing was changed\n`,
    });
    expect(machine.read()).toBe("global\n");
  });
});
