import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, describe, expect, it } from "vitest";
import { labModel } from "../../../haproxy/model.ts";
import { renderHaproxy } from "../../../haproxy/render.ts";

// The scripts themselves, on a stand-in machine: commands of the real names, in a directory at the front of PATH.
const OWNER = "organization/istio-lab/dev";
const ORIGINAL = "global\n# the file that was there before\n";

const machines: string[] = [];
afterEach(() => {
  for (const root of machines.splice(0)) rmSync(root, { recursive: true });
});

describe.skipIf(process.platform !== "linux")("push.sh", () => {
  it("puts the file into use, keeps what was there, and keeps its mode", () => {
    const machine = makeMachine({ original: ORIGINAL });
    chmodSync(machine.file, 0o640);
    expect(machine.apply(config())).toMatchObject({ status: 0, stderr: "" });
    expect(machine.read()).toBe(config());
    expect(machine.read(".before-istio-lab")).toBe(ORIGINAL);
    expect(machine.loaded()).toBe(config());
    expect(statSync(machine.file).mode & 0o777).toBe(0o640);
    expect(machine.files()).toEqual(["haproxy.cfg", "haproxy.cfg.before-istio-lab"]);
  });

  it("does not reload for the same bytes", () => {
    const machine = makeMachine({ original: ORIGINAL });
    machine.apply(config());
    const worker = machine.worker();
    expect(machine.apply(config())).toMatchObject({
      status: 0,
      stdout: `unchanged: ${machine.file}, no reload\n`,
    });
    expect(machine.worker()).toBe(worker);
  });

  it("starts a stopped service for the same bytes", () => {
    const machine = makeMachine({ original: ORIGINAL });
    machine.apply(config());
    machine.stop();
    expect(machine.apply(config())).toMatchObject({ status: 0 });
    expect(machine.loaded()).toBe(config());
  });

  it("keeps the file from before the first push through later pushes", () => {
    const machine = makeMachine({ original: ORIGINAL });
    machine.apply(config(30001));
    machine.apply(config(30002));
    expect(machine.read(".before-istio-lab")).toBe(ORIGINAL);
    expect(machine.loaded()).toBe(config(30002));
  });

  it("changes nothing when HAProxy rejects the file, and shows the line that it means", () => {
    const machine = makeMachine({ original: ORIGINAL });
    const bad = signed(config().replace("mode http", "mode httpp"));
    const { status, stderr } = machine.apply(bad);
    expect(status).toBe(1);
    expect(stderr).toMatch(
      /^error: HAProxy rejects the new file; nothing was changed, HAProxy worker 100 serves as before\n/,
    );
    expect(stderr).toMatch(/ {2}\[ALERT\] .* : unknown mode\n/);
    expect(stderr).toMatch(/ {2}line 13: {5}mode httpp\n/);
    expect(machine.read()).toBe(ORIGINAL);
    expect(machine.files()).toEqual(["haproxy.cfg"]);
  });

  it("changes nothing when a port is taken, and tells by whom", () => {
    const machine = makeMachine({ original: ORIGINAL });
    machine.apply(config());
    const worker = machine.worker();
    const { status, stderr } = machine.apply(signed(config().replace("bind *:80", "bind *:23")));
    expect({ status, stderr }).toEqual({
      status: 1,
      stderr: `error: HAProxy could not listen on *:23 (Address already in use, by inetd); nothing was changed, HAProxy worker ${worker} serves as before\n`,
    });
    expect(machine.loaded()).toBe(config());
    expect(machine.files()).toEqual(["haproxy.cfg", "haproxy.cfg.before-istio-lab"]);
  });

  it("puts the old file back when the new one does not serve", () => {
    const machine = makeMachine({ original: ORIGINAL });
    machine.apply(config());
    const { status, stderr } = machine.apply(signed(config().replace("bind *:80", "bind *:22")));
    expect(status).toBe(1);
    expect(stderr).toMatch(
      /^error: HAProxy accepts the new file but does not serve with it; the old file is back and worker \d+ serves it\n/,
    );
    expect(stderr).toMatch(/ {2}line 28: {5}bind \*:22\n/);
    expect(machine.loaded()).toBe(config());
    expect(machine.files()).toEqual(["haproxy.cfg", "haproxy.cfg.before-istio-lab"]);
  });

  it("puts the old file back when a worker answers that is not the new one", () => {
    const machine = makeMachine({ original: ORIGINAL });
    machine.apply(config());
    const stale = signed(config().replace("lf-string %pid", "lf-string stale"));
    expect(machine.apply(stale)).toMatchObject({ status: 1 });
    expect(machine.loaded()).toBe(config());
  });

  it("takes any answer for a file that is not this project's", () => {
    const machine = makeMachine({ original: `${ORIGINAL}# lf-string stale\n` });
    const { stderr } = machine.apply(signed(config().replace("bind *:80", "bind *:22")));
    expect(stderr).toMatch(/the old file is back and worker \d+ serves it\n/);
  });

  it("leaves no trace of a first push that does not serve", () => {
    const machine = makeMachine({});
    expect(machine.apply(signed(config().replace("bind *:80", "bind *:22")))).toMatchObject({ status: 1 });
    expect(machine.files()).toEqual([]);
  });

  it("finishes a push that was cut between rename and reload", () => {
    const machine = makeMachine({ original: ORIGINAL });
    machine.apply(config(30001));
    writeFileSync(join(machine.directory, ".haproxy.cfg.istio-lab-old"), config(30001));
    writeFileSync(machine.file, config(30002));
    expect(machine.apply(config(30002))).toMatchObject({ status: 0 });
    expect(machine.loaded()).toBe(config(30002));
    expect(machine.files()).toEqual(["haproxy.cfg", "haproxy.cfg.before-istio-lab"]);
  });

  it("clears away what a push that was killed had staged", () => {
    const machine = makeMachine({ original: ORIGINAL });
    writeFileSync(join(machine.directory, ".haproxy.cfg.istio-lab-new.aBcDeF"), "half");
    machine.apply(config());
    expect(machine.files()).toEqual(["haproxy.cfg", "haproxy.cfg.before-istio-lab"]);
  });

  it("keeps an edit by hand beside the new file and says so", () => {
    const machine = makeMachine({ original: ORIGINAL });
    machine.apply(config(30001));
    const edit = config(30001).replace("retries 5", "retries 9");
    writeFileSync(machine.file, edit);
    const kept = `.by-hand-${sha256(edit).slice(0, 12)}`;
    expect(machine.apply(config(30002)).stdout).toMatch(
      `edited by hand: the edit is kept in ${machine.file}${kept}\n`,
    );
    expect(machine.read(kept)).toBe(edit);
    expect(machine.loaded()).toBe(config(30002));
  });

  it("refuses a file that did not arrive whole", () => {
    const machine = makeMachine({ original: ORIGINAL });
    expect(machine.apply(config().slice(0, -40)).stderr).toMatch(/^error: the new file did not arrive whole/);
    expect(machine.apply("").stderr).toMatch(/^error: the new file did not arrive whole/);
    expect(machine.read()).toBe(ORIGINAL);
  });

  it("refuses to take another stack's load balancer", () => {
    const machine = makeMachine({ original: ORIGINAL });
    machine.apply(config(30001, "organization/istio-lab/prod"));
    expect(machine.apply(config()).stderr).toMatch(`belongs to organization/istio-lab/prod, not to ${OWNER}`);
    expect(machine.loaded()).toBe(config(30001, "organization/istio-lab/prod"));
  });

  it.each([
    ["masked", /^error: haproxy\.service is masked; nothing was changed/],
    ["not-found", /^error: systemd knows no haproxy\.service/],
  ])("says that the service is %s", (loadState, message) => {
    const machine = makeMachine({ original: ORIGINAL, loadState });
    expect(machine.apply(config()).stderr).toMatch(message);
    expect(machine.read()).toBe(ORIGINAL);
  });

  it("takes a reload command where there is no systemd", () => {
    const machine = makeMachine({ original: ORIGINAL, loadState: "not-found" });
    expect(machine.apply(config(), "--reload", "systemctl reload haproxy")).toMatchObject({ status: 0 });
    expect(machine.loaded()).toBe(config());
  });

  it("changes nothing in a dry run, and shows what would change", () => {
    const machine = makeMachine({ original: ORIGINAL });
    const { status, stdout } = machine.apply(config(), "--dry-run");
    expect(status).toBe(0);
    expect(stdout).toMatch(/^dry run: would replace .*\n[\s\S]*\+ {4}maxconn 2000\n/);
    expect(machine.read()).toBe(ORIGINAL);
    expect(machine.files()).toEqual(["haproxy.cfg"]);
    expect(machine.worker()).toBe("100");
  });
});

