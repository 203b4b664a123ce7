/** Tests of test/support/e2e/hostSettings.ts. */
import { expect, test } from "vitest";
import { changes, type HostSettings, hostSettings, loaded } from "../../../support/e2e/hostSettings.ts";

const host: HostSettings = {
  sysctls: ["kernel.panic = 0", "net.ipv4.conf.eth0.forwarding = 0"],
  firewall: ["-P FORWARD ACCEPT"],
  units: ["ssh.service"],
  modules: ["overlay"],
};

test("a host that is as it was has no changes", () => {
  expect(changes(host, host)).toEqual([]);
});

test("each kind of change is named", () => {
  const now: HostSettings = {
    sysctls: ["kernel.panic = 10", "net.ipv4.conf.eth0.forwarding = 0", "net.ipv4.conf.il0.forwarding = 0"],
    firewall: ["-P FORWARD DROP"],
    units: ["ssh.service", "machine-lab.scope"],
    modules: ["overlay", "br_netfilter"],
  };
  expect(changes(host, now)).toEqual([
    "setting: kernel.panic was 0, is 10",
    "packet filter: new: -P FORWARD DROP",
    "packet filter: gone: -P FORWARD ACCEPT",
    "unit: new: machine-lab.scope",
  ]);
  expect(loaded(host, now)).toEqual(["br_netfilter"]);
});

test.runIf(process.getuid?.() === 0)(
  "(needs root) the real settings are read, without counters",
  async () => {
    const { sysctls } = await hostSettings();
    expect(sysctls.length).toBeGreaterThan(500);
    expect(sysctls.find((line) => line.startsWith("kernel.panic = "))).toBeDefined();
    expect(sysctls.filter((line) => /random\.uuid|ns_last_pid/.test(line))).toEqual([]);
  },
);
