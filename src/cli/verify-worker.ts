/** A worker thread of `verify`: one object after the other. */
import { parentPort } from 'node:worker_threads';
import { type JudgeRequest, judgeObject } from './verify-object.ts';

parentPort?.on('message', (request: JudgeRequest) => {
  parentPort?.postMessage(judgeObject(request));
});
