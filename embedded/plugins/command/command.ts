/** A stand-in for pulumi-resource-command. */
import { serveProvider } from "../protocol.ts";
import { CommandProvider } from "./provider.ts";

/** The version of the official provider whose behaviour this one follows. */
const VERSION = "1.2.1";

// A command of a killed engine runs to its end: it would lose its standard output with this process.
await serveProvider(VERSION, (log) => new CommandProvider(log), Number.POSITIVE_INFINITY);
