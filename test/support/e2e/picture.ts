/** Makes the picture docs/browser.png: one page, opened many times. */
import type { Browser } from "./browser.ts";

/** How often each address is opened. */
const LOADS = 12;
const TILE = { width: 90, height: 42 };
const PICTURE = { width: 880, height: 244 };

/**
 * Opens each address several times, and puts the pictures side by side, below the address.
 * @returns the picture, a PNG, and the text of each load, by address.
 */
export async function picture(
  browser: Browser,
  urls: readonly string[],
): Promise<{ png: Buffer; texts: Record<string, string[]> }> {
  const texts: Record<string, string[]> = {};
  const windows: string[] = [];
  await browser.resize(TILE);
  for (const url of urls) {
    const tiles: string[] = [];
    for (let load = 0; load < LOADS; load++) {
      texts[url] = [...(texts[url] ?? []), await browser.open(url)];
      tiles.push((await browser.screenshot()).toString("base64"));
    }
    windows.push(windowOf(url, tiles));
  }
  await browser.resize(PICTURE);
  await browser.open(`data:text/html,${encodeURIComponent(STYLE + windows.join(""))}`);
  return { png: await browser.screenshot(), texts };
}

function windowOf(url: string, tiles: readonly string[]): string {
  const images = tiles.map((tile) => `<img src="data:image/png;base64,${tile}">`);
  return `<section><header><i></i><i></i><i></i><p>${url}</p></header><div>${images.join("")}</div></section>`;
}

const STYLE = `<style>
  body { margin: 16px; display: flex; gap: 16px; background: #dfe3e8; font: 13px sans-serif }
  section { flex: 1; background: #fff; border-radius: 8px; overflow: hidden; box-shadow: 0 1px 4px #0005 }
  header { display: flex; align-items: center; gap: 6px; padding: 8px 12px; background: #f1f3f4 }
  i { width: 11px; height: 11px; border-radius: 50%; background: #c4c8cc }
  p { flex: 1; margin: 0 0 0 8px; padding: 4px 12px; border-radius: 12px; background: #fff }
  div { display: grid; grid-template-columns: repeat(4, 1fr); gap: 8px; padding: 12px }
  img { border: 1px solid #ddd; border-radius: 4px }
</style>`;
