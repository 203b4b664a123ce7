/** Checks that the host's disks have room, before anything is written. */
import { existsSync } from "node:fs";
import { statfs } from "node:fs/promises";
import { dirname } from "node:path";
import { LabError } from "../../clients/process.ts";

/**
 * Checks that a directory, which need not exist yet, has room.
 *
 * @param megabytes how many 10^6 bytes have to be free for this user
 * @param variable environment variable that moves the directory to another disk
 * @throws LabError when there is less room
 */
export async function requireRoom(directory: string, megabytes: number, variable: string): Promise<void> {
  const { bavail, bsize } = await statfs(existing(directory));
  const free = Math.floor((bavail * bsize) / 1e6);
  if (free >= megabytes) return;
  throw new LabError(
    `the disk is too full: ${directory} needs ${megabytes} MB, and ${free} MB are free there. ` +
      `Make room, or set ${variable} to a directory on another disk.`,
  );
}

/** The directory itself, or the nearest one above it that exists. */
export function existing(directory: string): string {
  return existsSync(directory) ? directory : existing(dirname(directory));
}
