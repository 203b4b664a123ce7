import { execFileSync, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { quote } from "../../../clients/shell.ts";
import { commands } from "../../../components/haproxyEdge/haproxyEdge.ts";
import { credential, type LabModelArgs, labModel } from "../../../haproxy/model.ts";
import { configHash, renderHaproxy } from "../../../haproxy/render.ts";

const golden = (name: string) => fileURLToPath(new URL(`../../golden/${name}.cfg`, import.meta.url));
const GOLDEN = golden("haproxy");

const ARTICLE: LabModelArgs = {
  owner: "organization/istio-lab/dev",
  nodes: [2, 3, 4].map((n) => ({ name: `rancher-node0${n}`, address: `10.0.0.${n}` })),
  nodePorts: { http2: 30934, statusPort: 30580 },
};

const has = (tool: string) => spawnSync("sh", ["-c", `command -v ${tool}`]).status === 0;

describe("renderHaproxy", () => {
  it("renders the article's lab as the golden file has it", () => {
    expect(renderHaproxy(labModel(ARTICLE))).toBe(readFileSync(GOLDEN, "utf8"));
  });

  it.each(["terminate", "passthrough"] as const)(
    "renders port 443 as the golden file for %s has it",
    (mode) => {
      const certificateFile = "/etc/haproxy/haproxy.cfg.tls-0123456789abcdef.pem";
      const nodePorts = { ...ARTICLE.nodePorts, https: 30895 };
      const tls = { mode, redirect: true, certificateFile };
      const config = renderHaproxy(labModel({ ...ARTICLE, nodePorts, tls }));
      expect(config).toBe(readFileSync(golden(`haproxy-${mode}`), "utf8"));
    },
  );

  it("renders exporter and stats page as the golden file has it, without the password", () => {
    const stats = {
      prometheus: { address: "10.0.0.1", port: 9101 },
      page: { address: "::1", port: 8404, credential: credential("admin", "correct-horse-battery") },
    };
    const config = renderHaproxy(labModel({ ...ARTICLE, stats }));
    expect(config).toBe(readFileSync(golden("haproxy-stats"), "utf8"));
    expect(config).not.toContain("correct-horse");
  });

  it("says what to do when the gateway has no https port to pass through to", () => {
    const tls = { mode: "passthrough" as const, redirect: false, certificateFile: "" };
    expect(() => labModel({ ...ARTICLE, tls })).toThrow("has no NodePort of the name https: use terminate");
  });

  it("says in its first line what the other lines hash to", () => {
    const config = renderHaproxy(labModel(ARTICLE));
    const body = config.slice(config.indexOf("\n") + 1);
    expect(configHash(config)).toBe(createHash("sha256").update(body).digest("hex"));
    expect(configHash("global\n")).toBeUndefined();
  });

  it("puts an IPv6 address in brackets", () => {
    const nodes = [{ name: "node02", address: "fd00::2" }];
    expect(renderHaproxy(labModel({ ...ARTICLE, nodes }))).toContain(
      "    server node02 [fd00::2]:30934 tcp-ut 2s\n",
    );
  });

  it("changes its hash with every value", () => {
    const hash = (change: Partial<LabModelArgs>) =>
      configHash(renderHaproxy(labModel({ ...ARTICLE, ...change })));
    const hashes = [
      hash({}),
      hash({ nodes: ARTICLE.nodes.slice(1) }),
      hash({ nodePorts: { http2: 30935, statusPort: 30580 } }),
      hash({ nodePorts: { http2: 30934, statusPort: 30581 } }),
    ];
    expect(new Set(hashes).size).toBe(hashes.length);
  });

  it("never lets a word become two, whatever the word", () => {
    const lines = renderHaproxy(labModel({ ...ARTICLE, nodes: ARTICLE.nodes.slice(0, 1) })).split(
      "\n",
    ).length;
    const word = fc.oneof(
      fc.string({ unit: "binary" }),
      fc.constantFrom("a", "node02", "a b", "a\nb", 'a"b', "a'b", "a#b", "a\\b", "$a"),
    );
    fc.assert(
      fc.property(word, word, (name, address) => {
        let config: string;
        try {
          config = renderHaproxy(labModel({ ...ARTICLE, nodes: [{ name, address }] }));
        } catch (error) {
          expect((error as Error).message).toMatch(/is not one plain word$/);
          return;
        }
        expect(config.split("\n")).toHaveLength(lines);
        expect(config.split("\n").at(-2)?.trim().split(" ")).toHaveLength(5);
      }),
    );
  });

  // The file for `terminate` names a certificate that only a machine has.
  it.for(["haproxy", "haproxy-passthrough", "haproxy-stats"])("passes haproxy -c: %s", (name, { skip }) => {
    skip(!has("haproxy"), "no haproxy on PATH; each push runs the same check on the load balancer");
    expect(spawnSync("haproxy", ["-c", "-f", golden(name)], { encoding: "utf8" })).toMatchObject({
      status: 0,
    });
  });
});

describe("the scripts", () => {
  const scripts = ["haproxy", "components/istio"].flatMap((directory) => {
    const path = fileURLToPath(new URL(`../../../${directory}`, import.meta.url));
    return readdirSync(path)
      .filter((name) => name.endsWith(".sh"))
      .map((name) => `${path}/${name}`);
  });

  it.each(scripts)("%s is a good shell script", (script) => {
    execFileSync("sh", ["-n", script]);
  });

  it("are clean under shellcheck", ({ skip }) => {
    skip(!has("shellcheck"), "no shellcheck on PATH");
    expect(spawnSync("shellcheck", ["-x", ...scripts], { encoding: "utf8" })).toMatchObject({ status: 0 });
  });
});

describe("the commands on the load balancer", () => {
  const machine = {
    host: "lb",
    port: 22,
    user: "debian",
    hostKey: "",
    configFile: "/etc/haproxy/haproxy.cfg",
  };

  it("quotes any word as one", () => {
    const word = fc.string({ unit: "grapheme-composite" }).filter((text) => !text.includes("\0"));
    fc.assert(
      fc.property(fc.array(word, { minLength: 1, maxLength: 8 }), (words) => {
        const command = `printf '%s\\0' ${words.map(quote).join(" ")}`;
        expect(execFileSync("sh", ["-c", command], { encoding: "utf8" })).toBe(
          words.map((text) => `${text}\0`).join(""),
        );
      }),
      { numRuns: 50 },
    );
  });

  it("go without sudo for root, with a way out for others", () => {
    expect(commands({ ...machine, user: "root" }, "o").create).not.toContain("sudo");
    expect(commands(machine, "o").create).toMatch(
      /^sudo -n true <\/dev\/null \|\| \{ echo 'error: debian may not run sudo/,
    );
  });

  it.each(["create", "update", "delete"] as const)(
    "take their script, and %s leaves nothing of standard input",
    (which) => {
      // The real command with `timeout` and the scripts' own names, where the scripts are stand-ins of the same length.
      const read = (name: string) =>
        readFileSync(new URL(`../../../haproxy/${name}`, import.meta.url), "utf8");
      const fake = (name: string, body: string) =>
        `${body}\n#`.padEnd(Buffer.byteLength(read(name)) - 1, "x").concat("\n");
      const remove = fake("restore.sh", 'echo "remove $*"; cat');
      const apply = fake("push.sh", 'echo "apply $*"; cat');
      const command = commands({ ...machine, user: "root", reloadCommand: "it's; up" }, "me")[which];
      const said = execFileSync("sh", ["-c", `${command}; cat`], {
        encoding: "utf8",
        input: `${remove}${apply}the config\n`,
      });
      expect(said).toBe(
        which === "delete"
          ? "remove --file /etc/haproxy/haproxy.cfg --reload it's; up --owner me\n"
          : "apply --file /etc/haproxy/haproxy.cfg --reload it's; up --socket /run/haproxy/admin.sock\nthe config\n",
      );
    },
  );
});
