/** Which version of control groups this host has. */
import { existsSync } from "node:fs";

/** Whether the host has cgroup v2 alone, without controllers of v1 beside it. */
export function isUnified(): boolean {
  return existsSync("/sys/fs/cgroup/cgroup.controllers");
}
