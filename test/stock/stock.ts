/** `./lab test --stock`: the embedded lab on Debian 12's own kernel and systemd, in QEMU without KVM. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { succeeds } from "../../clients/process.ts";
import { runTasks } from "../../embedded/host/progress.ts";
import { installPackages } from "../../embedded/toolchain/browser.ts";
import { ensureToolchain } from "../../embedded/toolchain/toolchain.ts";
import { makeImage } from "./image.ts";

const QEMU = "qemu-system-x86_64";

/**
 * On a busy host a run ended after 9 minutes, when the API server gave up at its start. A run with pods has
 * not been measured. After this time something hangs.
 */
const LIMIT_MINUTES = 150;

/**
 * Boots the machine, and prints what it reports.
 *
 * @returns the exit code: 0 when every finding of the guest is as it should be
 */
async function testStock(): Promise<number> {
  const tools = await ensureToolchain(runTasks, (line) => console.error(`lab: ${line}`));
  if (!(await succeeds(QEMU, ["--version"]))) await installPackages("the stock machine", ["qemu-system-x86"]);
  const dir = await mkdtemp(join(tmpdir(), "istio-lab-stock-"));
  try {
    console.error("lab: making the disk of the stock machine ...");
    const { disk, kernel, initrd } = await makeImage(dir, tools);
    console.error("lab: booting Debian's kernel in emulation; this takes long ...");
    const machine = spawn(
      QEMU,
      [
        ...["-accel", "tcg,thread=multi", "-cpu", "max", "-smp", "2", "-m", "4096", "-no-reboot"],
        ...["-nographic", "-nic", "none", "-monitor", "none", "-serial", "stdio"],
        ...["-kernel", kernel, "-initrd", initrd],
        ...["-append", "root=/dev/vda rw console=ttyS0 quiet"],
        ...["-drive", `file=${disk},if=virtio,format=raw,cache=unsafe`],
      ],
      { stdio: ["ignore", "pipe", "inherit"] },
    );
    const timer = setTimeout(() => machine.kill("SIGKILL"), LIMIT_MINUTES * 60_000);
    let result = "the machine ended before the check did";
    const since = performance.now();
    for await (const line of createInterface(machine.stdout)) {
      console.log(`[${Math.round((performance.now() - since) / 1000)} s] ${line}`);
      result = /STOCK .*RESULT (.*)/.exec(line)?.[1]?.trim() ?? result;
    }
    if (machine.exitCode === null && machine.signalCode === null) await once(machine, "exit");
    clearTimeout(timer);
    console.log(`stock machine: ${result}`);
    return result === "ok" ? 0 : 1;
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
}

process.exitCode = await testStock();
