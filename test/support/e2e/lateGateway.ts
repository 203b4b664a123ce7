/**
 * A node in a network namespace of its own. As kube-proxy does, it answers with an ICMP error until its
 * gateway is there.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createServer, type Socket } from "node:net";
import { run } from "../../../clients/process.ts";
import type { Instance } from "../../../embedded/host/instance.ts";

const PORT = 8080;
/** Address of the gateway. The cable to the load balancer has others. */
const ADDRESS = "192.0.2.10";

/** Requests that the gateway received. */
export interface Counts {
  /** Connections with at least one request for the page. */
  readonly connections: number;
  readonly checks: number;
}

export class LateGateway {
  readonly address = ADDRESS;
  readonly port = PORT;
  readonly #netns: string;
  readonly #server: ChildProcess;
  #counts: Counts = { connections: 0, checks: 0 };

  private constructor(netns: string, server: ChildProcess) {
    this.#netns = netns;
    this.#server = server;
    server.on("message", (counts: Counts) => {
      this.#counts = counts;
    });
  }

  /** At first it refuses: the answer to a packet is "destination unreachable, prohibited". */
  static async start({ loadBalancer, name }: Instance): Promise<LateGateway> {
    const netns = `${name}-late`;
    const there = loadBalancer.netns;
    await run("ip", ["netns", "delete", netns]).catch(() => undefined);
    await run("ip", ["netns", "add", netns]);
    await ip([], `link add late netns ${there} type veth peer name eth0 netns ${netns}`);
    const cable = ["addr add 198.51.100.1/24 dev late", "link set late up"];
    await ip(["-n", there], ...cable, `route add ${ADDRESS} via 198.51.100.2`);
    const end = ["link set lo up", "addr add 198.51.100.2/24 dev eth0", "link set eth0 up"];
    await ip(["-n", netns], ...end, `route add prohibit ${ADDRESS}`);
    // A router without a limit on ICMP messages.
    const settings = ["net.ipv4.ip_forward=1", "net.ipv4.icmp_ratelimit=0"];
    await run("ip", ["netns", "exec", netns, "sysctl", "-qw", ...settings]);
    const script = [process.execPath, import.meta.filename, "serve"];
    const server = spawn("ip", ["netns", "exec", netns, ...script], {
      stdio: ["ignore", "inherit", "inherit", "ipc"],
    });
    await once(server, "message");
    return new LateGateway(netns, server);
  }

  get counts(): Counts {
    return this.#counts;
  }

  /** From now on packets to its address arrive. */
  async open(): Promise<void> {
    await ip(["-n", this.#netns], `route delete prohibit ${ADDRESS}`, `addr add ${ADDRESS}/32 dev lo`);
  }

  async stop(): Promise<void> {
    this.#server.kill();
    await run("ip", ["netns", "delete", this.#netns]);
  }
}

async function ip(where: readonly string[], ...commands: string[]): Promise<void> {
  await run("ip", [...where, "-batch", "-"], { input: commands.join("\n") });
}

/** Answers 200 to every request on kept connections, and reports its counts. */
function serve(): void {
  let checks = 0;
  let connections = 0;
  const report = () => process.send?.({ connections, checks } satisfies Counts);
  const server = createServer((socket: Socket) => {
    let used = false;
    socket.on("error", () => undefined);
    socket.on("data", (data) => {
      if (data.includes("/healthz/ready")) checks++;
      else if (!used) {
        used = true;
        connections++;
      }
      socket.write("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
      report();
    });
  });
  server.listen(PORT, report);
  process.on("disconnect", () => process.exit());
}

if (process.argv[2] === "serve" && process.argv[1] === import.meta.filename) serve();
