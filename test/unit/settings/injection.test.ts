/** From a setting to haproxy.cfg and the command on the load balancer: refused, or one word. */
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, describe, expect, it } from "vitest";
import { credential, labModel } from "../../../haproxy/model.ts";
import { certificateFile, push, type RemoteScript } from "../../../haproxy/push.ts";
import { renderHaproxy } from "../../../haproxy/render.ts";
import { LEAST } from "../../support/mocks.ts";
import { faultsOf, settings } from "../../support/settings.ts";

/** Where a value of the config goes, with a valid example. */
interface Place {
  readonly good: string;
  /** The config with that value in it. */
  readonly put: (value: string) => Record<string, unknown>;
  /** The word that it is in haproxy.cfg, where it is one. */
  readonly word?: (value: string) => string;
  /** The option of the command that it is the value of, if any. */
  readonly option?: "--file" | "--unit" | "--reload";
}

const machine = (change: object) => ({ loadBalancer: { ...LEAST.loadBalancer, ...change } });
const node = (change: object) => ({ nodes: [{ name: "node02", address: "10.0.0.2", ...change }] });
const stats = (change: object) => ({
  stats: { prometheus: "127.0.0.1:9101", page: "127.0.0.1:8404", ...change },
  statsPassword: "correct-horse-battery",
});

const PLACES: Record<string, Place> = {
  "nodes[].name": {
    good: "node02",
    put: (name) => node({ name }),
    word: (name) => name,
  },
  "nodes[].address": {
    good: "10.0.0.2",
    put: (address) => node({ address }),
    word: (address) => `${address.includes(":") ? `[${address}]` : address}:30934`,
  },
  "stats.prometheus": {
    good: "127.0.0.1:9101",
    put: (prometheus) => stats({ prometheus }),
    word: (listen) => listen,
  },
  "stats.page": { good: "[::1]:8404", put: (page) => stats({ page }), word: (listen) => listen },
  "stats.user": { good: "admin", put: (user) => stats({ user }) },
  statsPassword: {
    good: "correct-horse-battery",
    put: (statsPassword) => ({ ...stats({}), statsPassword }),
  },
  "loadBalancer.host": { good: "10.0.0.1", put: (host) => machine({ host }) },
  "loadBalancer.user": { good: "debian", put: (user) => machine({ user }) },
  "loadBalancer.configFile": {
    good: "/etc/haproxy/haproxy.cfg",
    put: (configFile) => machine({ configFile }),
    option: "--file",
  },
  "loadBalancer.unit": { good: "haproxy@site", put: (unit) => machine({ unit }), option: "--unit" },
  // A command by design: it arrives as one argument, as it was given.
  "loadBalancer.reloadCommand": {
    good: `systemctl reload 'haproxy' && echo "$(date); done"`,
    put: (reloadCommand) => machine({ reloadCommand }),
    option: "--reload",
  },
};

const CRAFTED = [
  ...[
    "\n",
    "\r",
    "\0",
    "\t",
    " ",
    '"',
    "'",
    "`",
    "\\",
    "#",
    ";",
    "&",
    "|",
    "<",
    ">",
    "*",
    "?",
    "%",
    "~",
    "!",
    "\u2028",
  ],
  ...[
    "$(reboot)",
    "$IFS",
    "$PATH",
    "'; reboot; '",
    '"; reboot; "',
    "\n    server evil 10.6.6.6:80",
    "\nglobal",
  ],
  ...[
    "::1",
    "[::1]",
    "fe80::1%eth0",
    "-oProxyCommand=reboot",
    "--reload",
    "../../etc/shadow",
    "x".repeat(5000),
  ],
];

describe.each(Object.entries(PLACES))("%s", (_, place) => {
  const expected = outcome(place, place.good);

  it("arrives where it is good", () => {
    expect(expected).toBeDefined();
  });

  it("is refused, or arrives as one word", () => {
    const piece = fc.oneof(fc.constantFrom(...CRAFTED), fc.string({ unit: "binary", maxLength: 20 }));
    // Alone, and after, before and inside a valid value.
    const value = fc
      .tuple(piece, fc.nat(place.good.length), fc.boolean())
      .map(([bad, at, alone]) => (alone ? bad : place.good.slice(0, at) + bad + place.good.slice(at)));
    const examples = CRAFTED.flatMap((bad): [string][] => [[bad], [place.good + bad], [bad + place.good]]);
    fc.assert(
      fc.property(value, (text) => {
        const found = outcome(place, text);
        if (found) expect(found).toEqual(expected);
      }),
      { numRuns: 100, examples },
    );
  });
});

/** haproxy.cfg and the command without the value itself; undefined where the value is refused. */
function outcome(place: Place, value: string) {
  if (faultsOf(place.put(value)).length > 0) return undefined;
  const config = settings(place.put(value));
  const { loadBalancer } = config;
  const text = renderHaproxy(
    labModel({
      owner: "organization/istio-lab/dev",
      nodes: config.nodes,
      nodePorts: { http2: 30934, statusPort: 30580 },
      tls: { mode: "terminate", redirect: false, certificateFile: certificateFile("/etc/haproxy.cfg", "c") },
      stats: {
        prometheus: config.stats.prometheus,
        page: config.stats.page && {
          ...config.stats.page,
          credential: credential(config.stats.page.user, config.stats.page.password),
        },
      },
    }),
  );
  const own = place.word?.(value);
  const lines = text
    .split("\n")
    .slice(1)
    .map((line) => line.split(/\s+/));
  // As HAProxy reads it: nothing of the value ends the word, begins a comment or stands for something else.
  if (own !== undefined) {
    expect(lines.flat()).toContain(own);
    expect(own).not.toMatch(/[\s"'\\#$\p{C}]/u);
  }
  const words = argumentsOf(push(loadBalancer, { config: "" }));
  const at = place.option ? words.indexOf(place.option) + 1 : -1;
  if (place.option) expect(words[at]).toBe(value);
  return {
    config: lines.map((line) => line.map((word) => (word === own ? "VALUE" : word.replace(CREDENTIAL, "")))),
    words: words.map((word, i) => (i === at ? "VALUE" : word)),
  };
}

/** Changes with the user and the password. */
const CREDENTIAL = /^[0-9A-F]{64}$/;

const known = new Map<string, string[]>();
const bin = mkdtempSync(join(tmpdir(), "istio-lab-injection-"));
afterAll(() => rmSync(bin, { recursive: true }));

/** The arguments that the script gets on the load balancer, with `timeout` standing for it. */
function argumentsOf({ command, input }: RemoteScript): string[] {
  const found = known.get(input);
  if (found) return found;
  const standIns = { id: "echo 0", timeout: `printf '%s\\0' "$@"` };
  for (const [name, body] of Object.entries(standIns))
    writeFileSync(join(bin, name), `#!/bin/sh\n${body}\n`, { mode: 0o755 });
  const { stdout, stderr, status } = spawnSync("sh", ["-c", command], {
    encoding: "utf8",
    input,
    env: { PATH: `${bin}:/usr/bin:/bin` },
    cwd: "/",
  });
  expect({ stderr, status }).toEqual({ stderr: "", status: 0 });
  const words = stdout.split("\0").slice(0, -1);
  known.set(input, words);
  return words;
}
