/** The same figures as tables and lists: for screen readers, for copying, for narrow windows. */
import type { Picture } from "../picture.ts";
import { clock, NOTHING, percent, perSecond, time, VERDICTS, weightsInWords } from "./words.ts";

/** Fills every table and list of the page. */
export function fillTables(picture: Picture): void {
  rows(
    "versions",
    picture.versions.map(({ name, weight, flow, band, verdict, pods }) => ({
      name,
      state: verdict,
      cells: [
        `${weight} %`,
        percent(flow.share),
        band ? `${band.low.toFixed(1)} to ${band.high.toFixed(1)} %` : NOTHING,
        VERDICTS[verdict],
        perSecond(flow.perSecond),
        percent(flow.errors),
        time(flow.p50),
        time(flow.p99),
        pods ? `${pods.ready} of ${pods.wanted}` : NOTHING,
      ],
    })),
  );
  rows(
    "servers",
    picture.servers.map(({ name, state, flow }) => ({
      name,
      state,
      cells: [
        state,
        percent(flow.share),
        perSecond(flow.perSecond),
        percent(flow.errors),
        time(flow.p50),
        time(flow.p99),
        time(flow.mean),
      ],
    })),
  );
  list(
    "changes",
    [...picture.changes].reverse().map(({ at, weights }) => [`${clock(at)}: ${weightsInWords(weights)}`]),
  );
  list(
    "problems",
    [...idle(picture), ...picture.problems].map((problem) => [problem]),
  );
  const window = document.getElementById("window") as HTMLElement;
  window.textContent = `Figures are of the last ${picture.windowSeconds} s.`;
  list(
    "links",
    picture.links.map(({ label, href }) => {
      const link = document.createElement("a");
      Object.assign(link, { href, textContent: label, rel: "noreferrer", target: "_blank" });
      return [link];
    }),
  );
  (document.getElementById("more-section") as HTMLElement).hidden = picture.links.length === 0;
}

/** A page without figures says what is missing: requests. */
function idle({ versions, windowSeconds }: Picture): string[] {
  if (!versions.every(({ verdict }) => verdict === "idle")) return [];
  return [`No request in the last ${windowSeconds} s: open the address above, or send some with the probe.`];
}

interface Row {
  readonly name: string;
  readonly state: string;
  readonly cells: readonly string[];
}

function rows(id: string, wanted: readonly Row[]): void {
  const body = document.querySelector(`#${id} tbody`) as HTMLTableSectionElement;
  body.replaceChildren(
    ...wanted.map(({ name, state, cells }) => {
      const row = document.createElement("tr");
      row.dataset.name = name;
      row.dataset.state = state;
      const head = document.createElement("th");
      head.scope = "row";
      head.textContent = name;
      row.append(
        head,
        ...cells.map((words) => {
          const cell = document.createElement("td");
          cell.textContent = words;
          return cell;
        }),
      );
      return row;
    }),
  );
}

/** Leaves a list alone that has not changed: a link keeps its focus. */
function list(id: string, items: readonly (string | Node)[][]): void {
  const element = document.getElementById(id) as HTMLElement;
  const wanted = items.map((parts) => {
    const item = document.createElement("li");
    item.append(...parts);
    return item;
  });
  const html = wanted.map(({ outerHTML }) => outerHTML).join("");
  if (element.innerHTML !== html) element.replaceChildren(...wanted);
}
