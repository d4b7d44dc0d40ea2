/** Threads of CPUs as node's worker threads; cpu-thread.ts is what they run. */
import { MessageChannel, Worker } from 'node:worker_threads';
import type { CpuMessage, CpuRequest, CpuThreadData, CpuWorker } from '../runtime/cpus/mail.ts';

/** `data` of the thread's workerData. */
export interface CpuWorkerData extends CpuThreadData {
  readonly port: import('node:worker_threads').MessagePort;
}

/** Threads cannot load the sources: where these run without a build, the thread is that of the last one. */
const module = new URL(
  import.meta.url.endsWith('.ts') ? '../../dist/linux/cpu-thread.js' : './cpu-thread.js',
  import.meta.url,
);

export function startCpuWorker(data: CpuThreadData): CpuWorker {
  const { port1, port2 } = new MessageChannel();
  const workerData: CpuWorkerData = { ...data, port: port2 };
  const worker = new Worker(module, { workerData, transferList: [port2], execArgv: [] });
  let failure: Error | undefined;
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
        port1.close();
        handle(failure);
      });
    },
    hold: (held) => (held ? worker.ref() : worker.unref()),
    kill: async () => void (await worker.terminate()),
  };
}
