/** Tests of the settings of the stats page and of HAProxy's exporter. */
import { expect, it } from "vitest";
import { faultsOf, settings } from "../../../support/settings.ts";

const statsPassword = "correct-horse-battery";

it("takes addresses of both kinds", () => {
  const stats = { prometheus: "10.0.0.1:9101", page: "[::1]:8404" };
  expect(settings({ stats, statsPassword }).stats).toEqual({
    prometheus: { address: "10.0.0.1", port: 9101 },
    page: { address: "::1", port: 8404, user: "admin", password: statsPassword },
  });
});

it.each(["", "8404", "lb:8404", "10.0.0.1:0", "10.0.0.1:65536", "::1:8404", "10.0.0.1:9 ssl", "*:9"])(
  "refuses %j",
  (prometheus) => {
    expect(faultsOf({ stats: { prometheus } })).toEqual([
      expect.stringMatching(/^stats\.prometheus is .*: give an address/),
    ]);
  },
);

it("refuses a port that clients have", () => {
  expect(faultsOf({ stats: { prometheus: "10.0.0.1:80" } })).toEqual([
    'stats.prometheus is "10.0.0.1:80": clients have that port: give another one',
  ]);
});

it("wants a good password for the page, and never shows it", () => {
  const page = "127.0.0.1:8404";
  const want =
    "give 12 to 128 plain ASCII characters without spaces: pulumi config set --secret statsPassword";
  expect(faultsOf({ stats: { page } })).toEqual([`statsPassword is missing: ${want}`]);
  expect(faultsOf({ stats: { page }, statsPassword: "short" })).toEqual([
    `statsPassword is not usable: ${want}`,
  ]);
});

it("wants a port for each", () => {
  const page = "127.0.0.1:8404";
  expect(faultsOf({ stats: { page, prometheus: page }, statsPassword })).toEqual([
    'stats.page is "127.0.0.1:8404": stats.prometheus has the same port: give each its own',
  ]);
});
