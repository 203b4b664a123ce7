/** A stand-in for pulumi-resource-command. */

import { serveProvider } from "../protocol.ts";
import { CommandProvider } from "./provider.ts";

/** The version of the official provider whose behaviour this one follows. */
const VERSION = "1.2.1";

await serveProvider(VERSION, (log) => new CommandProvider(log));
