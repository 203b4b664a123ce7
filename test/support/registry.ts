/** A real image registry (Debian's docker-registry) for tests, and images to put into it. */
import { type ChildProcess, spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdir, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { execa } from "execa";
import { request } from "undici";
import { until } from "../../clients/process.ts";

const OCI = "application/vnd.oci.image";

export function sha256(content: Buffer | string): string {
  return `sha256:${createHash("sha256").update(content).digest("hex")}`;
}

/** The server's program, unpacked from Debian's package once; undefined where apt cannot get it. */
export async function registryProgram(cache: string): Promise<string | undefined> {
  const directory = join(cache, "docker-registry");
  const program = join(directory, "usr/bin/docker-registry");
  if (existsSync(program)) return program;
  const work = `${directory}.${process.pid}`;
  await mkdir(work, { recursive: true });
  const apt = await execa("apt-get", ["download", "docker-registry"], { cwd: work, reject: false });
  if (apt.failed) {
    await rm(work, { recursive: true });
    return undefined;
  }
  await execa("sh", ["-c", "dpkg -x ./*.deb . && rm ./*.deb"], { cwd: work });
  await rename(work, directory).catch(() => rm(work, { recursive: true }));
  return program;
}

export class TestRegistry {
  readonly host: string;
  readonly #process: ChildProcess;

  private constructor(host: string, process: ChildProcess) {
    this.host = host;
    this.#process = process;
  }

  /** @param directory where it keeps images */
  static async start(program: string, directory: string, port: number): Promise<TestRegistry> {
    const host = `127.0.0.1:${port}`;
    const config = join(directory, "config.yml");
    const storage = `{ filesystem: { rootdirectory: ${join(directory, "images")} } }`;
    await mkdir(directory, { recursive: true });
    await writeFile(
      config,
      `version: 0.1\nlog: { level: error }\nstorage: ${storage}\nhttp: { addr: ${host} }\n`,
    );
    const child = spawn(program, ["serve", config], { stdio: "ignore" });
    const answers = () =>
      request(`http://${host}/v2/`).then(
        async ({ statusCode, body }) => {
          await body.dump();
          return statusCode === 200;
        },
        () => false,
      );
    await until("the registry", answers);
    return new TestRegistry(host, child);
  }

  /** Ends it. A second call does nothing. */
  async stop(): Promise<void> {
    if (this.#process.exitCode !== null || this.#process.signalCode !== null) return;
    const ended = new Promise((resolve) => this.#process.once("exit", resolve));
    this.#process.kill();
    await ended;
  }

  /** Uploads a blob and returns its descriptor. */
  async putBlob(repository: string, content: Buffer, mediaType: string) {
    const digest = sha256(content);
    const base = `http://${this.host}/v2/${repository}/blobs/uploads/`;
    const begun = await request(base, { method: "POST" });
    await begun.body.dump();
    const location = new URL(String(begun.headers.location), base);
    location.searchParams.set("digest", digest);
    await this.#put(location, content, "application/octet-stream");
    return { mediaType, digest, size: content.length };
  }

  /** Stores a manifest, and returns its digest. */
  async putManifest(repository: string, reference: string, manifest: object): Promise<string> {
    const text = JSON.stringify(manifest);
    const { mediaType } = manifest as { mediaType: string };
    await this.#put(new URL(`http://${this.host}/v2/${repository}/manifests/${reference}`), text, mediaType);
    return sha256(text);
  }

  /** Stores an image of one layer under a tag, in an index of one platform, as publishers do. */
  async putImage(
    repository: string,
    tag: string,
    { config, layer, architecture = "amd64" }: { config: object; layer: Buffer; architecture?: string },
  ): Promise<string> {
    const manifest = {
      schemaVersion: 2,
      mediaType: `${OCI}.manifest.v1+json`,
      config: await this.putBlob(repository, Buffer.from(JSON.stringify(config)), `${OCI}.config.v1+json`),
      layers: [await this.putBlob(repository, layer, `${OCI}.layer.v1.tar`)],
    };
    const digest = sha256(JSON.stringify(manifest));
    await this.putManifest(repository, digest, manifest);
    const size = Buffer.byteLength(JSON.stringify(manifest));
    const entry = { mediaType: manifest.mediaType, digest, size, platform: { os: "linux", architecture } };
    const index = { schemaVersion: 2, mediaType: `${OCI}.index.v1+json`, manifests: [entry] };
    return this.putManifest(repository, tag, index);
  }

  async #put(url: URL, body: Buffer | string, type: string): Promise<void> {
    const answer = await request(url, { method: "PUT", body, headers: { "content-type": type } });
    const text = await answer.body.text();
    if (answer.statusCode !== 201) throw new Error(`${url.href}: ${answer.statusCode} ${text}`);
  }
}
