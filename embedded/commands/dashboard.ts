/** `./lab dashboard`: the page that shows the lab live, or the pages of Prometheus and Zipkin. */
import type { Command } from "commander";
import { LabError } from "../../clients/process.ts";
import { dashboardCommand } from "../../dashboard/command.ts";
import { observedOf } from "../../dashboard/stack.ts";
import { connectToCluster, pageOf, requireOutputs } from "../lab/stack.ts";
import type { Context } from "./context.ts";

export function labDashboardCommand(context: Context): Command {
  return dashboardCommand({
    connect: async () => connectToCluster(await context.running()),
    async observed() {
      const lab = await context.running();
      const outputs = await requireOutputs(lab);
      const { url } = await pageOf(lab, outputs);
      try {
        return observedOf(outputs, url);
      } catch (error) {
        throw new LabError((error as Error).message);
      }
    },
  });
}
