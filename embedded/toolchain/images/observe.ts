/** How the images of Prometheus and Zipkin are built, where the official ones are out of reach. */
import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { mkdir, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import { LabError, run } from "../../../clients/process.ts";
import { cached, contentOf } from "../cache/cache.ts";
import { ZIPKIN_VERSION } from "../versions/versions.ts";
import { BUILT_IMAGES } from "./names.ts";
import { collect, type ImageRecipe, users } from "./recipe.ts";

const SOURCES = [import.meta.filename];

const JAVA = "/usr/lib/jvm/java-17-openjdk-amd64";
/** Libraries that libjvm needs, and those that a server loads. */
const JAVA_LIBRARIES = ["server/libjvm.so", "libjava.so", "libnet.so", "libnio.so", "libzip.so"];

/** The server with its pages, as Zipkin's project publishes it in the Maven repository. */
const ZIPKIN = {
  artifact: `io.zipkin:zipkin-server:${ZIPKIN_VERSION}:jar:exec`,
  file: `zipkin-server-${ZIPKIN_VERSION}-exec.jar`,
  sha256: "7ac633a6832647e71e50012a5e3e91fbc7054414955261724526030faf271d8d",
};

/**
 * Debian's Prometheus and promtool, with the classic pages. /bin/prometheus, its path in the official image,
 * is a program of this project. It adds what Debian's build lacks: service discovery by pods, and a reload
 * when files change.
 *
 * @param root Debian root file system with prometheus
 * @param entry directory of that program
 */
export function prometheusImage(root: string, entry: string): ImageRecipe {
  return {
    name: "prometheus",
    tags: [BUILT_IMAGES.prometheus],
    config: {
      Entrypoint: ["/bin/prometheus"],
      Cmd: ["--config.file=/etc/prometheus/prometheus.yml", "--storage.tsdb.path=/prometheus"],
      User: "65534:65534",
      WorkingDir: "/prometheus",
    },
    parts: [root, entry],
    sources: SOURCES,
    room: 300,
    fill: async (into) => {
      await collect(root, into, "/usr/bin/prometheus", "/usr/bin/promtool", "/usr/share/prometheus");
      // Sources of the time zone data, which the pages do not load.
      await rm(join(into, "usr/share/prometheus/web/static/moment-timezone/data"), { recursive: true });
      await mkdir(join(into, "bin"));
      await run("cp", [join(entry, "prometheus"), join(into, "bin/prometheus")]);
      await rename(join(into, "usr/bin/promtool"), join(into, "bin/promtool"));
      await mkdir(join(into, "etc/prometheus"), { recursive: true });
      await writeFile(join(into, "etc/prometheus/prometheus.yml"), "scrape_configs: []\n");
      await writableDirectory(into, "prometheus");
      await users(into, "nobody:x:65534:65534::/:/usr/sbin/nologin", "nogroup:x:65534:");
    },
  };
}

/**
 * Zipkin's own server on Debian's Java. JAVA_OPTS are Java's options, as in the official image.
 *
 * @param root Debian root file system with Java
 * @param busybox Debian root file system with busybox
 * @param jar directory of {@link zipkinJar}
 */
export function zipkinImage({
  root,
  busybox,
  jar,
}: {
  root: string;
  busybox: string;
  jar: string;
}): ImageRecipe {
  return {
    name: "zipkin",
    tags: [BUILT_IMAGES.zipkin],
    config: {
      Entrypoint: ["/bin/busybox", "sh", "-c", `exec ${JAVA}/bin/java $JAVA_OPTS -jar /zipkin/zipkin.jar`],
      User: "1000:1000",
      WorkingDir: "/zipkin",
      Env: ["JAVA_OPTS=-Xms64m -Xmx256m -XX:+ExitOnOutOfMemoryError"],
    },
    parts: [root, busybox, jar],
    sources: SOURCES,
    room: 800,
    fill: async (into) => {
      await collect(busybox, into, "/bin/busybox");
      await collect(root, into, ...["bin", "conf", "lib"].map((name) => `${JAVA}/${name}`));
      await collect(root, into, `${JAVA}/bin/java`, ...JAVA_LIBRARIES.map((name) => `${JAVA}/lib/${name}`));
      await mkdir(join(into, "zipkin"));
      await run("cp", [join(jar, ZIPKIN.file), join(into, "zipkin/zipkin.jar")]);
      await writableDirectory(into, "tmp");
      await users(into, "zipkin:x:1000:1000::/zipkin:/usr/sbin/nologin", "zipkin:x:1000:");
    },
  };
}

/**
 * Fetches Zipkin's server once, checked by hash, and returns the directory.
 *
 * @param root Debian root file system with maven
 */
export async function zipkinJar(root: string): Promise<string> {
  const { artifact, file, sha256 } = ZIPKIN;
  const fetch = join(import.meta.dirname, "maven.sh");
  const ingredients = [await contentOf(fetch), artifact, sha256];
  return cached({ kind: "bin", name: "zipkin", ingredients, room: 300 }, async (into) => {
    await run("sh", [fetch, root, into, artifact]);
    const hash = createHash("sha256");
    await pipeline(createReadStream(join(into, file)), hash);
    const found = hash.digest("hex");
    if (found !== sha256)
      throw new LabError(
        `${artifact} has sha256 ${found}, not ${sha256}: your Maven repository serves another file`,
      );
  });
}

/** Makes a directory that any user may write to, like /tmp. */
async function writableDirectory(into: string, name: string): Promise<void> {
  await mkdir(join(into, name));
  await run("chmod", ["1777", join(into, name)]);
}
