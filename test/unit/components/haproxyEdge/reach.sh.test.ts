/** Tests of components/haproxyEdge/reach.sh. */
import { spawnSync } from "node:child_process";
import { once } from "node:events";
import { type AddressInfo, createServer } from "node:net";
import { fileURLToPath } from "node:url";
import { expect, it } from "vitest";

const SCRIPT = fileURLToPath(new URL("../../../../components/haproxyEdge/reach.sh", import.meta.url));

const portOf = async (server: ReturnType<typeof createServer>) => {
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return String((server.address() as AddressInfo).port);
};

it("tries all at once, and reports the result of each", async () => {
  const [open, closed] = [createServer(), createServer()];
  const ports = [await portOf(open), await portOf(closed)] as const;
  closed.close();
  await once(closed, "close");
  const wanted = [
    ["a", "127.0.0.1", ports[0]],
    ["b", "localhost", ports[0]],
    ["c", "127.0.0.1", ports[1]],
    ["d", "no.such.name.invalid", "1"],
  ];
  const { stdout, stderr, status } = spawnSync("sh", [SCRIPT, ...wanted.flat()], { encoding: "utf8" });
  open.close();
  expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
  expect(stdout.trim().split("\n").sort()).toEqual(["a open", "b open", "c refused", "d unknown"]);
});
