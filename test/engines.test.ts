// The two engines on the same random programs: r0 and memory must agree.
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { rawProgram, Testbed } from '../src/jit/testbed.ts';
import { emptyProgram, newInterpreter } from './interpreter-testbed.ts';
import { MEMORY_SIZE, memoryBytes, randomProgram } from './program-arbitrary.ts';

it('JIT and interpreter agree on random programs', () => {
  const interpreterBed = newInterpreter();
  const address = interpreterBed.space(MEMORY_SIZE);
  const jitBed = new Testbed();
  fc.assert(
    fc.property(randomProgram({ outOfBounds: false }), memoryBytes, ({ insns }, bytes) => {
      interpreterBed.plane.bytes().set(bytes, address);
      const image = interpreterBed.interpreter.load(emptyProgram('main', insns));
      const outcome = interpreterBed.interpreter.run(image, [{ kind: 'memory', address, size: MEMORY_SIZE }]);
      interpreterBed.interpreter.unload(image);
      if (outcome.kind !== 'exit') throw new Error(outcome.fault.problem);

      jitBed.bytes.set(bytes, jitBed.free);
      const { entry } = jitBed.load([rawProgram(insns)], {}, { fuel: false });
      const r0 = BigInt.asUintN(64, entry!(BigInt(jitBed.free), BigInt(MEMORY_SIZE)));

      expect(r0).toBe(outcome.r0);
      expect(jitBed.bytes.slice(jitBed.free, jitBed.free + MEMORY_SIZE)).toEqual(
        interpreterBed.plane.bytes().slice(address, address + MEMORY_SIZE),
      );
    }),
    { numRuns: 400 },
  );
});
