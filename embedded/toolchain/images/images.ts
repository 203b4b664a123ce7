/** How the images of the cluster and of the mesh are built. */
import { cp, mkdir, readdir, symlink } from "node:fs/promises";
import { join } from "node:path";
import { run } from "../../../clients/process.ts";
import { goModuleDir } from "../go/go.ts";
import { ISTIO } from "../go/modules.ts";
import { ISTIO_VERSION } from "../versions/versions.ts";
import { BUILT_IMAGES } from "./names.ts";
import { certificates, collect, type ImageRecipe, users } from "./recipe.ts";

const HERE = import.meta.dirname;
const SOURCES = [import.meta.filename];

/** @param root Debian root file system with busybox */
export function pauseImage(root: string): ImageRecipe {
  return {
    name: "pause",
    tags: [BUILT_IMAGES.pause],
    config: { Entrypoint: ["/bin/busybox", "sleep", "2147483647"], User: "65534:65534" },
    parts: [root],
    sources: SOURCES,
    room: 10,
    fill: (into) => collect(root, into, "/bin/busybox"),
  };
}

/** @param root Debian root file system with nginx */
export function nginxImage(root: string): ImageRecipe {
  return {
    name: "nginx",
    tags: Object.values(BUILT_IMAGES.nginx),
    config: { Entrypoint: ["/usr/sbin/nginx", "-g", "daemon off;"] },
    parts: [root],
    sources: [...SOURCES, join(HERE, "nginx.conf")],
    room: 50,
    fill: async (into) => {
      await collect(root, into, "/usr/sbin/nginx");
      const directories = [
        "etc/nginx",
        "usr/share/nginx/html",
        "var/log/nginx",
        "var/lib/nginx",
        "run",
        "tmp",
      ];
      for (const dir of directories) await mkdir(join(into, dir), { recursive: true });
      await symlink("/run", join(into, "var/run"));
      await cp(join(root, "etc/nginx/mime.types"), join(into, "etc/nginx/mime.types"));
      await cp(join(HERE, "nginx.conf"), join(into, "etc/nginx/nginx.conf"));
      await users(into, "nobody:x:65534:65534::/:/usr/sbin/nologin", "nogroup:x:65534:");
    },
  };
}

/** @param coredns directory of the binary */
export function corednsImage(coredns: string): ImageRecipe {
  return {
    name: "coredns",
    tags: [BUILT_IMAGES.coredns],
    config: { Entrypoint: ["/coredns"] },
    parts: [coredns],
    sources: SOURCES,
    room: 150,
    fill: (into) => cp(join(coredns, "coredns"), join(into, "coredns")),
  };
}

/** @param istio directory of the binaries */
export function pilotImage({ root, istio }: { root: string; istio: string }): ImageRecipe {
  return {
    name: "pilot",
    tags: [istioImage("pilot")],
    config: {
      Entrypoint: ["/usr/local/bin/pilot-discovery"],
      User: "1337:1337",
      // The plain Envoy refuses filters that only Istio's own build has, so istiod does not send them.
      Env: ["PILOT_ENABLE_METADATA_EXCHANGE=false", "PILOT_ENABLE_ALPN_FILTER=false"],
    },
    parts: [root, istio],
    sources: SOURCES,
    room: 300,
    fill: async (into) => {
      await certificates(root, into);
      await cp(join(istio, "pilot-discovery"), join(into, "usr/local/bin/pilot-discovery"));
    },
  };
}

/** @param wheels directory of the plain Envoy */
export function proxyImage(from: { root: string; istio: string; wheels: string }): ImageRecipe {
  const { root, istio, wheels } = from;
  return {
    name: "proxyv2",
    tags: [istioImage("proxyv2")],
    config: {
      Entrypoint: ["/usr/local/bin/pilot-agent"],
      Env: [`ISTIO_META_ISTIO_VERSION=${ISTIO_VERSION}`],
    },
    parts: [root, istio, wheels],
    sources: SOURCES,
    room: 600,
    fill: async (into) => {
      await iptables(root, into);
      await certificates(root, into);
      await cp(join(istio, "pilot-agent"), join(into, "usr/local/bin/pilot-agent"));
      await envoy(wheels, root, into);
      for (const dir of ["run", "tmp", "etc/istio/proxy"]) await mkdir(join(into, dir), { recursive: true });
      await users(into, "istio-proxy:x:1337:1337::/:/usr/sbin/nologin", "istio-proxy:x:1337:");
    },
  };
}

function istioImage(name: string): string {
  const { hub, tag } = BUILT_IMAGES.istio;
  return `${hub}/${name}:${tag}`;
}

/** iptables as istio-init calls it: one program, with a link for each of its names. */
async function iptables(root: string, into: string): Promise<void> {
  const extensions = "usr/lib/x86_64-linux-gnu/xtables";
  await collect(root, into, "/usr/sbin/xtables-nft-multi");
  // Some extensions are links to others in the same directory.
  await cp(join(root, extensions), join(into, extensions), { recursive: true, verbatimSymlinks: true });
  for (const family of ["iptables", "ip6tables"]) {
    for (const name of ["", "-nft"].flatMap((v) =>
      ["", "-save", "-restore"].map((c) => `${family}${v}${c}`),
    )) {
      await symlink("xtables-nft-multi", join(into, "usr/sbin", name));
    }
  }
}

/** The plain Envoy with Istio's bootstrap template. */
async function envoy(wheels: string, root: string, into: string): Promise<void> {
  const libraries = "usr/lib/x86_64-linux-gnu";
  await cp(join(wheels, "envoy/_bin/envoy"), join(into, "usr/local/bin/envoy"));
  await run("chmod", ["755", join(into, "usr/local/bin/envoy")]);
  // The libraries that the wheel's Envoy is linked with.
  const runtime = (await readdir(join(root, libraries))).filter((name) =>
    /^lib(c|m|dl|rt|pthread)\.so\.\d$/.test(name),
  );
  await collect(root, into, ...runtime.map((name) => `/${libraries}/${name}`));
  await mkdir(join(into, "var/lib/istio/envoy"), { recursive: true });
  await cp(
    join(await goModuleDir(ISTIO, "istio.io/istio"), "tools/packaging/common/envoy_bootstrap.json"),
    join(into, "var/lib/istio/envoy/envoy_bootstrap_tmpl.json"),
  );
}
