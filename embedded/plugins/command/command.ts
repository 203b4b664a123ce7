/** A stand-in for pulumi-resource-command. */
import { serveProvider } from "../protocol.ts";
import { CommandProvider } from "./provider.ts";

/** The version of the official provider whose behaviour this one follows. */
const VERSION = "1.2.1";

// When the engine is killed, a running command ends first: with this process it would lose its standard
// output.
await serveProvider(VERSION, (log) => new CommandProvider(log), Number.POSITIVE_INFINITY);
