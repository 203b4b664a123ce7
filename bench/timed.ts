/** Times a step of a benchmark, and shows its progress on standard error. */

/**
 * @param digits decimals of the seconds in the line that it prints. @default 2
 * @returns seconds
 */
export async function timed(label: string, work: () => Promise<unknown>, digits = 2): Promise<number> {
  const start = performance.now();
  await work();
  const seconds = (performance.now() - start) / 1000;
  note(`${label}: ${seconds.toFixed(digits)} s`);
  return seconds;
}

export function note(text: string): void {
  console.error(text);
}
