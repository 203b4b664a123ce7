/** Tests of dashboard/guard.ts. */
import { expect, test } from "vitest";
import { refusal } from "../../../dashboard/guard.ts";

const get = (headers: Record<string, string>, method = "GET") => refusal({ method, headers }, 4180);

test.each([
  [{ host: "127.0.0.1:4180" }],
  [{ host: "localhost:4180", origin: "http://localhost:4180", "sec-fetch-site": "same-origin" }],
  [{ host: "[::1]:4180", "sec-fetch-site": "none" }],
  // A link on another page that leads here.
  [{ host: "localhost:4180", "sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate" }],
])("lets in %j", (headers) => {
  expect(get(headers)).toBeUndefined();
});

test.each([
  [{}, /Host ""/],
  [{ host: "attacker.example:4180" }, /attacker/],
  [{ host: "127.0.0.1" }, /Host/],
  [{ host: "127.0.0.1:80" }, /Host/],
  [{ host: "127.0.0.1.attacker.example:4180" }, /Host/],
  [{ host: "127.0.0.1:4180", origin: "http://attacker.example" }, /another origin/],
  [{ host: "127.0.0.1:4180", origin: "null" }, /another origin/],
  [{ host: "127.0.0.1:4180", origin: "http://localhost:4180" }, /another origin/],
  [{ host: "127.0.0.1:4180", "sec-fetch-site": "cross-site" }, /another site/],
  [{ host: "127.0.0.1:4180", "sec-fetch-site": "same-site", "sec-fetch-mode": "cors" }, /another site/],
])("refuses %j", (headers, why) => {
  expect(get(headers as Record<string, string>)).toMatch(why);
});

test("nothing is written through the dashboard", () => {
  for (const method of ["POST", "PUT", "DELETE", "OPTIONS"])
    expect(get({ host: "127.0.0.1:4180" }, method)).toMatch(method);
  expect(get({ host: "127.0.0.1:4180" }, "HEAD")).toBeUndefined();
});
