/** Packets as frame records in the program memory (plane/layout/steering.ts), steered: to a virtual machine's device. */
import { STEER_FRAME_SIZE } from '../../plane/layout/steering.ts';
import type { SinkFactory } from './sink.ts';

const BATCH = 64;

/** `take`: records of packets of one queue, each behind its header, good until it returns; how many of them found room. The others count as dropped. */
export function toFrames(what: string, take: (frames: number, count: number) => number): SinkFactory {
  return ({ runtime, block }) => {
    const size = BATCH * STEER_FRAME_SIZE;
    const frames = runtime.allocatePages(size);
    return {
      what,
      deliver(queue) {
        while (block.waiting(queue) > 0) {
          const count = block.plane.tap_frames(block.address, queue, frames, BATCH);
          const taken = take(frames, count);
          block.release(queue, taken);
          block.release(queue, count - taken, true);
        }
      },
      close: () => runtime.freePages(frames, size),
    };
  };
}
