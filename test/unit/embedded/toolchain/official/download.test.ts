/** Tests of embedded/toolchain/official/download.ts. */
import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { checksumOf, download } from "../../../../../embedded/toolchain/official/download.ts";
import { httpClient, overHttp } from "../../../../../embedded/toolchain/official/source.ts";
import { ArtifactServer } from "../../../../support/artifactServer.ts";

const CONTENT = Buffer.alloc(3_000_000, "0123456789");
const SHA256 = createHash("sha256").update(CONTENT).digest("hex");

let home: string;
let server: ArtifactServer;
beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), "istio-lab-download-"));
  vi.stubEnv("XDG_CACHE_HOME", home);
  server = await ArtifactServer.start({ "/file": CONTENT });
});
afterEach(async () => {
  await server.stop();
  vi.unstubAllEnvs();
  await rm(home, { recursive: true });
});

const target = () => join(home, "file");
const part = () => join(home, "istio-lab", "downloads", `${SHA256}.part`);

function get(sha256 = SHA256) {
  const mirror = overHttp(httpClient(), server.url);
  return download("the file", (offset) => mirror.open("file", offset), target(), sha256);
}

test("a file is downloaded completely, and no other file stays", async () => {
  await get();
  expect(CONTENT.equals(await readFile(target()))).toBe(true);
  expect(existsSync(part())).toBe(false);
});

test("a wrong checksum is one clear line, and the file is not there", async () => {
  const other = "0".repeat(64);
  await expect(get(other)).rejects.toThrow(
    `the file has sha256 ${SHA256}, and ${other} is published: it is not used`,
  );
  expect(existsSync(target())).toBe(false);
  expect(existsSync(part().replace(SHA256, other))).toBe(false);
});

test("a cut connection goes on where it was cut", async () => {
  server.cutAfter = [1_000_000, 1_000_000];
  await get();
  expect(CONTENT.equals(await readFile(target()))).toBe(true);
  const offsets = server.requests.map(({ range }) => Number(/\d+/.exec(range ?? "0")?.[0]));
  expect(offsets).toHaveLength(3);
  expect(offsets[1]).toBeGreaterThan(0);
  expect(offsets[2]).toBeGreaterThan(offsets[1] ?? 0);
});

test("a download that is cut three times is given up, and the next run continues it", async () => {
  server.cutAfter = [500_000, 500_000, 500_000];
  await expect(get()).rejects.toThrow(/^the file was cut 3 times, at last by /);
  expect(existsSync(target())).toBe(false);
  await get();
  expect(CONTENT.equals(await readFile(target()))).toBe(true);
  expect(server.requests.at(-1)?.range).toMatch(/^bytes=[1-9]/);
});

test("a server that knows no ranges is read from the start", async () => {
  server.cutAfter = [1_000_000];
  server.ranges = false;
  await get();
  expect(CONTENT.equals(await readFile(target()))).toBe(true);
});

test("the remains of another file's download are deleted", async () => {
  await mkdir(join(part(), ".."), { recursive: true });
  await writeFile(part(), "another file");
  await get();
  expect(CONTENT.equals(await readFile(target()))).toBe(true);
});

test("remains that are longer than the file are deleted", async () => {
  await mkdir(join(part(), ".."), { recursive: true });
  await writeFile(part(), Buffer.concat([CONTENT, CONTENT]));
  await get();
  expect(CONTENT.equals(await readFile(target()))).toBe(true);
});

test.each([
  [404, /\/file: 404$/],
  [403, /^127\.0\.0\.1:\d+ answered 403 to /],
  [500, /answered 500/],
])("status %i is named, and requested once", async (status, message) => {
  server.status = status;
  await expect(get()).rejects.toThrow(message);
  expect(server.requests).toHaveLength(1);
  expect(existsSync(target())).toBe(false);
});

test.each([
  ["the hash alone", `${SHA256}\n`],
  ["a line of sha256sum", `${SHA256}  tool.tar.gz\n`],
  ["one of several lines", `${"1".repeat(64)}  other.tar.gz\n${SHA256}  tool.tar.gz\n`],
])("a checksum is found: %s", (_, published) => {
  expect(checksumOf("tool.tar.gz", published)).toBe(SHA256);
});

test.each([
  ["nothing", ""],
  ["a page", "<html>\nnot found\n</html>"],
  ["other files alone", `${SHA256}  a\n${SHA256}  b\n`],
])("no checksum is taken from %s", (_, published) => {
  expect(() => checksumOf("tool.tar.gz", published)).toThrow("no sha256 of tool.tar.gz is published");
});