describe.skipIf(process.platform !== "linux")("restore.sh", () => {
  it("puts back exactly the file from before the first push, and can do so twice", () => {
    const machine = makeMachine({ original: ORIGINAL });
    chmodSync(machine.file, 0o600);
    machine.apply(config(30001));
    machine.apply(config(30002));
    expect(machine.remove()).toMatchObject({ status: 0 });
    expect(machine.read()).toBe(ORIGINAL);
    expect(machine.loaded()).toBe(ORIGINAL);
    expect(statSync(machine.file).mode & 0o777).toBe(0o600);
    expect(machine.files()).toEqual(["haproxy.cfg"]);
    expect(machine.remove()).toMatchObject({ status: 0 });
    expect(machine.read()).toBe(ORIGINAL);
  });

  it("takes ours away where there was none, and can do so twice", () => {
    const machine = makeMachine({});
    machine.stop();
    machine.apply(config());
    expect(machine.remove()).toMatchObject({ status: 0 });
    expect(machine.files()).toEqual([]);
    expect(machine.loaded()).toBeUndefined();
    expect(machine.remove()).toMatchObject({
      status: 0,
      stdout: `nothing to do: there is no ${machine.file}\n`,
    });
  });

  it.each([
    ["by hand", "global\n# somebody's own\n"],
    ["by another stack", config(30001, "organization/istio-lab/prod")],
  ])("touches nothing when the file was replaced %s", (_, theirs) => {
    const machine = makeMachine({ original: ORIGINAL });
    machine.apply(config());
    writeFileSync(machine.file, theirs);
    const worker = machine.worker();
    expect(machine.remove()).toMatchObject({ status: 0 });
    expect(machine.read()).toBe(theirs);
    expect(machine.read(".before-istio-lab")).toBe(ORIGINAL);
    expect(machine.worker()).toBe(worker);
  });

  it("keeps an edit by hand before it puts the old file back", () => {
    const machine = makeMachine({ original: ORIGINAL });
    machine.apply(config());
    const edit = `${config()}# mine\n`;
    writeFileSync(machine.file, edit);
    machine.remove();
    expect(machine.read()).toBe(ORIGINAL);
    expect(machine.read(`.by-hand-${sha256(edit).slice(0, 12)}`)).toBe(edit);
  });

  it("changes nothing in a dry run", () => {
    const machine = makeMachine({ original: ORIGINAL });
    machine.apply(config());
    expect(machine.remove("--dry-run").stdout).toMatch(/^dry run: would put back /);
    expect(machine.read()).toBe(config());
  });
});

