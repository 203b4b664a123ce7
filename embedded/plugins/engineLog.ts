/** Lines about resources, from a provider to Pulumi's engine. */
import * as grpc from "@grpc/grpc-js";
import type { Log, Severity } from "./provider.ts";
import { engine, engineServices } from "./stubs.ts";

const SEVERITIES = {
  debug: engine.LogSeverity.DEBUG,
  info: engine.LogSeverity.INFO,
  warning: engine.LogSeverity.WARNING,
  error: engine.LogSeverity.ERROR,
} as const;

export class EngineLog implements Log {
  #client: InstanceType<typeof engineServices.EngineClient> | undefined;
  readonly #shown = new Map<string, string>();

  /** Only the first address counts; the engine sends the same one several times. */
  connect(address: string | undefined): void {
    if (address === undefined || address === "" || this.#client !== undefined) return;
    this.#client = new engineServices.EngineClient(address, grpc.credentials.createInsecure());
  }

  status(urn: string, text: string, severity: Severity = "info"): void {
    // An empty line clears the status. Without a status to clear, it would be an empty line in a plain log.
    if (text === "" ? !this.#shown.delete(urn) : this.#shown.get(urn) === text) return;
    if (text !== "") this.#shown.set(urn, text);
    this.#send(urn, severity, text, true);
  }

  message(urn: string, severity: Severity, text: string): void {
    this.#send(urn, severity, text, false);
  }

  #send(urn: string, severity: Severity, text: string, ephemeral: boolean): void {
    const request = new engine.LogRequest()
      .setUrn(urn)
      .setSeverity(SEVERITIES[severity])
      .setMessage(text)
      .setEphemeral(ephemeral);
    // Log lines are best effort.
    this.#client?.log(request, () => {});
  }
}
