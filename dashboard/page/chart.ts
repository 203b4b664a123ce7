/** The shares over time, with a mark at each change of the weights. */
import uPlot from "/uplot.js";
import type { Picture } from "../picture.ts";

const HEIGHT = 220;
/** Distinct in light and dark mode, and without red against green. */
const COLORS = ["#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00"];

/** A chart that shows the newest picture; recreated when the versions change. */
export class Chart {
  readonly #element: HTMLElement;
  #plot: uPlot | undefined;
  #names = "";
  #changes: readonly number[] = [];

  constructor(element: HTMLElement) {
    this.#element = element;
    new ResizeObserver(() => this.#plot?.setSize({ width: element.clientWidth, height: HEIGHT })).observe(
      element,
    );
  }

  draw({ history, versions, changes }: Picture): void {
    this.#changes = changes.map(({ at }) => at / 1000);
    const names = versions.map(({ name }) => name);
    const data = [
      history.times,
      ...names.map((name) => history.shares[name] ?? history.times.map(() => null)),
    ];
    if (names.join() !== this.#names) {
      this.#names = names.join();
      this.#plot?.destroy();
      this.#plot = new uPlot(this.#options(names), data as uPlot.AlignedData, this.#element);
    } else {
      this.#plot?.setData(data as uPlot.AlignedData);
    }
  }

  #options(names: readonly string[]): uPlot.Options {
    const ink = () => getComputedStyle(this.#element).color;
    const axis = { stroke: ink, grid: { stroke: () => "#8886" }, ticks: { stroke: () => "#8886" } };
    return {
      width: this.#element.clientWidth,
      height: HEIGHT,
      scales: { y: { range: [0, 100] } },
      axes: [axis, { ...axis, values: (_, ticks) => ticks.map((tick) => `${tick} %`) }],
      series: [
        {},
        ...names.map((name, index) => ({
          label: name,
          stroke: COLORS[index % COLORS.length] ?? "#888",
          width: 2,
          dash: index === 0 ? [] : [4 + 4 * index, 4],
          value: (_: uPlot, share: number | null) => (share === null ? "–" : `${share.toFixed(1)} %`),
        })),
      ],
      hooks: { draw: [(plot) => this.#mark(plot)] },
    };
  }

  /** A vertical line at each change that lies in the chart. */
  #mark(plot: uPlot): void {
    const { left, top, width, height } = plot.bbox;
    plot.ctx.save();
    plot.ctx.strokeStyle = getComputedStyle(this.#element).color;
    plot.ctx.setLineDash([3, 3]);
    for (const change of this.#changes) {
      const x = plot.valToPos(change, "x", true);
      if (x < left || x > left + width) continue;
      plot.ctx.beginPath();
      plot.ctx.moveTo(x, top);
      plot.ctx.lineTo(x, top + height);
      plot.ctx.stroke();
    }
    plot.ctx.restore();
  }
}
