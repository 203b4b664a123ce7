/**
 * Takes the place of clients/kubernetes.ts in a test: `vi.mock(…, () => import(…/queuedAnswers.ts))`. Its
 * client answers from what the test has put into `server`.
 */

export const server = {
  /** The answers of the reads of one object, in turn; an error is thrown. */
  answers: [] as (object | undefined)[],
  /** The answer of every list. */
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
      list: async () => ({ items: server.items }),
    };
  },
};
