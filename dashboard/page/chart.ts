/** The shares over time, with a mark at each change of the weights. */
import uPlot from "/uplot.js";
import type { Picture, WeightChange } from "../picture.ts";
import { colorOf } from "./colors.ts";
import { clock } from "./words.ts";

const HEIGHT = 240;

/** A chart that shows the newest picture; recreated when the versions change. */
export class Chart {
  readonly #element: HTMLElement;
  #plot: uPlot | undefined;
  #names: readonly string[] = [];
  #changes: readonly WeightChange[] = [];

  constructor(element: HTMLElement) {
    this.#element = element;
    new ResizeObserver(() => this.#plot?.setSize({ width: element.clientWidth, height: HEIGHT })).observe(
      element,
    );
  }

  draw({ history, versions, changes }: Picture): void {
    this.#changes = changes;
    const names = versions.map(({ name }) => name);
    const data = [
      history.times,
      ...names.map((name) => history.shares[name] ?? history.times.map(() => null)),
    ];
    if (names.join() !== this.#names.join()) {
      this.#names = names;
      this.#plot?.destroy();
      this.#plot = new uPlot(this.#options(names), data as uPlot.AlignedData, this.#element);
    } else {
      this.#plot?.setData(data as uPlot.AlignedData);
    }
    // Without a pointer on the chart, the legend has the newest figures, if there are any.
    const newest = history.times.length - 1;
    if (newest >= 0 && (this.#plot?.cursor.left ?? -1) < 0) this.#plot?.setLegend({ idx: newest });
  }

  #options(names: readonly string[]): uPlot.Options {
    const ink = () => getComputedStyle(this.#element).color;
    const axis = { stroke: ink, grid: { stroke: () => "#8886" }, ticks: { stroke: () => "#8886" } };
    return {
      width: this.#element.clientWidth,
      height: HEIGHT,
      // Room above for the words at a mark.
      padding: [24, 12, 0, 0],
      scales: { y: { range: [0, 100] } },
      axes: [
        { ...axis, space: 110, values: (_, ticks) => ticks.map((tick) => clock(tick * 1000)) },
        { ...axis, size: 64, values: (_, ticks) => ticks.map((tick) => `${tick} %`) },
      ],
      series: [
        { label: "Time", value: (_, at) => (at ? clock(at * 1000) : "–") },
        ...names.map((name, index) => ({
          label: name,
          stroke: colorOf(index),
          width: 2,
          dash: index === 0 ? [] : [4 + 4 * index, 4],
          value: (_: uPlot, share: number | null) => (share === null ? "–" : `${share.toFixed(1)} %`),
        })),
      ],
      hooks: { draw: [(plot) => this.#mark(plot)] },
    };
  }

  /** A vertical line at each change that lies in the chart, and the weights from then on, thin. */
  #mark(plot: uPlot): void {
    const { ctx, bbox } = plot;
    const { left, top, width, height } = bbox;
    const ink = getComputedStyle(this.#element).color;
    const inside = (x: number) => Math.min(Math.max(x, left), left + width);
    ctx.save();
    ctx.font = `${12 * devicePixelRatio}px system-ui, sans-serif`;
    for (const [index, { at, weights }] of this.#changes.entries()) {
      const x = plot.valToPos(at / 1000, "x", true);
      const next = this.#changes[index + 1];
      const end = next ? inside(plot.valToPos(next.at / 1000, "x", true)) : left + width;
      ctx.globalAlpha = 0.6;
      ctx.setLineDash([]);
      for (const [version, name] of this.#names.entries()) {
        const y = plot.valToPos(weights[name] ?? 0, "y", true);
        stroke(ctx, colorOf(version), [inside(x), y], [end, y]);
      }
      if (x < left || x > left + width) continue;
      ctx.globalAlpha = 1;
      ctx.setLineDash([3, 3]);
      stroke(ctx, ink, [x, top], [x, top + height]);
      const isRight = x > left + 0.8 * width;
      ctx.fillStyle = ink;
      ctx.textAlign = isRight ? "right" : "left";
      const words = this.#names.map((name) => weights[name] ?? 0).join(" / ");
      ctx.fillText(words, x + (isRight ? -6 : 6) * devicePixelRatio, top - 6 * devicePixelRatio);
    }
    ctx.restore();
  }
}

type Point = readonly [x: number, y: number];

function stroke(ctx: CanvasRenderingContext2D, color: string, from: Point, to: Point): void {
  ctx.strokeStyle = color;
  ctx.beginPath();
  ctx.moveTo(...from);
  ctx.lineTo(...to);
  ctx.stroke();
}
