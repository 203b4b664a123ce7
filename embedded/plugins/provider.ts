/** The interface of a provider: requests and answers with decoded property bags. */
import type { Changes, Properties } from "./values.ts";

/** A provider's answers to the engine. A rejected promise becomes the resource's error. */
export interface Provider {
  diffConfig?(olds: Properties, news: Properties): Promise<Diff>;
  configure?(args: Properties): Promise<void>;
  check(request: CheckRequest): Promise<CheckResult>;
  diff(request: DiffRequest): Promise<Diff>;
  create(request: CreateRequest): Promise<{ id: string; outputs: Properties }>;
  read(request: ReadRequest): Promise<ReadResult | undefined>;
  update(request: UpdateRequest): Promise<Properties>;
  delete(request: DeleteRequest): Promise<void>;
  /** The user interrupts. Pending calls end as soon as they can, and fail. */
  cancel(): void;
}

export interface ResourceRequest {
  urn: string;
  /** The type token, `kubernetes:core/v1:Service`. */
  type: string;
  /** The last part of the URN. */
  name: string;
}
export interface CheckRequest extends ResourceRequest {
  olds: Properties | undefined;
  news: Properties;
}
export interface CheckResult {
  inputs: Properties;
  failures?: { property: string; reason: string }[];
}
export interface DiffRequest extends ResourceRequest {
  id: string;
  /** The outputs in the state. */
  olds: Properties;
  oldInputs: Properties;
  news: Properties;
}
export interface Diff {
  changes: Changes;
  /** The roots of the paths whose change needs a new resource. */
  replaces?: string[];
  deleteBeforeReplace?: boolean;
}
export interface CreateRequest extends ResourceRequest {
  inputs: Properties;
  /** From the resource option customTimeouts, in seconds; 0 when not given. */
  timeoutSeconds: number;
  preview: boolean;
}
export interface ReadRequest extends ResourceRequest {
  id: string;
  /** Empty where no state has the resource, as at a `get`. */
  inputs: Properties;
  outputs: Properties;
}
export interface ReadResult {
  id: string;
  inputs: Properties;
  outputs: Properties;
}
export interface UpdateRequest extends CreateRequest {
  id: string;
  olds: Properties;
  oldInputs: Properties;
}
export interface DeleteRequest extends ResourceRequest {
  id: string;
  outputs: Properties;
  oldInputs: Properties;
  timeoutSeconds: number;
}

export type Severity = "debug" | "info" | "warning" | "error";

/**
 * Lines about a resource for the user. A `status` line is shown during the operation; a `message` line is
 * kept.
 */
export interface Log {
  status(urn: string, text: string, severity?: Severity): void;
  message(urn: string, severity: Severity, text: string): void;
}

/** The resource exists but is not ready. The engine records it with these outputs and shows the reasons. */
export class InitializationError extends Error {
  readonly id: string;
  readonly outputs: Properties;
  readonly inputs: Properties | undefined;
  readonly reasons: string[];
  constructor(message: string, id: string, outputs: Properties, reasons: string[] = [], inputs?: Properties) {
    super(message);
    this.id = id;
    this.outputs = outputs;
    this.inputs = inputs;
    this.reasons = [message, ...reasons];
  }
}