function config(http2 = 30934, owner = OWNER): string {
  const nodes = [{ name: "rancher-node02", address: "10.0.0.2" }];
  return renderHaproxy(labModel({ owner, nodes, nodePorts: { http2, statusPort: 30580 } }));
}

/** The text with the hash in its first line made right again. */
function signed(text: string): string {
  const body = text.slice(text.indexOf("\n") + 1);
  return `# istio-lab owner=${OWNER} sha256=${sha256(body)}\n${body}`;
}

function sha256(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}

interface MachineArgs {
  /** haproxy.cfg before the first push. @default none */
  original?: string;
  /** What systemd says of haproxy.service. @default loaded */
  loadState?: string;
}

/**
 * A machine whose HAProxy is a few files: `worker` holds the process id, `loaded` the configuration it was started with.
 * It rejects "mode httpp", and does not come up with "bind *:22".
 */
function makeMachine({ original, loadState = "loaded" }: MachineArgs) {
  const root = mkdtempSync(join(tmpdir(), "istio-lab-machine-"));
  machines.push(root);
  const directory = join(root, "etc");
  const file = join(directory, "haproxy.cfg");
  const bin = join(root, "bin");
  for (const path of [directory, bin]) mkdirSync(path);
  if (original !== undefined) writeFileSync(file, original);
  writeFileSync(join(root, "worker"), "100");
  writeFileSync(join(root, "loaded"), original ?? "");
  const alert = (what: string) =>
    `[ALERT] (1) : config : [$1:$(grep -n '${what}' "$1" | cut -d : -f 1)] : unknown mode`;
  const commands: Record<string, string> = {
    id: "echo 0",
    // With "lf-string stale" another worker than the newest one answers.
    curl: `if grep -qs 'lf-string stale' ${file}; then echo 99; else cat $root/worker; fi`,
    // Stands for the question to the admin socket, and for trying to bind a port: 23 is taken, 22 only when HAProxy comes.
    perl: 'case "$*" in *IO::Socket::UNIX*) echo "Pid: $(cat $root/worker)";; *23) printf "Address already in use";; esac',
    ss: 'echo "LISTEN 0 128 0.0.0.0:23 0.0.0.0:* users:((\\"inetd\\",pid=7,fd=3))"',
    haproxy: `shift 2; if grep -q 'mode httpp' "$1"; then echo "${alert("mode httpp")}" >&2; exit 1; fi`,
    journalctl: 'case "$*" in *show-cursor*) echo "-- cursor: 1";; *) cat $root/journal 2>/dev/null;; esac',
    systemctl: `
      new_worker() {
        if grep -q 'bind .:22' ${file}; then
          echo "[ALERT] (1) : Binding [${file}:$(grep -n 'bind .:22' ${file} | cut -d : -f 1)] for frontend http: cannot bind. Exiting" > $root/journal
          return
        fi
        rm -f $root/journal
        cp ${file} $root/loaded; next=$(($(cat $root/next 2>/dev/null || echo 100) + 1)); echo $next > $root/next; echo $next > $root/worker
      }
      case "$1" in
        show) echo ${loadState};;
        is-active) [ -e $root/worker ];;
        reload|start) new_worker;;
        stop) rm -f $root/worker $root/loaded;;
      esac`,
  };
  for (const [name, body] of Object.entries(commands)) {
    writeFileSync(join(bin, name), `#!/bin/sh\nroot=${root}\n${body}\n`, { mode: 0o755 });
  }
  const script = (name: string, args: string[], input: string) => {
    const text = readFileSync(fileURLToPath(new URL(`../../../haproxy/${name}`, import.meta.url)), "utf8")
      // The one path of the scripts that PATH cannot stand in for.
      .replaceAll("/run/systemd/system", root)
      .replace("patience=10", "patience=1");
    const env = { ...process.env, PATH: `${bin}:${process.env.PATH}` };
    return spawnSync("sh", ["-c", text, name, "--file", file, ...args], {
      encoding: "utf8",
      env,
      input,
    });
  };
  const readIn = (path: string) => (existsSync(path) ? readFileSync(path, "utf8") : undefined);
  return {
    directory,
    file,
    apply: (input: string, ...args: string[]) => script("push.sh", args, input),
    remove: (...args: string[]) => script("restore.sh", ["--owner", OWNER, ...args], ""),
    read: (suffix = "") => readIn(file + suffix),
    files: () => readdirSync(directory).sort(),
    worker: () => readIn(join(root, "worker"))?.trim(),
    loaded: () => readIn(join(root, "loaded")),
    stop: () => {
      for (const name of ["worker", "loaded"]) rmSync(join(root, name));
    },
  };
}
