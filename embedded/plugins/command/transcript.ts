/** Collects what a command prints: its outputs, the lines for the user, the text of an error. */
import type { Readable } from "node:stream";
import type { Properties } from "../values.ts";

/** What a command printed, without its last newline. */
export interface Output {
  stdout: string;
  stderr: string;
}

/** A command of a resource, as its create, update or delete runs it. */
export interface CommandRun {
  command: string;
  /** The resource's inputs: stdin, environment, connection … */
  settings: Properties;
  /** Fires when the user interrupts. */
  signal: AbortSignal;
  /** Called for each line that is printed. */
  onLine(line: string): void;
}

/**
 * Collects both streams: each alone for the outputs, and both in the order of arrival for an error message.
 */
export class Transcript {
  readonly #texts = { stdout: "", stderr: "" };
  #all = "";
  readonly #pending = { stdout: "", stderr: "" };
  readonly #onLine: (line: string) => void;

  constructor(onLine: (line: string) => void) {
    this.#onLine = onLine;
  }

  follow(name: keyof Output, stream: Readable): void {
    stream.setEncoding("utf8").on("data", (chunk: string) => {
      this.#texts[name] += chunk;
      this.#all += chunk;
      this.#log(name, chunk);
    });
  }

  /** Logs a last line that has no newline. */
  end(): void {
    for (const name of ["stdout", "stderr"] as const) {
      if (this.#pending[name] !== "") this.#onLine(this.#pending[name]);
      this.#pending[name] = "";
    }
  }

  output(): Output {
    const { stdout, stderr } = this.#texts;
    return { stdout: withoutNewline(stdout), stderr: withoutNewline(stderr) };
  }

  failure(reason: string, command: string): Error {
    return new Error(`${reason}: running ${JSON.stringify(command)}:\n${this.#all}`);
  }

  #log(name: keyof Output, chunk: string): void {
    const lines = (this.#pending[name] + chunk).split("\n");
    this.#pending[name] = lines.pop() ?? "";
    for (const line of lines) this.#onLine(line.replace(/\r$/, ""));
  }
}

function withoutNewline(text: string): string {
  return text.endsWith("\n") ? text.slice(0, -1) : text;
}
