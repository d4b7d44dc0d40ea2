/** The thread of a CPU under node: runtime/cpus/thread.ts with the programs of all hooks. Its owner is cpu-worker.ts. */
import { readlinkSync } from 'node:fs';
import { basename } from 'node:path';
import { receiveMessageOnPort, workerData } from 'node:worker_threads';
import { hooks } from '../hooks/index.ts';
import type { CpuRequest } from '../runtime/cpus/mail.ts';
import { CpuThread } from '../runtime/cpus/thread.ts';
import type { CpuWorkerData } from './cpu-worker.ts';

const data = workerData as CpuWorkerData; // what cpu-worker.ts makes it with
const { port } = data;
try {
  // "1234/task/1235". Without /proc the owner hears of the thread's end by events alone.
  new Int32Array(data.thread)[0] = Number(basename(readlinkSync('/proc/thread-self')));
} catch {}
new CpuThread(
  data,
  {
    take: () => receiveMessageOnPort(port)?.message as CpuRequest | undefined, // what the owner sends
    post: (message) => port.postMessage(message),
  },
  hooks,
).run();
port.close();
