/** Tests of the values of settings, with any text that a user can write. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { LEAST } from "../../support/mocks.ts";
import { faultsOf } from "../../support/settings.ts";

const MACHINE = LEAST.loadBalancer;

describe("words that go to HAProxy, to a shell or to SSH", () => {
  const words = [
    "",
    "node02",
    "10.0.0.1",
    "fe80::1",
    "/etc/haproxy/haproxy.cfg",
    "debian",
    "a".repeat(64),
    "a".repeat(5000),
  ];
  const poison = [
    "",
    "\n",
    "\r",
    " ",
    "\t",
    "'",
    '"',
    "`",
    "$(id)",
    "$HOME",
    ";",
    "&",
    "|",
    "#",
    "\\",
    "\0",
    "%eth0",
    "\u2028",
    "é",
  ];
  const rest = ["", "server evil 6.6.6.6:80", "id"];
  const crafted = words.flatMap((word) =>
    poison.flatMap((drop) => rest.flatMap((tail) => [word + drop + tail, drop + word + tail])),
  );

  // Each place, with the characters that are allowed there.
  const places: [string, RegExp, (word: string) => Record<string, unknown>][] = [
    ["nodes[].name", /^[A-Za-z0-9._-]{1,253}$/, (word) => ({ nodes: [{ name: word, address: "10.0.0.2" }] })],
    [
      "nodes[].address",
      /^[A-Za-z0-9._:-]{1,253}$/,
      (word) => ({ nodes: [{ name: "node02", address: word }] }),
    ],
    [
      "loadBalancer.host",
      /^[A-Za-z0-9._:-]{1,253}$/,
      (word) => ({ loadBalancer: { ...MACHINE, host: word } }),
    ],
    [
      "loadBalancer.user",
      /^[A-Za-z0-9._@+-]+(\\[A-Za-z0-9._@+-]+)?\$?$/,
      (word) => ({ loadBalancer: { ...MACHINE, user: word } }),
    ],
    [
      "loadBalancer.configFile",
      /^\/[A-Za-z0-9._/-]{1,4094}$/,
      (word) => ({ loadBalancer: { ...MACHINE, configFile: word } }),
    ],
    ["host", /^[A-Za-z0-9.-]{1,254}$/, (word) => ({ host: word, gatewayHosts: ["*"] })],
    ["namespace", /^[a-z0-9-]{1,63}$/, (word) => ({ namespace: word })],
    ["istio.profile", /^[a-z0-9-]{1,63}$/, (word) => ({ istio: { profile: word } })],
  ];

  it.each(places)("%s is made of plain characters or refused", (_, plain, change) => {
    const accepted = (word: string) => faultsOf(change(word)).length === 0;
    expect(crafted.filter((word) => accepted(word) && !plain.test(word))).toEqual([]);
    expect(crafted.some(accepted)).toBe(true);
    fc.assert(fc.property(fc.string({ unit: "binary" }), (word) => !accepted(word) || plain.test(word)));
  });
});
