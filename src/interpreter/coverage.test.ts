import { expect, it } from 'vitest';
import { load } from '../index.ts';
import { assemble } from '../isa/assembler.ts';
import { writeObject } from '../object/write.ts';
import { observeSteps } from '../runtime/interpreter-engine.ts';
import { Coverage } from './coverage.ts';

const text = `p:
  r0 = 0
  r2 = *(u32 *)(r1 + 4)
  r3 = *(u32 *)(r1 + 0)
  r2 -= r3
again:
  r0 += 1
  if r2 == 20 goto end
  if w0 < 3 goto again
  goto end
end:
  exit`;

it('tells instructions and both ways of jumps apart, over several runs', async () => {
  const { insns, functions } = assemble(text, { syntax: 'llvm' });
  const object = writeObject({ section: 'xdp', license: 'GPL', insns, functions });
  const { programs, runtime, close } = await load(object, { engine: 'interpreter' });
  const coverage = new Coverage();
  observeSteps(runtime, (position) => coverage.visit(position));
  const of = () => coverage.programs()[0];
  programs['p']!.run({ data: new Uint8Array(20) });
  expect(of()).toMatchObject({ insns: 9, covered: 7, executed: 7, branches: 4, coveredBranches: 1 });
  programs['p']!.run({ data: new Uint8Array(20) });
  expect(of()).toMatchObject({ covered: 7, executed: 14, coveredBranches: 1 });
  programs['p']!.run({ data: new Uint8Array(30) });
  expect(of()).toMatchObject({ covered: 9, executed: 14 + 4 + 9 + 2, coveredBranches: 4 });
  expect(coverage.lcov()).toBe('');
  observeSteps(runtime, undefined);
  close();
});
