/**
 * Takes the place of clients/kubernetes.ts in a test: `vi.mock(…, () => import(…/queuedAnswers.ts))`. Its
 * client answers from what the test has put into `server`.
 */

export const server = {
  /** The answers of the reads of one object, in turn; an error is thrown. */
  answers: [] as (object | undefined)[],
  /** What lists find. A namespace and a kind leave an object out of the lists of others. */
  items: [] as object[],
  /** Paths of the reads of one object. */
  paths: [] as string[],
  /** How many clients were made. */
  clients: 0,
};

/** Forgets the reads so far, and gives these answers from now on. */
export function answerWith(...answers: (object | undefined)[]): void {
  Object.assign(server, { answers, paths: [] });
}

function isAt(path: string, item: { kind?: string; metadata?: { namespace?: string } }): boolean {
  const { kind, metadata: { namespace } = {} } = item;
  return (
    (namespace === undefined || path.includes(`/namespaces/${namespace}/`)) &&
    (kind === undefined || path.endsWith(`/${kind.toLowerCase()}s`))
  );
}

export const KubernetesApi = {
  connect: async () => {
    server.clients++;
    return {
      get: async (path: string) => {
        server.paths.push(path);
        const answer = server.answers.shift();
        if (answer instanceof Error) throw answer;
        return answer;
      },
      list: async (path: string) => ({ items: server.items.filter((item) => isAt(path, item)) }),
    };
  },
};
