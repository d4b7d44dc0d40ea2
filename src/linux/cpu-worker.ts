/** Threads of CPUs as node's worker threads; cpu-thread.ts is what they run. */
import { existsSync } from 'node:fs';
import { MessageChannel, Worker } from 'node:worker_threads';
import type { CpuMessage, CpuRequest, CpuThreadData, CpuWorker } from '../runtime/cpus/mail.ts';

/** `data` of the thread's workerData. */
export interface CpuWorkerData extends CpuThreadData {
  readonly port: import('node:worker_threads').MessagePort;
  /** An Int32: the system's number of the thread, once it has begun. */
  readonly thread: SharedArrayBuffer;
}

/** Threads cannot load the sources: where these run without a build, the thread is that of the last one. */
const module = new URL(
  import.meta.url.endsWith('.ts') ? '../../dist/linux/cpu-thread.js' : './cpu-thread.js',
  import.meta.url,
);

export function startCpuWorker(data: CpuThreadData): CpuWorker {
  const { port1, port2 } = new MessageChannel();
  const thread = new Int32Array(new SharedArrayBuffer(4));
  const workerData: CpuWorkerData = { ...data, port: port2, thread: thread.buffer };
  const worker = new Worker(module, { workerData, transferList: [port2], execArgv: [] });
  let failure: Error | undefined;
  let isEnded = false;
  worker.on('error', (error) => {
    failure = error;
  });
  port1.unref();
  return {
    post: (request: CpuRequest) => port1.postMessage(request),
    onMessage: (handle) => {
      port1.on('message', (message: CpuMessage) => handle(message));
      port1.unref();
    },
    onExit: (handle) => {
      worker.once('exit', () => {
        isEnded = true;
        port1.close();
        handle(failure);
      });
    },
    // The owner may be waiting for a lock of the thread, where it hears of no event.
    isAlive: () => !isEnded && (thread[0] === 0 || existsSync(`/proc/self/task/${thread[0]}`)),
    hold: (held) => (held ? worker.ref() : worker.unref()),
    kill: async () => void (await worker.terminate()),
  };
}
