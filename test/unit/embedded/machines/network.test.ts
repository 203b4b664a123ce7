/** Tests of embedded/machines/network.ts. */
import { readFile } from "node:fs/promises";
import { execa } from "execa";
import { afterEach, describe, expect, onTestFinished, test } from "vitest";
import { instance } from "../../../../embedded/host/instance.ts";
import { startNetwork, stopNetwork } from "../../../../embedded/machines/network.ts";
import { iptables } from "../../../support/e2e/hostSettings.ts";

/** Whether iptables filters the frames of the host's bridges, and there is an iptables to try it with. */
const bridgesAreFiltered =
  (await readFile("/proc/sys/net/bridge/bridge-nf-call-iptables", "utf8").catch(() => "")).trim() === "1" &&
  (await iptables("--version").then(
    () => true,
    () => false,
  ));

const lab = instance("network-unit", { prefix: "10.211.214" });
const [first, second] = lab.workers;
/** Other labs come and go on the host meanwhile. */
const LINKS = [lab.link, ...lab.machines.map(({ link }) => link)];
const NAMESPACES = [lab.switchNetns, ...lab.machines.map(({ netns }) => netns)];

describe.runIf(process.getuid?.() === 0)("(needs root) the lab's network", () => {
  afterEach(() => stopNetwork(lab));

  test("connects host and machines; of all its links the host has one", async () => {
    await startNetwork(lab);
    const machines = lab.machines.map(({ address }) => address);
    expect(await Promise.all(machines.map((address) => connects(undefined, address)))).toEqual(
      machines.map(() => true),
    );
    expect(await connects(first?.netns, second?.address)).toBe(true);
    expect(await ownLinks()).toEqual([lab.link]);
  });

  test.runIf(bridgesAreFiltered)(
    "(needs br_netfilter) a firewall that drops what the host forwards does not come between machines",
    async () => {
      // Only for this lab's links. A bridge on the host would have the link's name.
      const drop = ["FORWARD", "-i", lab.link, "-j", "DROP"];
      await startNetwork(lab);
      await iptables("--insert", ...drop);
      onTestFinished(async () => {
        await iptables("--delete", ...drop);
      });
      expect(await connects(first?.netns, second?.address)).toBe(true);
      expect(await iptables("--list-rules", "FORWARD", "--verbose")).toContain(
        `-i ${lab.link} -c 0 0 -j DROP`,
      );
    },
  );

  test("an address of a worker's own pods that no pod has is unreachable, and leaves by no other route", async () => {
    await startNetwork(lab);
    const route = await execa("ip", ["-n", first?.netns ?? "", "route", "get", "10.244.2.9"], {
      reject: false,
    });
    expect(route.stderr).toContain("No route to host");
    const other = await execa("ip", ["-n", second?.netns ?? "", "route", "get", "10.244.2.9"]);
    expect(other.stdout).toContain(`via ${first?.address}`);
  });

  test.each([
    ["the switch", ["netns", "delete", lab.switchNetns]],
    ["the host's link", ["link", "delete", lab.link]],
    ["a machine's namespace", ["netns", "delete", first?.netns ?? ""]],
    ["a machine's cable", ["-n", lab.switchNetns, "link", "delete", first?.link ?? ""]],
  ])("without %s it is made whole by the next start", async (_, remove) => {
    await startNetwork(lab);
    await execa("ip", remove);
    await startNetwork(lab);
    expect(await connects(undefined, first?.address)).toBe(true);
    expect(await connects(second?.netns, first?.address)).toBe(true);
  });

  test("replaces a bridge of the same name on the host, as an older version made it", async () => {
    await execa("ip", ["link", "add", lab.link, "type", "bridge"]);
    await startNetwork(lab);
    expect(await connects(undefined, second?.address)).toBe(true);
  });

  test("is gone after the stop, and a second stop does nothing", async () => {
    await startNetwork(lab);
    expect((await ownNamespaces()).sort()).toEqual(NAMESPACES.toSorted());
    await stopNetwork(lab);
    expect([await ownLinks(), await ownNamespaces()]).toEqual([[], []]);
    await stopNetwork(lab);
  });
});

/** Whether a TCP connection reaches the address: refused by its kernel is as good as accepted. */
async function connects(from: string | undefined, to = ""): Promise<boolean> {
  const where = from ? ["nsenter", `--net=/run/netns/${from}`] : ["env"];
  const [command = "", ...args] = [...where, "ssh", "-o", "ConnectTimeout=5", "-o", "BatchMode=yes", to];
  const { stderr } = await execa(command, args, { reject: false });
  return stderr.includes("Connection refused");
}

/** The lab's links on the host. */
async function ownLinks(): Promise<string[]> {
  const { stdout } = await execa("ip", ["-json", "link"]);
  const names = (JSON.parse(stdout) as { ifname: string }[]).map(({ ifname }) => ifname);
  return names.filter((name) => LINKS.includes(name));
}

/** The lab's network namespaces. */
async function ownNamespaces(): Promise<string[]> {
  const { stdout } = await execa("ip", ["netns", "list"]);
  const names = stdout.split("\n").map((line) => line.split(" ")[0] ?? "");
  return names.filter((name) => NAMESPACES.includes(name));
}
