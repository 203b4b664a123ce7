/** The graph: client, load balancer, nodes, gateway, versions, and what flows between them. */
import type { Flow, Picture } from "../picture.ts";
import { flowLines, percent, VERDICTS } from "./words.ts";

const SVG = "http://www.w3.org/2000/svg";
const BOX = { width: 170, height: 66 };
const GAP = 40;
/** Room between two columns, for the lines beside an edge. */
const EDGE = 190;
const COLUMNS = 5;
const WIDTH = COLUMNS * BOX.width + (COLUMNS - 1) * EDGE;

interface Box {
  readonly column: number;
  readonly title: string;
  readonly lines: readonly string[];
  readonly state: string;
}

interface Placed extends Box {
  readonly x: number;
  readonly y: number;
}

/** Redraws the picture. */
export function drawGraph(svg: SVGSVGElement, picture: Picture): void {
  const rows = Math.max(1, picture.servers.length, picture.versions.length);
  const height = rows * (BOX.height + GAP) + 10;
  svg.setAttribute("viewBox", `0 0 ${WIDTH} ${height}`);
  const boxes = boxesOf(picture, height);
  const edges = edgesOf(picture, boxes);
  const title = svg.querySelector("title") as unknown as SVGTitleElement;
  title.textContent = inWords(picture);
  const { client, balancer, servers, gateway, versions } = boxes;
  svg.replaceChildren(
    title,
    ...edges.map(([line]) => line),
    ...[client, balancer, ...servers, gateway, ...versions].map(drawBox),
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

function boxesOf({ servers, versions }: Picture, height: number): Boxes {
  const column = (boxes: readonly Box[]) => placed(boxes, height);
  const alone = (column: number, title: string, line: string) =>
    placed([{ column, title, lines: [line], state: "plain" }], height)[0] as Placed;
  return {
    client: alone(0, "Client", "browser, probe"),
    balancer: alone(1, "HAProxy", "load balancer"),
    servers: column(
      servers.map(({ name, state }) => ({ column: 2, title: name, lines: [`node, ${state}`], state })),
    ),
    gateway: alone(3, "Gateway", "Envoy"),
    versions: column(
      versions.map(({ name, weight, verdict, flow }) => ({
        column: 4,
        title: name,
        lines: [`weight ${weight} %`, `${percent(flow.share)}, ${VERDICTS[verdict]}`],
        state: verdict,
      })),
    ),
  };
}

/** Where HAProxy is not measured, one edge leads from it to the gateway. */
function edgesOf(picture: Picture, { client, balancer, servers, gateway, versions }: Boxes): Edge[] {
  const throughNodes = servers.flatMap((server, index) => {
    const { flow, state, name } = picture.servers[index] as Picture["servers"][number];
    const unnamed = { ...flow, errors: null, perSecond: null, share: null };
    return [
      edge(balancer, server, flow, `edge-server-${name}`, state),
      edge(server, gateway, unnamed, "", state, flow.share),
    ];
  });
  return [
    edge(client, balancer, picture.client, "edge-client"),
    ...(servers.length > 0 ? throughNodes : [edge(balancer, gateway, picture.gateway, "edge-gateway")]),
    ...versions.map((version, index) => {
      const { flow, name } = picture.versions[index] as Picture["versions"][number];
      return edge(gateway, version, flow, `edge-version-${name}`, version.state);
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
function placed(boxes: readonly Box[], height: number): Placed[] {
  return boxes.map((box, index) => ({
    ...box,
    x: box.column * (BOX.width + EDGE),
    y: ((index + 0.5) * height) / boxes.length - BOX.height / 2,
  }));
}

function drawBox({ x, y, title, lines, state }: Placed): SVGGElement {
  const group = element("g", { class: `box ${state}` });
  const texts = [title, ...lines].map((line, index) =>
    text(
      line,
      x + BOX.width / 2,
      y + (lines.length > 1 ? 20 : 28) + index * 19,
      index === 0 ? "name" : "detail",
    ),
  );
  group.append(element("rect", { x, y, rx: 8, width: BOX.width, height: BOX.height }), ...texts);
  return group;
}

/** The line, as thick as its share, and the figures beside it. */
type Edge = readonly [SVGElement, SVGElement | undefined];

function edge(from: Placed, to: Placed, flow: Flow, id: string, state = "plain", share = flow.share): Edge {
  const [x1, y1] = [from.x + BOX.width, from.y + BOX.height / 2];
  const [x2, y2] = [to.x, to.y + BOX.height / 2];
  const middle = (x1 + x2) / 2;
  const line = element("path", {
    class: `edge ${state}`,
    d: `M${x1},${y1} C${middle},${y1} ${middle},${y2} ${x2},${y2}`,
    "stroke-width": 1 + (share ?? 0) / 12,
  });
  if (!id) return [line, undefined];
  const label = element("g", { class: "figures", id });
  // Above the end that no other edge of the column shares, so that labels do not meet.
  const end = to.column === 3 || to.column === 1 ? (y1 + y2) / 2 : y2;
  label.append(
    ...flowLines(flow).map((words, index, all) =>
      text(words, middle, end - 10 - (all.length - 1 - index) * 16, "figure"),
    ),
  );
  return [line, label];
}

function text(words: string, x: number, y: number, className: string): SVGElement {
  const node = element("text", { x, y, class: className, "text-anchor": "middle" });
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
