/** Objects judged by several worker threads at once. */
import { Worker } from 'node:worker_threads';
import { type JudgeRequest, judgeObject, type ObjectVerdicts } from './verify-object.ts';

/** Workers take a while to start: for fewer objects than this one thread is as fast. */
const WORTH_WORKERS = 4;

/**
 * Judges the objects and gives the results in order. `judged` is called as each is done, in any order. What is wrong
 * with Sluice itself rejects.
 */
export async function judgeObjects(
  requests: readonly JudgeRequest[],
  jobs: number,
  judged: (result: ObjectVerdicts) => void,
): Promise<ObjectVerdicts[]> {
  const workers = Math.min(jobs, requests.length);
  // The sources run without a build in tests; threads cannot load them there.
  if (workers < 2 || requests.length < WORTH_WORKERS || import.meta.url.endsWith('.ts')) {
    return requests.map((request) => {
      const result = judgeObject(request);
      judged(result);
      return result;
    });
  }
  const results: ObjectVerdicts[] = new Array<ObjectVerdicts>(requests.length);
  let next = 0;
  await Promise.all(
    Array.from({ length: workers }, async () => {
      const worker = new Worker(new URL('./verify-worker.js', import.meta.url));
      try {
        while (next < requests.length) {
          const at = next++;
          results[at] = await ask(worker, requests[at]!);
          judged(results[at]);
        }
      } finally {
        await worker.terminate();
      }
    }),
  );
  return results;
}

function ask(worker: Worker, request: JudgeRequest): Promise<ObjectVerdicts> {
  return new Promise((resolve, reject) => {
    const fail = (error: Error) => {
      worker.off('message', done);
      reject(new Error(`while verifying ${request.selector}: ${error.stack ?? error.message}`, { cause: error }));
    };
    const done = (result: ObjectVerdicts) => {
      worker.off('error', fail);
      resolve(result);
    };
    worker.once('message', done);
    worker.once('error', fail);
    worker.postMessage(request);
  });
}
