/** Tests of embedded/toolchain/official/source.ts. */
import { once } from "node:events";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import { type AddressInfo, connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import {
  httpClient,
  type Source,
  source,
  Unavailable,
} from "../../../../../embedded/toolchain/official/source.ts";
import { ArtifactServer } from "../../../../support/artifactServer.ts";

const PATH = "dl.k8s.io/v1/kubelet";

let directory: string;
let server: ArtifactServer;
beforeEach(async () => {
  for (const name of ["HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy"])
    vi.stubEnv(name, undefined);
  directory = await mkdtemp(join(tmpdir(), "istio-lab-source-"));
  server = await ArtifactServer.start({ [`/lab/${PATH}`]: "over http" });
});
afterEach(async () => {
  await server.stop();
  vi.unstubAllEnvs();
  await rm(directory, { recursive: true });
});

const read = async (from: Source, offset?: number) => text((await from.open(PATH, offset)).body);

test("a mirror is a directory", async () => {
  await mkdir(join(directory, PATH, ".."), { recursive: true });
  await writeFile(join(directory, PATH), "of a directory");
  const mirror = await source(httpClient(), directory);
  expect(await read(mirror)).toBe("of a directory");
  expect(await read(mirror, 3)).toBe("a directory");
  await expect(mirror.open("dl.k8s.io/other")).rejects.toThrow(/dl\.k8s\.io\/other is not there$/);
});

test("a mirror is a URL, with or without a slash at its end", async () => {
  for (const url of [`${server.url}/lab`, `${server.url}/lab/`])
    expect(await read(await source(httpClient(), url))).toBe("over http");
});

test("a mirror that is neither is a mistake of the user", async () => {
  await expect(source(httpClient(), join(directory, "missing"))).rejects.toThrow(
    /^LAB_MIRROR is ".*missing": it has to be a directory that exists, or an http\(s\) URL$/,
  );
});

test("a host that does not answer is given up in the time that is given", async () => {
  server.silent = true;
  const mirror = await source(httpClient(300), `${server.url}/lab`);
  const failed = mirror.open(PATH);
  await expect(failed).rejects.toThrow(/^127\.0\.0\.1:\d+ cannot be reached: .*Timeout/i);
  await expect(failed).rejects.toMatchObject({ scope: "host" });
});

test("a port without a listener and a name that does not exist are named", async () => {
  const { port } = server;
  const mirror = await source(httpClient(), "http://127.0.0.1:1");
  await expect(mirror.open(PATH)).rejects.toThrow(/^127\.0\.0\.1:1 cannot be reached: .*ECONNREFUSED/);
  const unknown = await source(httpClient(), `http://lab.invalid:${port}`);
  await expect(unknown.open(PATH)).rejects.toThrow(/^lab\.invalid:\d+ cannot be reached: /);
});

test.each([
  [404, "file"],
  [403, "host"],
  [429, "request"],
  [503, "request"],
])("status %i holds for the %s", async (status, scope) => {
  server.status = status;
  const mirror = await source(httpClient(), `${server.url}/lab`);
  const error = await mirror.open(PATH).catch((e: unknown) => e);
  expect(error).toBeInstanceOf(Unavailable);
  expect(error).toMatchObject({ scope });
});

test("a proxy is used, and not for the hosts of NO_PROXY", async () => {
  const tunnels: string[] = [];
  const proxy = createServer((request, response) => {
    tunnels.push(request.url ?? "");
    response.end("by the proxy");
  });
  proxy.on("connect", (request, client, head) => {
    tunnels.push(request.url ?? "");
    const upstream = connect(server.port, "127.0.0.1", () => {
      client.write("HTTP/1.1 200 Connection established\r\n\r\n");
      upstream.write(head);
      upstream.pipe(client).pipe(upstream);
    });
  });
  proxy.listen(0, "127.0.0.1");
  await once(proxy, "listening");
  vi.stubEnv("HTTP_PROXY", `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`);
  const url = `http://lab.invalid:${server.port}/lab`;
  await read(await source(httpClient(), url));
  expect(tunnels).toHaveLength(1);
  expect(tunnels[0]).toContain("lab.invalid");

  vi.stubEnv("NO_PROXY", "lab.invalid");
  await expect(read(await source(httpClient(), url))).rejects.toThrow(/cannot be reached/);
  expect(tunnels).toHaveLength(1);
  proxy.closeAllConnections();
  proxy.close();
});
