/** What takes the packets of queues: one sink for all of a device's queues. */
import type { Runtime } from '../../runtime/runtime.ts';
import type { TapBlock } from './tap-block.ts';

export interface Sink {
  /** In words. */
  readonly what: string;
  /** Takes packets that wait in the queue, as many as it can; those that are left wait for their consumer, or are dropped. Never waits itself. */
  deliver(queue: number): void;
  /** What can be written to when the queue's consumer has room again. A sink without one is never full for longer than an enter of the ring. */
  fdOf?(queue: number): number;
  /** Nothing came for a while: what was collected can go. */
  rest?(): void;
  close(): void | Promise<void>;
}

/** What a sink is made with. */
export interface SinkHost {
  readonly runtime: Runtime;
  readonly block: TapBlock;
  readonly queues: number;
}

export type SinkFactory = (host: SinkHost) => Sink;

/** Counts, and hands over to nobody. */
export const toNobody: SinkFactory = ({ block }) => ({
  what: 'nobody',
  deliver: (queue) => block.release(queue, block.waiting(queue)),
  close() {},
});

/** Path of a queue's own file or socket: `%q` stands for its number, which else follows the name. */
export function pathOfQueue(path: string, queue: number): string {
  return path.includes('%q') ? path.replaceAll('%q', String(queue)) : `${path}.${queue}`;
}
