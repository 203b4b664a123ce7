/** The graph: client, load balancer, nodes, gateway, versions, and what flows between them. */
import type { Flow, Picture, VersionPicture } from "../picture.ts";
import { colorOf } from "./colors.ts";
import { type Shown, shownServers } from "./servers.ts";
import { flowLines, percent, perSecond, shortened, timeLines, VERDICTS } from "./words.ts";

const SVG = "http://www.w3.org/2000/svg";
/** The columns: where each begins, and the size of its boxes. */
const COLUMNS = {
  client: { x: 0, width: 110, height: 56 },
  balancer: { x: 300, width: 120, height: 56 },
  servers: { x: 610, width: 180, height: 56 },
  gateway: { x: 850, width: 190, height: 74 },
  versions: { x: 1230, width: 190, height: 90 },
} as const;
/** The frame of a box is as wide as this on each side of its edge. */
const MARGIN = 2;
const WIDTH = COLUMNS.versions.x + COLUMNS.versions.width;
/** Between two boxes of a column. */
const GAP = 32;
/** Between two lines of figures. */
const LINE = 16;
/** Characters of a name that fit into a box. */
const NAME = 15;

interface Box {
  readonly title: string;
  readonly lines: readonly string[];
  readonly state: string;
  /** Drawn below the lines. */
  readonly bar?: SVGElement | undefined;
}

