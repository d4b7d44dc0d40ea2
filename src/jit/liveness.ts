/** Which registers hold a value that is still read, at the start of each block. */
import type { FlowGraph } from './dominators.ts';
import { type Block, definition, NO_REGISTER, successors, visitEndUses, visitUses } from './ir.ts';

/** `live[block * registers + register]` is 1 where the register is live at the start of the block. */
export function liveIn(blocks: readonly Block[], graph: FlowGraph, registers: number): Uint8Array {
  const read = new Uint8Array(blocks.length * registers);
  const written = new Uint8Array(blocks.length * registers);
  blocks.forEach((block, number) => {
    const base = number * registers;
    const use = (register: number): void => {
      if (written[base + register] === 0) read[base + register] = 1;
    };
    for (const op of block.ops) {
      visitUses(op, use);
      const register = definition(op);
      if (register !== NO_REGISTER) written[base + register] = 1;
    }
    visitEndUses(block.end, use);
  });
  const live = read.slice();
  for (let changed = true; changed; ) {
    changed = false;
    for (let at = graph.order.length - 1; at >= 0; at--) {
      const number = graph.order[at]!;
      const base = number * registers;
      for (const next of successors(blocks[number]!.end)) {
        const nextBase = next * registers;
        for (let register = 0; register < registers; register++) {
          if (live[nextBase + register] === 1 && written[base + register] === 0 && live[base + register] === 0) {
            live[base + register] = 1;
            changed = true;
          }
        }
      }
    }
  }
  return live;
}
