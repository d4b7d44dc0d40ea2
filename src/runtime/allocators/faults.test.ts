import { describe, expect, it } from 'vitest';
import { leaveEpochs, takeMemoryFault } from '../memory-fault.ts';
import { Runtime } from '../runtime.ts';
import { readStats } from './stats.ts';

function stopped(call: () => void): unknown {
  try {
    call();
  } catch (error) {
    return error;
  }
  throw new Error('was not stopped');
}

describe('a fault of memory', () => {
  it.each([1, 2])('names the object and its allocator, and the CPU goes on, with %i CPUs', (cpus) => {
    const { plane } = new Runtime({ cpus });
    const { exports } = plane;
    const allocator = exports.allocator_create(0, 0) >>> 0;
    const object = exports.allocator_alloc(allocator, 100, 0) >>> 0;
    const depth = exports.epoch_depth();
    exports.epoch_enter();
    exports.allocator_free(object);
    const error = stopped(() => exports.allocator_free(object));
    expect(takeMemoryFault(plane, 'p', error)).toMatchObject({
      code: 'SLUICE_FAULT_DOUBLE_FREE',
      message: `program p: the object at 0x${object.toString(16)} (112 bytes, of allocator 1) was freed twice`,
    });
    expect(takeMemoryFault(plane, 'p', error)).toBeUndefined();
    // And one that is found when the CPU leaves.
    exports.allocator_free_later(object);
    leaveEpochs(plane, depth);
    expect(exports.epoch_depth()).toBe(0);
    exports.epoch_enter();
    const other = exports.allocator_alloc(allocator, 100, 0);
    exports.allocator_free_later(other);
    exports.epoch_exit();
    expect(readStats(plane, allocator)).toMatchObject({ live: 0, waiting: 0 });
  });

  it('is told of what is no object', () => {
    const { plane } = new Runtime();
    const error = stopped(() => plane.exports.allocator_free(0x2_0000));
    expect(takeMemoryFault(plane, 'p', error)).toMatchObject({ code: 'SLUICE_FAULT_NO_OBJECT' });
    expect(stopped(() => plane.exports.allocator_free_later(0x2_0000))).toBeInstanceOf(WebAssembly.RuntimeError);
  });
});
