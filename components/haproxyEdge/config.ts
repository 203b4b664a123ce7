/** Settings of the load balancer: the machine with HAProxy, and the nodes behind it. */
import { z } from "zod";
import { type ConfigOf, field, key, slice } from "../../settings/slice.ts";
import {
  checkDistinct,
  hostKey,
  isFilePath,
  isHostName,
  isPlain,
  isReachable,
  object,
  port,
  privateKey,
  text,
} from "../../settings/values.ts";

const node = object("give an object with name and address", {
  name: field(text("give the node's name, e.g. rancher-node02", isHostName), "Becomes HAProxy's server name"),
  address: field(
    text("give an IPv4 or IPv6 address or a DNS name", isReachable),
    "IPv4 or IPv6 address, or a DNS name, which HAProxy looks up once, when it starts",
  ),
});

/** Also names of directories: `first.last`, `user@realm`, `DOMAIN\user`. */
const USER = /^[A-Za-z0-9_][A-Za-z0-9._@+-]{0,63}(\\[A-Za-z0-9._@+-]{1,64})?\$?$/;

const loadBalancer = object("give an object with host, user and hostKey", {
  host: field(
    text("give the address or DNS name of the machine with HAProxy", isReachable),
    "Address or DNS name for SSH",
  ),
  port: field(port().default(22), "Port of sshd"),
  user: field(
    text("give the name of a user that may run sudo -n, e.g. debian", (value) => USER.test(value)),
    "User that may run `sudo` without a password, or root",
  ),
  hostKey: field(hostKey(), "The machine's public host key, as `ssh-keyscan` prints it"),
  configFile: field(
    text("give an absolute path of letters, digits, dots, dashes and underscores", isFilePath).default(
      "/etc/haproxy/haproxy.cfg",
    ),
    "File that HAProxy reads",
  ),
  mode: field(
    z.enum(["file"], { error: "give file, or nothing" }).optional(),
    "`file`: a push may replace a file that serves other clients already; a destroy puts it back",
    "such a file is refused",
  ),
  reloadCommand: field(
    text(
      "give one line of shell without control characters",
      (value) => value.trim().length > 0 && isPlain(value, 1000),
    ).optional(),
    "Starts or reloads HAProxy where it is not under systemd; run as root",
    "systemctl",
  ),
});

/** The machine with HAProxy. */
export type LoadBalancer = Readonly<z.output<typeof loadBalancer>>;

export const haproxyEdgeSettings = slice({
  keys: {
    nodes: key(
      z.array(node, { error: "give a list of nodes" }).default([]),
      "Nodes behind the load balancer; prefer addresses to names",
      { otherwise: "the cluster's ready, schedulable nodes by InternalIP" },
    ),
    loadBalancer: key(
      z.preprocess((value) => value ?? {}, loadBalancer),
      "The machine with HAProxy",
    ),
    loadBalancerPrivateKey: key(
      privateKey(
        "give an SSH private key: pulumi config set --secret loadBalancerPrivateKey < ~/.ssh/id_ed25519",
      ),
      "SSH private key for `loadBalancer.user`, without a passphrase",
      { secret: "private" },
    ),
  },
  check({ nodes = [] }, { fault }) {
    checkDistinct("nodes", nodes, "name", "give each node once", fault);
    checkDistinct("nodes", nodes, "address", "give each node once", fault);
  },
});

/** The capability's part of the configuration. */
export type HaproxyEdgeConfig = ConfigOf<typeof haproxyEdgeSettings>;
