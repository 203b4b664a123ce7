/** What a lab looks like when requests fail: for the message of the test that failed. */
import { onLoadBalancer } from "../../../bench/edgeMachine.ts";
import type { TestLab } from "./harness.ts";

/** Lines of each part that are kept, the newest. */
const LINES = 30;

/**
 * HAProxy's failed requests and states of servers, the cluster's pods, and its newest events. A part that
 * cannot be read is named with the reason.
 */
export async function evidenceOf(lab: TestLab): Promise<string[]> {
  const journal = `journalctl --unit=haproxy --output=short-iso-precise --lines=${LINES} | cat`;
  const newest = "--sort-by=.metadata.creationTimestamp";
  const parts: Readonly<Record<string, Promise<string>>> = {
    now: Promise.resolve(new Date().toISOString()),
    "haproxy's journal": onLoadBalancer(lab.instance, journal),
    pods: lab.kubectl("get", "pods", "--all-namespaces", "--output=wide", newest),
    events: lab.kubectl("get", "events", "--all-namespaces", newest),
  };
  return Promise.all(
    Object.entries(parts).map(async ([title, part]) => {
      const text = await part.catch((error: unknown) => String(error));
      return `${title}:\n${text.split("\n").slice(-LINES).join("\n")}`;
    }),
  );
}
