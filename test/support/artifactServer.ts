/** A file server for tests of downloads. It can fail as real ones do. */
import { once } from "node:events";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

/** A request that the server received. */
export interface Seen {
  readonly path: string;
  readonly range: string | undefined;
  readonly headers: IncomingMessage["headers"];
}

export class ArtifactServer {
  /** The number of bytes after which each of the next answers is cut. */
  cutAfter: number[] = [];
  /** Whether it answers ranges. */
  ranges = true;
  /** Status of every answer, when it is not 200. */
  status: number | undefined;
  /** It never answers. */
  silent = false;
  /** The header WWW-Authenticate for requests without a token; the token's own path needs none. */
  challenge: string | undefined;
  readonly requests: Seen[] = [];
  readonly files: Record<string, Buffer | string>;
  readonly #server: Server;

  private constructor(files: Record<string, Buffer | string>) {
    this.files = files;
    this.#server = createServer((request, response) => this.#answer(request, response));
  }

  /** @param files by path */
  static async start(files: Record<string, Buffer | string>): Promise<ArtifactServer> {
    const server = new ArtifactServer(files);
    server.#server.listen(0, "127.0.0.1");
    await once(server.#server, "listening");
    return server;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    this.#server.close();
    await once(this.#server, "close");
  }

  #answer(request: IncomingMessage, response: ServerResponse): void {
    const { range } = request.headers;
    const { pathname } = new URL(request.url ?? "/", this.url);
    this.requests.push({ path: pathname, range, headers: request.headers });
    if (this.silent) return;
    if (this.challenge && pathname !== "/token" && !request.headers.authorization) {
      response.writeHead(401, { "www-authenticate": this.challenge }).end();
      return;
    }
    const file = this.files[pathname];
    const status = this.status ?? (file === undefined ? 404 : 200);
    if (file === undefined || status !== 200) {
      response.writeHead(status).end();
      return;
    }
    const whole = Buffer.from(file);
    const offset = this.ranges ? Number(/^bytes=(\d+)-/.exec(range ?? "")?.[1] ?? 0) : 0;
    if (offset >= whole.length && offset > 0) {
      response.writeHead(416).end();
      return;
    }
    const body = whole.subarray(offset);
    response.writeHead(offset > 0 ? 206 : 200, { "content-length": body.length });
    const cut = this.cutAfter.shift();
    if (cut === undefined) response.end(body);
    else {
      response.write(body.subarray(0, cut));
      response.socket?.destroySoon();
    }
  }
}
