/** Runs an OTLP collector on a machine of a lab, and reads what it received. */
import { join } from "node:path";
import { execa } from "execa";
import { until } from "../../../clients/process.ts";
import type { MachineSpec } from "../../../embedded/host/instance.ts";

/** Starts it in the machine's network, where pods reach it. */
export class OtlpCollector {
  readonly #process;
  #lines: string[] = [];

  static async start(machine: MachineSpec, port: number): Promise<OtlpCollector> {
    const collector = new OtlpCollector(machine, port);
    await until(`the collector on ${machine.name}`, async () => collector.#lines.includes("listening"));
    return collector;
  }

  private constructor({ netns }: MachineSpec, port: number) {
    const program = [process.execPath, join(import.meta.dirname, "otlpCollector.ts"), String(port)];
    this.#process = execa("ip", ["netns", "exec", netns, ...program], { reject: false });
    let text = "";
    this.#process.stdout.on("data", (chunk: Buffer) => {
      text += chunk;
      this.#lines = text.split("\n");
    });
  }

  /** How many exports contain all of these: a trace's id in hexadecimal digits, or words. */
  received(traceId: string, ...words: string[]): number {
    const parts = [Buffer.from(traceId, "hex"), ...words.map((word) => Buffer.from(word))];
    return this.#lines
      .map((line) => Buffer.from(line, "base64"))
      .filter((request) => parts.every((part) => request.includes(part))).length;
  }

  async stop(): Promise<void> {
    this.#process.kill("SIGKILL");
    await this.#process;
  }
}
