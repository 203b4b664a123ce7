/** A SOCKS5 proxy that records its targets. */
import { type AddressInfo, connect, createServer, type Server } from "node:net";

/** A SOCKS5 proxy without log-on. */
export async function socksProxy(): Promise<{ proxy: Server; port: number; targets: string[] }> {
  const targets: string[] = [];
  const proxy = createServer((client) => {
    client.once("data", () => {
      client.write(Buffer.from([5, 0]));
      client.once("data", (request) => {
        const host = [...request.subarray(4, 8)].join(".");
        const port = request.readUInt16BE(8);
        targets.push(`${host}:${port}`);
        const target = connect(port, host, () => {
          client.write(Buffer.from([5, 0, 0, 1, 0, 0, 0, 0, 0, 0]));
          client.pipe(target).pipe(client);
        });
        for (const end of [client, target]) end.on("error", () => {});
      });
    });
  });
  await new Promise<void>((resolve) => proxy.listen(0, "127.0.0.1", resolve));
  return { proxy, port: (proxy.address() as AddressInfo).port, targets };
}
