/** Measures the times of requests: as many as possible, or at a steady pace. */
import { setTimeout as delay } from "node:timers/promises";
import { Agent, request } from "undici";

/** Where the requests go. */
export interface Page {
  readonly url: string;
  readonly host: string;
}

export interface Load {
  /** Milliseconds of each answer, in the order of arrival. */
  readonly ms: readonly number[];
  readonly failed: number;
  readonly seconds: number;
}

/** For so many seconds, each client sends its next request when it has the answer. */
export async function closedLoop(page: Page, clients: number, seconds: number): Promise<Load> {
  return measured(page, clients, async (send, isOver) => {
    const client = async () => {
      while (!isOver(seconds)) await send();
    };
    await Promise.all(Array.from({ length: clients }, client));
  });
}

/** Sends so many requests a second, for so many seconds. A slow answer delays no other request. */
export async function openLoop(page: Page, perSecond: number, seconds: number): Promise<Load> {
  return measured(page, 64, async (send, isOver) => {
    const underWay: Promise<void>[] = [];
    const start = performance.now();
    while (!isOver(seconds)) {
      underWay.push(send());
      const dueMs = (underWay.length * 1000) / perSecond;
      await delay(Math.max(0, dueMs - (performance.now() - start)));
    }
    await Promise.all(underWay);
  });
}

async function measured(
  { url, host }: Page,
  connections: number,
  run: (send: () => Promise<void>, isOver: (seconds: number) => boolean) => Promise<void>,
): Promise<Load> {
  const dispatcher = new Agent({ connections, allowH2: false });
  const ms: number[] = [];
  let failed = 0;
  const send = async () => {
    const sent = performance.now();
    try {
      const { statusCode, body } = await request(url, { dispatcher, headers: { host } });
      await body.dump();
      if (statusCode === 200) ms.push(performance.now() - sent);
      else failed++;
    } catch {
      failed++;
    }
  };
  const start = performance.now();
  await run(send, (seconds) => performance.now() - start >= 1000 * seconds);
  const seconds = (performance.now() - start) / 1000;
  await dispatcher.close();
  return { ms, failed, seconds };
}
