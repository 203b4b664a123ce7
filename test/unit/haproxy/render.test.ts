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
      const proxyProtocol = mode === "passthrough" ? (["https"] as const) : [];
      const config = renderHaproxy(labModel({ ...ARTICLE, nodePorts, tls, proxyProtocol }));
      expect(config).toBe(readFileSync(golden(`haproxy-${mode}`), "utf8"));
    },
  );

  it("sends the PROXY protocol to the ports that read it, and never with a check", () => {
    const nodePorts = { ...ARTICLE.nodePorts, https: 30895 };
    const tls = { mode: "passthrough" as const, redirect: false, certificateFile: "" };
    const render = (proxyProtocol: readonly ("http" | "https")[]) =>
      renderHaproxy(labModel({ ...ARTICLE, nodePorts, tls, proxyProtocol }));
    const senders = (config: string) => [
      ...new Set([...config.matchAll(/:(\d+) tcp-ut 2s send-proxy-v2$/gm)].map(([, port]) => port)),
    ];
    expect(senders(render([]))).toEqual([]);
    expect(senders(render(["https"]))).toEqual(["30895"]);
    expect(senders(render(["http", "https"]))).toEqual([String(nodePorts.http2), "30895"]);
    expect(render(["http", "https"])).not.toContain("check-send-proxy");
  });

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
    const more = {
      trustedProxies: ["192.0.2.0/24", "2001:db8::/32"],
      proxyProtocol: ["http", "https"] as const,
      ipv6: true,
    };
    const config = renderHaproxy(
      labModel({ ...ARTICLE, nodePorts, include: true, ports, tls, stats, ...more }),
    );
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

  it("limits the connections of one address, unless it may have all of them", () => {
    const limit = (connectionsPerSource?: number, https = false) => {
      const tls = { mode: "terminate" as const, redirect: false, certificateFile: "/a.pem" };
      const text = renderHaproxy(labModel({ ...ARTICLE, connectionsPerSource, ...(https && { tls }) }));
      return [...text.matchAll(/sc0_conn_cur gt (\d+)/g)].map(([, number]) => Number(number));
    };
    expect([limit(), limit(100), limit(101, true), limit(1900)]).toEqual([[950], [100], [50, 50], []]);
    expect(renderHaproxy(labModel({ ...ARTICLE, connectionsPerSource: 1900 }))).not.toContain("stick-table");
  });

  it("believes a proxy in front, and no client, for address and scheme; the limit does not hold for it", () => {
    const tls = { mode: "terminate" as const, redirect: true, certificateFile: "/a.tls-0.pem" };
    const trustedProxies = ["192.0.2.0/24", "2001:db8::1"];
    const text = renderHaproxy(labModel({ ...ARTICLE, tls, trustedProxies }));
    expect(text.match(/^ {4}acl of_proxy src (\S+)$/gm)).toHaveLength(4);
    expect(text).toContain("track-sc0 src,ipmask(32,64) unless of_proxy\n");
    expect(text).toContain("set-var(txn.client) req.hdr_ip(X-Forwarded-For,-1) if of_proxy\n");
    expect(text).toContain("add-header X-Forwarded-For %[var(txn.client)]\n");
    expect(text).toContain("redirect scheme https code 308 unless { var(txn.scheme) -m str https }\n");
    const unlimited = renderHaproxy(labModel({ ...ARTICLE, trustedProxies, connectionsPerSource: 1900 }));
    expect(unlimited).toContain("acl of_proxy src 192.0.2.0/24\n");
  });

  it("listens on IPv6 beside IPv4, with the same options", () => {
    const tls = { mode: "terminate" as const, redirect: true, certificateFile: "/a.tls-0.pem" };
    const bound = [...renderHaproxy(labModel({ ...ARTICLE, tls, ipv6: true })).matchAll(/bind (.*)$/gm)];
    expect(bound.map(([, line]) => line).slice(1)).toEqual([
      ...["*:80", ":::80 v6only"],
      ...["*:443", ":::443 v6only"].map((at) => `${at} ssl crt /a.tls-0.pem alpn h2,http/1.1`),
    ]);
    const addresses = { ports: { http: 80, https: 443 }, https: true, ipv6: true };
    expect(listenAddresses(addresses)).toEqual(["*:80", ":::80", "*:443", ":::443"]);
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
