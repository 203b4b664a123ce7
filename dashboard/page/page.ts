/** Gets the newest picture each second and shows it, and says so when it is old or does not come. */
import type { Picture } from "../picture.ts";
import { Chart } from "./chart.ts";
import { drawGraph } from "./graph.ts";
import { fillTables } from "./tables.ts";
import { clock } from "./words.ts";

const EVERY_MS = 1000;
/** A picture of this age is stale. */
const STALE_MS = 8000;

const byId = <E extends Element = HTMLElement>(id: string) => document.getElementById(id) as unknown as E;
const chart = new Chart(byId("chart"));
let newest: Picture | undefined;

interface Answer {
  readonly picture?: Picture;
  /** Why there is no newer picture. */
  readonly problem?: string;
}

/** Changes the words only where they differ: a screen reader announces each change. */
function show(state: string, words: string): void {
  const element = byId("state");
  element.dataset.state = state;
  if (element.textContent !== words) element.textContent = words;
}

async function refresh(): Promise<void> {
  const answer = await newestAnswer();
  if (answer.picture && answer.picture.at !== newest?.at) {
    newest = answer.picture;
    const link = byId<HTMLAnchorElement>("url");
    link.textContent = newest.url;
    link.href = newest.url;
    drawGraph(byId<SVGSVGElement>("graph"), newest);
    fillTables(newest);
    chart.draw(newest);
  }
  const age = newest ? Date.now() - newest.at : Number.POSITIVE_INFINITY;
  document.body.classList.toggle("stale", age > STALE_MS);
  if (answer.problem && age > STALE_MS) show("away", `${answer.problem}${since()}`);
  else if (age > STALE_MS) show("stale", `the newest measurement is old${since()}`);
  else show("live", "live");
}

const since = () => (newest ? `; what is shown is of ${clock(newest.at)}` : "");

async function newestAnswer(): Promise<Answer> {
  try {
    const response = await fetch("picture.json", { signal: AbortSignal.timeout(3000) });
    if (!response.ok) return { problem: `the dashboard answers HTTP ${response.status}` };
    return (await response.json()) as Answer;
  } catch {
    return { problem: "the dashboard does not answer; is ./lab dashboard still running?" };
  }
}

// A part that is wider than the window is scrolled by keyboard too.
for (const part of document.querySelectorAll<HTMLElement>(".scroll"))
  new ResizeObserver(() => {
    part.tabIndex = part.scrollWidth > part.clientWidth ? 0 : -1;
  }).observe(part);

for (;;) {
  await refresh().catch((error: Error) =>
    show("away", `the page cannot draw the measurement (${error.message}): reload it`),
  );
  await new Promise((resolve) => setTimeout(resolve, EVERY_MS));
}
