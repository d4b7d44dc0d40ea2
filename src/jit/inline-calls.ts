/** Replaces helper calls that the JIT expands: bpf_loop, and lookups in an array that is known. */
import { HELPER } from './call-plan.ts';
import type { Facts } from './facts.ts';
import { type Block, NO_REGISTER, type Op } from './ir.ts';
import type { WebCursor, Webs } from './webs.ts';

/** The same blocks where nothing is to be replaced. */
export function inlineCalls(webs: Webs, facts: Facts): readonly Block[] {
  let replaced = false;
  const blocks = webs.blocks.map((block, number): Block => {
    const cursor = webs.cursor(number);
    const ops = block.ops.map((op) => {
      const expanded = op.kind === 'helper' ? expand(op, facts, cursor) : undefined;
      cursor.step(op);
      if (expanded !== undefined) replaced = true;
      return expanded ?? op;
    });
    return { ...block, ops };
  });
  return replaced ? blocks : webs.blocks;
}

/** Types whose lookup is an index into a row. */
const expanded: ReadonlySet<string> = new Set(['array', 'array_of_maps', 'percpu_array']);

function expand(op: Extract<Op, { kind: 'helper' }>, facts: Facts, cursor: WebCursor): Op | undefined {
  const { slot } = op;
  if (op.prototype.id === HELPER.LOOP) {
    const callback = facts.of(cursor.web(2));
    return { slot, kind: 'loop', target: callback.kind === 'function' ? callback.target : undefined };
  }
  if (op.prototype.id !== HELPER.MAP_LOOKUP) return undefined;
  const fact = facts.of(cursor.web(1));
  const map = fact.kind === 'const' ? fact.map : undefined;
  if (map === undefined || !expanded.has(map.type)) return undefined;
  return { slot, kind: 'array-lookup', map, key: NO_REGISTER };
}
