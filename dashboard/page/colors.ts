/** The colours of the versions, the same in the graph and in the chart. */

/** Distinct in light and dark mode, and without red against green. */
const COLORS = ["#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00"];

/** The colour of the version with that index. */
export const colorOf = (index: number) => COLORS[index % COLORS.length] ?? "#888";
