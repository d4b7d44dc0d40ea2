/**
 * Makes any flow graph reducible: a loop that is entered at several blocks gets one dispatch block as its only entry, which
 * jumps on by a variable that each edge to one of those blocks sets. Loops with one entry are left as they are.
 */
import { type Block, successors, type Terminator } from './ir.ts';

export interface Reducible {
  readonly blocks: readonly Block[];
  /** How many dispatch variables the blocks use; they are numbered from 0. */
  readonly variables: number;
}

export function makeReducible(given: readonly Block[]): Reducible {
  const blocks = [...given];
  let variables = 0;
  const pending: Set<number>[] = [new Set(blocks.keys())];
  for (let region = pending.pop(); region !== undefined; region = pending.pop()) {
    for (const loop of components(blocks, region)) {
      const entries = entriesOf(blocks, loop);
      let header = entries[0]!;
      if (entries.length > 1) {
        header = dispatch(blocks, loop, entries, variables++);
      }
      const inner = new Set(loop);
      inner.delete(header);
      pending.push(inner);
    }
  }
  return { blocks, variables };
}

/** Blocks of a strongly connected component that are entered from outside of it, in block order; the function's entry counts. */
function entriesOf(blocks: readonly Block[], loop: ReadonlySet<number>): number[] {
  const entries = new Set<number>();
  if (loop.has(0)) entries.add(0);
  blocks.forEach((block, number) => {
    if (loop.has(number)) return;
    for (const next of successors(block.end)) if (loop.has(next)) entries.add(next);
  });
  return [...entries].sort((a, b) => a - b);
}

/**
 * Adds a dispatch block to the graph and to `loop`, and two routing blocks for each entry: one for edges from outside, which
 * lies outside, and one for edges from within, so that the dispatch block is the only entry. Returns the dispatch block.
 */
function dispatch(blocks: Block[], loop: Set<number>, entries: readonly number[], variable: number): number {
  const targets = [...entries];
  const fromFunctionEntry = loop.has(0);
  if (fromFunctionEntry) {
    // The function's entry has an edge from nowhere: its content moves, so that block 0 can be a routing block.
    targets[entries.indexOf(0)] = blocks.length;
    loop.add(blocks.length);
    loop.delete(0);
    blocks.push(blocks[0]!);
  }
  const given = blocks.length;
  const header = blocks.length;
  blocks.push({ slot: -1, ops: [], end: { kind: 'dispatch', variable, targets } });
  const outer = new Map<number, number>();
  const inner = new Map<number, number>();
  entries.forEach((entry, value) => {
    const route: Block = { slot: -1, ops: [], end: { kind: 'route', variable, value, target: header } };
    outer.set(entry, blocks.length);
    inner.set(entry, blocks.length + 1);
    blocks.push(route, route);
  });
  for (let number = 0; number < given; number++) {
    const block = blocks[number]!;
    const routes = loop.has(number) ? inner : outer;
    blocks[number] = { ...block, end: retarget(block.end, (target) => routes.get(target) ?? target) };
  }
  if (fromFunctionEntry) blocks[0] = blocks[outer.get(0)!]!;
  loop.add(header);
  for (const number of inner.values()) loop.add(number);
  return header;
}

function retarget(end: Terminator, redirect: (target: number) => number): Terminator {
  switch (end.kind) {
    case 'goto':
    case 'route':
      return { ...end, target: redirect(end.target) };
    case 'branch':
    case 'may-goto':
      return { ...end, taken: redirect(end.taken), otherwise: redirect(end.otherwise) };
    case 'switch':
    case 'dispatch':
      return { ...end, targets: end.targets.map(redirect) };
    case 'exit':
      return end;
  }
}

/** Strongly connected components of the graph within `region` that contain a cycle (Tarjan, with a stack of its own). */
function components(blocks: readonly Block[], region: ReadonlySet<number>): Set<number>[] {
  const index = new Map<number, number>();
  const low = new Map<number, number>();
  const open = new Set<number>();
  const path: number[] = [];
  const found: Set<number>[] = [];
  for (const root of region) {
    if (index.has(root)) continue;
    const stack: { block: number; next: number[]; at: number }[] = [];
    const enter = (block: number): void => {
      index.set(block, index.size);
      low.set(block, index.get(block)!);
      open.add(block);
      path.push(block);
      stack.push({ block, next: successors(blocks[block]!.end).filter((next) => region.has(next)), at: 0 });
    };
    enter(root);
    for (let top = stack.at(-1); top !== undefined; top = stack.at(-1)) {
      const { block } = top;
      const next = top.next[top.at++];
      if (next !== undefined) {
        if (!index.has(next)) enter(next);
        else if (open.has(next)) low.set(block, Math.min(low.get(block)!, index.get(next)!));
        continue;
      }
      stack.pop();
      const parent = stack.at(-1)?.block;
      if (parent !== undefined) low.set(parent, Math.min(low.get(parent)!, low.get(block)!));
      if (low.get(block) !== index.get(block)) continue;
      const component = new Set(path.splice(path.lastIndexOf(block)));
      for (const member of component) open.delete(member);
      if (component.size > 1 || successors(blocks[block]!.end).includes(block)) found.push(component);
    }
  }
  return found;
}