interface Placed extends Box {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

/** Redraws the picture. */
export function drawGraph(svg: SVGSVGElement, picture: Picture): void {
  const servers = shownServers(picture.servers);
  const rows = (column: { height: number }, count: number) => count * (column.height + GAP);
  const height = Math.max(
    rows(COLUMNS.servers, servers.length),
    rows(COLUMNS.versions, picture.versions.length),
    rows(COLUMNS.client, 1),
  );
  // The figures of the first and of the last row stand out by a line.
  svg.setAttribute("viewBox", `${-MARGIN} ${-LINE} ${WIDTH + 2 * MARGIN} ${height + 2 * LINE}`);
  const boxes = boxesOf(picture, servers, height);
  const edges = edgesOf(picture, servers, boxes);
  const title = svg.querySelector("title") as unknown as SVGTitleElement;
  title.textContent = inWords(picture);
  svg.replaceChildren(
    title,
    ...edges.map(([line]) => line),
    ...[boxes.client, boxes.balancer, ...boxes.servers, boxes.gateway, ...boxes.versions].map(drawBox),
    ...edges.flatMap(([, label]) => label ?? []),
  );
}

interface Boxes {
  readonly client: Placed;
  readonly balancer: Placed;
  readonly servers: readonly Placed[];
  readonly gateway: Placed;
  readonly versions: readonly Placed[];
}

function boxesOf({ versions, gateway }: Picture, servers: readonly Shown[], height: number): Boxes {
  const column = (name: keyof typeof COLUMNS, boxes: readonly Box[]) => placed(name, boxes, height);
  const alone = (name: keyof typeof COLUMNS, title: string, ...lines: string[]) =>
    column(name, [{ title, lines, state: "plain" }])[0] as Placed;
  return {
    client: alone("client", "Client", "browsers"),
    balancer: alone("balancer", "HAProxy", servers.length > 0 ? "load balancer" : "not measured"),
    servers: column(
      "servers",
      servers.map(({ name, kind, state }) => ({ title: name, lines: [`${kind}, ${state}`], state })),
    ),
    gateway: alone("gateway", "Gateway", `Envoy, ${perSecond(gateway.perSecond)}`, ...timeLines(gateway)),
    versions: column(
      "versions",
      versions.map((version, index) => ({
        title: version.name,
        lines: [`${percent(version.flow.share)}, weight ${version.weight} %`, VERDICTS[version.verdict]],
        state: version.verdict,
        bar: barOf(version, colorOf(index)),
      })),
    ),
  };
}

/** Where HAProxy is not measured, one edge leads from it to the gateway. */
function edgesOf(picture: Picture, servers: readonly Shown[], boxes: Boxes): Edge[] {
  const { client, balancer, gateway } = boxes;
  const throughNodes = boxes.servers.flatMap((box, index) => {
    const { flow, state, name } = servers[index] as Shown;
    return [edge(balancer, box, flow, `edge-server-${name}`, state), edge(box, gateway, flow, "", state)];
  });
  return [
    edge(client, balancer, picture.client, "edge-client"),
    ...(servers.length > 0 ? throughNodes : [edge(balancer, gateway, picture.gateway, "edge-gateway")]),
    ...boxes.versions.map((box, index) => {
      const { flow, name } = picture.versions[index] as VersionPicture;
      return edge(gateway, box, flow, `edge-version-${name}`, box.state);
    }),
  ];
}

/** The graph for a screen reader. */
function inWords({ versions }: Picture): string {
  const shares = versions.map(
    ({ name, flow, weight }) => `${percent(flow.share)} go to ${name} (weight ${weight} %)`,
  );
  return `Of the requests behind the gateway ${shares.join(", ")}`;
}

/** Boxes of one column, evenly spread. */
function placed(column: keyof typeof COLUMNS, boxes: readonly Box[], whole: number): Placed[] {
  const { x, width, height } = COLUMNS[column];
  return boxes.map((box, index) => ({
    ...box,
    ...{ x, width, height },
    y: ((index + 0.5) * whole) / boxes.length - height / 2,
  }));
}

function drawBox({ x, y, width, height, title, lines, state, bar }: Placed): SVGGElement {
  const group = element("g", { class: `box ${state}` });
  const middle = x + width / 2;
  const texts = [shortened(title, NAME), ...lines].map((line, index) =>
    text(line, { x: middle, y: y + 24 + index * 18 }, index === 0 ? "name" : "detail"),
  );
  const whole = element("title", {});
  whole.textContent = [title, ...lines].join(", ");
  group.append(whole, element("rect", { class: "frame", x, y, rx: 8, width, height }), ...texts);
  if (bar) {
    bar.setAttribute("transform", `translate(${x + 14} ${y + height - 18})`);
    group.append(bar);
  }
  return group;
}

/** The measured share as a bar, on the shares that agree with the weight, with a mark at the weight. */
function barOf({ flow, band, weight }: VersionPicture, color: string): SVGElement {
  const width = COLUMNS.versions.width - 28;
  const across = (share: number) => (width * share) / 100;
  const bar = element("g", { class: "bar" });
  bar.append(element("rect", { class: "track", width, height: 8, rx: 4 }));
  bar.append(element("rect", { y: 1, width: across(flow.share ?? 0), height: 6, rx: 3, fill: color }));
  if (band) {
    const [low, high] = [across(band.low), across(band.high)];
    bar.append(element("rect", { class: "band", x: low, y: -3, width: Math.max(1, high - low), height: 14 }));
  }
  bar.append(element("line", { x1: across(weight), x2: across(weight), y1: -4, y2: 12 }));
  return bar;
}

/** The line, as thick as its share, and the figures beside it. */
type Edge = readonly [SVGElement, SVGElement | undefined];

function edge(from: Placed, to: Placed, flow: Flow, id: string, state = "plain"): Edge {
  const [x1, y1] = [from.x + from.width, from.y + from.height / 2];
  const [x2, y2] = [to.x, to.y + to.height / 2];
  const middle = (x1 + x2) / 2;
  const line = element("path", {
    class: `edge ${state}`,
    d: `M${x1},${y1} C${middle},${y1} ${middle},${y2} ${x2},${y2}`,
    "stroke-width": 1 + (flow.share ?? 0) / 12,
  });
  if (!id) return [line, undefined];
  const label = element("g", { class: "figures", id });
  const lines = flowLines(flow);
  // The line comes from the other side: figures beside a line that falls are below its end.
  const first = y2 > y1 + 1 ? y2 + 22 : y2 - 12 - (lines.length - 1) * LINE;
  label.append(
    ...lines.map((words, index) => text(words, { x: x2 - 10, y: first + index * LINE }, "figure", "end")),
  );
  return [line, label];
}

function text(
  words: string,
  { x, y }: { x: number; y: number },
  className: string,
  anchor = "middle",
): SVGElement {
  const node = element("text", { x, y, class: className, "text-anchor": anchor });
  node.textContent = words;
  return node;
}

function element<K extends keyof SVGElementTagNameMap>(
  name: K,
  attributes: Record<string, string | number>,
): SVGElementTagNameMap[K] {
  const node = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, String(value));
  return node;
}
