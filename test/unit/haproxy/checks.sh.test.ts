/** Tests of haproxy/checks.sh. */
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, describe, expect, it } from "vitest";
import {
  config,
  makeMachine,
  ORIGINAL,
  OWNER,
  removeMachines,
  sha256,
} from "../../support/haproxy/standInMachine.ts";

// `push.sh --look`: what would make a push fail, found before anything is touched.
afterEach(removeMachines);

describe.skipIf(process.platform !== "linux")("push.sh --look", () => {
  /** The faults. The search for them changes nothing on the machine. */
  function faults(machine: ReturnType<typeof makeMachine>, ...args: string[]): string[] {
    const before = [machine.files(), machine.read(), machine.worker()];
    const { status, stdout, stderr } = machine.look(...args);
    expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
    expect([machine.files(), machine.read(), machine.worker()]).toEqual(before);
    const lines = stdout.trim().split("\n");
    return lines.flatMap((line) => (line.startsWith("fault ") ? [line.slice("fault ".length)] : []));
  }

  it("finds no fault on a ready machine, and reports HAProxy's version", () => {
    const machine = makeMachine({ original: ORIGINAL });
    expect(machine.look("--listen", "*:80 *:443")).toMatchObject({ status: 0, stdout: "version 2.6.12\n" });
  });

  it.each([
    ["haproxy", /^there is no haproxy; install it \(Debian: apt-get install haproxy\)$/],
    ["flock", /^there is no flock; install util-linux$/],
    ["perl", /^there is no Perl with IO::Socket; install it /],
  ])("finds that %s is missing", (tool, fault) => {
    const machine = makeMachine({ original: ORIGINAL, without: [tool] });
    expect(faults(machine)).toEqual([expect.stringMatching(fault)]);
  });

  it.each(["0.0.0.0:80", "*:80", "10.0.0.9:80"])("names another HAProxy on a port, at %s", (address) => {
    const machine = makeMachine({ original: ORIGINAL });
    machine.runsWith("-f", machine.file);
    machine.alsoListens(address);
    expect(faults(machine, "--listen", "*:80")).toEqual([
      "HAProxy with process id 99, of haproxy@site.service, listens on *:80 too, and gets a part of the connections; stop it, or set loadBalancer.httpPort and loadBalancer.httpsPort to other ports",
    ]);
    expect(machine.push(config())).toMatchObject({ status: 1 });
  });

  it("takes the worker processes of the unit, and a listener on another address, for no others", () => {
    const machine = makeMachine({ original: ORIGINAL });
    machine.runsWith("-f", machine.file);
    machine.alsoListens("0.0.0.0:80", { parent: 7 });
    expect(faults(machine, "--listen", "*:80")).toEqual([]);
    machine.alsoListens("0.0.0.0:80", { unit: "haproxy" });
    expect(faults(machine, "--listen", "*:80")).toEqual([]);
    machine.alsoListens("10.0.0.9:9101");
    expect(faults(machine, "--listen", "127.0.0.1:9101")).toEqual([]);
  });

  it.each([
    ["HA-Proxy version 1.8.19-1+deb10u3 2020/04/01", "1.8.19"],
    ["HA-Proxy version 2.2.9-2+deb11u6 2023/12/23", "2.2.9"],
  ])("finds that HAProxy is too old: %s", (version, number) => {
    expect(faults(makeMachine({ original: ORIGINAL, version }))).toEqual([
      `HAProxy is ${number}, and the configuration needs 2.4 or later: this one has neither idle-close-on-response, without which a reload fails requests, nor named defaults; upgrade it (Debian 12 and Ubuntu 22.04 bring a later one)`,
    ]);
  });

  it.each(["2.4.24", "2.6.12", "2.10.1", "3.0.0"])("takes HAProxy %s", (number) => {
    expect(faults(makeMachine({ original: ORIGINAL, version: `HAProxy version ${number}-1 x` }))).toEqual([]);
  });

  it.each([
    ["masked", /^haproxy\.service is masked; unmask it: systemctl unmask haproxy$/],
    ["not-found", /^systemd has no haproxy\.service; /],
  ])("finds that the service is %s, unless a command reloads HAProxy", (loadState, fault) => {
    const machine = makeMachine({ original: ORIGINAL, loadState });
    expect(faults(machine)).toEqual([expect.stringMatching(fault)]);
    expect(faults(machine, "--reload", "true")).toEqual([]);
  });

  it("finds that the file belongs to another stack", () => {
    const machine = makeMachine({ original: ORIGINAL });
    machine.push(config(30001, "organization/istio-lab/prod"));
    expect(faults(machine)).toEqual([
      `${machine.file} belongs to organization/istio-lab/prod, not to ${OWNER}; destroy that stack first, or use another load balancer`,
    ]);
  });

  it("finds that a port is in use, and by what", () => {
    const machine = makeMachine({ original: ORIGINAL });
    expect(faults(machine, "--listen", "*:80 *:23")).toEqual([
      "HAProxy could not listen on *:23 (Address already in use, by inetd)",
    ]);
  });

  it("finds that the directory of the admin socket is missing, unless the unit makes it", () => {
    const machine = makeMachine({ original: ORIGINAL });
    rmSync(join(machine.root, "run"), { recursive: true });
    expect(faults(machine)).toEqual([
      expect.stringMatching(/^there is no directory \S+\/run for HAProxy's sockets; create it, /),
    ]);
    writeFileSync(join(machine.root, "runtime-directory"), join(machine.root, "run"));
    expect(faults(machine)).toEqual([]);
  });

  it("finds that the directory of the file, or the chroot, is missing", () => {
    const machine = makeMachine({});
    rmSync(machine.directory, { recursive: true });
    rmSync(join(machine.root, "home"), { recursive: true });
    const { stdout } = machine.look();
    expect(stdout).toContain(`fault there is no directory ${machine.directory}; create it`);
    expect(stdout).toContain("HAProxy's chroot; create it");
    mkdirSync(machine.directory);
  });

  it("reports edits by hand: the file as it is, and those that were kept", () => {
    const machine = makeMachine({ original: ORIGINAL });
    machine.push(config());
    const edit = `${config()}# mine\n`;
    writeFileSync(machine.file, edit);
    writeFileSync(`${machine.file}.by-hand-0123456789ab`, "");
    const edits = () => machine.look().stdout.match(/^edit .*$/gm);
    expect(edits()).toEqual(["edit 0123456789ab", `edit ${sha256(edit).slice(0, 12)}`]);
    rmSync(machine.file);
    expect(edits()).toEqual(["edit 0123456789ab", "edit gone"]);
  });

  it("takes the file from before the first push for no edit", () => {
    expect(makeMachine({ original: ORIGINAL }).look().stdout).toBe("version 2.6.12\n");
  });

  it("finds that the file serves other clients, and names its listeners; unless the file may be replaced", () => {
    const original = `${ORIGINAL}frontend k8s-api\n  bind *:6443\nlisten old 10.0.0.1:8080\nfrontend sites\n  bind :80,:::443 ssl crt x\n`;
    const machine = makeMachine({ original });
    const fault = `${machine.file} serves other clients already: frontend k8s-api (*:6443), listen old (10.0.0.1:8080), frontend sites (:80), frontend sites (:::443); a push would replace the whole file. Set loadBalancer.mode (or --mode) to include to live beside them, or to file to replace the file (a destroy puts it back), or use another load balancer`;
    expect(faults(machine)).toEqual([fault]);
    expect(machine.push(config())).toMatchObject({
      status: 1,
      stderr: `error: ${fault}; nothing was changed\n`,
    });
    expect(machine.read()).toBe(original);
    expect(faults(machine, "--mode", "file")).toEqual([]);
    expect(machine.push(config(), "--mode", "file")).toMatchObject({ status: 0, stderr: "" });
    // Consent is needed once, because the file is now this stack's.
    expect(faults(machine)).toEqual([]);
    expect(machine.restore()).toMatchObject({ status: 0 });
    expect(machine.read()).toBe(original);
  });

  it("finds that the service reads another file, or one beside it with the same port", () => {
    const machine = makeMachine({ original: ORIGINAL });
    const others = join(machine.root, "conf.d");
    mkdirSync(others);
    writeFileSync(join(others, "site.cfg"), "defaults\nfrontend site\n  bind 0.0.0.0:80\n");
    const [main, wrong] = [machine.file, join(machine.root, "other.cfg")];
    writeFileSync(wrong, "global\n");
    machine.runsWith("-f", main, "-f", others);
    expect(faults(machine, "--listen", "*:80")).toEqual([
      `haproxy.service reads other files that listen on the same ports: ${others}/site.cfg: frontend site (0.0.0.0:80); remove that there, or set loadBalancer.httpPort and loadBalancer.httpsPort to other ports`,
    ]);
    expect(faults(machine, "--listen", "*:8080")).toEqual([]);
    expect(machine.push(config()).stderr).toContain("that listen on the same ports");
    machine.runsWith("-f", wrong);
    machine.declare(`-f ${wrong}`, "");
    expect(faults(machine, "--listen", "*:80")).toEqual([
      `haproxy.service does not read ${main}, but ${wrong}; set loadBalancer.configFile (or --file) to the file that it reads`,
    ]);
  });

  it("refuses to change the defaults of later files, unless they may be taken over", () => {
    const machine = makeMachine({ original: ORIGINAL });
    const others = join(machine.root, "conf.d");
    mkdirSync(others);
    writeFileSync(join(others, "api.cfg"), "frontend api\n  bind :6443\n");
    machine.runsWith("-f", machine.file, "-f", others);
    const heirs = `${machine.file} is read before sections that have no defaults of their own, and would take those of this file: ${others}/api.cfg: frontend api`;
    const fault = `${heirs}; set loadBalancer.mode (or --mode) to include to live beside them, or to file if they may`;
    expect(faults(machine)).toEqual([fault]);
    expect(machine.push(config()).stderr).toBe(`error: ${fault}; nothing was changed\n`);
    expect(machine.look("--mode", "file").stdout).toContain(`warning ${heirs}\n`);
    expect(machine.push(config(), "--mode", "file")).toMatchObject({ status: 0 });
    // Its owner knows by now.
    expect(machine.push(config(30935))).toMatchObject({
      status: 0,
      stdout: expect.not.stringContaining("api"),
    });
  });

  it("names a file that a unit reads twice, by its own directory and by an option", () => {
    const machine = makeMachine({ original: ORIGINAL });
    const others = join(machine.root, "conf.d");
    const settings = join(machine.root, "settings");
    mkdirSync(others);
    writeFileSync(join(others, "site.cfg"), "defaults\nfrontend site\n  bind :8080\n");
    writeFileSync(settings, `EXTRAOPTS="-S /run/master.sock -f ${others}"\n`);
    machine.declare(
      `-f ${machine.file} -f ${others} $EXTRAOPTS`,
      `EnvironmentFiles=${settings} (ignore_errors=yes)`,
    );
    machine.runsWith("-f", machine.file, "-f", others);
    expect(faults(machine)).toEqual([
      `haproxy.service reads ${others}/site.cfg twice; take its path out of one of the unit's options (EXTRAOPTS in ${settings}), and restart it: systemctl restart haproxy`,
    ]);
  });

  it("compares what runs with what the next start reads: another file, one beside it with the same port", () => {
    const machine = makeMachine({ original: ORIGINAL });
    const other = join(machine.root, "other.cfg");
    writeFileSync(other, "defaults\nfrontend site\n  bind :80\n");
    machine.runsWith("-f", machine.file);
    machine.declare("-f $CONFIG", `Environment=CONFIG=${other}`);
    expect(faults(machine, "--listen", "*:8080")).toEqual([
      `haproxy.service does not read ${machine.file} when it is started again, but ${other}; set loadBalancer.configFile (or --file) to the file that it reads`,
    ]);
    machine.declare(`-f ${machine.file} $EXTRAOPTS`, `Environment=EXTRAOPTS="-f ${other}"`);
    expect(faults(machine, "--listen", "*:80")).toEqual([
      expect.stringContaining(`listen on the same ports: ${other}: frontend site (:80); remove that`),
    ]);
    machine.runsWith("-f", other);
    machine.declare(`-f ${machine.file}`, "");
    expect(faults(machine, "--listen", "*:8080")).toEqual([
      `haproxy.service will read ${machine.file} when it is started again; restart it, which closes the connections of its other sites once: systemctl restart haproxy`,
    ]);
  });

  it("warns of ports that firewalld keeps from clients, with the command that opens them", () => {
    const machine = makeMachine({ original: ORIGINAL });
    const open =
      "case $1 in --state) echo running;; --query-service=http | --query-port=8404/tcp) ;; *) exit 1;; esac";
    writeFileSync(join(machine.root, "bin", "firewall-cmd"), `#!/bin/sh\n${open}\n`, { mode: 0o755 });
    const listen = "*:80 :::80 *:443 :::443 10.0.0.9:8404 127.0.0.1:9101";
    expect(machine.look("--listen", listen).stdout.match(/^warning .*$/gm)).toEqual(
      [443].map(
        (port) =>
          `warning firewalld keeps clients from port ${port}; open it: firewall-cmd --permanent --add-port=${port}/tcp && firewall-cmd --reload`,
      ),
    );
  });

  it.each(["disabled", "enabled-runtime", "linked"])("warns of a unit that is %s: no fault", (state) => {
    const machine = makeMachine({ original: ORIGINAL });
    writeFileSync(join(machine.root, "unit-file-state"), state);
    expect(machine.look().stdout).toContain(
      "warning haproxy.service does not start at boot; enable it: systemctl enable haproxy\n",
    );
    expect(faults(machine)).toEqual([]);
    expect(machine.push(config())).toMatchObject({ status: 0 });
  });

  it.each(["enabled", "static", "generated", ""])("does not warn of a unit that is %j", (state) => {
    const machine = makeMachine({ original: ORIGINAL });
    writeFileSync(join(machine.root, "unit-file-state"), state);
    expect(machine.look().stdout).not.toContain("warning");
  });

  it("is refused for wrong usage", () => {
    expect(makeMachine({}).look("--nonsense")).toMatchObject({ status: 2 });
  });
});
