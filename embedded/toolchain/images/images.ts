/** The container images that the toolchain builds, and how their root directories are filled. */
import { cp, mkdir, readdir, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { run } from "../../../clients/process.ts";
import { COREDNS_VERSION, IMAGE_HUB, ISTIO_VERSION } from "../../versions.ts";
import { goModuleDir } from "../go/go.ts";
import { ISTIO } from "../go/modules.ts";
import { type ImageConfig, writeImage } from "./archive.ts";

const HERE = import.meta.dirname;

/** Where the parts of images come from. */
export interface Sources {
  /** Debian root file system with busybox, nginx, iptables. */
  readonly root: string;
  readonly coredns: string;
  readonly istio: string;
  readonly wheels: string;
}

interface Image {
  readonly tags: readonly string[];
  readonly config: ImageConfig;
  readonly fill: (into: string, sources: Sources) => Promise<void>;
}

/** The article's tags. Both hold Debian's nginx: a stand-in, which `./lab status` lists. */
export const NGINX_IMAGES = { v116: `${IMAGE_HUB}/nginx:1.16.1`, v117: `${IMAGE_HUB}/nginx:1.17.9` } as const;

const IMAGES: readonly Image[] = [
  {
    tags: [`${IMAGE_HUB}/pause:1`],
    config: { Entrypoint: ["/bin/busybox", "sleep", "2147483647"], User: "65534:65534" },
    fill: (into, { root }) => collect(root, into, "/bin/busybox"),
  },
  {
    tags: Object.values(NGINX_IMAGES),
    config: { Entrypoint: ["/usr/sbin/nginx", "-g", "daemon off;"] },
    fill: fillNginx,
  },
  {
    tags: [`${IMAGE_HUB}/coredns:${COREDNS_VERSION}`],
    config: { Entrypoint: ["/coredns"] },
    fill: async (into, { coredns }) => cp(join(coredns, "coredns"), join(into, "coredns")),
  },
  {
    tags: [`${IMAGE_HUB}/pilot:${ISTIO_VERSION}`],
    config: {
      Entrypoint: ["/usr/local/bin/pilot-discovery"],
      User: "1337:1337",
      // The plain Envoy refuses filters that only Istio's own build has; istiod does not send them.
      Env: ["PILOT_ENABLE_METADATA_EXCHANGE=false", "PILOT_ENABLE_ALPN_FILTER=false"],
    },
    fill: async (into, { root, istio }) => {
      await certificates(root, into);
      await cp(join(istio, "pilot-discovery"), join(into, "usr/local/bin/pilot-discovery"));
    },
  },
  {
    tags: [`${IMAGE_HUB}/proxyv2:${ISTIO_VERSION}`],
    config: {
      Entrypoint: ["/usr/local/bin/pilot-agent"],
      Env: [`ISTIO_META_ISTIO_VERSION=${ISTIO_VERSION}`],
    },
    fill: fillProxy,
  },
];

/** The files that decide what is in an image, to be part of a key. */
export const RECIPE: readonly string[] = ["images.ts", "archive.ts", "collect.sh", "nginx.conf"].map((file) =>
  join(HERE, file),
);

/** Writes all images as archives that `ctr images import` reads. */
export async function writeImages(into: string, sources: Sources): Promise<void> {
  for (const [i, image] of IMAGES.entries()) {
    const root = join(into, `${i}`);
    await mkdir(root);
    await image.fill(root, sources);
    await writeImage(join(into, `${i}.tar`), root, image.tags, image.config);
    await run("rm", ["-rf", root]);
  }
}

async function fillNginx(into: string, { root }: Sources): Promise<void> {
  await collect(root, into, "/usr/sbin/nginx");
  for (const dir of ["etc/nginx", "usr/share/nginx/html", "var/log/nginx", "var/lib/nginx", "run", "tmp"]) {
    await mkdir(join(into, dir), { recursive: true });
  }
  await symlink("/run", join(into, "var/run"));
  await cp(join(root, "etc/nginx/mime.types"), join(into, "etc/nginx/mime.types"));
  await cp(join(HERE, "nginx.conf"), join(into, "etc/nginx/nginx.conf"));
  await users(into, "nobody:x:65534:65534::/:/usr/sbin/nologin", "nogroup:x:65534:");
}

async function fillProxy(into: string, { root, istio, wheels }: Sources): Promise<void> {
  const libraries = join(root, "usr/lib/x86_64-linux-gnu");
  await collect(root, into, "/usr/sbin/xtables-nft-multi");
  await cp(join(libraries, "xtables"), join(into, "usr/lib/x86_64-linux-gnu/xtables"), {
    recursive: true,
    // Some files are links to others of the same directory.
    verbatimSymlinks: true,
  });
  for (const family of ["iptables", "ip6tables"]) {
    for (const name of ["", "-nft"].flatMap((v) =>
      ["", "-save", "-restore"].map((c) => `${family}${v}${c}`),
    )) {
      await symlink("xtables-nft-multi", join(into, "usr/sbin", name));
    }
  }
  await certificates(root, into);
  await cp(join(istio, "pilot-agent"), join(into, "usr/local/bin/pilot-agent"));
  await cp(join(wheels, "envoy/_bin/envoy"), join(into, "usr/local/bin/envoy"));
  await run("chmod", ["755", join(into, "usr/local/bin/envoy")]);
  // The libraries that the wheel's Envoy is linked with.
  const runtime = (await readdir(libraries)).filter((name) => /^lib(c|m|dl|rt|pthread)\.so\.\d$/.test(name));
  await collect(root, into, ...runtime.map((name) => `/usr/lib/x86_64-linux-gnu/${name}`));
  await mkdir(join(into, "var/lib/istio/envoy"), { recursive: true });
  await cp(
    join(await goModuleDir(ISTIO, "istio.io/istio"), "tools/packaging/common/envoy_bootstrap.json"),
    join(into, "var/lib/istio/envoy/envoy_bootstrap_tmpl.json"),
  );
  for (const dir of ["run", "tmp", "etc/istio/proxy"]) await mkdir(join(into, dir), { recursive: true });
  await users(into, "istio-proxy:x:1337:1337::/:/usr/sbin/nologin", "istio-proxy:x:1337:");
}

async function certificates(root: string, into: string): Promise<void> {
  await mkdir(join(into, "etc/ssl/certs"), { recursive: true });
  await cp(join(root, "etc/ssl/certs/ca-certificates.crt"), join(into, "etc/ssl/certs/ca-certificates.crt"));
}

async function users(into: string, user: string, group: string): Promise<void> {
  await mkdir(join(into, "etc"), { recursive: true });
  await writeFile(join(into, "etc/passwd"), `root:x:0:0:root:/root:/usr/sbin/nologin\n${user}\n`);
  await writeFile(join(into, "etc/group"), `root:x:0:\n${group}\n`);
}

async function collect(root: string, into: string, ...files: string[]): Promise<void> {
  await run("sh", [join(HERE, "collect.sh"), root, into, ...files]);
}
