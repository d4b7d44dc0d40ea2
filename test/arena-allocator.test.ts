/** The allocator inside of an arena, called by a verified C program (bpf/mem/arena.bpf.c), in both engines; Linux has none. */
import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { load, readObject } from '../src/index.ts';
import { bpfRefusal } from '../src/linux/features.ts';
import { ARENA_TAKEN } from '../src/plane/layout/map-arena.ts';
import { PlaneMap } from '../src/runtime/maps/plane-map.ts';

const spec = readObject(readFileSync(new URL('../bpf/objects/mem/arena.bpf.o', import.meta.url)), 'arena.bpf.o');
const refusal = bpfRefusal();

async function open(engine: 'jit' | 'interpreter') {
  const { programs, maps, runtime, close } = await load(spec, { engine });
  const map = maps['arena']!.raw;
  if (!(map instanceof PlaneMap)) throw new Error('not a map of the plane');
  const run = (program: string, bytes = 0, number = 0) => {
    const data = new Uint8Array(64);
    data.set(new Uint8Array(Uint32Array.of(bytes, number).buffer));
    return programs[program]!.run({ data }).returnValue;
  };
  return {
    push: (bytes: number, number: number) => run('push', bytes, number),
    pop: () => run('pop'),
    bytes: () => run('bytes'),
    mistakes: () => run('mistakes'),
    /** Pages of the arena that are taken. */
    taken: () => runtime.view().getUint32(map.address + ARENA_TAKEN, true),
    said: () => runtime.printk().lines,
    close,
  };
}

describe('bpf_arena_alloc and bpf_arena_free', () => {
  it('give zeroed pieces of any size, until the arena is full, and take them back, as both engines agree', async () => {
    const step = fc.oneof(
      fc.record({ push: fc.oneof(fc.integer({ min: 17, max: 300 }), fc.integer({ min: 17, max: 70_000 })) }),
      fc.constant('pop' as const),
    );
    let full = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 30, maxLength: 120, size: 'max' }), async (steps) => {
        const sides = [await open('jit'), await open('interpreter')];
        const own = sides[0]!.taken();
        const stack: { bytes: number; number: number }[] = [];
        for (const [i, each] of steps.entries()) {
          if (each === 'pop') {
            const top = stack.pop();
            for (const side of sides) expect(side.pop()).toBe(top?.number ?? 0);
          } else {
            const results = sides.map((side) => side.push(each.push, i + 1));
            expect(results[1]).toBe(results[0]);
            // Full only where pages for it may not be left in a row.
            if (results[0] === 2) {
              full++;
              expect(sides[0]!.taken() + Math.ceil(each.push / 4096)).toBeGreaterThan(32);
            } else {
              expect(results[0]).toBe(1);
              stack.push({ bytes: each.push, number: i + 1 });
            }
          }
          const sum = stack.reduce((bytes, record) => bytes + record.bytes, 0);
          for (const side of sides) expect([side.bytes(), side.taken()]).toEqual([sum, sides[0]!.taken()]);
        }
        while (stack.length > 0)
          for (const [k, side] of sides.entries())
            expect(side.pop()).toBe((k === 0 ? stack.at(-1) : stack.pop())!.number);
        for (const side of sides) {
          expect([side.taken(), side.said()]).toEqual([own, []]);
          side.close();
        }
      }),
      { numRuns: 15, seed: 2022 },
    );
    expect(full).toBeGreaterThan(0);
  });

  it.each(['jit', 'interpreter'] as const)(
    'say what was freed and was not given, and take it from nobody: %s',
    async (engine) => {
      const side = await open(engine);
      for (const number of [1, 2, 3]) expect(side.push(100, number)).toBe(1);
      expect(side.mistakes()).toBe(1);
      expect(side.said()).toEqual([
        expect.stringMatching(/free of [0-9a-f]+, which is inside of an object/),
        expect.stringMatching(/free of [0-9a-f]+, which is free/),
      ]);
      expect([side.bytes(), side.push(100, 4), side.pop(), side.pop(), side.pop(), side.pop()]).toEqual([
        200, 1, 4, 2, 1, 0,
      ]);
      side.close();
    },
  );

  it.skipIf(refusal !== undefined)(
    `are no kfuncs of Linux${refusal === undefined ? '' : ` (skipped: ${refusal})`}`,
    async () => {
      await expect(load(spec, { target: 'linux', programs: ['push'] })).rejects.toThrow(
        /call unknown#\d+.*invalid func/s,
      );
    },
  );
});
