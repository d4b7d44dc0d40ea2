/** A worker thread of `verify`: one object after the other. */
import { parentPort } from 'node:worker_threads';
import { judgeObject } from './verify-object.ts';

parentPort?.on('message', (selector: string) => {
  parentPort?.postMessage(judgeObject(selector));
});
