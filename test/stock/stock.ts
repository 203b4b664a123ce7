/** `./lab test --stock`: the embedded lab on a stock system's kernel and systemd, in QEMU without KVM. */
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
import { SYSTEMS, type System } from "./systems.ts";

const QEMU = "qemu-system-x86_64";

/** Something hangs after this time. */
const LIMIT_MINUTES = 120;

/**
 * Boots the machine, and prints what it reports.
 *
 * @returns the exit code: 0 when every finding of the guest is as it should be
 */
async function testStock(system: System): Promise<number> {
  await ensureToolchain(runTasks, (line) => console.error(`lab: ${line}`));
  if (!(await succeeds(QEMU, ["--version"]))) await installPackages("the stock machine", ["qemu-system-x86"]);
  const dir = await mkdtemp(join(tmpdir(), "istio-lab-stock-"));
  try {
    console.error(`lab: making the disk of ${system} ...`);
    const { disk, kernel, initrd } = await makeImage(dir, system);
    console.error("lab: booting its kernel in emulation; this takes long ...");
    const machine = spawn(
      QEMU,
      [
        // Page tables of five levels make emulation slower.
        ...["-accel", "tcg,thread=multi", "-cpu", "max,la57=off", "-smp", "2", "-m", "8192", "-no-reboot"],
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
    console.log(`${system}: ${result}`);
    return result === "ok" ? 0 : 1;
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
}

const [, , wanted = "debian-12"] = process.argv;
const system = SYSTEMS.find((each) => each === wanted);
if (system) process.exitCode = await testStock(system);
else {
  console.error(`lab: --stock knows ${SYSTEMS.join(", ")}, not "${wanted}"`);
  process.exitCode = 2;
}
