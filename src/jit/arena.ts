/**
 * Pointers into an arena. Any number may be cast to one, and Linux bounds every access by the pages that are there; so does the plane's
 * arena_at, before each access whose pointer comes from a cast. A pointer that went through memory or an argument is cast anew by the
 * compiler, or is accessed as it is.
 */
import type { CallPlan } from './call-plan.ts';
import { definition, NO_REGISTER, type Op } from './ir.ts';
import { I32 } from './wasm/opcodes.ts';
import type { Web, WebCursor, Webs } from './webs.ts';

/** (map, address, nowhere) -> address or nowhere. */
export const ARENA_AT: CallPlan = { name: 'arena_at', parameters: [I32, I32, I32], result: I32 };

const nothing: ReadonlySet<Web> = new Set();

/** Webs that a cast, or arithmetic on what one gave, defines. */
export function arenaWebs(webs: Webs): ReadonlySet<Web> {
  if (!webs.blocks.some(({ ops }) => ops.some((op) => op.kind === 'extend' && op.arena === true))) return nothing;
  const found = new Set<Web>();
  for (let before = -1; before !== found.size; ) {
    before = found.size;
    for (const block of webs.graph.order) {
      const cursor = webs.cursor(block);
      for (const op of webs.blocks[block]!.ops) {
        if (definition(op) !== NO_REGISTER && givesArena(op, cursor, found)) found.add(cursor.defined());
        cursor.step(op);
      }
    }
  }
  return found;
}

function givesArena(op: Op, cursor: WebCursor, found: ReadonlySet<Web>): boolean {
  switch (op.kind) {
    case 'extend':
      return op.arena === true;
    case 'mov':
      return found.has(cursor.web(op.src));
    case 'alu':
      if (op.width !== 64 || (op.op !== 'add' && op.op !== 'sub')) return false;
      return found.has(cursor.web(op.dst)) || (op.op === 'add' && op.b !== NO_REGISTER && found.has(cursor.web(op.b)));
    default:
      return false;
  }
}
