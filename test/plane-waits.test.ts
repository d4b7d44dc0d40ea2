/** Sleeps of the plane: all in one function, with nothing after them (plane/assembly/locks/wait.ts says why). */
import binaryen from 'assemblyscript/binaryen';
import { expect, it } from 'vitest';
import { wasmBase64 } from '../src/plane/generated/plane-wasm.ts';

it('a sleep is the last thing that its function does, and that function is not inlined', () => {
  const module = binaryen.readBinary(Uint8Array.from(atob(wasmBase64), (c) => c.charCodeAt(0)));
  const functions = module
    .emitText()
    .split(/^ \(func /m)
    .filter((text) => text.includes('memory.atomic.wait'));
  expect(functions.length).toBe(1);
  const body = functions[0]!.replaceAll(/\s+/g, ' ');
  expect(body.split('memory.atomic.wait').length).toBe(2);
  const after = body.slice(body.indexOf('memory.atomic.wait'));
  // Its operands, and what closes it and what stands around it.
  expect(after).toMatch(
    /^memory\.atomic\.wait32 \(local\.get \$\d+\) \(local\.get \$\d+\) \(local\.get \$\d+\) [) ]*$/,
  );
});
