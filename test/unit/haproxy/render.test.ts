/** Tests of haproxy/render.ts. */
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { readFirstLine } from "../../../haproxy/firstLine.ts";
import { credential, type LabModelArgs, labModel } from "../../../haproxy/model.ts";
import { listenAddresses, renderHaproxy, WORKER_SOCKET } from "../../../haproxy/render.ts";

const golden = (name: string) => fileURLToPath(new URL(`../../golden/${name}.cfg`, import.meta.url));
const GOLDEN = golden("haproxy");

const ARTICLE: LabModelArgs = {
  host: "nginx.hung.org.hk",
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

  it("renders a file beside others as the golden file has it: own names, defaults and ports, no global", () => {
    const tls = { mode: "passthrough" as const, redirect: true, certificateFile: "" };
    const nodePorts = { ...ARTICLE.nodePorts, https: 30895 };
    const stats = { prometheus: { address: "127.0.0.1", port: 9101 } };
    const ports = { http: 8080, https: 8443 };
    const config = renderHaproxy(labModel({ ...ARTICLE, nodePorts, include: true, ports, tls, stats }));
    expect(config).toBe(readFileSync(golden("haproxy-include"), "utf8"));
    expect(config).not.toMatch(/^(global|defaults$|(frontend|backend|listen) (?!istio-lab-dev-))/m);
  });

  it("keeps the names of a file beside others distinct, and its socket's path short", () => {
    const sockets = [
      "o/istio-lab/dev",
      "o/istio-lab/prod",
      `o/istio-lab/${"a".repeat(90)}1`,
      `o/istio-lab/${"a".repeat(90)}2`,
    ]
      .map((owner) => renderHaproxy(labModel({ ...ARTICLE, owner, include: true })))
      .map((config) => /bind unix@(\S+)/.exec(config)?.[1] ?? "");
    expect(new Set(sockets).size).toBe(4);
    for (const socket of sockets) expect(socket.length).toBeLessThan(80);
  });

  it("says what to do when the gateway has no https port to pass through to", () => {
    const tls = { mode: "passthrough" as const, redirect: false, certificateFile: "" };
    expect(() => labModel({ ...ARTICLE, tls })).toThrow("has no NodePort of the name https: use terminate");
  });

  it.each([
    ["haproxy", {}],
    ["haproxy-terminate", { https: true }],
    ["haproxy-passthrough", { https: true }],
    [
      "haproxy-stats",
      {
        stats: {
          prometheus: { address: "10.0.0.1", port: 9101 },
          page: { address: "::1", port: 8404 },
        },
      },
    ],
  ])("lists the addresses on the bind lines of %s", (name, listeners) => {
    const bound = [...readFileSync(golden(name), "utf8").matchAll(/^ +bind (?!unix@)(\S+)/gm)].map(
      ([, at]) => at,
    );
    expect(listenAddresses({ ports: { http: 80, https: 443 }, https: false, ...listeners })).toEqual(bound);
  });

  it("answers push.sh where it checks", () => {
    expect(renderHaproxy(labModel(ARTICLE))).toContain(`bind unix@${WORKER_SOCKET} `);
  });

  it("puts an IPv6 address in brackets", () => {
    const nodes = [{ name: "node02", address: "fd00::2" }];
    expect(renderHaproxy(labModel({ ...ARTICLE, nodes }))).toContain(
      "    server node02 [fd00::2]:30934 tcp-ut 2s\n",
    );
  });

  it("changes its hash with every value", () => {
    const hash = (change: Partial<LabModelArgs>) =>
      readFirstLine(renderHaproxy(labModel({ ...ARTICLE, ...change })))?.hash;
    const hashes = [
      hash({}),
      hash({ nodes: ARTICLE.nodes.slice(1) }),
      hash({ nodePorts: { http2: 30935, statusPort: 30580 } }),
      hash({ nodePorts: { http2: 30934, statusPort: 30581 } }),
    ];
    expect(new Set(hashes).size).toBe(hashes.length);
  });

  it("never splits a word", () => {
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
  it.for(["haproxy", "haproxy-passthrough", "haproxy-stats", "haproxy-include"])(
    "passes haproxy -c: %s",
    (name, { skip }) => {
      skip(!has("haproxy"), "no haproxy on PATH; each push runs the same check on the load balancer");
      expect(spawnSync("haproxy", ["-c", "-f", golden(name)], { encoding: "utf8" })).toMatchObject({
        status: 0,
      });
    },
  );
});
