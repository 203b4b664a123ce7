/** Tests of probe/command.ts. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { stripVTControlCharacters } from "node:util";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from "vitest";
import { type ProbeDefaults, probeCommand } from "../../../probe/command.ts";
import { live } from "../../../probe/live.ts";
import { renderLine, renderReport, renderResolution } from "../../../probe/render.ts";
import { makeCertificate } from "../../support/certificates.ts";
import { PAGES, type PageServer, pageServer, sharesServer } from "../../support/probeServer.ts";

const EVEN = { v116: 50, v117: 50 };
let even: PageServer;
beforeAll(async () => {
  even = await sharesServer(50);
});
afterAll(() => even.close());

describe("probe on the command line", () => {
  beforeEach(() => {
    vi.spyOn(console, "log").mockImplementation(() => {});
    vi.spyOn(console, "error").mockImplementation(() => {});
  });
  afterEach(() => {
    vi.restoreAllMocks();
    process.exitCode = undefined;
  });

  it("takes everything from the lab and prints exactly one object with --json", async () => {
    expect(await run(["--json", "-n", "100"])).toBe(
      '{"requests":100,"failed":0,"served":{"v116":50,"v117":50},"weights":{"v116":50,"v117":50},"ok":true}',
    );
    expect(console.error).not.toHaveBeenCalled();
    expect(process.exitCode).toBeUndefined();
  });

  it("exits 1 when the split is not as configured", async () => {
    await run(["--json", "--weights", "v116=90,v117=10"]);
    expect(process.exitCode).toBe(1);
  });

  it("reads nothing of the lab when the flags give everything, and sends the URL's own host", async () => {
    const before = even.hosts.length;
    const foreign = [
      "--url",
      even.url,
      "--weights",
      "a=50,b=50",
      "--page",
      "a=v1.16.1",
      "--page",
      "b=v1.17.9",
    ];
    const out = await run([...foreign, "--json", "-n", "10"], () => Promise.reject(new Error("no lab")));
    expect(JSON.parse(out).served).toEqual({ a: 5, b: 5 });
    expect(even.hosts.slice(before)).toEqual(Array(10).fill(new URL(even.url).host));
  });

  it("trusts the authority in a file, and refuses a file that holds none", async () => {
    const { certificate, key } = makeCertificate("nginx.hung.org.hk");
    const secure = await pageServer((_, response) => response.end(PAGES.v116), { certificate, key });
    const dir = mkdtempSync(join(tmpdir(), "istio-lab-probe-"));
    const file = (name: string, text: string) => {
      writeFileSync(join(dir, name), text);
      return join(dir, name);
    };
    const flags = ["--url", secure.url, "--weights", "v116=100,v117=0", "--json", "-n", "2"];
    expect(JSON.parse(await run([...flags, "--ca", file("ca.crt", certificate)])).ok).toBe(true);
    const { message } = await refused([...flags, "--ca", file("ca.key", "no certificate")]);
    expect(message).toContain("argument '");
    expect(message).toContain("Write the path of a certificate in PEM: ");
    await secure.close();
    rmSync(dir, { recursive: true });
  });

  it("puts notes on stderr, results on stdout", async () => {
    const out = await run(["-n", "400"]);
    expect(stripVTControlCharacters(out)).toContain("ok: 400 requests, split as configured, none failed");
    expect(console.error).toHaveBeenCalledWith(
      "400 answers show a deviation of 10 points or more; for 5 points send 1600",
    );
  });

  it("names every fault of the flags at once and exits 2", async () => {
    const flags = [
      "--url",
      "ftp://x",
      "--weights",
      "v116=20,v118=70.5",
      "--page",
      "v116=a",
      "--page",
      "v117=a",
    ];
    const { message, exitCode } = await refused(flags);
    expect(message.split("\n")).toEqual([
      "error: --url ftp://x: not a URL; write it out, such as http://192.0.2.10/echo/test.txt",
      "error: --page v117=a: the same page as v116's; give each version a page of its own",
      "error: v118=70.5: no such version (did you mean v116?); the versions are v116, v117",
      "error: v117: give v117 an integer percent; 0 is legal",
      "error: v118=70.5: give an integer percent from 0 to 100",
    ]);
    expect(exitCode).toBe(2);
  });

  it("misses the page of a configured version", async () => {
    const { message } = await refused(["--page", "v116=v1.16.1"]);
    expect(message).toBe("error: --page: the page of v117 is missing; add --page v117=TEXT");
  });

  function defaults(): Promise<ProbeDefaults> {
    return Promise.resolve({ url: even.url, host: "nginx.hung.org.hk", pages: PAGES, weights: EVEN });
  }

  async function run(flags: string[], getDefaults = defaults): Promise<string> {
    await probeCommand(getDefaults).exitOverride().parseAsync(flags, { from: "user" });
    return vi.mocked(console.log).mock.calls.join("\n");
  }

  async function refused(flags: string[]): Promise<{ message: string; exitCode: number }> {
    const command = probeCommand(defaults)
      .exitOverride()
      .configureOutput({ writeErr: () => {} });
    return await command.parseAsync(flags, { from: "user" }).then(
      () => expect.unreachable("the flags are wrong"),
      (error) => error,
    );
  }
});

describe("the report for people", () => {
  const report = {
    requests: 402,
    failed: 2,
    served: { v116: 100, v117: 300 },
    weights: EVEN,
    ok: false,
    failures: { "status 503": 2 },
  };

  it("draws a bar for each version, with the allowed range", () => {
    expect(stripVTControlCharacters(renderReport(report, { barWidth: 20 })).split("\n")).toEqual([
      "  v116  █████░░░▒▒▒▒░░░░░░░░  100   25.0 %  of 50 %, allowed 160 to 240",
      "  v117  ███████████████░░░░░  300   75.0 %  of 50 %, allowed 160 to 240",
      "  2 failed: status 503",
      "not ok: 2 of 402 requests failed; v116 gave 100 answers, 50 % allow 160 to 240; v117 gave 300 " +
        "answers, 50 % allow 160 to 240",
    ]);
  });

  it("fits into one line where there is no terminal", () => {
    expect(renderLine(report)).toBe("v116 25.0 % (50 %)  v117 75.0 % (50 %)  of 402, 2 failed  not ok");
  });

  it("prints the smallest deviation that so many answers can show", () => {
    expect(renderResolution({ served: { v116: 60, v117: 40 }, weights: EVEN })).toBe(
      "100 answers show a deviation of 20 points or more; for 10 points send 400",
    );
    expect(renderResolution({ served: { v117: 9 }, weights: { v116: 0, v117: 100 } })).toBe(
      "at 0 % and 100 % a single stray answer shows",
    );
  });

  it("has no colours under NO_COLOR and in a pipe", () => {
    expect(renderReport(report)).toBe(stripVTControlCharacters(renderReport(report)));
  });
});

describe("live", () => {
  it("prints one line a tick in a pipe, with the newest weights, until its signal", async () => {
    const stop = new AbortController();
    const lines: string[] = [];
    let weights = EVEN;
    const write = (line: string): boolean => {
      // A tick before the first answer.
      if (line.includes("of 0,")) return true;
      lines.push(line);
      weights = { v116: 0, v117: 100 };
      if (lines.length === 3) stop.abort();
      return true;
    };
    await live({
      url: even.url,
      pages: PAGES,
      weights: () => weights,
      window: 50,
      interval: 60,
      stream: { write, isTTY: false } as unknown as NodeJS.WriteStream,
      signal: stop.signal,
    });
    expect(lines).toHaveLength(3);
    expect(lines[0]).toMatch(/^v116 \d+\.\d % \(50 %\) {2}v117 \d+\.\d % \(50 %\) {2}of \d+, 0 failed\n$/);
    expect(lines[1]).toContain("(0 %)");
    expect(lines[2]).toContain("not ok");
  });
});
